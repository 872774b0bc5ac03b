package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

const (
	busName        = "org.freedesktop.systemd1"
	busPath        = dbus.ObjectPath("/org/freedesktop/systemd1")
	propertiesFace = "org.freedesktop.DBus.Properties"
)

func unitPath(name string) dbus.ObjectPath {
	return busPath + "/unit/" + dbus.ObjectPath(sd.PathBusEscape(name))
}

// A bus is one connection to the system bus for all monitors: the bus allows a
// user 256 of them.
type bus struct {
	mu    sync.Mutex
	users int
	conn  *dbus.Conn // nil: not connected
}

var shared bus

func (b *bus) acquire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users++
}

// release gives up one use; the last one closes the connection.
func (b *bus) release() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users--; b.users > 0 || b.conn == nil {
		return nil
	}
	conn := b.conn
	b.conn = nil
	return conn.Close()
}

// get returns the connection, a new one if the last was broken. One caller at a
// time connects; since a local socket answers at once or not at all, the
// others do not wait long, and no longer than that caller's own time.
func (b *bus) get(ctx context.Context) (*dbus.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil && b.conn.Connected() {
		return b.conn, nil
	}
	// The context of a connection is that of its whole life; ours bounds
	// only the time until it is made.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(life))
	if !stop() && err == nil {
		err = errors.Join(ctx.Err(), conn.Close())
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("connect to the system bus: %w", errors.Join(ctx.Err(), err))
	}
	b.conn = conn
	return conn, nil
}

// A unitStatus is one element of the answer of ListUnitsByNames.
type unitStatus struct {
	Name, Description, Load, Active, Sub, Following string
	Path                                            dbus.ObjectPath
	JobID                                           uint32
	JobType                                         string
	JobPath                                         dbus.ObjectPath
}

// status asks for all that we want to know in one call (systemd 230).
func status(ctx context.Context, conn *dbus.Conn, unit string) (unitStatus, error) {
	var units []unitStatus
	err := conn.Object(busName, busPath).CallWithContext(ctx, busName+".Manager.ListUnitsByNames", 0, []string{unit}).Store(&units)
	switch {
	case err != nil:
		return unitStatus{}, err
	case len(units) != 1:
		return unitStatus{}, fmt.Errorf("the answer is about %d units", len(units))
	}
	return units[0], nil
}

// alreadySubscribed reports that another monitor has subscribed on our connection.
func alreadySubscribed(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && strings.HasSuffix(e.Name, ".AlreadySubscribed")
}
