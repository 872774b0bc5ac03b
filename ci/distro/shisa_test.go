package distro

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/why"
)

const (
	newerVersion = "99.0.0"
	configFile   = "/etc/shisa/shisa.toml"
	// armWait bounds what the service may take to start and to arm, in emulation.
	armWait = 3 * time.Minute
	// pollEvery is how often a guest is asked while something is under way.
	pollEvery = 500 * time.Millisecond
)

// scratch is removed when all tests are done.
var scratch string

func TestMain(m *testing.M) {
	code := m.Run()
	if scratch != "" {
		_ = os.RemoveAll(scratch) // a scratch folder
	}
	os.Exit(code)
}

// packages builds the deb of this tree in two versions, once: DIR/old and DIR/new.
var packages = sync.OnceValues(func() (string, error) {
	var err error
	if scratch, err = os.MkdirTemp("", "shisa-distro-"); err != nil {
		return "", err
	}
	tree, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	for name, version := range map[string]string{"old": "", "new": newerVersion} {
		args := []string{"-C", tree, "run", "./packaging/build", "-only", "deb", "-package", "shisa", "-out", filepath.Join(scratch, name)}
		if version != "" {
			args = append(args, "-version", version)
		}
		if _, err := run(context.Background(), "go", args...); err != nil {
			return "", err
		}
		if err := os.RemoveAll(filepath.Join(scratch, name, "work")); err != nil {
			return "", err
		}
	}
	return scratch, nil
})

// A server is a guest on which shisa is installed, or will be.
type server struct {
	*System
	t *testing.T
}

// newServer boots a suite with both packages in /mnt.
func newServer(t *testing.T, s Suite, o Options) *server {
	t.Helper()
	dir, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	o.Carry = dir
	return &server{boot(t, s, o), t}
}

// sh runs a script in the guest that has to succeed.
func (s *server) sh(format string, args ...any) string {
	s.t.Helper()
	out, err := s.Sh(s.t.Context(), fmt.Sprintf(format, args...))
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.journal())
	}
	return strings.TrimSpace(out)
}

// fails runs a script in the guest that has to fail, and returns what it said.
func (s *server) fails(script string) string {
	s.t.Helper()
	r, err := s.Run(s.t.Context(), "sh", "-c", script)
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Exit == 0 {
		s.t.Errorf("%q did not fail:\n%s%s", script, r.Stdout, r.Stderr)
	}
	return r.Stdout + r.Stderr
}

// journal returns the end of what shisa and systemd said, for reports.
func (s *server) journal() string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := s.Sh(ctx, "journalctl -b --no-pager -o short-monotonic -n 40 -u shisad -u shisa-keeper -u shisa-shutdown")
	if err != nil {
		return tail(s.Console(), 30)
	}
	return out
}

// install installs the package of this tree with the configuration given.
func (s *server) install(config string) {
	s.t.Helper()
	s.sh("mkdir -p /etc/shisa; dpkg -i /mnt/old/shisa_*_amd64.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; exit 1; }")
	s.configure(config)
}

// configure puts a configuration in force.
func (s *server) configure(config string) {
	s.t.Helper()
	if err := s.WriteFile(s.t.Context(), configFile, []byte(config)); err != nil {
		s.t.Fatal(err)
	}
	s.sh("systemctl reload shisad.service")
}

// status asks the daemon; it reports false while there is no answer.
func (s *server) status() (api.Status, bool) {
	s.t.Helper()
	var v api.Status
	r, err := s.Run(s.t.Context(), "shisa", "status", "--json")
	if err != nil {
		s.t.Fatal(err)
	}
	return v, json.Unmarshal([]byte(r.Stdout), &v) == nil
}

// await waits until the daemon's status is as wanted.
func (s *server) await(what string, ok func(api.Status) bool) api.Status {
	s.t.Helper()
	for deadline := time.Now().Add(armWait); ; time.Sleep(pollEvery) {
		v, answered := s.status()
		if answered && ok(v) {
			return v
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %v for %q; protection: %s\n%s", armWait, what, v.Protection.Summary, s.journal())
		}
	}
}

// armed is what a protected server looks like.
func armed(v api.Status) bool {
	p := v.Protection
	return p.Primary != nil && p.Primary.Armed && p.Primary.Driver != "none" && p.Primary.Error == "" && p.Keeper.Holding == ""
}

func (s *server) awaitArmed() api.Status {
	s.t.Helper()
	return s.await("armed", armed)
}

// show returns one property of a unit.
func (s *server) show(unit, property string) string {
	s.t.Helper()
	return s.sh("systemctl show -p %s --value %s", property, unit)
}

// why waits for the daemon and returns what it says of the last boot.
func (s *server) why() why.Verdict {
	s.t.Helper()
	s.await("an answer", func(api.Status) bool { return true })
	var v api.Why
	if err := json.Unmarshal([]byte(s.sh("shisa why --json")), &v); err != nil || v.Boot == nil {
		s.t.Fatalf("shisa why --json: %v", err)
	}
	s.t.Logf("why: %s: %s", v.Boot.Cause, v.Boot.Summary)
	return *v.Boot
}

// calm watches the guest for a while, in which it must not be reset.
func (s *server) calm(d time.Duration) {
	s.t.Helper()
	before := s.Reboots()
	time.Sleep(d)
	if n := s.Reboots() - before; n != 0 {
		s.t.Fatalf("%d resets within %v of calm\n%s", n, d, tail(s.Console(), 20))
	}
}
