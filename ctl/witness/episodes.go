package witness

import "time"

// mostEpisodes bounds the episodes that are told of and go on at the same time. What
// is beyond it is on record all the same: a machine with a thousand blocked tasks
// needs no thousand events.
const mostEpisodes = 16

// episodes turns what is found at each look into beginnings and ends.
type episodes struct {
	live map[string]*episode
	told int // of live
	look uint64
	budget
}

type episode struct {
	subject string
	lasted  time.Duration
	look    uint64 // when it was last seen
	told    bool
}

func newEpisodes() *episodes { return &episodes{live: map[string]*episode{}} }

// begin starts a look.
func (e *episodes) begin() { e.look++ }

// add notes what was found and reports whether it is to be announced.
func (e *episodes) add(key, subject string, lasted time.Duration, now time.Time) bool {
	is, known := e.live[key]
	if !known {
		is = &episode{subject: subject}
		e.live[key] = is
	}
	is.lasted, is.look = lasted, e.look
	switch {
	case is.told:
		return false
	case e.told < mostEpisodes && e.take(now):
		if known {
			e.held = max(0, e.held-1) // there is room for it, after all
		}
		is.told = true
		e.told++
		return true
	case !known:
		e.hold(now)
	}
	return false
}

// end finishes the look and returns the announced episodes that are over.
func (e *episodes) end() (over []episode) {
	for key, was := range e.live {
		if was.look == e.look {
			continue
		}
		delete(e.live, key)
		if was.told {
			e.told--
			over = append(over, *was)
		}
	}
	return over
}
