// Package vm declares the resource that is a virtual machine: of KVM through
// libvirt, of vSphere, or of XenServer.
//
// Each of the three is a host of five methods; what starting and stopping mean
// is written once, above them. The clients of vSphere and XenServer speak just
// the few calls that are needed, since the libraries that know all of them are
// larger than the rest of the daemon.
package vm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"shisa/ctl/param"
	"shisa/ctl/resource"
)

// Hypervisors.
const (
	kvm       = "kvm"
	vsphere   = "vsphere"
	xenserver = "xenserver"
)

type params struct {
	hypervisor string
	vm         string
	uuid       string
	definition string
	address    string
	uri        string
	user       string
	password   string
	caFile     string
	verify     bool
	request    time.Duration
	wait       time.Duration
	force      bool
}

// Type is a virtual machine.
var Type = resource.Define(resource.Spec[params]{
	Name:  "vm",
	Alias: "vm",
	Title: "Virtual machine",
	Doc: "Starts and stops a virtual machine: of KVM through the local libvirt daemon, of vSphere (an ESXi host or a vCenter), or of XenServer and XCP-ng.\n\n" +
		"A machine that runs already is taken over; one that is paused or suspended goes on. To stop it, the guest is asked to shut down, " +
		"again every ten seconds, since a guest that is still booting does not listen; when `shutdown_wait` is over its power is cut, unless `force = false`. " +
		"That a machine is not known to its host is an error when it is started, and none when it is stopped.\n\n" +
		"The certificate of the host is checked. The password belongs into a file of its own with mode 600: `password = \"file:vm.password\"`.",
	Timing:  resource.Timing{Start: 210 * time.Second, Stop: 450 * time.Second},
	Params:  declare,
	Example: map[string]any{"vm": "guest"},
	New: func(p params, env resource.Env) (resource.Resource, error) {
		for _, file := range []*string{&p.definition, &p.caFile} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(env.Dir, *file)
			}
		}
		return &machine{params: p, connect: p.connector()}, nil
	},
})

var uuidRx = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func declare(p *params, s *param.Set) {
	s.Choice(&p.hypervisor, "hypervisor", kvm, []string{kvm, vsphere, xenserver}, "What it runs on.").As("parameters/vmtype")
	s.String(&p.vm, "vm", "", "Name of the virtual machine; on vSphere also its path in the inventory; empty: uuid says which.").As("parameters/vmname")
	s.String(&p.uuid, "uuid", "", "UUID of the virtual machine; empty: its name says which.").As("parameters/uuid").Check(func() error {
		switch {
		case p.uuid == "" && p.vm == "":
			return errors.New("name the virtual machine with vm or uuid")
		case p.uuid != "" && !uuidRx.MatchString(p.uuid):
			return fmt.Errorf("%q is no UUID", p.uuid)
		}
		p.uuid = strings.ToLower(p.uuid) // as the hosts write it, and some compare it
		return nil
	})
	s.String(&p.definition, "definition", "", "KVM: file with the domain in XML, for when libvirt does not know it yet; empty: it must.").File().As("parameters/vmconfigpath")
	s.String(&p.address, "address", "", `Name or address of the host, with a port if it is not 443; KVM: socket of libvirt, empty: the usual one.`).
		As("parameters/guestos/esxserverip").Check(func() error { return p.checkAddress() })
	s.String(&p.uri, "libvirt_uri", "qemu:///system", "KVM: driver of libvirt.")
	s.String(&p.user, "user", "", "User of the host; KVM: nobody is asked for.").As("parameters/username")
	s.String(&p.password, "password", "", "Password of the user.").Secret().As("parameters/password")
	s.String(&p.caFile, "ca_file", "", "Certificates in PEM that the host's must be signed by, or the host's own; empty: those of the system.").File()
	s.Bool(&p.verify, "verify_tls", true, "Check the certificate of the host. Without it, anybody in between learns the password.")
	s.Duration(&p.request, "request_timeout", 30*time.Second, time.Second, 999*time.Second, "Longest time that the host may take for one answer.").As("parameters/reqtimeout")
	s.Duration(&p.wait, "shutdown_wait", 240*time.Second, 0, 9999*time.Second, "How long the guest may take to shut down; within stop_timeout.").As("parameters/stoptimeout")
	s.Bool(&p.force, "force", true, "Cut the power of a guest that does not shut down.")
}

// A state is what a virtual machine is doing.
type state string

// States.
const (
	running  state = "running"
	stopped  state = "stopped"
	halted   state = "paused or suspended" // a start lets it go on; it cannot hear a request to shut down
	changing state = "changing"
)

// errAbsent says that the host does not know the virtual machine.
var errAbsent = errors.New("the host knows no such virtual machine")

// A host is a connection to what the virtual machine runs on. Each call returns
// when ctx is done at the latest. After such a return the connection is of no use.
type host interface {
	state(ctx context.Context) (state, error) // wraps errAbsent when there is none
	start(ctx context.Context) error          // from any state but running; may take its time
	shutdown(ctx context.Context) error       // asks the guest
	cut(ctx context.Context) error            // the power; may take its time
	close(ctx context.Context)
}

// A connector connects to a host and finds the virtual machine there; that may
// fail later, too.
type connector func(ctx context.Context) (host, error)

// machine is one resource.
type machine struct {
	params
	connect connector
}

// Distances in time.
const (
	pollEvery  = 500 * time.Millisecond // between two questions for the state
	askEvery   = 10 * time.Second       // between two requests to shut down
	forceShare = 4                      // this part of the time to stop is kept for cutting the power
)

// Start implements resource.Resource.
func (m *machine) Start(ctx context.Context, _ resource.Request) error {
	return m.with(ctx, "start", func(h host) error {
		now, err := m.ask(ctx, h)
		if err != nil || now == running {
			return err
		}
		if now != changing {
			if err := h.start(ctx); err != nil {
				return err
			}
		}
		_, err = m.until(ctx, h, func(s state) bool { return s == running }, nil)
		return err
	})
}

// Stop implements resource.Resource.
func (m *machine) Stop(ctx context.Context, _ resource.Request) error {
	err := m.with(ctx, "stop", func(h host) error {
		now, err := m.ask(ctx, h)
		if err != nil || now == stopped {
			return err
		}
		var refusal error
		if now != halted {
			var done bool
			if done, refusal = m.shutDown(ctx, h); done {
				return nil
			}
		}
		if !m.force {
			return errors.Join(fmt.Errorf("the guest does not shut down, and force is false"), refusal)
		}
		if err := h.cut(ctx); err != nil {
			return errors.Join(fmt.Errorf("cut its power: %w", err), refusal)
		}
		_, err = m.until(ctx, h, isStopped, nil)
		return err
	})
	if errors.Is(err, errAbsent) {
		return nil // what is not there does not run
	}
	return err
}

func isStopped(s state) bool { return s == stopped }

// Look implements resource.Looker.
func (m *machine) Look(ctx context.Context) (resource.Condition, string, error) {
	var now state
	err := m.with(ctx, "look at", func(h host) (err error) {
		now, err = m.ask(ctx, h)
		return err
	})
	switch {
	case errors.Is(err, errAbsent):
		return resource.Down, "unknown to its host", nil
	case err != nil:
		return 0, "", err
	case now == running:
		return resource.Works, string(now), nil
	case now == changing:
		return resource.Passing, string(now), nil
	}
	return resource.Down, string(now), nil
}

// shutDown asks the guest to shut down until it has, or its time is over; then
// it returns why the last request was refused, if it was.
func (m *machine) shutDown(ctx context.Context, h host) (done bool, refusal error) {
	wait := m.wait
	if deadline, ok := ctx.Deadline(); ok && m.force {
		wait = min(wait, time.Until(deadline)*(forceShare-1)/forceShare)
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_, err := m.until(within, h, isStopped, func() { refusal = m.within(ctx, h.shutdown) })
	return err == nil, refusal
}

// until asks for the state until it is the wanted one or ctx is done. again, if
// not nil, is called at first and every askEvery.
func (m *machine) until(ctx context.Context, h host, want func(state) bool, again func()) (now state, err error) {
	var asked time.Time
	for {
		if again != nil && time.Since(asked) >= askEvery {
			asked = time.Now()
			again()
		}
		// The question may take longer than ctx lasts: a connection that is
		// broken off cannot be used to cut the power.
		if now, err = m.ask(context.WithoutCancel(ctx), h); err != nil || want(now) {
			return now, err
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return now, fmt.Errorf("it is %s: %w", now, ctx.Err())
		}
	}
}

func (m *machine) ask(ctx context.Context, h host) (s state, err error) {
	err = m.within(ctx, func(ctx context.Context) error {
		s, err = h.state(ctx)
		return err
	})
	return s, err
}

// within makes one request in its time.
func (m *machine) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, m.request)
	defer cancel()
	err := f(ctx)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v: %w", m.request, errors.Join(ctx.Err(), err))
	}
	return err
}

// with connects for the time of f.
func (m *machine) with(ctx context.Context, what string, f func(host) error) error {
	var h host
	err := m.within(ctx, func(ctx context.Context) (err error) {
		h, err = m.connect(ctx)
		return err
	})
	if err == nil {
		defer m.leave(h)
		err = f(h)
	}
	if err != nil {
		return fmt.Errorf("%s %s on %s: %w", what, m.label(), m.hypervisor, err)
	}
	return nil
}

// leave ends the connection in good order, whatever became of the operation.
func (m *machine) leave(h host) {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	h.close(ctx)
}

func (p *params) label() string {
	if p.vm != "" {
		return p.vm
	}
	return p.uuid
}
