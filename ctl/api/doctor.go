package api

// Doctor is what this machine offers and where it conflicts.
type Doctor struct {
	Server string  `json:"server"`
	Kernel string  `json:"kernel"`
	OS     string  `json:"os"`
	Level  Level   `json:"level"` // worst of Checks
	Checks []Check `json:"checks"`
}

// A Check is one thing that was looked at.
type Check struct {
	ID    string   `json:"id,omitempty"` // of a finding, for good: "watchdog-held"; empty: a mere fact
	Area  string   `json:"area"`         // "countdown", "kernel", "eBPF", "permissions", "network" ...
	Name  string   `json:"name"`
	Level Level    `json:"level"`
	Text  string   `json:"text"`           // what was found
	Why   []string `json:"why,omitempty"`  // what was tried before it, and what became of that
	Mend  string   `json:"mend,omitempty"` // what to do about it

	Restrictions []string `json:"restrictions,omitempty"` // of the original's guide that live on in the finding
}
