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
	Area  string `json:"area"` // "countdown", "kernel", "BMC", "permissions", "conflicts", "programs"
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Text  string `json:"text"`           // what was found
	Mend  string `json:"mend,omitempty"` // what to do about it
}
