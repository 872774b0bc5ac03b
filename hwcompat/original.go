package hwcompat

// A Meta heads each transcribed file: where the facts come from and how many
// there must be. Lint holds the totals against the rows.
type Meta struct {
	Document string `toml:"document"`
	LineBase string `toml:"line_base"`
	// Totals that a file may carry; zero means not stated.
	RowsTotal   int   `toml:"rows_total"`
	RowsI686    int   `toml:"rows_i686"`
	RowsX8664   int   `toml:"rows_x86_64"`
	SectionSpan []int `toml:"section_lines"`
}

// A Note is a remark of the transcriber: an anomaly of the printed table, a
// difference between two tables, a reading of ours. Rows name it by ID.
type Note struct {
	ID      string `toml:"id"`
	Kind    string `toml:"kind"`
	Lines   []int  `toml:"lines"`
	Text    string `toml:"text"`
	Derived bool   `toml:"derived"` // our inference, printed nowhere
}

// A Range is a span of the original's internal versions, both ends included.
// An empty To means "and later".
type Range struct {
	From string `toml:"from" json:"from"`
	To   string `toml:"to" json:"to"`
}

// A Kernel is one row of the original's table of verified kernels: a release
// of one distribution for which its module clpka was shipped. The same Kernel
// string occurs under several distributions, so the distribution is part of
// the key.
type Kernel struct {
	Arch       string  `toml:"arch" json:"arch"`
	Distro     string  `toml:"distro" json:"distro"`
	DistroName string  `toml:"distro_name" json:"distro_name"`
	Version    string  `toml:"version" json:"version"`
	Update     string  `toml:"update" json:"update"`
	Kernel     string  `toml:"kernel" json:"kernel"` // as printed
	Flavour    string  `toml:"flavour" json:"flavour"`
	CLPKA      bool    `toml:"clpka" json:"clpka"` // the original shipped its module for it
	Since      string  `toml:"since" json:"since"` // as printed; start of the first range
	Ranges     []Range `toml:"ranges" json:"ranges"`

	LikelySince  string `toml:"likely_since" json:"likely_since,omitempty"`   // our reading of a probable misprint
	LikelyKernel string `toml:"likely_kernel" json:"likely_kernel,omitempty"` // our reading of a probable misprint

	Inherited       bool     `toml:"inherited" json:"-"` // value of a merged cell above
	Shifted         bool     `toml:"shifted" json:"-"`   // printed one column to the left
	KernelInherited bool     `toml:"kernel_inherited" json:"-"`
	KernelLine      int      `toml:"kernel_line" json:"-"`
	Line            int      `toml:"line" json:"line"`
	MarkLine        int      `toml:"mark_line" json:"-"`
	Notes           []string `toml:"notes" json:"notes,omitempty"`
}

// An Application is one target that the original verified for one of its
// monitors.
type Application struct {
	Arch        string   `toml:"arch"`
	Monitor     string   `toml:"monitor"` // the original's name: oraclew, httpw …
	MonitorName string   `toml:"monitor_name"`
	Application string   `toml:"application"` // empty: the monitor has no target product
	Version     string   `toml:"version"`
	Versions    []string `toml:"versions"` // several in one printed cell
	AnyVersion  bool     `toml:"any_version"`
	Transport   string   `toml:"transport"`
	Printed     string   `toml:"printed"`
	Since       string   `toml:"since"`
	Ranges      []Range  `toml:"ranges"`
	Note        string   `toml:"note"` // condition that comes with the row
	Line        int      `toml:"line"`
}

// An Agent is an SNMP agent that the original verified.
type Agent struct {
	Arch         string `toml:"arch"`
	Distro       string `toml:"distro"`
	DistroName   string `toml:"distro_name"`
	Version      string `toml:"version"`
	Update       string `toml:"update"`
	Printed      string `toml:"printed"`
	Agent        string `toml:"agent"`
	AgentVersion string `toml:"agent_version"`
	Since        string `toml:"since"`
	Line         int    `toml:"line"`
}

// A Linkage says how the original hung itself into snmpd. What it left there
// is looked for, and its OID must be in the view still.
type Linkage struct {
	SnmpdDirective  string   `toml:"snmpd_directive"`
	SnmpdConf       string   `toml:"snmpd_conf"`
	OID             string   `toml:"oid"`
	OIDLines        []int    `toml:"oid_lines"`
	OIDNote         string   `toml:"oid_note"`
	ViewRequired    string   `toml:"view_required"`
	Symlinks        []string `toml:"symlinks"`
	SymlinkTemplate string   `toml:"symlink_command_template"`
	LibDirI686      string   `toml:"lib_dir_i686"`
	LibDirX8664     string   `toml:"lib_dir_x86_64"`
	StopCommand     string   `toml:"stop_command"`
	StartCommand    string   `toml:"start_command"`
	NeedsRoot       bool     `toml:"needs_root"`
	NotNeededFor    string   `toml:"not_needed_for"`
	DirectiveLines  []int    `toml:"directive_lines"`
}

// A Java is a Java environment that the original's JVM monitor could use.
type Java struct {
	Kind        string `toml:"kind"` // JRE, JDK, OpenJDK
	Name        string `toml:"name"`
	Major       int    `toml:"major"`
	Update      int    `toml:"update"`
	Printed     string `toml:"printed"`
	MinInternal string `toml:"min_internal"`
	OrLater     bool   `toml:"or_later"`
	Lines       []int  `toml:"lines"`
}

// A Condition is a sentence of the guide that holds for a whole table.
type Condition struct {
	ID   string `toml:"id"`
	Line int    `toml:"line"`
	Text string `toml:"text"`
}

// A LoadBalancer is one that the original's JVM monitor could steer.
type LoadBalancer struct {
	Arch    string `toml:"arch"`
	Name    string `toml:"name"`
	OrLater bool   `toml:"or_later"`
	Since   string `toml:"since"`
	Note    string `toml:"note"` // condition that comes with the row
	Line    int    `toml:"line"`
}

// A Server is a machine whose BMC the original verified. The list is an
// example, not a limit.
type Server struct {
	Server string `toml:"server"`
	Note   string `toml:"note"`
	Line   int    `toml:"line"`
}

// A Restriction is a note or restriction of the guide. What became of each
// here is in Meaning.
type Restriction struct {
	ID          string   `toml:"id"`
	Chapter     int      `toml:"chapter"`
	Section     string   `toml:"section"`
	Kind        string   `toml:"kind"` // requirement, recommendation, limitation, info
	Component   string   `toml:"component"`
	Lines       []int    `toml:"lines"`
	Text        string   `toml:"text"`
	Note        string   `toml:"note"`
	Setting     string   `toml:"setting"`
	Filesystems []string `toml:"filesystems"`
	Allowed     []string `toml:"allowed"`
	Distros     []string `toml:"distros"`
}
