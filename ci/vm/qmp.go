package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// qmpMessage is one line of QEMU's monitor protocol: the greeting, an event, or
// the answer to a command (docs/interop/qmp-spec.txt of QEMU).
type qmpMessage struct {
	Greeting  json.RawMessage `json:"QMP"`
	Event     string          `json:"event"`
	Timestamp struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`
	Data struct {
		Reason string `json:"reason"`
		Action string `json:"action"`
	} `json:"-"`
	RawData json.RawMessage `json:"data"`
	ID      *int            `json:"id"`
	Return  json.RawMessage `json:"return"`
	Error   *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// decodeQMP reads one line.
func decodeQMP(line []byte) (qmpMessage, error) {
	var m qmpMessage
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("decode a line of QMP: %w", err)
	}
	if m.Greeting == nil && m.Event == "" && m.Return == nil && m.Error == nil {
		return m, errors.New("decode a line of QMP: neither greeting nor event nor answer")
	}
	if m.Event != "" && m.RawData != nil {
		// Other events' data may have other types under these names: not ours.
		_ = json.Unmarshal(m.RawData, &m.Data)
	}
	return m, nil
}

// event turns a QMP event into ours. QEMU's own stamp is when it happened, however
// late this process got to read it.
func (m qmpMessage) event(received time.Time) Event {
	e := Event{Time: received, Kind: m.Event, Reason: m.Data.Reason, Action: m.Data.Action}
	stamp := time.Unix(m.Timestamp.Seconds, m.Timestamp.Microseconds*1000)
	if late := received.Round(0).Sub(stamp); late > 0 && late < maxQMPLag {
		e.Time = received.Add(-late)
	}
	return e
}

// maxQMPLag is the largest difference between QEMU's stamp and ours that is taken
// for a late read; a larger one means that the clock was set.
const maxQMPLag = 10 * time.Second

// qmp is a client of QEMU's monitor.
type qmp struct {
	w io.Writer

	mu      sync.Mutex
	nextID  int                     // guarded by mu
	pending map[int]chan qmpMessage // guarded by mu
	closed  bool                    // guarded by mu
}

func newQMP(w io.Writer) *qmp {
	return &qmp{w: w, pending: map[int]chan qmpMessage{}}
}

// read reads the monitor until it ends; events go to the function.
func (q *qmp) read(r io.Reader, event func(Event)) {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		m, err := decodeQMP(scan.Bytes())
		if err != nil {
			continue
		}
		switch {
		case m.Event != "":
			event(m.event(time.Now()))
		case m.ID != nil:
			q.mu.Lock()
			answer := q.pending[*m.ID]
			delete(q.pending, *m.ID)
			q.mu.Unlock()
			if answer != nil {
				answer <- m
			}
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for id, answer := range q.pending {
		close(answer)
		delete(q.pending, id)
	}
}

// do runs one command and returns what it returned.
func (q *qmp) do(ctx context.Context, command string, arguments any) (json.RawMessage, error) {
	answer := make(chan qmpMessage, 1)
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil, fmt.Errorf("qmp %s: %w", command, ErrEnded)
	}
	q.nextID++
	id := q.nextID
	q.pending[id] = answer
	line, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        int    `json:"id"`
	}{command, arguments, id})
	if err == nil {
		_, err = q.w.Write(append(line, '\n'))
	}
	q.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("qmp %s: %w", command, err)
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return nil, fmt.Errorf("qmp %s: %w", command, ErrEnded)
		case m.Error != nil:
			return nil, fmt.Errorf("qmp %s: %s: %s", command, m.Error.Class, m.Error.Desc)
		}
		return m.Return, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("qmp %s: %w", command, ctx.Err())
	}
}
