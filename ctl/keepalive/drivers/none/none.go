// Package none is the engine that acts on nothing. With it the keeper only
// measures: delays are recorded and announced, the machine is never reset.
package none

import "shisa/ctl/keepalive"

// Name of the driver.
const Name = "none"

// New returns an engine that grants everything and does nothing.
func New() keepalive.Holder { return new(engine) }

type engine struct{ armed bool }

func (*engine) Info() keepalive.Info {
	return keepalive.Info{
		Driver:   Name,
		Actions:  []keepalive.Action{keepalive.None},
		Outlives: "nothing; it only measures",
	}
}

func (e *engine) Arm(r keepalive.Request) (keepalive.Granted, error) {
	if err := r.Check(e.Info()); err != nil {
		return keepalive.Granted{}, err
	}
	e.armed = true
	return keepalive.Granted{Timeout: r.Timeout, Action: keepalive.None, Pretimeout: keepalive.NoPretimeout}, nil
}

func (e *engine) Ping() error {
	if !e.armed {
		return keepalive.ErrNotArmed
	}
	return nil
}

func (e *engine) Disarm() error { e.armed = false; return nil }
func (e *engine) Close() error  { return nil }
func (e *engine) FD() int       { return -1 }

func (e *engine) Adopt(_ int, r keepalive.Request) (keepalive.Granted, error) { return e.Arm(r) }
