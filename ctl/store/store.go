// Package store keeps what must survive the daemon, in one folder.
//
// Safety state (intents, armed countdowns, the orderly end, counters) lies in a
// journal of our own: checksummed records, each on disk before it counts. It is
// the source of truth, small and quick. History (events, changes of verdict)
// lies in an SQLite database outside of the safety path: it may be slow, full or
// corrupt without harm to anything else.
//
// Nothing here is fatal. What cannot be read is put aside and reported; what
// cannot be written is kept in memory and tried again.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"shisa/ctl/event"
)

// ErrInUse says that another process uses the folder.
var ErrInUse = errors.New("the state directory is in use by another shisad")

// ErrClosed says that the store is closed.
var ErrClosed = errors.New("the store is closed")

// Sequence numbers are reserved in the journal in blocks, so that they never
// repeat, even when the history is lost. A crash skips the rest of a block.
const (
	sequenceBlock = 4096
	sequenceSpare = 1024 // left when the next block is reserved
)

// Options say how much is kept, and by which clock.
type Options struct {
	JournalSize int64        // bytes; 0: 1 MiB
	HistorySize int64        // bytes; 0: 64 MiB
	Stamp       func() Stamp // required
	// Changed is called, by a goroutine of the store, when the journal cannot
	// be written any more, and with nil when it can again. May be nil.
	Changed func(error)
}

// A Store is an open folder. Its methods are safe for use by many goroutines.
type Store struct {
	dir     string
	lock    *os.File // nil: the folder cannot be locked
	journal *journal
	history *history
	stop    context.CancelFunc
	wg      sync.WaitGroup

	nextID  atomic.Uint64
	nextSeq atomic.Uint64
	reserve atomic.Uint64 // sequence numbers below it are reserved, or asked to be
}

// resumeWait is how long a start waits for the history when the journal is lost.
const resumeWait = 3 * time.Second

// Open opens dir, which is made when it does not exist. The only error is
// ErrInUse: with any other trouble the store works in memory, and
// [Store.Health] says so.
func Open(dir string, o Options) (*Store, error) {
	err := os.MkdirAll(dir, 0o700)
	var lock *os.File
	if err == nil {
		lock, err = hold(dir)
	}
	if errors.Is(err, ErrInUse) {
		return nil, fmt.Errorf("open %s: %w", dir, ErrInUse)
	}
	s := open(dir, &fileDisk{dir: dir, name: "journal"}, o)
	s.lock = lock
	return s, nil
}

func open(dir string, d disk, o Options) *Store {
	if o.JournalSize == 0 {
		o.JournalSize = 1 << 20
	}
	if o.HistorySize == 0 {
		o.HistorySize = 64 << 20
	}
	s := &Store{
		dir: dir,
		journal: &journal{disk: d, limit: o.JournalSize, stamp: o.Stamp, queue: make(chan request, journalQueue),
			ended: make(chan struct{})},
	}
	s.journal.load()
	s.journal.changed = o.Changed
	s.history = newHistory(dir, o.HistorySize, s.raise)
	state := s.journal.current()
	s.nextID.Store(max(1, state.NextID))
	s.nextSeq.Store(max(1, state.NextSeq))
	s.reserve.Store(state.NextSeq)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.wg.Go(func() { s.journal.run(ctx) })
	s.wg.Go(func() { s.history.run(ctx) })
	if state.NextSeq == 0 {
		s.resume(ctx)
	}
	s.secure()
	return s
}

// resume waits until the history has told its greatest sequence number, for a journal
// that is new or was lost: the next event would replace the first that is recorded. A
// history that does not answer in time has the same trouble with its disk as others.
func (s *Store) resume(ctx context.Context) {
	if _, err := os.Stat(filepath.Join(s.dir, databaseName)); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, resumeWait)
	defer cancel()
	s.history.verdicts(ctx, "", 1) //nolint:errcheck // it is the order that counts, not the answer
}

// Close writes what is queued and closes the files. It waits for the disk
// until ctx is done, and then leaves without it.
func (s *Store) Close(ctx context.Context) error {
	defer s.stop()
	// An orderly end wastes no sequence numbers.
	err := s.record(ctx, sequence{Next: s.nextSeq.Load()})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	s.stop()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("close %s: the disk hangs: %w", s.dir, ctx.Err()))
	}
	err = errors.Join(err, s.journal.disk.close())
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// State returns what the journal says. It never waits for the disk.
func (s *Store) State() State { return s.journal.current() }

// Started records the start of the service.
func (s *Store) Started(ctx context.Context, r Started) error { return s.record(ctx, r) }

// Intend records that something is about to be done to the machine, and
// returns the intent's ID for [Store.Conclude]. Without an error it is on disk.
func (s *Store) Intend(ctx context.Context, r Intent) (uint64, error) {
	r.ID = s.nextID.Add(1) - 1
	return r.ID, s.record(ctx, r)
}

// Conclude records what came of an intent that did not take the machine down.
func (s *Store) Conclude(ctx context.Context, id uint64, result string) error {
	return s.record(ctx, Outcome{ID: id, Result: result})
}

// Armed records which countdowns are armed now.
func (s *Store) Armed(ctx context.Context, r Armed) error { return s.record(ctx, r) }

// Leaving records that the service stops in an orderly way, or how far that is.
func (s *Store) Leaving(ctx context.Context, r Leaving) error { return s.record(ctx, r) }

// Save records v as JSON under key, for [State.Cell]; at most three keys.
func (s *Store) Save(ctx context.Context, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("save %s: %w", key, err)
	}
	return s.record(ctx, Cell{Key: key, Value: b})
}

func (s *Store) record(ctx context.Context, r Record) error {
	if err := s.journal.check(r); err != nil {
		return err
	}
	return s.journal.record(ctx, r)
}

// NextSeq returns the next sequence number of an event. It never waits.
func (s *Store) NextSeq() uint64 {
	n := s.nextSeq.Add(1) - 1
	if n+sequenceSpare >= s.reserve.Load() {
		s.secure()
	}
	return n
}

// raise makes sure that sequence numbers are above what the history holds.
func (s *Store) raise(last uint64) {
	for {
		n := s.nextSeq.Load()
		if n > last || s.nextSeq.CompareAndSwap(n, last+1) {
			return
		}
	}
}

// secure asks for the next block of sequence numbers, without waiting.
func (s *Store) secure() {
	old, want := s.reserve.Load(), s.nextSeq.Load()+sequenceBlock
	if want <= old+sequenceBlock/2 || !s.reserve.CompareAndSwap(old, want) {
		return
	}
	select {
	case s.journal.queue <- request{sequence{Next: want}, make(chan error, 1)}:
	default:
		s.reserve.CompareAndSwap(want, old) // the disk hangs: ask again at the next event
	}
}

// AppendEvent adds e to the history. It never waits: when the history is too
// slow the event is dropped, and counted.
func (s *Store) AppendEvent(e event.Event) { s.history.put(job{event: &e}) }

// AppendVerdict adds a change of verdict to the history, as AppendEvent does.
func (s *Store) AppendVerdict(v VerdictChange) { s.history.put(job{verdict: &v}) }

// Query returns the events that q selects, oldest first, what was appended
// before included.
func (s *Store) Query(ctx context.Context, q event.Query) ([]event.Event, error) {
	return s.history.events(ctx, q)
}

// Verdicts returns the latest n changes of verdict of a monitor, oldest first.
func (s *Store) Verdicts(ctx context.Context, monitor string, n int) ([]VerdictChange, error) {
	return s.history.verdicts(ctx, monitor, n)
}

// Health says what works.
type Health struct {
	Dir          string
	JournalError error // safety state is in memory only
	JournalBytes int64
	Damage       Damage // found when the journal was opened; a copy is in journal.damaged
	HistoryError error  // events are in memory only
	HistoryBytes int64
	Renewed      string // why the history was begun anew; empty: it was not
	Dropped      uint64 // events and verdicts that did not reach the history
	LastSeq      uint64 // sequence number of the last event
}

// Health returns what works. It never waits for the disk.
func (s *Store) Health() Health {
	h := Health{Dir: s.dir, LastSeq: s.nextSeq.Load() - 1}
	j := s.journal
	j.mu.Lock()
	h.JournalError, h.JournalBytes, h.Damage = j.broken, j.size, j.damage
	j.mu.Unlock()
	s.history.health(&h)
	return h
}
