package monitor

import (
	"context"
	"time"
)

// A Health is what is known of the target of a monitor, retries counted in.
type Health string

// Healths.
const (
	Unknown  Health = "unknown"  // not probed yet, or not probed at present
	Healthy  Health = "ok"       //
	Warned   Health = "warning"  // works, but a warning threshold is crossed
	Retrying Health = "retrying" // failed, but not more often than is tolerated
	Broken   Health = "failed"   //
	Blind    Health = "blind"    // could not look
)

// A Peer is what can be seen of another monitor.
type Peer struct {
	Health  Health
	Probing bool // it is neither suspended nor without its target
}

// Peers is the view that a prober has of the other monitors. Every answer comes
// from memory.
type Peers interface {
	// Peer returns another monitor; ok is false when there is none of that name.
	Peer(name string) (p Peer, ok bool)
	// WatchPeers calls changed after each change of the health of one of the
	// named monitors, until ctx is done.
	WatchPeers(ctx context.Context, names []string, changed func())
}

// Limits of what a [Message] may carry, in bytes. The original took 255 bytes
// of keyword, though its screen allowed 1 023 (its fix 11).
const (
	CategoryLimit = 255
	KeywordLimit  = 1023
	TextLimit     = 1023
)

// A Message is what somebody outside says about a target.
type Message struct {
	Seq      uint64 // counts up; never zero
	At       time.Time
	From     string // "root (pid 4711)", "192.0.2.7"
	Monitor  string // that it is for; empty: all that take its category and keyword
	Category string
	Keyword  string
	Text     string // for people; may be empty
	Clear    bool   // what was said before no longer holds
}

// A Mailbox holds the latest messages for one monitor. Every answer comes from
// memory.
type Mailbox interface {
	// Latest returns the number of the latest message; 0: there was none.
	Latest() uint64
	// Since returns the messages with greater numbers that are still kept,
	// oldest first.
	Since(seq uint64) []Message
	// WatchMail calls changed after each new message until ctx is done.
	WatchMail(ctx context.Context, changed func())
}

// A Stall is the stall protection as the daemon shows it.
type Stall struct {
	Enabled     bool
	Interval    time.Duration
	Timeout     time.Duration
	WarnPercent int    // of its limit, from which the age of a beat is a warning
	Unprotected string // why nothing would end a stall though something should; empty: as it should be
	Beats       []Beat
}

// A Beat is the proof of progress of one loop.
type Beat struct {
	Name     string
	Age      time.Duration
	Limit    time.Duration // an older one stops the countdown from being pinged
	MaxDelay time.Duration // largest age since the start of the service
}
