package hwcompat

// A ServerOS is a distribution on which the original's server part ran.
type ServerOS struct {
	Component  string   `toml:"component"`
	Arch       string   `toml:"arch"`
	Distro     string   `toml:"distro"`
	DistroName string   `toml:"distro_name"`
	Version    string   `toml:"version"`
	Condition  string   `toml:"condition"` // empty: no update or service pack stated
	Updates    []string `toml:"updates"`
	Printed    string   `toml:"printed"`
	Line       int      `toml:"line"`
}

// A ClientOS is a system on which the original's web manager or builder ran.
type ClientOS struct {
	Component string   `toml:"component"`
	OS        string   `toml:"os"`
	Archs     []string `toml:"archs"`
	Condition string   `toml:"condition"`
	Printed   string   `toml:"printed"`
	Line      int      `toml:"line"`
}

// A Hardware is what a component of the original asked of the machine.
type Hardware struct {
	Component     string   `toml:"component"`
	Architectures []string `toml:"architectures"`
	Requires      []string `toml:"requires"`
	Lines         []int    `toml:"lines"`
}

// A Size is the memory (MB) and disk (MB, GB) that a component of the original
// asked for: the figures that ours is measured against.
type Size struct {
	Component          string  `toml:"component"`
	Arch               string  `toml:"arch"`
	MemoryUserMB       int     `toml:"memory_user_mb"`
	MemoryUserNote     string  `toml:"memory_user_note"`
	MemoryKernelMB     int     `toml:"memory_kernel_mb"`
	DiskInstallMB      int     `toml:"disk_install_mb"`
	DiskMaxOperationGB float64 `toml:"disk_max_operation_gb"`
	DiskMB             int     `toml:"disk_mb"`
	DiskNote           string  `toml:"disk_note"`
	Lines              []int   `toml:"lines"`
}

// A Port is one row of the original's port tables. Port is zero where the
// number is not fixed: PortSetting then says what sets it.
type Port struct {
	Source      string `toml:"source"`
	Table       string `toml:"table"`
	From        string `toml:"from"`
	FromPort    string `toml:"from_port"`
	To          string `toml:"to"`
	Port        int    `toml:"port"`
	PortSetting string `toml:"port_setting"`
	Proto       string `toml:"proto"`
	Purpose     string `toml:"purpose"`
	Footnotes   []int  `toml:"footnotes"`
	Line        int    `toml:"line"`
}

// A PortRule is a sentence of the guide about its ports.
type PortRule struct {
	ID           string   `toml:"id"`
	Lines        []int    `toml:"lines"`
	Text         string   `toml:"text"`
	Examples     []string `toml:"examples"`
	ExampleLines []int    `toml:"example_lines"`
	Setting      string   `toml:"setting"`
}

// A Service is one of the original's system services. The orders are those in
// which its guide disables and enables them.
type Service struct {
	Name         string `toml:"name"`
	Title        string `toml:"title"`
	Purpose      string `toml:"purpose"`
	DisableOrder int    `toml:"disable_order"`
	EnablePhase  int    `toml:"enable_phase"`
	EnableOrder  int    `toml:"enable_order"`
	Line         int    `toml:"line"`
}

// A ServiceOrder is the order in which an update of the original stops and
// starts its services.
type ServiceOrder struct {
	Disable           []string `toml:"disable"`
	DisableLines      []int    `toml:"disable_lines"`
	DisableCommand    string   `toml:"disable_command"`
	EnablePhase1      []string `toml:"enable_phase1"`
	EnablePhase1Lines []int    `toml:"enable_phase1_lines"`
	EnablePhase1When  string   `toml:"enable_phase1_when"`
	EnablePhase2      []string `toml:"enable_phase2"`
	EnablePhase2Lines []int    `toml:"enable_phase2_lines"`
	EnablePhase2When  string   `toml:"enable_phase2_when"`
	EnableCommand     string   `toml:"enable_command"`
	SuseOption        string   `toml:"suse_option"`
	SuseLine          int      `toml:"suse_line"`
}

// A Step is one step of a procedure of the guide.
type Step struct {
	Step int    `toml:"step"`
	Text string `toml:"text"`
	Line int    `toml:"line"`
}
