// Package flight is the flight recorder: a bounded ring of the last minutes'
// evidence (stalled tasks with their stacks, slow I/O, pressure, missed beats)
// that is written out whole before an action, so that it can be said afterwards
// why the machine had to go down, and who is the likely culprit.
package flight

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync"
	"time"
)

// The bounds of a Recorder. Whichever is reached first, the oldest goes.
const (
	DefaultBytes = 1 << 20          // of encoded evidence: some 1 500 stalls with stacks
	DefaultAge   = 10 * time.Minute // older evidence says little about what happens now
	maxEntry     = 64 << 10         // one entry, in bytes; a longer one is refused
)

// A Kind is what an entry is evidence of.
type Kind string

// The kinds. The culprit is looked for in this order of weight.
const (
	MissedBeat Kind = "missed-beat" // Subject: the loop
	Blocked    Kind = "blocked"     // a task in the kernel; Subject: the task
	HungIO     Kind = "hung-io"     // Subject: the disk
	SlowIO     Kind = "slow-io"
	Starved    Kind = "starved"
	Hog        Kind = "hog"
	Cgroup     Kind = "cgroup"   // Subject: the cgroup of several stalled tasks; Detail: how many, of what
	OOM        Kind = "oom"      // Subject: the victim
	Pressure   Kind = "pressure" // Subject: cpu, io, memory; For: stalled in 10 s
	Exit       Kind = "exit"
)

// An Entry is one piece of evidence. The fields that a kind does not have are
// zero.
type Entry struct {
	At      time.Time     `json:"at"`
	Kind    Kind          `json:"kind"`
	Subject string        `json:"subject"`
	Cgroup  string        `json:"cgroup,omitempty"`
	For     time.Duration `json:"for,omitempty"` // how long it had gone on
	Detail  string        `json:"detail,omitempty"`
	Stack   []string      `json:"stack,omitempty"`
	Again   int           `json:"again,omitempty"` // how often the same was seen again, in place of entries
}

// Recorder keeps the latest evidence. The zero value is ready and has the
// default bounds. Any goroutine may use it.
type Recorder struct {
	Bytes int           // of evidence, at most; 0: DefaultBytes
	Age   time.Duration // 0: DefaultAge

	mu      sync.Mutex
	entries []recorded
	bytes   int
	dropped uint64
}

type recorded struct {
	Entry
	began time.Time // what it is evidence of
	size  int       // encoded
}

// Add records an entry. The same evidence again (a stall that goes on is seen
// at each scan) renews the entry instead: its For, Detail and Stack, not its
// time, which is when it began to be seen.
func (r *Recorder) Add(e Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(e.At)
	if i := r.find(e); i >= 0 {
		was := &r.entries[i]
		e.At, e.Again = was.At, was.Again+1
		size, err := measure(e)
		if err != nil {
			return err
		}
		r.bytes += size - was.size
		was.Entry, was.size = e, size
		r.shrink()
		return nil
	}
	size, err := measure(e)
	if err != nil {
		return err
	}
	r.entries = append(r.entries, recorded{e, e.At.Add(-e.For), size})
	r.bytes += size
	r.shrink()
	return nil
}

// slack is by how much the beginnings of one episode may seem to differ, as
// they are reckoned back from each look.
const slack = 3 * time.Second

func (r *Recorder) find(e Entry) int {
	if e.For == 0 {
		return -1 // an event, not a state
	}
	began := e.At.Add(-e.For)
	return slices.IndexFunc(r.entries, func(was recorded) bool {
		return was.Kind == e.Kind && was.Subject == e.Subject && was.Cgroup == e.Cgroup &&
			began.Sub(was.began).Abs() <= slack
	})
}

func (r *Recorder) expire(now time.Time) {
	age := r.Age
	if age <= 0 {
		age = DefaultAge
	}
	old := 0
	for old < len(r.entries) && now.Sub(r.entries[old].At) > age {
		old++
	}
	r.drop(old)
}

func (r *Recorder) shrink() {
	limit := r.Bytes
	if limit <= 0 {
		limit = DefaultBytes
	}
	n, bytes := 0, r.bytes
	for bytes > limit && n < len(r.entries) {
		bytes -= r.entries[n].size
		n++
	}
	r.drop(n)
}

func (r *Recorder) drop(n int) {
	for _, e := range r.entries[:n] {
		r.bytes -= e.size
	}
	r.dropped += uint64(n)
	r.entries = slices.Delete(r.entries, 0, n)
}

func measure(e Entry) (int, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("record evidence: %w", err)
	}
	if len(text) > maxEntry {
		return 0, fmt.Errorf("record evidence: %d bytes, at most %d", len(text), maxEntry)
	}
	return len(text), nil
}

// Entries returns what is on record, the oldest first.
func (r *Recorder) Entries() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Entry, len(r.entries))
	for i, e := range r.entries {
		list[i] = e.Entry
	}
	return list
}

// Dropped counts the entries that had to make room.
func (r *Recorder) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// The stored form: magic, then for each entry its length, a checksum of its
// bytes, and the bytes. A torn end costs the last entry only.
const magic = "shisa-flight-1\n"

const frameHeader = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode is the stored form of entries, such as those of a damaged record together
// with what was found of it elsewhere. One that is too long is left out.
func Encode(entries []Entry) []byte {
	r := Recorder{Bytes: math.MaxInt, Age: math.MaxInt64}
	for _, e := range entries {
		_ = r.Add(e)
	}
	return r.Snapshot()
}

// Snapshot encodes what is on record. The result is at most Bytes long, plus 8
// for each entry.
func (r *Recorder) Snapshot() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := append(make([]byte, 0, len(magic)+r.bytes+frameHeader*len(r.entries)), magic...)
	for _, e := range r.entries {
		text, err := json.Marshal(e.Entry)
		if err != nil {
			continue // it could be encoded when it was added
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
		out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(text, castagnoli))
		out = append(out, text...)
	}
	return out
}

// ErrDamaged means that a snapshot is torn or altered; what could be read is
// returned along with it.
var ErrDamaged = errors.New("flight record is damaged")

// Decode reads a snapshot back.
func Decode(snapshot []byte) (entries []Entry, err error) {
	rest, ok := bytes.CutPrefix(snapshot, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrDamaged)
	}
	for len(rest) > 0 {
		if len(rest) < frameHeader {
			return entries, fmt.Errorf("%w: it ends early", ErrDamaged)
		}
		length, sum := binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint32(rest[4:])
		rest = rest[frameHeader:]
		if length > maxEntry || int(length) > len(rest) {
			return entries, fmt.Errorf("%w: it ends early", ErrDamaged)
		}
		text := rest[:length]
		rest = rest[length:]
		var e Entry
		if crc32.Checksum(text, castagnoli) != sum {
			return entries, fmt.Errorf("%w: a checksum is wrong", ErrDamaged)
		}
		if err := json.Unmarshal(text, &e); err != nil {
			return entries, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}
