package api

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// refusalEvery is how often the refused requests of one user are reported. Anybody
// on the machine may ask for what is not allowed, as often as he likes; he must not
// push what others did out of the history by that.
const refusalEvery = time.Minute

// refusals remembers who was reported a short time ago. The zero refusals has
// reported nobody.
type refusals struct {
	mu sync.Mutex
	by map[int]*refusal // user →
}

type refusal struct {
	at    time.Time // of the last report
	since int       // refused without a report since then
}

// report returns what to call a request of uid that was refused now, and false
// when it is not to be reported.
func (r *refusals) report(uid int, request string, now time.Time) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.by[uid]
	if before != nil && now.Sub(before.at) < refusalEvery {
		before.since++
		return "", false
	}
	maps.DeleteFunc(r.by, func(_ int, old *refusal) bool { return old != before && now.Sub(old.at) >= refusalEvery && old.since == 0 })
	if r.by == nil {
		r.by = map[int]*refusal{}
	}
	r.by[uid] = &refusal{at: now}
	if before != nil && before.since > 0 {
		request += fmt.Sprintf(" (and %d more since the last report)", before.since)
	}
	return request, true
}
