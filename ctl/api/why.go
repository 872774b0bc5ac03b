package api

import (
	"time"

	"shisa/ctl/event"
	"shisa/ctl/why"
)

// ProbeHistory bounds the probes that Why returns for one monitor.
const ProbeHistory = 20

// Why explains one subject. Exactly one of Boot, Monitor, Group and Resource is set.
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
