package resourcetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"shisa/ctl/run"
)

// A Unit is what the fake systemd says of a unit, and how it takes jobs.
type Unit struct {
	Load   string // LoadState; empty: "loaded"
	Active string // ActiveState
	Sub    string // SubState
	PID    uint32 // MainPID while it is active
	Result string // of a failed start: "exit-code"

	Start string // result of a start job; empty: "done"; "never": the job does not end
	Stop  string // result of a stop job; likewise
}

// Systemd is a service on a private bus that speaks systemd's D-Bus interface as
// far as we use it: org.freedesktop.systemd1(5).
type Systemd struct {
	conn *dbus.Conn

	mu    sync.Mutex
	units map[string]*Unit
	jobs  int
	hang  bool
}

const (
	busName  = "org.freedesktop.systemd1"
	busPath  = dbus.ObjectPath("/org/freedesktop/systemd1")
	unitFace = busName + ".Unit"
)

// StartSystemd starts a bus of its own with a fake systemd on it, and makes it
// the system bus of this process until the test ends.
func StartSystemd(t *testing.T) *Systemd {
	t.Helper()
	address := startBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &Systemd{conn: conn, units: map[string]*Unit{}}
	for _, err := range []error{
		conn.Export(manager{s}, busPath, busName+".Manager"),
		conn.ExportSubtree(properties{s}, busPath+"/unit", "org.freedesktop.DBus.Properties"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", busName, reply, err)
	}
	return s
}

// startBus runs a dbus-daemon that lets everybody do everything.
func startBus(t *testing.T) (address string) {
	t.Helper()
	const program = "/usr/bin/dbus-daemon"
	if _, err := os.Stat(program); err != nil {
		t.Skipf("no bus can be started: %v", err)
	}
	dir := t.TempDir()
	socket, config := filepath.Join(dir, "bus"), filepath.Join(dir, "bus.conf")
	text := fmt.Sprintf(`<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`, socket)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := run.Start(context.Background(), run.Command{Path: program, Args: []string{"--nofork", "--nopidfile", "--config-file=" + config}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(); p.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		// The file is there before anybody listens.
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			return "unix:path=" + socket
		}
		if time.Now().After(deadline) {
			p.Stop()
			t.Fatalf("the bus does not come up: %s", p.Wait().Output)
		}
	}
}

// Set makes a unit what u says, and announces it as systemd does.
func (s *Systemd) Set(name string, u Unit) {
	s.mu.Lock()
	s.units[name] = &u
	s.mu.Unlock()
	s.announce(name, u)
}

// Hang makes it answer no call from now on.
func (s *Systemd) Hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = true
}

// Unit returns the present state of a unit.
func (s *Systemd) Unit(name string) Unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[name]; u != nil {
		return *u
	}
	return Unit{Load: "not-found", Active: "inactive", Sub: "dead"}
}

func unitPath(name string) dbus.ObjectPath {
	return busPath + "/unit/" + dbus.ObjectPath(sd.PathBusEscape(name))
}

func (s *Systemd) announce(name string, u Unit) {
	changed := map[string]dbus.Variant{"ActiveState": dbus.MakeVariant(u.Active), "SubState": dbus.MakeVariant(u.Sub)}
	_ = s.conn.Emit(unitPath(name), "org.freedesktop.DBus.Properties.PropertiesChanged", unitFace, changed, []string{})
}

// job changes a unit as a job does, and announces its end a moment later.
func (s *Systemd) job(name, want string, change func(*Unit)) (dbus.ObjectPath, *dbus.Error) {
	s.wait()
	s.mu.Lock()
	u, known := s.units[name]
	if !known || u.Load == "not-found" {
		s.mu.Unlock()
		return "", dbus.NewError(busName+".NoSuchUnit", []any{fmt.Sprintf("Unit %s not found.", name)})
	}
	s.jobs++
	id := s.jobs
	if want == "" {
		want = "done"
	}
	if want != "never" {
		change(u)
	}
	state := *u
	s.mu.Unlock()
	path := busPath + dbus.ObjectPath(fmt.Sprintf("/job/%d", id))
	if want != "never" {
		s.announce(name, state)
		_ = s.conn.Emit(busPath, busName+".Manager.JobRemoved", uint32(id), path, name, want)
	}
	return path, nil
}

// wait blocks a call for ever, as a systemd that hangs does.
func (s *Systemd) wait() {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang {
		<-s.conn.Context().Done()
	}
}

// manager is org.freedesktop.systemd1.Manager.
type manager struct{ s *Systemd }

// Subscribe switches signals on, which are never off here.
func (manager) Subscribe() *dbus.Error { return nil }

// Unsubscribe switches them off.
func (manager) Unsubscribe() *dbus.Error { return nil }

// StartUnit starts a unit.
func (m manager) StartUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	result := m.s.Unit(name).Start
	return m.s.job(name, result, func(u *Unit) {
		if result == "" || result == "done" {
			u.Active, u.Sub = "active", "running"
		} else {
			u.Active, u.Sub = "failed", "failed"
		}
	})
}

// StopUnit stops a unit.
func (m manager) StopUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	result := m.s.Unit(name).Stop
	return m.s.job(name, result, func(u *Unit) {
		if result == "" || result == "done" {
			u.Active, u.Sub = "inactive", "dead"
		}
	})
}

// unitStatus is one element of the answer of ListUnitsByNames.
type unitStatus struct {
	Name, Description, Load, Active, Sub, Following string
	Path                                            dbus.ObjectPath
	JobID                                           uint32
	JobType                                         string
	JobPath                                         dbus.ObjectPath
}

// ListUnitsByNames says what there is to say of some units.
func (m manager) ListUnitsByNames(names []string) ([]unitStatus, *dbus.Error) {
	m.s.wait()
	var all []unitStatus
	for _, name := range names {
		u := m.s.Unit(name)
		if u.Load == "" {
			u.Load = "loaded"
		}
		all = append(all, unitStatus{Name: name, Load: u.Load, Active: u.Active, Sub: u.Sub, Path: unitPath(name), JobPath: "/"})
	}
	return all, nil
}

// properties is org.freedesktop.DBus.Properties of every unit.
type properties struct{ s *Systemd }

// Get returns one property.
func (p properties) Get(m dbus.Message, _, property string) (dbus.Variant, *dbus.Error) {
	p.s.wait()
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for name, u := range p.s.units {
		if unitPath(name) != path {
			continue
		}
		pid := u.PID
		if u.Active != "active" {
			pid = 0
		}
		values := map[string]any{"MainPID": pid, "ActiveState": u.Active, "SubState": u.Sub, "Result": u.Result}
		if v, ok := values[property]; ok {
			return dbus.MakeVariant(v), nil
		}
	}
	return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", []any{strings.Join([]string{string(path), property}, " ")})
}
