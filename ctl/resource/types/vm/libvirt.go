package vm

import (
	"context"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
)

// Sockets of libvirt: of the one daemon, and of the one for QEMU alone that
// replaces it on newer systems.
var libvirtSockets = []string{"/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"}

// A libvirtHost is a connection to the libvirt daemon.
type libvirtHost struct {
	params
	conn net.Conn
	rpc  *libvirt.Libvirt
}

func (p params) connectLibvirt(ctx context.Context) (host, error) {
	conn, err := dialLibvirt(ctx, p.address)
	if err != nil {
		return nil, err
	}
	h := &libvirtHost{params: p, conn: conn, rpc: libvirt.NewWithDialer(dialers.NewAlreadyConnected(conn))}
	if err := h.call(ctx, func() error { return h.rpc.ConnectToURI(libvirt.ConnectURI(p.uri)) }); err != nil {
		conn.Close()
		return nil, fmt.Errorf("open %s: %w", p.uri, err)
	}
	return h, nil
}

func dialLibvirt(ctx context.Context, address string) (net.Conn, error) {
	paths := libvirtSockets
	if address != "" {
		paths = []string{address}
	}
	var errs []error
	for _, path := range paths {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("reach the libvirt daemon: %w (is it installed and running?)", errors.Join(errs...))
}

// call makes one request. The library knows no contexts: its connection is
// broken off instead.
func (h *libvirtHost) call(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { h.conn.Close() })
	defer stop()
	err := f()
	var e libvirt.Error
	if errors.As(err, &e) && e.Code == uint32(libvirt.ErrNoDomain) {
		return fmt.Errorf("%w: %s", errAbsent, e.Message)
	}
	return err
}

// domain finds the virtual machine.
func (h *libvirtHost) domain(ctx context.Context) (d libvirt.Domain, err error) {
	err = h.call(ctx, func() (err error) {
		if h.uuid == "" {
			d, err = h.rpc.DomainLookupByName(h.vm)
			return err
		}
		var id libvirt.UUID
		if _, err := hex.Decode(id[:], []byte(strings.ReplaceAll(h.uuid, "-", ""))); err != nil {
			return err
		}
		d, err = h.rpc.DomainLookupByUUID(id)
		return err
	})
	return d, err
}

func (h *libvirtHost) state(ctx context.Context) (state, error) {
	d, err := h.domain(ctx)
	if errors.Is(err, errAbsent) && h.definition != "" {
		return stopped, nil // a start defines it
	}
	if err != nil {
		return "", err
	}
	_, s, err := h.of(ctx, d)
	return s, err
}

func (h *libvirtHost) of(ctx context.Context, d libvirt.Domain) (exact libvirt.DomainState, s state, err error) {
	err = h.call(ctx, func() error {
		n, _, err := h.rpc.DomainGetState(d, 0)
		exact = libvirt.DomainState(n)
		return err
	})
	switch exact {
	case libvirt.DomainRunning, libvirt.DomainBlocked:
		return exact, running, err
	case libvirt.DomainPaused, libvirt.DomainPmsuspended:
		return exact, halted, err
	case libvirt.DomainShutoff, libvirt.DomainCrashed:
		return exact, stopped, err
	case libvirt.DomainNostate, libvirt.DomainShutdown:
	}
	return exact, changing, err
}

func (h *libvirtHost) start(ctx context.Context) error {
	d, err := h.domain(ctx)
	if errors.Is(err, errAbsent) && h.definition != "" {
		d, err = h.define(ctx)
	}
	if err != nil {
		return err
	}
	exact, _, err := h.of(ctx, d)
	if err != nil {
		return err
	}
	return h.call(ctx, func() error {
		switch exact {
		case libvirt.DomainPaused:
			return h.rpc.DomainResume(d)
		case libvirt.DomainPmsuspended:
			return h.rpc.DomainPmWakeup(d, 0)
		}
		return h.rpc.DomainCreate(d)
	})
}

// definitionLimit bounds the file with the domain in bytes, as libvirt does.
const definitionLimit = 4 << 20

func (h *libvirtHost) define(ctx context.Context) (d libvirt.Domain, err error) {
	info, err := os.Stat(h.definition)
	if err != nil {
		return d, fmt.Errorf("read the definition: %w", err)
	}
	if info.Size() > definitionLimit {
		return d, fmt.Errorf("read the definition: %s is larger than %d bytes", h.definition, definitionLimit)
	}
	text, err := os.ReadFile(h.definition)
	if err != nil {
		return d, fmt.Errorf("read the definition: %w", err)
	}
	var names struct {
		Name string `xml:"name"`
		UUID string `xml:"uuid"`
	}
	if err := xml.Unmarshal(text, &names); err != nil {
		return d, fmt.Errorf("read the definition %s: %w", h.definition, err)
	}
	if h.vm != "" && names.Name != h.vm || h.uuid != "" && !strings.EqualFold(names.UUID, h.uuid) {
		return d, fmt.Errorf("%s defines %q with UUID %q, not %s", h.definition, names.Name, names.UUID, h.label())
	}
	err = h.call(ctx, func() (err error) {
		d, err = h.rpc.DomainDefineXML(string(text))
		return err
	})
	return d, err
}

func (h *libvirtHost) shutdown(ctx context.Context) error {
	return h.on(ctx, h.rpc.DomainShutdown)
}

func (h *libvirtHost) cut(ctx context.Context) error {
	return h.on(ctx, h.rpc.DomainDestroy)
}

func (h *libvirtHost) on(ctx context.Context, f func(libvirt.Domain) error) error {
	d, err := h.domain(ctx)
	if err != nil {
		return err
	}
	return h.call(ctx, func() error { return f(d) })
}

func (h *libvirtHost) close(ctx context.Context) {
	_ = h.call(ctx, h.rpc.Disconnect) // the daemon sees the end of the socket anyway
	h.conn.Close()
}
