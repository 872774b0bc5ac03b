package witness

import "time"

// mostEpisodes bounds the episodes that are announced at the same time. What is
// beyond it is on record all the same: a machine with a thousand blocked tasks
// needs no thousand events.
const mostEpisodes = 16

// episodes turns what is found at each look into beginnings and ends.
type episodes struct {
	live map[string]*episode
	look uint64
}

type episode struct {
	subject string
	lasted  time.Duration
	look    uint64 // when it was last seen
}

func newEpisodes() *episodes { return &episodes{live: map[string]*episode{}} }

// begin starts a look.
func (e *episodes) begin() { e.look++ }

// add notes what was found and reports whether it is to be announced.
func (e *episodes) add(key, subject string, lasted time.Duration) bool {
	if was := e.live[key]; was != nil {
		was.lasted, was.look = lasted, e.look
		return false
	}
	if len(e.live) >= mostEpisodes {
		return false
	}
	e.live[key] = &episode{subject, lasted, e.look}
	return true
}

// end finishes the look and returns the announced episodes that are over.
func (e *episodes) end() (over []episode) {
	for key, was := range e.live {
		if was.look != e.look {
			delete(e.live, key)
			over = append(over, *was)
		}
	}
	return over
}
