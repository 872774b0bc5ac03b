package api

import (
	"shisa/bpf/timeline"
)

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
