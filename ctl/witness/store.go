package witness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"shisa/bpf/flight"
	state "shisa/ctl/store"
	"shisa/ctl/tick"
)

// Files in the state directory: one of each kind for each boot, of which the two
// latest boots are kept.
const (
	flightPrefix   = "flight."
	timelinePrefix = "shutdown."
)

// A store keeps the flight record in the state directory.
type store struct {
	dir, boot string
	mu        sync.Mutex // one writer
	news      atomic.Bool

	once sync.Once
	pmsg *os.File // nil: none
}

// pmsgDevice is where user space leaves words in memory that survives a reset, where
// ramoops is set up; its size is that of some hundred lines at least.
const pmsgDevice = "/dev/pmsg0"

// Of one entry that is remembered.
const (
	flightMark  = "shisa-flight: "
	flightStack = 8 // functions
)

// remember leaves what begins to go wrong in memory that survives a reset, for the
// disk may be what goes wrong.
func (s *store) remember(e flight.Entry) {
	s.once.Do(func() {
		if s.pmsg, _ = os.OpenFile(pmsgDevice, os.O_WRONLY, 0); s.pmsg != nil {
			_, _ = s.pmsg.WriteString(bootMark + s.boot + "\n")
		}
	})
	if s.pmsg == nil {
		return
	}
	e.Stack = e.Stack[:min(len(e.Stack), flightStack)]
	if text, err := json.Marshal(e); err == nil {
		_, _ = s.pmsg.WriteString(flightMark + string(text) + "\n") // the file has it, too, if all goes well
	}
}

// remembered reads such lines back.
func remembered(text string) (entries []flight.Entry) {
	for line := range strings.Lines(text) {
		if _, text, ok := strings.Cut(line, flightMark); ok {
			var e flight.Entry
			if json.Unmarshal([]byte(text), &e) == nil {
				entries = append(entries, e)
			}
		}
	}
	return entries
}

func (s *store) changed() { s.news.Store(true) }

// run writes the record while there is something new, until ctx is done.
func (s *store) run(ctx context.Context, r *flight.Recorder, log func(string, error)) {
	for tick.Wait(ctx, flushEvery) {
		if !s.news.Swap(false) {
			continue
		}
		if err := s.flush(r); err != nil {
			log("keep the flight record", err)
		}
	}
}

// flush writes the whole record; it is there when flush returns nil.
func (s *store) flush(r *flight.Recorder) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(r.Entries()) == 0 {
		return nil
	}
	return state.Replace(filepath.Join(s.dir, flightPrefix+s.boot), r.Snapshot())
}

// Tidy removes the records of all boots but this one and the one before.
func Tidy(dir, boot, before string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("tidy up records: %w", err)
	}
	var errs []error
	for _, e := range entries {
		for _, prefix := range []string{flightPrefix, timelinePrefix} {
			of, ok := strings.CutPrefix(e.Name(), prefix)
			if ok && of != boot && of != before {
				if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(errs...)
}
