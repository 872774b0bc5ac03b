package distro

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shisa/ci/vm"
	"shisa/ctl/why"
)

const (
	// shutdownTimeout is how long a shutdown may take in these tests; a sound one, and
	// the next start of the kernel, take much less even on a busy host.
	shutdownTimeout = 90 * time.Second
	// guardWord is what the keeper says when the countdown of the shutdown begins; the
	// kernel's log is on the console for that.
	guardWord = "shisa-keeper: shutdown is guarded"
)

// guarding guards every shutdown, whoever begins it.
var guarding = protecting + fmt.Sprintf("[shutdown]\nwatch = \"always\"\ntimeout = %q\n", shutdownTimeout)

// stubborn is a service that never stops, and that systemd waits for.
const stubborn = `[Unit]
Description=A service that does not stop
[Service]
ExecStart=/bin/sleep infinity
ExecStop=/bin/sleep infinity
TimeoutStopSec=infinity
`

// A descent is one way down.
type descent struct {
	name    string
	files   map[string]string // path → text; a path below system-shutdown is made executable
	start   string            // before the way down
	command string
	hangs   bool
	cause   why.Cause
}

// ways are tried one after the other on one guest: what hangs is forgotten by the
// next boot, since it is only on the tmpfs or removed.
var ways = []descent{
	{name: "sound", command: "systemctl reboot", cause: why.Ordered},
	{
		name:  "service",
		files: map[string]string{"/run/systemd/system/stubborn.service": stubborn},
		start: "systemctl daemon-reload; systemctl start stubborn.service", command: "systemctl reboot",
		hangs: true, cause: why.ShutdownStall,
	},
	{
		// After systemd has killed everybody but the keeper: nobody may give the
		// countdown another time. Nothing can be written any more; that the machine was
		// back sooner after the sound way gives it away.
		name:  "after the last process",
		files: map[string]string{lateHook: "#!/bin/sh\nexec sleep 1000\n"}, command: "systemctl reboot",
		hangs: true, cause: why.ShutdownStall,
	},
}

// lateHook is run by systemd-shutdown once everything is unmounted
// (systemd-shutdown(8)).
const lateHook = "/usr/lib/systemd/system-shutdown/hang"

// TestShutdown goes down in several ways, with systemctl and not with shisa: each
// shutdown is guarded from its beginning, and only one that hangs is ended.
func TestShutdown(t *testing.T) {
	for _, suite := range suites(t) {
		t.Run(suite.Name, func(t *testing.T) {
			s := newServer(t, suite, Options{Cmdline: "loglevel=6"})
			s.install(guarding)
			for _, way := range ways {
				t.Run(way.name, s.under(way.try))
			}
		})
	}
}

func (d descent) try(s *server) {
	s.awaitArmed()
	for path, text := range d.files {
		s.sh("mkdir -p %s", filepath.Dir(path)) // Debian 13 has no folder for the hook
		if err := s.WriteFile(s.t.Context(), path, []byte(text)); err != nil {
			s.t.Fatal(err)
		}
		if path == lateHook {
			s.sh("chmod 755 %s", path)
		}
	}
	if d.start != "" {
		s.sh("%s", d.start)
	}
	boots, words := s.boots, strings.Count(s.Console(), guardWord)
	if _, err := s.Go("sh", "-c", d.command); err != nil {
		s.t.Fatal(err)
	}
	began := s.awaitWord(words)
	reset, err := s.WaitEvent(s.t.Context(), func(e vm.Event) bool { return e.Kind == vm.KindReset && e.Boot == boots })
	if err != nil {
		s.t.Fatal(err)
	}
	took := reset.Time.Sub(began)
	s.t.Logf("reset %v after the shutdown was guarded", took.Round(10*time.Millisecond))
	if n := strings.Count(s.Console(), guardWord) - words; n != 1 {
		s.t.Errorf("the shutdown was guarded %d times: each begins the countdown anew", n)
	}
	if err := s.NextBoot(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	early, late := shutdownTimeout-2*time.Second, shutdownTimeout+3*time.Second
	switch {
	case d.hangs && (took < early || took > late):
		s.t.Errorf("a shutdown that hangs was ended after %v, want %v\n%s", took, shutdownTimeout, s.lastJournal())
	case !d.hangs && took > early:
		s.t.Errorf("a sound shutdown took %v: was it ended by the countdown?\n%s", took, s.lastJournal())
	}
	v := s.why()
	if v.Cause != d.cause {
		s.t.Errorf("shisa why names %s, want %s\n%s", v.Cause, d.cause, s.lastJournal())
	}
	if !strings.Contains(v.Summary, "a reboot") {
		s.t.Errorf("shisa why does not say that a reboot was ordered: %s", v.Summary)
	}
	for path := range d.files {
		s.sh("rm -f %s", path)
	}
}

// awaitWord waits until the shutdown is guarded, for the first time after that many,
// and returns when the console said so.
func (s *server) awaitWord(words int) time.Time {
	s.t.Helper()
	for deadline := time.Now().Add(armWait); strings.Count(s.Console(), guardWord) == words; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the shutdown is not guarded after %v\n%s", armWait, tail(s.Console(), 30))
		}
	}
	return time.Now()
}

// lastJournal returns the end of the boot before, and what the console said after that:
// the keeper and the kernel outlive the journal's service.
func (s *server) lastJournal() string {
	s.t.Helper()
	_, end, _ := cutLast(s.Console(), guardWord)
	return "the last boot said:\n" + strings.TrimSpace(s.sh("journalctl -b -1 --no-pager -o short-monotonic -n 60 || :")) +
		"\nfrom the guard on the console said:\n" + strings.Join(strings.SplitAfterN(end, "\n", 40), "")
}

// cutLast is strings.Cut at the last place.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
