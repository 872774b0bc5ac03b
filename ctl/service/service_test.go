package service_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/client"
	"shisa/ctl/keepalive/drivers"
	"shisa/ctl/keeper"
	"shisa/ctl/keeper/guard"
	"shisa/ctl/service"
)

// TestMain lets the test's own program be shisad and its keeper: real processes,
// which only observe here.
func TestMain(m *testing.M) {
	switch {
	case os.Args[0] == "shisa-keeper":
		os.Exit(guard.Main("test", os.Args[1:], drivers.Open))
	case os.Getenv("SHISA_TEST_PROGRAM") == "shisad":
		os.Exit(service.Main("test", os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// A place is where a shisad of the tests lives.
type place struct {
	*testing.T
	dir string
}

func newPlace(t *testing.T) place {
	// Socket paths are short (unix(7): 108 bytes), names of tests are not.
	dir, err := os.MkdirTemp("", "shisad")
	if err != nil {
		t.Fatal(err)
	}
	p := place{t, dir}
	t.Cleanup(func() {
		// Who is still there was told to go and writes its last.
		for end := time.Now().Add(10 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
	})
	return p
}

func (p place) path(name string) string { return filepath.Join(p.dir, name) }

func (p place) write(name, text string) {
	p.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
}

// A running is a shisad that was started.
type running struct {
	place
	cmd    *exec.Cmd
	client *client.Client
}

// start starts shisad with more environment and waits until it answers.
func (p place) start(env ...string) *running {
	p.Helper()
	self, err := os.Executable()
	if err != nil {
		p.Fatal(err)
	}
	return p.startAs(self, nil, env...)
}

// startAs starts the program self as shisad, by way of a command before it.
func (p place) startAs(self string, before []string, env ...string) *running {
	p.Helper()
	r := &running{place: p, client: client.New(p.path("api.sock"))}
	argv := slices.Concat(before, []string{self, "-foreground", "-config", p.path("shisa.toml"), "-run", p.dir,
		"-state", p.path("state"), "-keeper", self})
	r.cmd = exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	r.cmd.Env = append(os.Environ(), append(env, "SHISA_TEST_PROGRAM=shisad")...)
	log, err := os.Create(p.path("log")) // a file: the keeper would hold a pipe open
	if err != nil {
		p.Fatal(err)
	}
	defer log.Close()
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() {
		r.end()
		if p.Failed() {
			p.Logf("shisad printed:\n%s", r.log())
		}
	})
	p.eventually("shisad answers", func() bool {
		_, err := r.client.Status(p.Context())
		return err == nil
	})
	return r
}

func (p place) log() string {
	text, err := os.ReadFile(p.path("log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p place) eventually(what string, f func() bool) {
	p.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("never: %s\n%s", what, p.log())
		}
	}
}

// end stops shisad as an operator does; calling it again does nothing.
func (r *running) end() {
	if r.cmd.ProcessState != nil {
		return
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.Error(err)
	}
	if err := r.cmd.Wait(); err != nil {
		r.Errorf("shisad ended with %v", err)
	}
}

func (r *running) events() []string {
	r.Helper()
	list, err := r.client.Events(r.Context(), api.EventQuery{})
	if err != nil {
		r.Fatal(err)
	}
	var codes []string
	for _, e := range list {
		codes = append(codes, string(e.Code))
	}
	return codes
}

// one is a configuration with one monitor of that name.
func one(name string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\ntype = \"tcp\"\nport = 1\n", name)
}

func (r *running) monitors() []string {
	r.Helper()
	s, err := r.client.Status(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	var names []string
	for _, m := range s.Monitors {
		names = append(names, m.Name)
	}
	return names
}

// What systemd is told, in the words of sd_notify(3).
func TestNotify(t *testing.T) {
	p := newPlace(t)
	p.write("shisa.toml", one("a"))
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: p.path("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	told := make(chan string, 1000)
	go func() {
		defer close(told)
		for b := make([]byte, 4096); ; {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			told <- string(b[:n])
		}
	}()
	await := func(word string) {
		t.Helper()
		limit := time.After(time.Minute)
		for {
			select {
			case s := <-told:
				if slices.Contains(strings.Split(s, "\n"), word) {
					return
				}
			case <-limit:
				t.Fatalf("%s was never told", word)
			}
		}
	}
	r := p.start("NOTIFY_SOCKET="+p.path("notify"), "WATCHDOG_USEC=1500000")
	await("READY=1")
	await("WATCHDOG=1")
	await("WATCHDOG=1")
	p.write("shisa.toml", one("b"))
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await("RELOADING=1")
	await("READY=1")
	if got := r.monitors(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("monitors after the reload: %q", got)
	}
	r.end()
	await("STOPPING=1")
}

// A configuration that broke between two starts does not leave the machine alone:
// the one that was in force last goes on.
func TestLastGoodConfiguration(t *testing.T) {
	p := newPlace(t)
	p.write("shisa.toml", one("a"))
	p.start().end()

	p.write("shisa.toml", "[[monitor]]\nname = \"a\"\ntype = \"tpc\"\n")
	r := p.start()
	if got := r.monitors(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("monitors: %q", got)
	}
	if got := r.events(); !slices.Contains(got, "config-rejected") {
		t.Errorf("told %q", got)
	}
	if log := r.log(); !strings.Contains(log, "shisa.toml:3: ") || !strings.Contains(log, "not applied, the one that was in force last holds: ") {
		t.Errorf("printed %s", log)
	}
	// A reload says the same and changes nothing.
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.eventually("the reload is refused", func() bool {
		return len(slices.DeleteFunc(r.events(), func(code string) bool { return code != "config-rejected" })) == 2
	})
	if got := r.monitors(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("monitors after the reload: %q", got)
	}
	r.end()
}

// A reload that waits for a resource to stop keeps nobody from stopping the service:
// who is killed for not heeding that leaves an armed countdown behind.
func TestStopWhileReloading(t *testing.T) {
	p := newPlace(t)
	configuration := func(comment string) string {
		return "[[group]]\nname = \"g\"\n[[resource]]\nname = \"r\"\ntype = \"exec\"\ngroup = \"g\"\ncomment = \"" + comment +
			"\"\nstart = \"/bin/true\"\nstop = \"slow.sh\"\nlog = \"" + p.path(comment+".log") + "\"\n"
	}
	p.write("slow.sh", "#!/bin/sh\ntouch "+p.path("stopping")+"\nuntil [ -e "+p.path("go")+" ]; do sleep 0.05; done\n")
	if err := os.Chmod(p.path("slow.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.write("shisa.toml", configuration("a"))
	r := p.start()
	p.eventually("the group is started", func() bool { return slices.Contains(r.events(), "group-started") })
	p.write("shisa.toml", configuration("b"))
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.eventually("the reload stops the resource", func() bool { _, err := os.Stat(p.path("stopping")); return err == nil })
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.eventually("the service stops", func() bool { return slices.Contains(r.events(), "service-stopping") })
	p.write("go", "")
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("shisad ended with %v", err)
	}
}

// With nothing to go on with, the embedded default observes.
func TestBrokenFromTheStart(t *testing.T) {
	p := newPlace(t)
	p.write("shisa.toml", "mode = \"protect\"\n[[monitor\n")
	r := p.start()
	s, err := r.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Mode != "observe" || len(s.Monitors) != 0 {
		t.Errorf("mode %s, %d monitors", s.Mode, len(s.Monitors))
	}
	if !strings.Contains(r.log(), "Configuration not applied, the embedded default holds, which observes: ") {
		t.Errorf("it does not say what holds instead:\n%s", r.log())
	}
	if got := r.events(); !slices.Contains(got, "config-rejected") {
		t.Errorf("told %q", got)
	}
	// Once the file is mended, a reload takes it.
	p.write("shisa.toml", one("a"))
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.eventually("the mended file is in force", func() bool { return slices.Equal(r.monitors(), []string{"a"}) })
	r.end()
}

// A state directory that cannot be written costs the history, not the service.
func TestStateCannotBeWritten(t *testing.T) {
	p := newPlace(t)
	p.write("state", "a file where a directory should be")
	p.write("shisa.toml", one("a"))
	r := p.start()
	p.eventually("the status tells", func() bool {
		s, err := r.client.Status(t.Context())
		return err == nil && slices.ContainsFunc(s.Problems, func(p api.Problem) bool { return strings.Contains(p.Text, "State cannot be written") })
	})
	r.end()
}

// A daemon that is killed leaves its keeper; the next one takes it over, and a
// deliberate stop ends both.
func TestKilledAndBack(t *testing.T) {
	p := newPlace(t)
	p.write("shisa.toml", one("a"))
	r := p.start()
	c := keeper.Client{Socket: p.path("keeper.sock")}
	p.eventually("the keeper measures", func() bool {
		s, err := c.Status(t.Context())
		return err == nil && s.Daemon == r.cmd.Process.Pid
	})
	before, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Process.Kill(); err != nil { // started by this test
		t.Fatal(err)
	}
	_ = r.cmd.Wait() // killed
	r = p.start()
	p.eventually("the keeper belongs to the new daemon", func() bool {
		s, err := c.Status(t.Context())
		return err == nil && s.PID == before.PID && s.Daemon == r.cmd.Process.Pid && !s.Absent
	})
	r.end()
	p.eventually("the keeper is gone", func() bool {
		_, err := c.Status(t.Context())
		return err != nil
	})
}

// TestStartedAgain: groups that a deliberate stop has stopped are started with the
// service, as after a boot. After a crash a group that the operator stopped stays so.
func TestStartedAgain(t *testing.T) {
	p := newPlace(t)
	p.write("shisa.toml", "[[group]]\nname = \"g\"\n[[resource]]\nname = \"r\"\ntype = \"exec\"\ngroup = \"g\"\nstart = \"/bin/true\"\nstop = \"/bin/true\"\n")
	r := p.start()
	reaches := func(state api.State) {
		t.Helper()
		p.eventually("the group is "+string(state), func() bool {
			s, err := r.client.Status(t.Context())
			return err == nil && len(s.Groups) == 1 && s.Groups[0].State == state
		})
	}
	reaches(api.Started)
	r.end()
	r = p.start()
	reaches(api.Started)

	if _, err := r.client.Group(t.Context(), api.UnitCommand{Name: "g", Verb: api.StopUnit}); err != nil {
		t.Fatal(err)
	}
	reaches(api.Stopped)
	if err := r.cmd.Process.Kill(); err != nil { // started by this test
		t.Fatal(err)
	}
	_ = r.cmd.Wait() // killed
	r = p.start()
	reaches(api.Stopped)
	r.end()
}

// needRoot skips what only root can arrange.
func needRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can arrange this")
	}
}

// An ordinary user can watch, and is told what is missing; nothing is armed, whatever
// the configuration says.
func TestNotRoot(t *testing.T) {
	needRoot(t)
	p := newPlace(t)
	p.write("shisa.toml", "mode = \"protect\"\n"+one("a"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	for _, err := range []error{
		os.WriteFile(p.path("program"), program, 0o755), os.Chmod(p.dir, 0o755),
		os.Chown(p.dir, nobody, nobody), os.Chown(p.path("shisa.toml"), nobody, nobody),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r := p.startAs(p.path("program"), []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"})
	p.eventually("it is told", func() bool {
		s, err := r.client.Status(t.Context())
		return err == nil && s.Protection.State == api.Disarmed && strings.Contains(s.Protection.Summary, "does not run as root")
	})
	p.eventually("the monitor probes", func() bool {
		s, err := r.client.Status(t.Context())
		return err == nil && s.Monitors[0].Verdict == api.Failed
	})
	r.end()
}

// Without /proc it starts, observes and answers all the same.
func TestNoProc(t *testing.T) {
	needRoot(t)
	p := newPlace(t)
	p.write("shisa.toml", one("a"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A name space of its own: nobody else misses /proc.
	r := p.startAs(self, []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /proc && exec "$@"`, "sh"})
	p.eventually("the monitor probes", func() bool {
		s, err := r.client.Status(t.Context())
		return err == nil && len(s.Monitors) == 1 && s.Monitors[0].Verdict == api.Failed
	})
	if _, err := r.client.Doctor(t.Context()); err != nil {
		t.Errorf("doctor: %v", err)
	}
	if !strings.Contains(r.log(), "/proc is not there; mount it") {
		t.Errorf("it does not say what is missing:\n%s", r.log())
	}
	r.end()
}

func TestArguments(t *testing.T) {
	tests := []struct {
		name string
		args []string
		exit int
		say  string
	}{
		{"version", []string{"-version"}, 0, "shisad test"},
		{"help", []string{"-help"}, 0, "-config"},
		{"unknown flag", []string{"-konfig", "x"}, 2, "-konfig"},
		{"argument", []string{"start"}, 2, `unexpected argument "start"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if exit := service.Main("test", tt.args, &out, &out); exit != tt.exit || !strings.Contains(out.String(), tt.say) {
				t.Errorf("exit %d, printed %s", exit, &out)
			}
		})
	}
}
