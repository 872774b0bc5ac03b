package guard

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keeper/wire"
)

// trialTime is how long a new program may take to print its version.
const trialTime = 5 * time.Second

// upgrade goes on as program, which inherits the devices, the socket and what
// was ordered. The process id stays, no countdown is touched. It returns only
// if that is not possible; then everything is as before.
func (k *Keeper) upgrade(program string, listener int, args []string) error {
	if program == "" {
		program, _ = os.Executable() // empty: exec says so
	}
	if err := try(program); err != nil {
		return fmt.Errorf("upgrade to %s: %w", program, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	h := wire.Handover{Listener: listener, State: k.state, Orders: k.orders, Daemon: k.daemon.pid}
	if s := k.watch.scribe.Load(); s != nil && !s.ended.Load() {
		h.Witness = s.pid
	}
	h.Orders.Guards = nil
	for _, p := range k.posts {
		if !p.armed.Load() {
			continue
		}
		p.mu.Lock() // no ping is under way when the image changes
		defer p.mu.Unlock()
		fd := -1
		if holder, ok := p.engine.(keepalive.Holder); ok {
			fd = holder.FD()
		}
		h.Orders.Guards = append(h.Orders.Guards, p.guard)
		h.FDs = append(h.FDs, fd)
	}
	return fmt.Errorf("upgrade to %s: %w", program, become(program, &h, args))
}

// try runs program once for its version, so that a broken one is not switched to.
func try(program string) error {
	child, err := os.StartProcess(program, []string{"shisa-keeper", "version"}, &os.ProcAttr{Dir: "/", Env: []string{}})
	if err != nil {
		return err
	}
	timer := time.AfterFunc(trialTime, func() { child.Kill() })
	defer timer.Stop()
	state, err := child.Wait()
	if err == nil && !state.Success() {
		err = fmt.Errorf("it does not run: %s", state)
	}
	return err
}

// become executes program with h in a file in memory and all its descriptors open.
func become(program string, h *wire.Handover, args []string) error {
	b, err := h.Encode()
	if err != nil {
		return err
	}
	mem, err := unix.MemfdCreate("handover", 0)
	if err != nil {
		return err
	}
	defer unix.Close(mem)
	if _, err := unix.Pwrite(mem, b, 0); err != nil {
		return err
	}
	keep := append([]int{h.Listener}, h.FDs...)
	for _, fd := range keep {
		if fd >= 0 {
			unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
			defer unix.CloseOnExec(fd)
		}
	}
	argv := append([]string{"shisa-keeper", "run", "--resume", fmt.Sprint(mem)}, args...)
	return unix.Exec(program, argv, os.Environ())
}

// inherit reads what the previous image left in descriptor fd.
func inherit(fd int) (*wire.Handover, error) {
	defer unix.Close(fd)
	b := make([]byte, wire.MaxMessage)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return nil, err
	}
	h := new(wire.Handover)
	if err := h.Decode(b[:n]); err != nil {
		return nil, err
	}
	if len(h.FDs) != len(h.Orders.Guards) {
		return nil, fmt.Errorf("%d descriptors for %d engines", len(h.FDs), len(h.Orders.Guards))
	}
	for _, fd := range append([]int{h.Listener}, h.FDs...) {
		if fd >= 0 {
			unix.CloseOnExec(fd)
		}
	}
	return h, nil
}

// resume goes on where the previous image stopped. An engine that cannot be
// adopted is reported, and its countdown fires unless the daemon arms anew.
func (k *Keeper) resume(h *wire.Handover) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.show()
	k.state, k.orders = h.State, h.Orders
	k.scene.fresh.Store(int64(h.Orders.Fresh))
	k.scene.absence.Store(int64(h.Orders.Absence))
	switch {
	case h.State == wire.Down:
		k.scene.mode.Store(never)
	case h.State == wire.Measuring && len(h.Orders.Guards) > 0:
		k.scene.mode.Store(always)
	}
	var errs []error
	if h.Orders.Page != "" {
		page, err := beat.Open(h.Orders.Page)
		if err == nil {
			k.scene.page.Store(page)
		}
		errs = append(errs, err)
	}
	k.attach(h.Daemon)
	for i, g := range h.Orders.Guards {
		engine, err := k.Open(g.Driver, g.Device)
		if err == nil {
			p := &post{scene: &k.scene, engine: engine}
			err = p.adopt(i, g, h.FDs[i])
			k.posts = append(k.posts, p)
		}
		errs = append(errs, err)
	}
	if h.Witness > 0 {
		// It ends when it sees our end of its socket closed.
		go unix.Wait4(h.Witness, nil, 0, nil)
	}
	if h.State != wire.Idle {
		k.watch.begin(h.Orders)
	}
	return errors.Join(errs...)
}

// adopt goes on with a countdown that fd holds.
func (p *post) adopt(index int, g wire.Guard, fd int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.show()
	p.index, p.guard, p.info = index, g, p.engine.Info()
	ask := g.Request
	if p.info.MaxTimeout > 0 {
		ask.Timeout = min(ask.Timeout, p.info.MaxTimeout)
	}
	var err error
	if holder, ok := p.engine.(keepalive.Holder); ok {
		p.granted, err = holder.Adopt(fd, ask)
	} else {
		p.granted, err = p.engine.Arm(ask)
	}
	p.failed(err)
	if err != nil {
		return err
	}
	p.armed.Store(true)
	p.start()
	return nil
}
