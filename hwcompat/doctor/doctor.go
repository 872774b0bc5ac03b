// Package doctor joins what this machine is (package host), what is known to
// work (package hwcompat) and what the configuration needs into findings: each
// with a severity, the reason, and the command that mends it.
//
// Diagnose is pure. Examine is the same with the looking around it.
package doctor

import (
	"cmp"
	"io/fs"
	"slices"

	"shisa/hwcompat"
	"shisa/hwcompat/host"
	"shisa/hwcompat/kofind"
	"shisa/hwcompat/nextboot"
)

// Module is the name of our own kernel module.
const Module = "clpka"

// A Severity says how much a finding matters.
type Severity string

// The severities, worst first. With an Error something that was asked for does
// not work; with a Warning it works less well than it could, or will stop to;
// Info is worth knowing.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// A Finding is one thing that doctor has to say.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Reason   string   `json:"reason"`
	Mend     string   `json:"mend,omitempty"` // command, or what to do where no command does it
	// Restrictions of the original's guide that live on in this finding.
	Restrictions []string `json:"restrictions,omitempty"`
}

// Needs is what the configuration asks of the machine. The zero value asks for
// nothing: only what holds on any machine is then found. Applications,
// LoadBalancer and SNMPAgent wait for monitors of databases and JVMs and for the
// sub-agent of SNMP, which shisa does not have yet.
type Needs struct {
	Protect      bool     // acts on the machine; false only observes
	Engines      []string // keepalive.method and .backstop: clpka, softdog, wdt, ipmi, ipmiutil; empty: auto
	AnyBackstop  bool     // beside Engines, whatever chip or BMC there is stands behind them
	Panic        bool     // a machine-level action is panic
	Witnesses    bool     // eBPF witnesses are wanted
	StateDir     string   // folder of the safety journal; empty: /var/lib/shisa
	Ports        []Port
	Programs     []Program
	Libraries    []Program
	Applications []Application
	LoadBalancer string // product that is steered, as in loadbalancers.toml
	SNMPAgent    bool   // a sub-agent answers queries; traps alone do not need it
}

// A Port is one that we listen on.
type Port struct {
	Proto   string // tcp, udp
	Number  int
	Purpose string
	Outside bool // other machines must reach it
}

// A Program is a program or library that something configured needs.
type Program struct {
	Name    string // of the file
	For     string // who needs it
	Package string // that brings it; empty: not known
}

// An Application is the target of a monitor.
type Application struct {
	Monitor, Product, Version string // as in apps.toml
}

// A Next is the kernel that starts next and what it would find.
type Next struct {
	Kernel  nextboot.Kernel
	Err     error // of nextboot.Detect
	Modules host.Modules
	Found   kofind.Result
}

// An Input is everything that a diagnosis rests on.
type Input struct {
	Facts  host.Facts
	Matrix *hwcompat.Matrix
	Needs  Needs
	Found  kofind.Result // module files for the running kernel
	Next   *Next         // nil: the next start is not judged
}

// Examine looks at the machine whose root is fsys and diagnoses it.
func Examine(fsys fs.FS, m *hwcompat.Matrix, needs Needs) (host.Facts, []Finding) {
	f := host.Inspect(fsys)
	next := NextBoot(fsys)
	return f, Diagnose(Input{
		Facts: f, Matrix: m, Needs: needs,
		Found: kofind.Find(fsys, f.Kernel.Release, Module),
		Next:  &next,
	})
}

// NextBoot looks at the kernel that the machine would start next.
func NextBoot(fsys fs.FS) Next {
	k, err := nextboot.Detect(fsys)
	n := Next{Kernel: k, Err: err}
	if k.Release != "" {
		n.Modules = host.ModulesOf(fsys, k.Release)
		n.Found = kofind.Find(fsys, k.Release, Module)
	}
	return n
}

// Diagnose returns the findings, worst first, in the order of the rules.
func Diagnose(in Input) []Finding {
	if in.Needs.StateDir == "" {
		in.Needs.StateDir = "/var/lib/shisa"
	}
	j := &judge{Input: in}
	j.answer = in.Matrix.Lookup(hwcompat.Query{
		Release: in.Facts.Kernel.Release, Distro: in.Facts.OS.ID,
		Version: in.Facts.OS.VersionID, Arch: in.Facts.Kernel.Arch,
	})
	var all []Finding
	for _, r := range rules {
		for _, h := range r.check(j) {
			all = append(all, Finding{
				ID: r.id, Severity: cmp.Or(h.severity, r.severity), Title: r.title,
				Reason: h.reason, Mend: h.mend,
				Restrictions: in.Matrix.RestrictionsOf(r.id),
			})
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return weight(a.Severity) - weight(b.Severity) })
	return all
}

func weight(s Severity) int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// IDs returns the identifiers of all findings there are, in the order of the rules.
func IDs() []string {
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = r.id
	}
	return ids
}

// Kinds returns a finding of each kind there is, in the order of the rules, with
// what does not depend on the machine: ID, Title, and the Severity that it usually
// has.
func Kinds() []Finding {
	all := make([]Finding, len(rules))
	for i, r := range rules {
		all[i] = Finding{ID: r.id, Severity: r.severity, Title: r.title}
	}
	return all
}

// A judge is an Input with what every rule may want to know.
type judge struct {
	Input
	answer hwcompat.Answer
}

// wants reports whether an engine may be used: it is named, or none is, or it may stand
// behind those that are.
func (j *judge) wants(engine string) bool {
	return len(j.Needs.Engines) == 0 || slices.Contains(j.Needs.Engines, engine) ||
		j.Needs.AnyBackstop && slices.Contains([]string{"wdt", "ipmi"}, engine)
}

// A hit is one finding of a rule. An empty severity takes that of the rule.
type hit struct {
	reason, mend string
	severity     Severity
}

// when is the common case: one hit, or none.
func when(ok bool, reason, mend string) []hit {
	if !ok {
		return nil
	}
	return []hit{{reason: reason, mend: mend}}
}
