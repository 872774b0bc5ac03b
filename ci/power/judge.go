package power

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/ci/vm"
)

// nothing is what the hypervisor saw when it saw nothing.
const nothing = "none"

// judge says what the hypervisor saw after the strike, how late the engine was in
// milliseconds after it was due (nil: it did not fire), and what is wrong with
// that. Waited is how long the host kept the guest's CPUs waiting: Early before the
// strike, when beats may have been late, Late after it. It looks at nothing but its
// arguments.
func judge(c Case, strike time.Time, events []vm.Event, waited Window) (seen string, lateness *float64, err error) {
	var kinds []string
	var reset, ping vm.Event
	for _, e := range events {
		if !e.Time.After(strike) {
			continue
		}
		if slices.Contains(hypervisor, e.Kind) {
			kinds = append(kinds, e.Kind)
		}
		switch {
		case e.Kind == vm.KindReset && reset.Kind == "":
			reset = e
		case e.Kind == vm.KindMark && reset.Kind == "":
			ping = e
		}
	}
	seen = nothing
	if len(kinds) > 0 {
		seen = strings.Join(kinds, ",")
	}
	due := strike.Add(c.Fault.Due)
	if c.Fault.Feeder {
		due = ping.Time.Add(c.Fault.Due)
	}
	if reset.Kind != "" && !panicked(seen) { // a panic's time is the kernel's affair
		ms := float64(reset.Time.Sub(due).Microseconds()) / 1000
		lateness = &ms
	}
	switch {
	case !c.Fault.Reset && len(kinds) > 0:
		err = fmt.Errorf("the hypervisor saw %s; nothing was to happen, the host kept the guest waiting for %v", seen, waited.Late.Round(time.Millisecond))
	case !c.Fault.Reset:
	case reset.Kind == "":
		err = fmt.Errorf("the hypervisor saw %s and no reset", seen)
	case c.Fault.Feeder && ping.Kind == "":
		err = errors.New("reset before the first ping")
	default:
		err = errors.Join(inWindow(c.window(), reset.Time.Sub(due), waited), rightReset(c, seen))
	}
	return seen, lateness, err
}

// panicked reports whether the kernel gave up by itself first.
func panicked(seen string) bool { return strings.HasPrefix(seen, vm.KindPanic) }

func inWindow(w Window, lateness time.Duration, waited Window) error {
	if lateness >= -w.Early-waited.Early && lateness <= w.Late+waited.Late {
		return nil
	}
	return fmt.Errorf("reset %v after it was due; from %v early to %v late is right, and the host kept the guest waiting for %v before and %v after",
		lateness.Round(time.Millisecond), w.Early, w.Late, waited.Early.Round(time.Millisecond), waited.Late.Round(time.Millisecond))
}

// window is when the case's reset has to be seen.
func (c Case) window() Window {
	w := c.Fault.Window
	if !c.Fault.Feeder {
		w.Early += c.Engine.Early
	}
	return w
}

// rightReset checks that the engine fired, or that the kernel panicked where it
// may, and that it happened once.
func rightReset(c Case, seen string) error {
	if seen == c.Engine.Seen {
		return nil
	}
	if slices.Contains(c.Fault.Causes, "kernel-panic") {
		once := vm.KindPanic + "," + vm.KindReset
		if seen == once || c.Engine.GoesOn && seen == once+","+vm.KindReset {
			return nil
		}
	}
	return fmt.Errorf("the hypervisor saw %s; %s is right", seen, c.Engine.Seen)
}
