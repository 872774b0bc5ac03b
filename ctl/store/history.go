package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"shisa/ctl/event"
)

const (
	// historyQueue bounds what waits to be written: four storms of one event
	// from each of 1 000 monitors.
	historyQueue = 4096
	// historyBatch bounds what is written in one transaction.
	historyBatch = 256
	// historyPause is how long the first of a batch waits for others: what one cause
	// brings about is one transaction, and it is not in the way of a restart.
	historyPause = 100 * time.Millisecond
	// recentLimit bounds the events that are kept in memory while there is no
	// database.
	recentLimit = 1024
	// reopenEvery is the pause between attempts to open the database.
	reopenEvery = 30 * time.Second
)

// A VerdictChange is a monitor's change from one verdict to another.
type VerdictChange struct {
	Time    time.Time     `json:"time"`
	Monitor string        `json:"monitor"`
	From    string        `json:"from"`
	To      string        `json:"to"`
	Detail  string        `json:"detail"`
	Took    time.Duration `json:"took_ns"`
}

// history writes to the database in one goroutine, which also answers
// queries, so that a query sees all that was appended before it.
type history struct {
	dir   string
	limit int64        // bytes
	raise func(uint64) // told the greatest sequence number found
	queue chan job
	ended chan struct{} // closed when run has returned

	db     *database // nil: not open
	tried  time.Time // when it was last tried
	recent []event.Event

	mu      sync.Mutex // guards what follows
	err     error
	renewed string
	bytes   int64
	dropped uint64
}

// A job is one thing for the history to do.
type job struct {
	event   *event.Event
	verdict *VerdictChange
	ask     func(*database, []event.Event) error
}

func newHistory(dir string, limit int64, raise func(uint64)) *history {
	return &history{dir: dir, limit: limit, raise: raise, queue: make(chan job, historyQueue), ended: make(chan struct{})}
}

func (h *history) put(j job) {
	select {
	case h.queue <- j:
	default:
		h.drop(1)
	}
}

func (h *history) drop(n int) {
	h.mu.Lock()
	h.dropped += uint64(n)
	h.mu.Unlock()
}

func (h *history) run(ctx context.Context) {
	defer close(h.ended)
	h.open()
	for {
		var reopen <-chan time.Time
		if h.db == nil {
			reopen = time.After(reopenEvery)
		}
		select {
		case j := <-h.queue:
			h.work(h.batch(ctx, j))
		case <-reopen:
			h.open()
		case <-ctx.Done():
			h.finish(ctx)
			return
		}
	}
}

// finish writes what is queued and closes the database.
func (h *history) finish(ended context.Context) {
	for {
		select {
		case j := <-h.queue:
			h.work(h.batch(ended, j))
		default:
			h.fail(ErrClosed)
			return
		}
	}
}

// batch returns first and what is queued behind it, or comes within historyPause. A
// question is not kept waiting, and neither is the end.
func (h *history) batch(ctx context.Context, first job) []job {
	jobs := []job{first}
	pause := time.NewTimer(historyPause)
	defer pause.Stop()
	for len(jobs) < historyBatch && jobs[len(jobs)-1].ask == nil {
		select {
		case j := <-h.queue:
			jobs = append(jobs, j)
			continue
		default:
		}
		select {
		case j := <-h.queue:
			jobs = append(jobs, j)
		case <-pause.C:
			return jobs
		case <-ctx.Done():
			return jobs
		}
	}
	return jobs
}

// work does jobs in order: questions are answered when all that stands before
// them is written.
func (h *history) work(jobs []job) {
	if h.db == nil && time.Since(h.tried) >= reopenEvery {
		h.open()
	}
	for len(jobs) > 0 {
		n := slices.IndexFunc(jobs, func(j job) bool { return j.ask != nil })
		if n == 0 {
			if err := jobs[0].ask(h.db, h.recent); corrupt(err) {
				h.renew(err)
			}
			jobs = jobs[1:]
			continue
		}
		if n < 0 {
			n = len(jobs)
		}
		h.write(jobs[:n])
		jobs = jobs[n:]
	}
}

// write stores jobs, in memory if need be. A corrupt database is begun anew,
// once.
func (h *history) write(jobs []job) {
	for attempt := 0; h.db != nil; attempt++ {
		bytes, err := h.db.write(jobs, h.limit)
		if err == nil {
			h.mu.Lock()
			h.bytes = bytes
			h.mu.Unlock()
			return
		}
		if attempt == 0 && corrupt(err) {
			h.renew(err)
		} else {
			h.fail(err)
		}
	}
	for _, j := range jobs {
		if j.event == nil {
			h.drop(1)
			continue
		}
		if len(h.recent) >= recentLimit {
			h.recent = slices.Delete(h.recent, 0, 1)
			h.drop(1)
		}
		h.recent = append(h.recent, *j.event)
	}
}

// open opens the database; a corrupt one is begun anew.
func (h *history) open() {
	h.tried = time.Now()
	db, err := openDatabase(h.dir)
	switch {
	case corrupt(err):
		h.renew(err)
	case err != nil:
		h.fail(err)
	default:
		h.use(db)
	}
}

// renew puts a corrupt database aside and begins a new one.
func (h *history) renew(reason error) {
	h.fail(reason)
	err := putAside(h.dir)
	var db *database
	if err == nil {
		h.mu.Lock()
		h.renewed = reason.Error()
		h.mu.Unlock()
		db, err = openDatabase(h.dir)
	}
	if err != nil {
		h.fail(err)
		return
	}
	h.use(db)
}

// use takes db into service and writes to it what was kept in memory.
func (h *history) use(db *database) {
	h.db = db
	h.raise(db.last)
	h.mu.Lock()
	h.err = nil
	h.mu.Unlock()
	kept := make([]job, len(h.recent))
	for i := range kept {
		kept[i] = job{event: &h.recent[i]}
	}
	if h.recent = nil; len(kept) > 0 {
		h.write(kept)
	}
}

// fail gives up the database for now.
func (h *history) fail(err error) {
	if h.db != nil {
		err = errors.Join(err, h.db.close())
		h.db = nil
	}
	h.mu.Lock()
	h.err = fmt.Errorf("history: %w", err)
	h.mu.Unlock()
}

func (h *history) health(to *Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	to.HistoryError, to.HistoryBytes, to.Renewed, to.Dropped = h.err, h.bytes, h.renewed, h.dropped
}

// ask has f answer a question, and waits for it until ctx is done.
func ask[T any](ctx context.Context, h *history, f func(*database, []event.Event) ([]T, error)) ([]T, error) {
	type answer struct {
		rows []T
		err  error
	}
	done := make(chan answer, 1)
	question := job{ask: func(db *database, recent []event.Event) error {
		rows, err := f(db, recent)
		done <- answer{rows, err}
		return err
	}}
	select {
	case h.queue <- question:
	case <-h.ended:
		return nil, fmt.Errorf("query history: %w", ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("query history: %w", ctx.Err())
	}
	select {
	case a := <-done:
		return a.rows, a.err
	case <-h.ended: // if it was answered at the last moment, the answer is lost: nobody waits for it any more
		return nil, fmt.Errorf("query history: %w", ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("query history: %w", ctx.Err())
	}
}

func (h *history) events(ctx context.Context, q event.Query) ([]event.Event, error) {
	return ask(ctx, h, func(db *database, recent []event.Event) ([]event.Event, error) {
		if db != nil {
			return db.events(ctx, q)
		}
		var found []event.Event
		for _, e := range recent {
			if q.Matches(e) {
				found = append(found, e)
			}
		}
		return found[max(0, len(found)-q.Bound()):], nil
	})
}

func (h *history) verdicts(ctx context.Context, monitor string, n int) ([]VerdictChange, error) {
	return ask(ctx, h, func(db *database, _ []event.Event) ([]VerdictChange, error) {
		if db == nil {
			return nil, nil
		}
		return db.verdicts(ctx, monitor, n)
	})
}
