package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"shisa/ctl/keeper/wire"
)

// clients is how many requests are served at the same time; one that hangs in
// a slow engine does not keep the next from looking.
const clients = 4

// listen makes the socket at path, for root only.
func listen(path string) (int, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if taken(path) {
		unix.Close(fd)
		return -1, fmt.Errorf("listen on %s: another keeper answers there", path)
	}
	os.Remove(path) // left over by a keeper that was killed; if not, bind says so
	err = errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), os.Chmod(path, 0o600), unix.Listen(fd, 16))
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen on %s: %w", path, err)
	}
	return fd, nil
}

// taken reports whether somebody answers at path.
func taken(path string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == nil
}

// A server answers requests.
type server struct {
	keeper *Keeper
	fd     int
	stop   func()             // ends the process
	next   func(string) error // goes on as another program
	serial sync.WaitGroup     // of requests being served
	tokens chan struct{}      // bounds them
}

// serve answers until the socket is closed.
func (s *server) serve() error {
	s.tokens = make(chan struct{}, clients)
	for {
		conn, _, err := unix.Accept4(s.fd, unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EINTR || err == unix.ECONNABORTED || err == unix.EAGAIN:
			continue
		case err == unix.EMFILE || err == unix.ENFILE || err == unix.ENOMEM || err == unix.ENOBUFS:
			unix.Nanosleep(&unix.Timespec{Nsec: 1e8}, nil)
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		s.tokens <- struct{}{}
		s.serial.Go(func() {
			defer func() { <-s.tokens }()
			defer unix.Close(conn)
			s.answer(conn)
		})
	}
}

// answer serves one connection: one request, one reply.
func (s *server) answer(conn int) {
	patience := unix.Timeval{Sec: 2}
	unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience)
	unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience)
	who, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || who.Uid != 0 && int(who.Uid) != os.Geteuid() {
		reply(conn, wire.Reply{Error: "only root may talk to the keeper"})
		return
	}
	buf := make([]byte, wire.MaxMessage)
	n, err := again(func() (int, error) { return unix.Read(conn, buf) })
	if err != nil || n == 0 {
		return
	}
	var r wire.Request
	if err := r.Decode(buf[:n]); err != nil {
		reply(conn, wire.Reply{Error: err.Error()})
		return
	}
	if r.Verb == wire.Upgrade {
		// On success nobody returns here: the next image answers the client's
		// next request, and this connection just ends.
		reply(conn, wire.Reply{Error: s.next(r.Program).Error()})
		return
	}
	out := s.keeper.Do(r, int(who.Pid))
	reply(conn, out)
	if r.Verb == wire.Stop && out.Error == "" {
		s.stop()
	}
}

func reply(conn int, r wire.Reply) {
	b, err := r.Encode()
	if err != nil {
		return
	}
	// A client that has gone needs no answer.
	again(func() (int, error) { return unix.SendmsgN(conn, b, nil, nil, unix.MSG_NOSIGNAL) })
}

// again repeats a system call that a signal has interrupted. The Go run time
// sends itself signals, and a socket with a timeout is not restarted after one
// (signal(7)), whatever the handler's flags.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
