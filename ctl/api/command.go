package api

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/monitor"
)

// An EventQuery selects events.
type EventQuery = event.Query

// A FollowItem is one line of a followed event stream: an event, a gap, or
// neither (a sign of life).
type FollowItem struct {
	Event *event.Event `json:"event,omitempty"`
	Lost  uint64       `json:"lost,omitempty"`  // events that this reader was too slow for
	Error *Error       `json:"error,omitempty"` // the stream ends with it
}

// A MonitorVerb is what can be done to a monitor.
type MonitorVerb string

// Verbs for monitors.
const (
	SuspendMonitor MonitorVerb = "suspend"
	ResumeMonitor  MonitorVerb = "resume"
	TestMonitor    MonitorVerb = "test"   // probe now, and answer with the probe
	ResetMonitor   MonitorVerb = "reset"  // clear its recovery counters
	FailMonitor    MonitorVerb = "fail"   // simulate a failure
	UnfailMonitor  MonitorVerb = "unfail" // stop simulating
)

// MonitorVerbs lists them.
func MonitorVerbs() []MonitorVerb {
	return []MonitorVerb{SuspendMonitor, ResumeMonitor, TestMonitor, ResetMonitor, FailMonitor, UnfailMonitor}
}

// A MonitorCommand acts on one monitor.
type MonitorCommand struct {
	Name   string      `json:"-"` // from the path
	Verb   MonitorVerb `json:"-"`
	Reason string      `json:"reason,omitempty"`
}

// A UnitVerb is what can be done to a group or resource.
type UnitVerb string

// Verbs for groups and resources.
const (
	StartUnit UnitVerb = "start"
	StopUnit  UnitVerb = "stop"
)

// A UnitCommand starts or stops a group or a resource.
type UnitCommand struct {
	Name   string   `json:"-"` // from the path; "*" in a group command: all groups
	Verb   UnitVerb `json:"-"`
	Reason string   `json:"reason,omitempty"`
	NoWait bool     `json:"no_wait,omitempty"` // answer when it is accepted rather than when it is done
}

// A SuspendCommand suspends or resumes everything: probes stop, recovery
// stops, resources keep running; the countdown stays armed.
type SuspendCommand struct {
	Reason string `json:"reason,omitempty"`
}

// A ShutdownVerb says how the machine goes down.
type ShutdownVerb string

// Ways down.
const (
	Reboot   ShutdownVerb = "reboot"
	PowerOff ShutdownVerb = "poweroff"
	// GuardOnly arms the guard of the shutdown and leaves the way down to
	// the operating system, which has begun it.
	GuardOnly ShutdownVerb = "guard"
)

// A ShutdownCommand stops every group and takes the machine down in an
// orderly way, guarded against stalls.
type ShutdownCommand struct {
	How    ShutdownVerb `json:"how"`
	Reason string       `json:"reason"`
}

// A ConfigSource is a configuration to check, compare or apply. At most one
// of its fields is set; with neither it is the file that the service began with.
type ConfigSource struct {
	Path string `json:"path,omitempty"` // absolute, on this machine
	Text string `json:"text,omitempty"` // TOML; scripts stay where the running configuration has them
}

// A Plan is what applying a configuration changes.
type Plan struct {
	Source   string    `json:"source"`
	Changes  []Change  `json:"changes"`  // in the order in which they happen; empty: none
	Mistakes []Mistake `json:"mistakes"` // not empty: the configuration cannot be applied
	Applied  bool      `json:"applied"`
	Summary  string    `json:"summary"` // "2 monitors start, 1 restarts"
}

// A Change is one step of a Plan.
type Change struct {
	Do      string `json:"do"`      // "start", "stop", "restart", "change"; "later": it holds from the next start of the daemon on
	Subject string `json:"subject"` // "monitor/web", "keepalive"
	Detail  string `json:"detail"`  // "interval 30s → 10s"
}

// Changes returns the steps of a plan, in order; empty: nothing changes.
func Changes(p *config.Plan) []Change {
	list := []Change{}
	for _, s := range p.Steps {
		subject := string(s.Kind) + "/" + s.Name
		if s.Kind == config.SectionKind {
			subject = cmp.Or(s.Name, "general")
		}
		list = append(list, Change{Do: string(s.Op), Subject: subject, Detail: detail(s)})
	}
	return list
}

func detail(s config.Step) string {
	parts := []string{}
	for _, f := range s.Fields {
		parts = append(parts, fmt.Sprintf("%s %s → %s", f.Key, cmp.Or(f.Old, "(none)"), cmp.Or(f.New, "(none)")))
	}
	if s.Why != "" {
		parts = append(parts, s.Why)
	}
	return strings.Join(parts, "; ")
}

// Summary counts the steps of a plan in words, and says whether it touches the
// countdown.
func Summary(p *config.Plan) string {
	count := map[config.Op]int{}
	for _, s := range p.Steps {
		count[s.Op]++
	}
	var parts []string
	for _, op := range []config.Op{config.OpStart, config.OpStop, config.OpRestart, config.OpChange, config.OpLater} {
		if count[op] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[op], op))
		}
	}
	if len(parts) == 0 {
		return "nothing changes"
	}
	text := strings.Join(parts, ", ")
	if p.Rearm {
		text += "; the countdown is armed anew"
	}
	return text
}

// A Mistake is something wrong in a configuration.
type Mistake struct {
	File string `json:"file"`
	Line int    `json:"line"` // 0: unknown
	Key  string `json:"key"`
	Text string `json:"text"`
}

// ConfigText is the running configuration as it was read.
type ConfigText struct {
	Source string `json:"source"`
	Text   string `json:"text"` // secrets blanked out
}

// A Result is the answer to a command that was carried out.
type Result struct {
	Text  string `json:"text"`            // one sentence: what was done
	Probe *Probe `json:"probe,omitempty"` // of a test
}

// A NotifyCommand tells monitors of type message of a failure that somebody
// outside has seen. Monitor or Category must be set.
type NotifyCommand struct {
	Monitor  string `json:"monitor,omitempty"`  // only this one, whatever its category and keyword
	Category string `json:"category,omitempty"` // at most monitor.CategoryLimit bytes
	Keyword  string `json:"keyword,omitempty"`  // at most monitor.KeywordLimit bytes
	Text     string `json:"text,omitempty"`     // for people; at most monitor.TextLimit bytes
	Clear    bool   `json:"clear,omitempty"`    // what was told before no longer holds
}

// Check returns what is wrong with c, nil when nothing is.
func (c NotifyCommand) Check() error {
	if c.Monitor == "" && c.Category == "" {
		return Errorf(BadRequest, "a message needs a category, or the monitor that it is for")
	}
	for _, part := range []struct {
		name, text string
		limit      int
	}{{"category", c.Category, monitor.CategoryLimit}, {"keyword", c.Keyword, monitor.KeywordLimit}, {"text", c.Text, monitor.TextLimit}} {
		switch {
		case len(part.text) > part.limit:
			return Errorf(TooLarge, "the %s has %d bytes, more than %d", part.name, len(part.text), part.limit)
		case !utf8.ValidString(part.text) || strings.ContainsFunc(part.text, unicode.IsControl):
			return Errorf(BadRequest, "the %s is not one line of text", part.name)
		}
	}
	return nil
}

// String returns the command in short, for the record.
func (c NotifyCommand) String() string {
	verb, what := "notify", c.Category
	if c.Clear {
		verb = "clear"
	}
	if c.Keyword != "" {
		what += "." + c.Keyword
	}
	if c.Monitor != "" {
		what = strings.TrimSpace("monitor " + c.Monitor + " " + what)
	}
	return verb + " " + what
}
