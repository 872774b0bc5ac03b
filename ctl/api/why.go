package api

import (
	"time"

	"shisa/bpf/timeline"
	"shisa/ctl/event"
	"shisa/ctl/why"
)

// ProbeHistory bounds the probes that Why returns for one monitor.
const ProbeHistory = 20

// Why explains one subject. At most one of Boot, Monitor, Group, Resource and
// Timeline is set: what the subject is about. None: of a shutdown nothing is on record.
type Why struct {
	Subject  string        `json:"subject"` // "boot", "shutdown", "monitor/web", "group/db", "resource/apache"
	Summary  string        `json:"summary"` // one or two sentences
	Boot     *why.Verdict  `json:"boot,omitempty"`
	Monitor  *MonitorWhy   `json:"monitor,omitempty"`
	Group    *Group        `json:"group,omitempty"`
	Resource *Resource     `json:"resource,omitempty"`
	Timeline *Timeline     `json:"timeline,omitempty"` // of the last shutdown
	Events   []event.Event `json:"events"`             // the latest about the subject, oldest first
}

// MonitorWhy is how a monitor came to its verdict.
type MonitorWhy struct {
	Status    Monitor    `json:"status"`
	Probes    []Probe    `json:"probes"`    // the latest ProbeHistory, oldest first
	Decisions []Decision `json:"decisions"` // of recovery, oldest first
}

// A Probe is one look at a target.
type Probe struct {
	At      time.Time `json:"at"`
	TookMS  Millis    `json:"took_ms"`
	Verdict Verdict   `json:"verdict"`
	Detail  string    `json:"detail"` // finding, or why it could not look
	Log     []string  `json:"log"`    // what the probe noted on its way
}

// A Decision is what recovery concluded from a probe.
type Decision struct {
	At      time.Time `json:"at"`
	Action  string    `json:"action"` // "none", "restart", "reboot", …
	Count   int       `json:"count"`  // which of how many; 0 when it does not count
	Limit   int       `json:"limit"`
	Reason  string    `json:"reason"`
	Outcome string    `json:"outcome"` // what came of it: "done", "would have", an error
}

// A Timeline says where the time of the last shutdown went.
type Timeline struct {
	Boot      string         `json:"boot"` // that ended with it
	Summary   string         `json:"summary"`
	Request   string         `json:"request,omitempty"` // what the kernel was asked for: restart, power off, halt
	Done      bool           `json:"done"`              // the kernel shut all devices down
	TotalMS   Millis         `json:"total_ms"`          // to the last mark
	AskedMS   Millis         `json:"asked_ms"`          // until the kernel was asked; 0: never
	DevicesMS Millis         `json:"devices_ms"`        // in shutting down devices
	Spans     []TimelineSpan `json:"spans"`             // the longest first
}

// A TimelineSpan is a part of a shutdown.
type TimelineSpan struct {
	Class      string `json:"class"` // "process", "sync", "device"
	Name       string `json:"name"`
	Detail     string `json:"detail,omitempty"`
	BeginMS    Millis `json:"begin_ms"`
	LengthMS   Millis `json:"length_ms"`
	Unfinished bool   `json:"unfinished"` // it had not ended when the record ends
}

// timelineSpans bounds the spans of an answer.
const timelineSpans = 200

var timelineClasses = map[timeline.Class]string{timeline.Process: "process", timeline.Sync: "sync", timeline.Hardware: "device"}

// NewTimeline is r as an answer.
func NewTimeline(boot string, r timeline.Report) Timeline {
	t := Timeline{Boot: boot, Summary: r.Summary(), Request: r.Request, Done: r.Done, TotalMS: Millis(r.Total),
		AskedMS: Millis(r.Asked), DevicesMS: Millis(r.Devices), Spans: []TimelineSpan{}}
	for _, s := range r.Spans[:min(len(r.Spans), timelineSpans)] {
		t.Spans = append(t.Spans, TimelineSpan{Class: timelineClasses[s.Class], Name: s.Name, Detail: s.Detail,
			BeginMS: Millis(s.Begin), LengthMS: Millis(s.Length()), Unfinished: s.Unfinished})
	}
	return t
}

// Report is t as it can be drawn.
func (t Timeline) Report() timeline.Report {
	r := timeline.Report{Total: t.TotalMS.D(), Request: t.Request, Asked: t.AskedMS.D(), Devices: t.DevicesMS.D(), Done: t.Done}
	for _, s := range t.Spans {
		span := timeline.Span{Name: s.Name, Detail: s.Detail, Begin: s.BeginMS.D(), End: s.BeginMS.D() + s.LengthMS.D(), Unfinished: s.Unfinished}
		for class, name := range timelineClasses {
			if name == s.Class {
				span.Class = class
			}
		}
		r.Spans = append(r.Spans, span)
	}
	return r
}
