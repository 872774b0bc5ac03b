package power

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Case is one fault on one engine and one kernel.
type Case struct {
	Kernel string
	Engine Engine
	Fault  Fault
}

// A Choice narrows the matrix; an empty list means all.
type Choice struct {
	Kernels, Engines, Faults []string
	Quick                    bool          // one case an engine and kernel
	Load                     time.Duration // how long the load lasts that is not the short one; 0: DefaultLoad
}

// DefaultLoad is how long a machine under load has to stay up, once a kernel.
const DefaultLoad = 10 * time.Minute

// Matrix returns the chosen cases, ordered by kernel, engine and fault. A name that
// is in no table is an error, and so is a choice of nothing.
func Matrix(kernels []string, c Choice) ([]Case, error) {
	var engines, faults []string
	for _, e := range Engines {
		engines = append(engines, e.Name)
	}
	for _, f := range Faults {
		faults = append(faults, f.Name)
	}
	for _, check := range []struct {
		what        string
		asked, have []string
	}{{"kernel", c.Kernels, kernels}, {"engine", c.Engines, engines}, {"fault", c.Faults, faults}} {
		for _, name := range check.asked {
			if !slices.Contains(check.have, name) {
				return nil, fmt.Errorf("no %s %q: there is %s", check.what, name, strings.Join(check.have, ", "))
			}
		}
	}
	chosen := func(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }
	var cases []Case
	for _, kernel := range kernels {
		for _, e := range Engines {
			for _, f := range Faults {
				switch {
				case !chosen(c.Kernels, kernel), !chosen(c.Engines, e.Name), !chosen(c.Faults, f.Name):
				case c.Quick && !(f.Quick && quick(e, kernel)) && len(c.Faults) == 0:
				case f.Except != nil && f.Except(kernel, e.Name) != "":
				case f.Name == longLoad && slices.ContainsFunc(cases, func(c Case) bool { return c.Kernel == kernel && c.Fault.Name == longLoad }):
				default:
					cases = append(cases, Case{kernel, e, f.lasting(cmp.Or(c.Load, DefaultLoad))})
				}
			}
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("no case is left of that choice")
	}
	return cases, nil
}

// quick reports whether the engine is part of the quick set on a kernel.
func quick(e Engine, kernel string) bool { return e.Quick == nil || e.Quick(kernel) }

// config returns the daemon's configuration for the case.
func (c Case) config(mode string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version = 1\nmode = %q\n\n[keepalive]\nmethod = %q\nbackstop = \"none\"\n", mode, c.Engine.Method)
	if c.Engine.Device != "" {
		fmt.Fprintf(&b, "device = %q\n", c.Engine.Device)
	}
	fmt.Fprintf(&b, "\n[stall]\ninterval = %q\ntimeout = %q\n%s", stallInterval, cmp.Or(c.Fault.Timeout, stallTimeout), c.Fault.Stall)
	// Each case brings the machine down once; the limiter would stop the fourth.
	b.WriteString("\n[limiter]\nenabled = false\n")
	b.WriteString("\n" + c.Fault.Config)
	return b.String()
}
