package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Record is one entry of the journal.
type Record interface {
	kind() string
	apply(*State, Stamp)
}

// A Stamp says when a record was written, in both clocks.
type Stamp struct {
	Time   time.Time     `json:"time"`      // wall clock
	Uptime time.Duration `json:"uptime_ns"` // since boot, suspended time included
	Boot   string        `json:"boot"`      // id
}

// Started says that the service started.
type Started struct {
	Version string `json:"version"`
	Mode    string `json:"mode"`
}

// An Intent is written, and on disk, before anything is done to the machine.
type Intent struct {
	ID      uint64 `json:"id"`     // unique within the journal; Outcome refers to it
	Action  string `json:"action"` // "reboot", "reset", …
	Reason  string `json:"reason"`
	Subject string `json:"subject"` // that it is for: "monitor/web", "operator"
	By      string `json:"by"`      // who asked: "recovery", "root (pid 4711)", …
}

// An Outcome says what came of an intent that did not take the machine down.
type Outcome struct {
	ID     uint64 `json:"id"`
	Result string `json:"result"` // "failed: …", "voided: …"
}

// Armed says which countdowns were armed. An empty list says that none is.
type Armed struct {
	Engines []ArmedEngine `json:"engines"`
	Reason  string        `json:"reason"`
}

// An ArmedEngine is one armed countdown.
type ArmedEngine struct {
	Role     string        `json:"role"`
	Driver   string        `json:"driver"`
	Device   string        `json:"device"`
	Identity string        `json:"identity"`
	Timeout  time.Duration `json:"timeout_ns"` // granted
	Action   string        `json:"action"`
	Hardware bool          `json:"hardware"`
	NoWayOut bool          `json:"no_way_out"`
	Guards   string        `json:"guards"` // "user space" or "shutdown"
}

// Leaving says that the service stops in an orderly way, and what follows.
type Leaving struct {
	How    string `json:"how"`    // "stop" (only the service), "reboot", "poweroff", "shutdown"; empty: it stays, after all
	By     string `json:"by"`     // "systemd", "root (pid 4711)", "recovery"
	Reason string `json:"reason"` //
	Phase  string `json:"phase"`  // "requested", "groups stopping", "groups stopped", "done"
}

// A Cell is a value under a key of its owner's choice; the last one counts.
type Cell struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// sequence reserves sequence numbers below Next; at an orderly end it gives
// back what is left of a block.
type sequence struct {
	Next uint64 `json:"next"`
}

// past carries what a compacted journal still knows.
type past struct{ State State }

func (Started) kind() string  { return "started" }
func (Intent) kind() string   { return "intent" }
func (Outcome) kind() string  { return "outcome" }
func (Armed) kind() string    { return "armed" }
func (Leaving) kind() string  { return "leaving" }
func (Cell) kind() string     { return "cell" }
func (sequence) kind() string { return "sequence" }
func (past) kind() string     { return "past" }

// envelope is the JSON payload of a frame.
type envelope struct {
	Kind  string          `json:"k"`
	Stamp Stamp           `json:"s"`
	Value json.RawMessage `json:"v"`
}

func encode(s Stamp, r Record) ([]byte, error) {
	v, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.kind(), err)
	}
	b, err := json.Marshal(envelope{r.kind(), s, v})
	if err == nil && len(b) > payloadLimit {
		err = fmt.Errorf("encode %s: %d bytes are more than %d", r.kind(), len(b), payloadLimit)
	}
	return b, err
}

// decoders makes the record of each kind.
var decoders = map[string]func(json.RawMessage) (Record, error){
	"started":  decoder[Started],
	"intent":   decoder[Intent],
	"outcome":  decoder[Outcome],
	"armed":    decoder[Armed],
	"leaving":  decoder[Leaving],
	"cell":     decoder[Cell],
	"sequence": decoder[sequence],
	"past":     decoder[past],
}

func decoder[R Record](v json.RawMessage) (Record, error) {
	var r R
	err := json.Unmarshal(v, &r)
	return r, err
}

// decode returns the record in a payload. A kind that is not known, from a
// newer version, is no error: the record is nil.
func decode(payload []byte) (Stamp, Record, error) {
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return Stamp{}, nil, err
	}
	d := decoders[e.Kind]
	if d == nil {
		return e.Stamp, nil, nil
	}
	r, err := d(e.Value)
	return e.Stamp, r, err
}

// A State is what all records together say. It is a value: what it refers to
// is not changed afterwards.
type State struct {
	Current  Run                        `json:"current"`            // the boot of the last record of a run
	Previous *Run                       `json:"previous,omitempty"` // the boot before; nil: none is known
	Cells    map[string]json.RawMessage `json:"cells,omitempty"`
	NextSeq  uint64                     `json:"next_seq"`
	NextID   uint64                     `json:"next_id"`
}

// A Run is what the journal says about one boot of the machine.
type Run struct {
	Boot    string    `json:"boot"`              // id; empty: no record
	First   Stamp     `json:"first"`             // first record
	Last    Stamp     `json:"last"`              // last record
	Started Started   `json:"started"`           // of the last start of the service
	Starts  int       `json:"starts"`            // of the service
	Armed   *Armed    `json:"armed,omitempty"`   // nil: never armed
	Leaving *Leaving  `json:"leaving,omitempty"` // nil: the service runs, or was cut off
	LeftAt  Stamp     `json:"left_at"`           // of Leaving
	Intents []Decided `json:"intents,omitempty"` // the last intentLimit, oldest first
}

// A Decided is an intent with what came of it.
type Decided struct {
	Intent
	At      Stamp  `json:"at"`
	Outcome string `json:"outcome,omitempty"` // empty: nothing is known
}

// intentLimit bounds the intents kept of one boot: enough to see a pattern.
const intentLimit = 32

// Cell decodes the value under key into v and reports whether there is one.
func (s State) Cell(key string, v any) bool {
	raw, ok := s.Cells[key]
	return ok && json.Unmarshal(raw, v) == nil
}

// with returns s after r.
func (s State) with(at Stamp, r Record) State {
	if r == nil {
		return s
	}
	r.apply(&s, at)
	if _, old := r.(past); !old && at.Boot == s.Current.Boot {
		s.Current.Last = at
	}
	return s
}

// enter begins the run of another boot with its first record, whichever that is: what
// is armed may be recorded before the start is.
func (s *State) enter(at Stamp) {
	if at.Boot == s.Current.Boot {
		return
	}
	if s.Current.Boot != "" {
		old := s.Current
		s.Previous = &old
	}
	s.Current = Run{Boot: at.Boot, First: at}
}

func (r Started) apply(s *State, at Stamp) {
	s.enter(at)
	s.Current.Started = r
	s.Current.Starts++
	s.Current.Leaving = nil
}

func (r Intent) apply(s *State, at Stamp) {
	s.enter(at)
	s.NextID = max(s.NextID, r.ID+1)
	kept := slices.Clone(s.Current.Intents)
	kept = append(kept, Decided{Intent: r, At: at})
	s.Current.Intents = kept[max(0, len(kept)-intentLimit):]
}

func (r Outcome) apply(s *State, _ Stamp) {
	s.Current.Intents = slices.Clone(s.Current.Intents)
	for i := range s.Current.Intents {
		if s.Current.Intents[i].ID == r.ID {
			s.Current.Intents[i].Outcome = r.Result
		}
	}
}

func (r Armed) apply(s *State, at Stamp) {
	s.enter(at)
	s.Current.Armed = &r
}

// apply keeps what was ordered, and when: the service's own stop is a part of it.
func (r Leaving) apply(s *State, at Stamp) {
	s.enter(at)
	if r.How == "" {
		s.Current.Leaving, s.Current.LeftAt = nil, Stamp{}
		return
	}
	if old := s.Current.Leaving; old != nil && old.How != "stop" && r.How == "stop" {
		old := *old
		old.Phase = r.Phase
		s.Current.Leaving = &old
		return
	}
	s.Current.Leaving = &r
	s.Current.LeftAt = at
}

func (r Cell) apply(s *State, _ Stamp) {
	cells := maps.Clone(s.Cells)
	if cells == nil {
		cells = map[string]json.RawMessage{}
	}
	cells[r.Key] = r.Value
	s.Cells = cells
}

func (r sequence) apply(s *State, _ Stamp) { s.NextSeq = r.Next }

// apply keeps the higher counters: a journal may hold records beside its past
// when a compaction was cut off.
func (r past) apply(s *State, _ Stamp) {
	seq, id := s.NextSeq, s.NextID
	*s = r.State
	s.NextSeq, s.NextID = max(seq, s.NextSeq), max(id, s.NextID)
}
