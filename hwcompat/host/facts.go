// Package host gathers the facts of one machine that decide what shisa can do
// on it: kernel, modules, watchdogs and who holds them, BMC, security modules,
// network, file systems, clock.
//
// Everything is read through a file system view whose root is the root of the
// machine, os.DirFS("/") for this one, so that tests and rescue systems can
// look at a tree. Nothing is opened that changes anything: no device node, no
// file below /dev. A file that is there but cannot be read is not silently
// "absent": it is listed in Facts.Unread.
package host

import "slices"

// Facts is what Inspect found. A zero field means that the machine does not
// have the thing, or that a path of it is in Unread.
type Facts struct {
	Root      bool // the inspecting process has effective user 0
	Kernel    Kernel
	OS        OS
	Modules   Modules // of the running kernel
	Security  Security
	Virtual   Virtual
	BMC       BMC
	Watchdogs []Watchdog
	Systemd   Systemd
	Services  Services
	Network   Network
	Firewall  Firewall
	Mounts    []Mount
	Clock     Clock
	SNMP      SNMP
	Processes []Process
	Programs  map[string]string // name → path, of everything in the usual PATH
	Libraries map[string]string // file name → path, of everything in the usual library folders
	Unread    []Unread
}

// An Unread is a path that exists and could not be read.
type Unread struct {
	Path   string
	Reason string
}

// A Kernel is the running kernel and its switches.
type Kernel struct {
	Release     string
	Version     string // "#1 SMP PREEMPT_DYNAMIC Debian …"
	Arch        string // as uname -m prints it
	CommandLine string
	RealTime    bool   // PREEMPT_RT
	BTF         bool   // /sys/kernel/btf/vmlinux
	ModuleBTF   bool   // at least one module has BTF as well
	Lockdown    string // none, integrity, confidentiality; empty: no such security module
	EFI         bool
	SecureBoot  string // on, off, unknown; empty without EFI
	SigEnforce  bool   // modules without a valid signature are refused
	NoModules   bool   // modules_disabled: nothing can be loaded until the next boot
	PanicSecs   int    // kernel.panic: 0 hangs for ever, negative restarts at once
	Kdump       bool   // a crash kernel is loaded
	Pstore      string // back end of pstore; empty: none
	// RTBudget says that FIFO threads need a budget of their control group
	// (CONFIG_RT_GROUP_SCHED with a version 1 hierarchy).
	RTBudget bool
	// RTRuntime is kernel.sched_rt_runtime_us; -1 means no throttling.
	RTRuntime int
}

// An OS is the distribution, from os-release.
type OS struct {
	ID, VersionID, PrettyName string
	Like                      []string
}

// A Security is the state of the security modules.
type Security struct {
	Modules       []string // /sys/kernel/security/lsm
	SELinux       string   // enforcing, permissive; empty: off
	SELinuxType   string   // policy: targeted …
	SELinuxPolicy bool     // the policy module of shisa is installed
}

// A Virtual says what the machine runs in.
type Virtual struct {
	Container string // docker, lxc, systemd-nspawn …; empty: none
	VM        string // kvm, vmware, hyperv, xen, virtualbox …; empty: physical, or unknown
}

// A BMC is the baseboard management controller as far as the system shows it.
type BMC struct {
	Devices  []string // /dev/ipmi0 …
	Firmware bool     // SMBIOS names an IPMI interface (type 38)
	Vendor   string   // of the machine
	Product  string
}

// A Watchdog is one watchdog device.
type Watchdog struct {
	Name       string // watchdog0; watchdog for one outside the watchdog core
	Identity   string
	Driver     string
	Module     string // of the driver; empty: built in, or not known
	State      string // active, inactive; empty: the kernel does not say
	Timeout    int    // seconds
	NoWayOut   bool
	BootStatus int  // WDIOF_* bits of the last boot
	Legacy     bool // a misc device outside the watchdog core, as ipmi_watchdog is
	Holders    []Process
}

// Software reports whether w is a timer of the kernel itself, which dies with it.
func (w Watchdog) Software() bool {
	return w.Driver == "softdog" || w.Identity == "Software Watchdog"
}

// A Process is one process.
type Process struct {
	PID  int
	Comm string // at most 15 bytes
	Exe  string // empty: a kernel thread, or not readable

	files []string // devices and sockets it holds
}

// A Systemd is the watchdog part of the manager's own configuration.
type Systemd struct {
	Running         bool
	RuntimeWatchdog string // RuntimeWatchdogSec as configured; empty: default
	RebootWatchdog  string
	WatchdogDevice  string
	From            string // file of RuntimeWatchdog
}

// HoldsWatchdog reports whether the manager was told to drive a watchdog.
func (s Systemd) HoldsWatchdog() bool {
	switch s.RuntimeWatchdog {
	case "", "0", "off", "0s":
		return false
	}
	return true
}

// Services maps the name of a unit or init script to whether it is enabled.
type Services map[string]bool

// A Network is what the monitors look through.
type Network struct {
	HostName   string
	HostKnown  bool     // the own name can be resolved without a name server
	Interfaces []string // up, with a carrier, other than lo
	RangeLow   int      // ip_local_port_range
	RangeHigh  int
	Reserved   []PortSpan // ip_local_reserved_ports: the range leaves them out
	Listeners  []Listener
}

// A PortSpan is a range of ports, both ends included.
type PortSpan struct{ Low, High int }

// A Listener is a socket that takes connections or datagrams.
type Listener struct {
	Proto string // tcp, udp
	Port  int
	Owner Process // zero: not found
}

// A Firewall is the front end that decides which ports are open.
type Firewall struct {
	Name  string     // firewalld, ufw; empty: none that we can read
	Zone  string     // default zone of firewalld
	Spans []OpenSpan // what it lets in
	All   bool       // it lets everything in
}

// An OpenSpan is a range of ports that is let in; Proto "any" means both.
type OpenSpan struct {
	PortSpan
	Proto string
}

// Lets reports whether a port is let in. Without a firewall every port is.
func (f Firewall) Lets(proto string, port int) bool {
	return f.Name == "" || f.All || slices.ContainsFunc(f.Spans, func(s OpenSpan) bool {
		return (s.Proto == proto || s.Proto == "any") && s.Low <= port && port <= s.High
	})
}

// A Mount is one mounted file system.
type Mount struct {
	Point, Source, Type string
	ReadOnly            bool
	Journal             Journal
}

// A Journal says whether a file system survives an unclean stop without an
// interactive check.
type Journal string

// The answers. Kept is also said of copy-on-write file systems, which need no
// journal; Remote and Volatile ones have none of their own.
const (
	Kept     Journal = "kept"
	Missing  Journal = "missing"
	Remote   Journal = "remote"
	Volatile Journal = "volatile"
	Unknown  Journal = "unknown"
)

// A Clock is the clock source and who disciplines the time of day.
type Clock struct {
	Source     string // tsc, kvm-clock, hpet, acpi_pm, jiffies …
	Available  []string
	Daemon     string // chronyd …; empty: none runs
	Guest      bool   // a hypervisor disciplines it (PTP device of the host, VMware tools …)
	Timesynced bool   // systemd-timesyncd has synchronised at least once
}

// An SNMP is what snmpd.conf says.
type SNMP struct {
	Installed bool // snmpd.conf or the program is there
	AgentX    bool // "master agentx"
	Views     []View
	Dlmods    []Dlmod
}

// A View is one line of an SNMP view.
type View struct {
	Name, OID string
	Included  bool
}

// A Dlmod is a library that snmpd was told to load.
type Dlmod struct {
	Name, Path string
	Exists     bool
}
