package guard

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keeper/wire"
	"shisa/ctl/keeper/witness"
)

const usage = `usage: shisa-keeper run [--socket PATH]   hold the countdowns (started by systemd or shisad)
       shisa-keeper version
`

// Main is the program. It returns the exit status.
func Main(version string, args []string, open func(driver, device string) (keepalive.Engine, error)) int {
	if len(args) == 0 {
		args = []string{"help"}
	}
	switch args[0] {
	case "run":
		o, err := parse(args[1:])
		if err == nil {
			err = run(version, o, open)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "shisa-keeper:", err)
			return 1
		}
		return 0
	case "witness":
		if err := witness.Main(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "shisa-keeper witness:", err)
			return 1
		}
		return 0
	case "version":
		fmt.Println("shisa-keeper", version)
		return 0
	}
	fmt.Fprint(os.Stderr, usage)
	return 2
}

type options struct {
	socket string
	resume int // descriptor of a handover; 0: none
}

func parse(args []string) (options, error) {
	o := options{socket: wire.Socket}
	for len(args) > 0 {
		if len(args) < 2 {
			return o, fmt.Errorf("%s needs a value\n%s", args[0], usage)
		}
		switch name, value := args[0], args[1]; name {
		case "--socket":
			o.socket = value
		case "--resume":
			fd, err := strconv.Atoi(value)
			if err != nil || fd <= 2 {
				return o, fmt.Errorf("--resume %q is not a descriptor", value)
			}
			o.resume = fd
		default:
			return o, fmt.Errorf("unknown option %s\n%s", name, usage)
		}
		args = args[2:]
	}
	return o, nil
}

// run is the keeper from its start to its end.
func run(version string, o options, open func(driver, device string) (keepalive.Engine, error)) error {
	lacks := harden()
	k := New(version, open, teller())
	k.Degraded = lacks
	for _, l := range lacks {
		k.Tell(l)
	}
	s := &server{keeper: k}
	var err error
	if o.resume > 0 {
		h, err := inherit(o.resume)
		if err != nil {
			return fmt.Errorf("go on after the upgrade: %w", err)
		}
		s.fd = h.Listener
		if err := k.resume(h); err != nil {
			k.Tell("after the upgrade: " + err.Error())
		}
	} else if s.fd, err = listen(o.socket); err != nil {
		return err
	}
	end := make(chan struct{})
	s.stop = sync.OnceFunc(func() { close(end) })
	s.next = func(program string) error { return k.upgrade(program, s.fd, []string{"--socket", o.socket}) }
	failed := make(chan error, 1)
	go func() { failed <- s.serve() }()
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	ready()
	select {
	case err := <-failed:
		return errors.Join(err, k.leave())
	case <-terminate:
	case <-end:
	}
	return k.leave()
}

// leave is the end of the process. A countdown that nobody disarmed goes on:
// only the daemon, on purpose, stops it, or the order to release it when the
// operating system terminates all processes.
func (k *Keeper) leave() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.counting() {
		return nil
	}
	if k.state == wire.Down && k.orders.ReleaseOnSIGTERM {
		return k.disarm("the shutdown terminates all processes and is to be released then")
	}
	for _, p := range k.posts {
		if p.armed.Load() {
			if k.state == wire.Down {
				p.rest(beat.Now())
			}
			k.Tell(fmt.Sprintf("leaving with %s armed: it fires in %v unless a keeper arms it again", p.guard.Device, p.granted.Timeout))
		}
	}
	return nil
}

// teller writes lines to standard error and to the kernel's log, which is what
// is left to read after a reset on many machines.
func teller() func(string) {
	kmsg, err := unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	return func(line string) {
		fmt.Fprintln(os.Stderr, "shisa-keeper:", line)
		if err == nil {
			unix.Write(kmsg, []byte("<5>shisa-keeper: "+line+"\n"))
		}
	}
}

// ready tells systemd that the socket answers, sd_notify(3).
func ready() {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' {
		path = "\x00" + path[1:]
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	unix.Sendto(fd, []byte("READY=1"), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: path})
}
