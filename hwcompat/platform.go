package hwcompat

import (
	"path"
	"slices"
)

// A Subject is one thing that may or may not work on a platform. The list is
// closed: every platform accounts for each of them.
type Subject string

// The subjects, in the order in which MATRIX.md shows them.
const (
	ControlPlane   Subject = "control-plane"   // shisad, shisa-keeper and shisa run
	Package        Subject = "package"         // installs, upgrades and goes again
	EngineCLPKA    Subject = "engine/clpka"    // our countdown in the kernel resets the machine
	EngineSoftdog  Subject = "engine/softdog"  // the kernel's own soft watchdog does
	EngineWatchdog Subject = "engine/watchdog" // a watchdog chip, real or of a hypervisor, does
	EngineIPMI     Subject = "engine/ipmi"     // the BMC does
	ModuleDKMS     Subject = "module/dkms"     // clpka is built on the machine
	ModulePrebuilt Subject = "module/prebuilt" // clpka comes built (kmod, KMP, weak-modules)
	WitnessExit    Subject = "ebpf/exit"       // exits of processes are witnessed
	WitnessStall   Subject = "ebpf/stall"      // stalled tasks are witnessed, with their stack
	WitnessBlock   Subject = "ebpf/block"      // block requests in flight are witnessed
	WitnessStop    Subject = "ebpf/shutdown"   // the device that holds a shutdown up is witnessed
	WitnessTimer   Subject = "ebpf/timer"      // beats are checked in the kernel
)

var subjects = []Subject{
	ControlPlane, Package,
	EngineCLPKA, EngineSoftdog, EngineWatchdog, EngineIPMI,
	ModuleDKMS, ModulePrebuilt,
	WitnessExit, WitnessStall, WitnessBlock, WitnessStop, WitnessTimer,
}

// Subjects returns every subject, in the order in which they are shown.
func Subjects() []Subject { return slices.Clone(subjects) }

// A State is what is known of a subject on a platform.
type State string

// The states. A claim is Works or Unsupported, and both are held against the
// real thing: a claimed support that fails is a mistake of the data, and so is
// a claimed non-support that works. NotTried claims nothing.
const (
	Works       State = "works"
	Unsupported State = "unsupported"
	NotTried    State = "not-tried"
)

// A Verification is how a claim came to be known, strongest first.
type Verification string

// The verifications. ByVM names a test under ci/ that runs the subject on the
// kernel in a virtual machine; ByHardware names the machine; ByCompiler means
// built against that kernel's headers, not run; BySource names kernel file and
// version; ByDocument names the text.
const (
	ByVM       Verification = "vm"
	ByHardware Verification = "hardware"
	ByCompiler Verification = "compiled"
	BySource   Verification = "source"
	ByDocument Verification = "document"
)

// A Claim says of some subjects what is known, how, since when.
type Claim struct {
	Subjects []Subject    `toml:"subjects" json:"subjects"`
	State    State        `toml:"state" json:"state"`
	Verified Verification `toml:"verified" json:"verified"`
	Evidence string       `toml:"evidence" json:"evidence"` // for ByVM: package below ci, a space, test or case
	Since    string       `toml:"since" json:"since"`       // first version of ours for which it holds
	Date     string       `toml:"date" json:"date"`         // YYYY-MM-DD
}

// A Platform is one row of our own: a distribution with one of its kernels.
type Platform struct {
	ID         string    `toml:"id" json:"id"`
	Distro     string    `toml:"distro" json:"distro"` // ID of os-release
	DistroName string    `toml:"distro_name" json:"distro_name"`
	Version    string    `toml:"version" json:"version"` // leading components of VERSION_ID
	Archs      []string  `toml:"archs" json:"archs"`
	Kernel     string    `toml:"kernel" json:"kernel"`           // series: "6.1"
	Match      string    `toml:"match" json:"match"`             // glob on the kernel release (path.Match)
	Unlike     []string  `toml:"unlike" json:"unlike,omitempty"` // globs on releases that match, but are built otherwise
	Package    string    `toml:"package" json:"package"`         // deb or rpm
	Module     string    `toml:"module" json:"module"`           // how clpka is meant to come: dkms or prebuilt
	Note       string    `toml:"note" json:"note,omitempty"`
	Claims     []Claim   `toml:"claims" json:"claims,omitempty"`
	NotTried   []Subject `toml:"not_tried" json:"not_tried,omitempty"`
}

// Claim returns what is known of s on p. Without a claim the answer is a claim
// whose state is NotTried and which has no evidence.
func (p *Platform) Claim(s Subject) Claim {
	for _, c := range p.Claims {
		if slices.Contains(c.Subjects, s) {
			return c
		}
	}
	return Claim{Subjects: []Subject{s}, State: NotTried}
}

// Fits reports whether the row is about a kernel release.
func (p *Platform) Fits(release string) bool {
	like := func(pattern string) bool {
		ok, _ := path.Match(pattern, release) // Lint has checked the pattern
		return ok
	}
	return like(p.Match) && !slices.ContainsFunc(p.Unlike, like)
}

// A Daemon is a program of somebody else that holds a watchdog or the BMC.
type Daemon struct {
	ID        string   `toml:"id"`
	Title     string   `toml:"title"`
	Processes []string `toml:"processes"` // as in /proc/PID/comm, at most 15 bytes
	Prefix    string   `toml:"prefix"`    // folder of its programs; empty: told by name only
	Uses      Use      `toml:"uses"`
	Mend      string   `toml:"mend"` // command that makes it let go
	Source    string   `toml:"source"`
	Date      string   `toml:"date"`
}

// A Use is what a Daemon takes hold of.
type Use string

// The uses: a watchdog device, the watchdog timer of the BMC, or the BMC in
// general with its timer left alone.
const (
	UsesWatchdog Use = "watchdog"
	UsesBMCTimer Use = "bmc-timer"
	UsesBMC      Use = "bmc"
)

// A Meaning says what became of one restriction of the original: the findings
// in which it lives on, or why it is gone. Exactly one of the two is set.
type Meaning struct {
	Restriction string   `toml:"restriction"`
	Finding     []string `toml:"finding"`
	Gone        string   `toml:"gone"`
}
