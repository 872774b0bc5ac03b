// Package ipmitest is a BMC in memory, with a watchdog timer, chassis control
// and a system event log, for tests of what drives one.
package ipmitest

import (
	"encoding/binary"
	"sync"
	"time"

	uroot "github.com/u-root/u-root/pkg/ipmi"
)

// A BMC answers commands as IPMI 2.0 wants. Its fields may be set before use.
type BMC struct {
	Fail    func(netfn, cmd byte) error // returns an error instead of an answer
	Granted func(action byte) byte      // what becomes of a timer action: BMCs are known to lie
	OnPower func(control byte)          // chassis control was used
	Clock   func() time.Time            // for the log; nil: time.Now
	Restart byte                        // cause of the last restart

	mu      sync.Mutex
	set     bool
	running bool
	timer   [6]byte
	resets  int
	log     [][16]byte
}

// Send carries out one command.
func (b *BMC) Send(netfn, cmd byte, data []byte) ([]byte, error) {
	if b.Fail != nil {
		if err := b.Fail(netfn, cmd); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch [2]byte{netfn, cmd} {
	case [2]byte{0x06, 0x01}:
		return []byte{0, 0x20, 1, 2, 0x34, 0x02, 0xbf, 0x57, 1, 0, 7, 0}, nil
	case [2]byte{0x06, 0x22}:
		return b.restart()
	case [2]byte{0x06, 0x24}:
		return b.setTimer(data)
	case [2]byte{0x06, 0x25}:
		return b.getTimer(), nil
	case [2]byte{0x00, 0x02}:
		if b.OnPower != nil {
			b.OnPower(data[0])
		}
		return []byte{0}, nil
	case [2]byte{0x00, 0x07}:
		return []byte{0, b.Restart, 0}, nil
	case [2]byte{0x0a, 0x48}:
		return binary.LittleEndian.AppendUint32([]byte{0}, uint32(b.now().Unix())), nil
	case [2]byte{0x0a, 0x44}:
		return b.add([16]byte(data)), nil
	case [2]byte{0x0a, 0x43}:
		return b.get(binary.LittleEndian.Uint16(data[2:]))
	}
	return nil, uroot.CompletionError(0xc1)
}

// Reset is what happens when the BMC itself is reset: the timer is forgotten.
func (b *BMC) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set, b.running, b.timer = false, false, [6]byte{}
}

// Running reports whether the timer counts down to an action.
func (b *BMC) Running() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running && b.timer[1]&7 != 0
}

// Pings returns how often the timer was restarted.
func (b *BMC) Pings() int { b.mu.Lock(); defer b.mu.Unlock(); return b.resets }

// Log adds a raw record to the event log.
func (b *BMC) Log(raw [16]byte) { b.mu.Lock(); defer b.mu.Unlock(); b.add(raw) }

func (b *BMC) restart() ([]byte, error) {
	if !b.set {
		return nil, uroot.CompletionError(0x80)
	}
	b.running = true
	b.resets++
	return []byte{0}, nil
}

func (b *BMC) setTimer(data []byte) ([]byte, error) {
	if len(data) != 6 {
		return nil, uroot.CompletionError(0xc7)
	}
	if data[0]&0x40 == 0 {
		b.running = false
	}
	b.set, b.timer = true, [6]byte(data)
	if b.Granted != nil {
		b.timer[1] = b.timer[1]&0xf0 | b.Granted(b.timer[1]&7)
	}
	return []byte{0}, nil
}

func (b *BMC) getTimer() []byte {
	use := b.timer[0] & 0x87
	if b.running {
		use |= 0x40
	}
	return []byte{0, use, b.timer[1], b.timer[2], 0, b.timer[4], b.timer[5], b.timer[4], b.timer[5]}
}

func (b *BMC) now() time.Time {
	if b.Clock != nil {
		return b.Clock()
	}
	return time.Now()
}

func (b *BMC) add(raw [16]byte) []byte {
	id := uint16(len(b.log) + 1)
	binary.LittleEndian.PutUint16(raw[:], id)
	if raw[2] < 0xe0 {
		binary.LittleEndian.PutUint32(raw[3:], uint32(b.now().Unix()))
	}
	b.log = append(b.log, raw)
	return []byte{0, byte(id), byte(id >> 8)}
}

func (b *BMC) get(id uint16) ([]byte, error) {
	switch {
	case id == 0:
		id = 1
	case id == 0xffff:
		id = uint16(len(b.log))
	}
	if int(id) > len(b.log) || id == 0 {
		return nil, uroot.CompletionError(0xcb)
	}
	next := id + 1
	if int(id) == len(b.log) {
		next = 0xffff
	}
	raw := b.log[id-1]
	return append([]byte{0, byte(next), byte(next >> 8)}, raw[:]...), nil
}
