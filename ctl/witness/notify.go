package witness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
)

// A notice is one datagram, or one line of the pipe.
type notice struct {
	name    string
	limit   time.Duration // 0: not said
	beat    bool
	trigger bool // the process itself says that it fails
	gone    bool
	mapped  bool // it wants to store its beats by itself
}

// parseNotify reads assignments a line as sd_notify(3) sends them; what it does
// not know, it leaves alone.
func parseNotify(b []byte) (n notice) {
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		switch key {
		case "WATCHDOG":
			n.beat, n.trigger = value == "1", value == "trigger"
		case "WATCHDOG_USEC":
			if us, err := strconv.ParseUint(value, 10, 42); err == nil && us > 0 {
				n.limit = time.Duration(us) * time.Microsecond
			}
		case "STOPPING":
			n.gone = value == "1"
		case "BEAT_NAME":
			n.name = value
		case "BEAT_MAP":
			n.mapped = value == "1"
		}
	}
	return n
}

// parseLine reads a line of the pipe: a name, and a limit or "stop".
func parseLine(line string) (n notice, ok bool) {
	f := strings.Fields(line)
	if len(f) == 0 || len(f) > 2 {
		return n, false
	}
	n.name, n.beat = f[0], true
	if len(f) == 2 && f[1] == "stop" {
		n.beat, n.gone = false, true
	} else if len(f) == 2 {
		d, err := time.ParseDuration(f[1])
		if err != nil || d <= 0 {
			return n, false
		}
		n.limit = d
	}
	return n, true
}

// clean makes a name of printable ASCII that fits its cell.
func clean(name string) string {
	b := []byte(name[:min(len(name), beat.NameLimit)])
	for i, c := range b {
		if c <= ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// listen makes the socket. Everybody may beat; only root is given the array.
func listen(path string) (*net.UnixConn, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, os.Chmod(path, 0o666)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// read takes datagrams until the socket is closed.
func (g *guests) read(conn *net.UnixConn) {
	var buf [guestMessage]byte
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*4))
	for {
		n, on, _, from, err := conn.ReadMsgUnix(buf[:], oob)
		if err != nil {
			return
		}
		who := credentials(oob[:on])
		if who == nil || who.Pid <= 0 {
			continue
		}
		m := parseNotify(buf[:n])
		slot, err := g.notify(int(who.Pid), who.Uid == 0, m)
		if m.mapped && from != nil && from.Name != "" {
			g.answer(conn, from, slot, err, who.Uid == 0)
		}
	}
}

// credentials of the sender, which the kernel vouches for. Descriptors that came
// along are closed.
func credentials(oob []byte) (who *unix.Ucred) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if c, err := unix.ParseUnixCredentials(&m); err == nil {
			who = c
		}
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
	}
	return who
}

// answer gives a process its cell.
func (g *guests) answer(conn *net.UnixConn, to *net.UnixAddr, slot int, err error, root bool) {
	text, rights := fmt.Sprintf("BEAT_SLOT=%d", slot), []byte(nil)
	switch {
	case err != nil:
		text = "BEAT_ERROR=" + err.Error()
	case !root:
		text = "BEAT_ERROR=only root is given the array"
	default:
		rights = unix.UnixRights(g.file)
	}
	_, _, _ = conn.WriteMsgUnix([]byte(text), rights, to) // whoever does not listen beats by datagrams
}

// openPipe makes the pipe for scripts of root.
func openPipe(path string) (*os.File, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, err
	}
	// For writing, too: it then never ends, however many writers come and go.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Mode()&fs.ModeNamedPipe == 0 {
		return nil, errors.Join(fmt.Errorf("%s is no pipe", path), err, f.Close())
	}
	return f, nil
}

func (g *guests) readPipe(f *os.File) {
	lines := bufio.NewReaderSize(f, guestMessage)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		if n, ok := parseLine(string(bytes.TrimSpace(line))); ok {
			_, _ = g.notify(0, true, n) // nobody is there to be told that all cells are taken
		}
	}
}
