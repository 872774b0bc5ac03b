package power

import (
	"fmt"
	"slices"
	"strings"
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
	Quick                    bool // one case an engine and kernel
}

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
				case c.Quick && !f.Quick && len(c.Faults) == 0:
				case f.Except != nil && f.Except(kernel, e.Name) != "":
				default:
					cases = append(cases, Case{kernel, e, f})
				}
			}
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("no case is left of that choice")
	}
	return cases, nil
}

// config returns the daemon's configuration for the case.
func (c Case) config(mode string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version = 1\nmode = %q\n\n[keepalive]\nmethod = %q\nbackstop = \"none\"\n", mode, c.Engine.Method)
	if c.Engine.Device != "" {
		fmt.Fprintf(&b, "device = %q\n", c.Engine.Device)
	}
	fmt.Fprintf(&b, "\n[stall]\ninterval = %q\ntimeout = %q\n%s", stallInterval, stallTimeout, c.Fault.Stall)
	// Each case brings the machine down once; the limiter would stop the fourth.
	b.WriteString("\n[limiter]\nenabled = false\n")
	b.WriteString("\n" + c.Fault.Config)
	return b.String()
}
