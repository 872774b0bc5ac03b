package witness

import (
	"encoding/binary"
	"fmt"
	"time"

	"shisa/ctl/beat"
)

// A Phase says how near the countdown is.
type Phase int64

// Phases.
const (
	Warning   Phase = iota + 1 // a beat has reached the warning percentage of its limit
	Final                      // the countdown is about to fire
	Recovered                  // the beat came after all
	Starved                    // found by the witness itself: the keeper gets no processor
)

var phases = map[Phase]string{Warning: "warning", Final: "final", Recovered: "recovered", Starved: "keeper_starved"}

// String returns the phase as it stands in records.
func (p Phase) String() string { return phases[p] }

// MessageSize is the size of a Message on the socket, in bytes.
const MessageSize = 56

// A Message is what the keeper tells the witness. It has a fixed size so that
// sending it makes no garbage.
type Message struct {
	Phase    Phase
	Slot     int64 // whose beat it is about; -1: the daemon as a whole
	Age      time.Duration
	Limit    time.Duration
	Daemon   int64 // process id; 0: none
	Absent   bool  // the daemon has ended
	Deadline beat.Time
}

// Bytes returns the message as it is sent.
func (m *Message) Bytes() [MessageSize]byte {
	var b [MessageSize]byte
	absent := int64(0)
	if m.Absent {
		absent = 1
	}
	for i, v := range []int64{int64(m.Phase), m.Slot, int64(m.Age), int64(m.Limit), m.Daemon, absent, int64(m.Deadline)} {
		binary.NativeEndian.PutUint64(b[8*i:], uint64(v))
	}
	return b
}

// Parse reads a message that was received.
func Parse(b []byte) (Message, error) {
	if len(b) != MessageSize {
		return Message{}, fmt.Errorf("message of %d bytes", len(b))
	}
	at := func(i int) int64 { return int64(binary.NativeEndian.Uint64(b[8*i:])) }
	return Message{Phase(at(0)), at(1), time.Duration(at(2)), time.Duration(at(3)), at(4), at(5) == 1, beat.Time(at(6))}, nil
}
