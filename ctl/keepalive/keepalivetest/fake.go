package keepalivetest

import (
	"sync"
	"time"

	"shisa/ctl/keepalive"
)

// A Fake is an engine made of functions; a nil function succeeds. What was
// done to it is counted. It may be used by several goroutines.
type Fake struct {
	What     keepalive.Info // Actions empty: all
	OnArm    func(keepalive.Request) (keepalive.Granted, error)
	OnPing   func() error
	OnDisarm func() error
	OnClose  func() error

	mu    sync.Mutex
	armed bool
	pings int
	last  keepalive.Request
}

// Info returns What.
func (f *Fake) Info() keepalive.Info {
	i := f.What
	if i.Driver == "" {
		i.Driver = "fake"
	}
	if i.Actions == nil {
		i.Actions = keepalive.Actions()
	}
	if i.Outlives == "" {
		i.Outlives = "nothing"
	}
	return i
}

// Arm grants what OnArm grants, or all that is asked.
func (f *Fake) Arm(r keepalive.Request) (keepalive.Granted, error) {
	if err := r.Check(f.Info()); err != nil {
		return keepalive.Granted{}, err
	}
	g := keepalive.Granted(r)
	if f.OnArm != nil {
		var err error
		if g, err = f.OnArm(r); err != nil {
			return g, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.last = true, r
	return g, nil
}

// Ping counts.
func (f *Fake) Ping() error {
	f.mu.Lock()
	armed := f.armed
	f.mu.Unlock()
	if !armed {
		return keepalive.ErrNotArmed
	}
	if f.OnPing != nil {
		if err := f.OnPing(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pings++
	return nil
}

// Disarm stops the countdown unless OnDisarm returns an error.
func (f *Fake) Disarm() error {
	if f.OnDisarm != nil {
		if err := f.OnDisarm(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return nil
}

// Close leaves everything as it is.
func (f *Fake) Close() error {
	if f.OnClose != nil {
		return f.OnClose()
	}
	return nil
}

// Armed reports whether the countdown runs.
func (f *Fake) Armed() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.armed }

// Pings returns how often it was pinged.
func (f *Fake) Pings() int { f.mu.Lock(); defer f.mu.Unlock(); return f.pings }

// Timeout returns the timeout that was asked for last.
func (f *Fake) Timeout() time.Duration { f.mu.Lock(); defer f.mu.Unlock(); return f.last.Timeout }
