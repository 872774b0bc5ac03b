// Package timeline says where the time of a shutdown went: it turns marks, as
// the witness or a log of a former boot has them, into spans, and spans into a
// table with bars. It is pure: no clock, no files.
package timeline

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A Kind is what happened at a mark. The numbers are those of src/records.h and
// of the stored form: they never change.
type Kind int

// The kinds.
const (
	Signal       Kind = 1 + iota // PID (Name) was sent signal Arg by From
	Exit                         // PID (Name) is gone; Arg is its wait status
	SyncBegin                    // PID (Name) called sync(2)
	SyncEnd                      // and it came back
	Reboot                       // reboot(2) took effect; Arg: 1 restart, 2 power off, 3 halt
	DevicesBegin                 // the kernel begins to shut devices down
	Device                       // it is Name's turn, with Driver
	DevicesEnd                   // all devices are down
	Stuck                        // Name (Driver) has taken Arg ms so far
	Begin                        // user space begins to go down: the first mark
	kinds
)

var kindNames = [...]string{"none", "signal", "exit", "sync-begin", "sync-end", "reboot", "devices-begin", "device", "devices-end", "stuck", "begin"}

// String is the kind's name in the stored form.
func (k Kind) String() string {
	if k <= 0 || k >= kinds {
		return fmt.Sprintf("kind-%d", int(k))
	}
	return kindNames[k]
}

// A Mark is one moment of a shutdown.
type Mark struct {
	At     time.Duration // CLOCK_MONOTONIC
	Kind   Kind
	Arg    int
	PID    int
	From   int
	Name   string
	Driver string
}

// A Class is what a span is about, in the order in which things go down.
type Class int

// The classes.
const (
	Process  Class = iota // from its first signal to its exit
	Sync                  // one sync(2)
	Hardware              // one device's shutdown callback
)

// A Span is a part of the shutdown that took time.
type Span struct {
	Class      Class
	Name       string // process, or device
	Detail     string // what an operator should know: signals, driver
	Begin, End time.Duration
	Unfinished bool // it had not ended when the record ends: End is the last we know
}

// Length is how long the span took, at least.
func (s Span) Length() time.Duration { return s.End - s.Begin }

// A Report says where the time went. Times of marks and spans are counted
// from Start.
type Report struct {
	Start   time.Duration // CLOCK_MONOTONIC of the first mark
	Total   time.Duration // to the last mark: what the firmware did is not in it
	Request string        // restart, power off, halt; "" when the kernel was not asked
	Asked   time.Duration // when the kernel was asked, or was at it; zero: never
	Devices time.Duration // time in device shutdown
	Done    bool          // the kernel shut all devices down
	Spans   []Span        // the longest first
}

// analysis is a report under way.
type analysis struct {
	report    Report
	processes map[int]*victim
	syncs     map[int]Mark // open, by process
	device    *Mark        // its turn it is
	devices   time.Duration
	inDevices bool
}

type victim struct {
	begin  time.Duration
	name   string
	terms  int
	killed bool
}

// Analyse orders marks by time and finds the spans.
func Analyse(marks []Mark) Report {
	if len(marks) == 0 {
		return Report{}
	}
	marks = slices.Clone(marks)
	slices.SortStableFunc(marks, func(a, b Mark) int { return cmp.Compare(a.At, b.At) })
	a := analysis{processes: make(map[int]*victim), syncs: make(map[int]Mark)}
	a.report.Start = marks[0].At
	for _, m := range marks {
		m.At -= a.report.Start
		a.add(m)
		a.report.Total = m.At
	}
	a.finish()
	slices.SortStableFunc(a.report.Spans, func(x, y Span) int {
		return cmp.Or(cmp.Compare(y.Length(), x.Length()), cmp.Compare(x.Begin, y.Begin))
	})
	return a.report
}

const sigkill, sigterm = 9, 15

func (a *analysis) add(m Mark) {
	switch m.Kind {
	case Signal:
		v := a.processes[m.PID]
		if v == nil {
			v = &victim{begin: m.At, name: m.Name}
			a.processes[m.PID] = v
		}
		v.terms += btoi(m.Arg == sigterm)
		v.killed = v.killed || m.Arg == sigkill
	case Exit:
		if v := a.processes[m.PID]; v != nil {
			delete(a.processes, m.PID)
			a.span(v.span(m.PID, m.At))
		}
	case SyncBegin:
		a.syncs[m.PID] = m
	case SyncEnd:
		if begin, ok := a.syncs[m.PID]; ok {
			delete(a.syncs, m.PID)
			a.span(Span{Class: Sync, Name: "sync", Detail: called(begin), Begin: begin.At, End: m.At})
		}
	case Reboot:
		a.report.Asked = m.At
		if requests := [...]string{"", "restart", "power off", "halt"}; m.Arg > 0 && m.Arg < len(requests) {
			a.report.Request = requests[m.Arg]
		}
	case DevicesBegin:
		a.enterDevices(m.At)
	case Device:
		a.enterDevices(m.At)
		a.endDevice(m.At, false)
		a.device = &m
	case Stuck:
		a.enterDevices(max(0, m.At-time.Duration(m.Arg)*time.Millisecond))
		if a.device == nil || a.device.Name != m.Name { // the mark of its turn is lost
			begin := max(0, m.At-time.Duration(m.Arg)*time.Millisecond)
			a.endDevice(begin, false)
			a.device = &Mark{At: begin, Kind: Device, Name: m.Name, Driver: m.Driver}
		}
	case DevicesEnd:
		a.endDevice(m.At, false)
		if a.inDevices {
			a.report.Devices, a.inDevices = m.At-a.devices, false
			a.report.Done = true
		}
	}
}

// enterDevices is called for each mark of the devices: those before it may be lost.
func (a *analysis) enterDevices(at time.Duration) {
	if a.inDevices {
		return
	}
	a.devices, a.inDevices = at, true
	if a.report.Asked == 0 {
		a.report.Asked = at
	}
}

func (a *analysis) endDevice(at time.Duration, unfinished bool) {
	if a.device == nil {
		return
	}
	detail := ""
	if a.device.Driver != "" {
		detail = "driver " + a.device.Driver
	}
	a.span(Span{Class: Hardware, Name: a.device.Name, Detail: detail, Begin: a.device.At, End: at, Unfinished: unfinished})
	a.device = nil
}

// finish closes what the record leaves open.
func (a *analysis) finish() {
	last := a.report.Total
	a.endDevice(last, true)
	if a.inDevices {
		a.report.Devices = last - a.devices
	}
	for _, begin := range a.syncs {
		a.span(Span{Class: Sync, Name: "sync", Detail: called(begin), Begin: begin.At, End: last, Unfinished: true})
	}
	if a.report.Asked == 0 {
		// Once the kernel is asked, processes no longer matter.
		for pid, v := range a.processes {
			s := v.span(pid, last)
			s.Unfinished = true
			a.span(s)
		}
	}
}

func (a *analysis) span(s Span) { a.report.Spans = append(a.report.Spans, s) }

func (v *victim) span(pid int, end time.Duration) Span {
	s := Span{Class: Process, Name: fmt.Sprintf("%s[%d]", v.name, pid), Begin: v.begin, End: end}
	switch {
	case v.killed && v.terms > 0:
		s.Detail = "ignored SIGTERM, killed"
	case v.killed:
		s.Detail = "killed"
	}
	return s
}

func called(m Mark) string { return fmt.Sprintf("called by %s[%d]", m.Name, m.PID) }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
