package witness

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive/drivers/ipmi"
)

// When the disk itself hangs, nothing that is written to it survives, and few
// kernels have a pstore for user space. The event log of a BMC does survive: a
// byte says there what the witness knows. The log has room for some hundred
// entries in all its life, so only who is about to be reset writes into it.

const (
	bmcDevice = "/dev/ipmi0"
	postEvery = 10 * time.Minute // an episode needs one entry
)

// byCode gives each cause its number, which is not to change: entries stay in
// the log for years.
var byCode = []string{
	Unknown, DaemonStopped, DaemonAbsent, DaemonBlocked, DaemonHung, RealtimeHog, OutOfMemory, FileSystem, NoThreads, Overload,
}

// Code puts phase and cause into one byte.
func Code(phase, cause string) byte {
	i := max(slices.Index(byCode, cause), 0)
	for p, name := range phases {
		if name == phase {
			return byte(p)<<4 | byte(i)
		}
	}
	return byte(i)
}

// Decode is the opposite of [Code]. What another version wrote may be unknown;
// without a phase it was none of ours.
func Decode(code byte) (phase, cause string, ok bool) {
	phase, ok = phases[Phase(code>>4)]
	cause = Unknown
	if i := int(code & 0x0f); i < len(byCode) {
		cause = byCode[i]
	}
	return phase, cause, ok
}

// A mailbox is the way to the BMC.
type mailbox struct {
	post func(code byte) error // nil: there is none
	last beat.Time             // of the last entry; 0: none yet
}

// offer writes an entry when r may be the last that is ever written: the
// countdown is about to fire, or it is the disk that hangs, and the witness
// will hang there next.
func (b *mailbox) offer(r *Record, now beat.Time) {
	urgent := r.Phase == phases[Final] || r.Cause == FileSystem || r.Cause == DaemonBlocked
	if b.post == nil || !urgent || r.Phase == phases[Recovered] || b.last != 0 && now.Sub(b.last) < postEvery {
		return
	}
	if b.post(Code(r.Phase, r.Cause)) == nil {
		b.last = now
	}
}

// post leaves code at the first BMC, if there is one, and does not wait for its
// answer. The device is not held open, so that its driver can be unloaded.
func post(code byte) error {
	fd, err := unix.Open(bmcDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return ipmi.Post(fd, code)
}
