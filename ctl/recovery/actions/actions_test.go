package actions

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"shisa/ctl/recovery"
)

// fixture is a machine below a temporary directory: nothing here can reach the
// real one.
func fixture(t *testing.T, files map[string]string) *Machine {
	t.Helper()
	root := t.TempDir()
	files["/proc/sysrq-trigger"] = ""
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &Machine{Root: root}
}

func (m *Machine) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(m.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBrake(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"none", map[string]string{"/proc/cmdline": "quiet shisa.observed"}, ""},
		{"file", map[string]string{BrakeFile: ""}, "observe-only exists"},
		{"kernel command line", map[string]string{"/proc/cmdline": "quiet shisa.observe\n"}, "kernel command line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := fixture(t, tt.files)
			got := m.Brake()
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Fatalf("brake is %q, want %q", got, tt.want)
			}
			err := m.Do(t.Context(), recovery.Panic)
			if errors.Is(err, ErrBrake) != (tt.want != "") {
				t.Errorf("acted with the brake %q: %v", tt.want, err)
			}
			if acted := m.read(t, "/proc/sysrq-trigger") != ""; acted != (tt.want == "") {
				t.Errorf("sysrq triggered: %v", acted)
			}
		})
	}
}

func TestContainerCannotBeTakenDown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		acts  bool
	}{
		{"podman", map[string]string{"/run/.containerenv": ""}, false},
		{"systemd's mark", map[string]string{"/run/systemd/container": "lxc\n", "/proc/2/comm": "kthreadd\n"}, false},
		{"lxc without systemd", map[string]string{"/proc/1/environ": "TERM=linux\x00container=lxc\x00"}, false},
		{"docker that sees the host's processes", map[string]string{"/.dockerenv": "", "/proc/2/comm": "kthreadd\n", "/proc/1/root/host": ""}, false},
		{"a disk made of an image", map[string]string{"/.dockerenv": "", "/proc/2/comm": "kthreadd\n"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := fixture(t, tt.files)
			err := m.Do(t.Context(), recovery.Panic)
			if acted := m.read(t, "/proc/sysrq-trigger") != ""; acted != tt.acts || acted != (err == nil) {
				t.Errorf("acted %v: %v", acted, err)
			}
			if m.Brake() != "" {
				t.Errorf("a container is no brake: services in it are recovered")
			}
		})
	}
}

func TestPanicSetsTimeToReset(t *testing.T) {
	for text, want := range map[string]string{"0\n": "10", "5\n": "5\n"} {
		m := fixture(t, map[string]string{"/proc/sys/kernel/panic": text})
		if err := m.Do(t.Context(), recovery.Panic); err != nil {
			t.Fatal(err)
		}
		if got := m.read(t, "/proc/sys/kernel/panic"); got != want {
			t.Errorf("kernel.panic %q became %q, want %q", text, got, want)
		}
		if got := m.read(t, "/proc/sysrq-trigger"); got != "c" {
			t.Errorf("sysrq got %q, want c", got)
		}
	}
}

func TestResetFallsBackToSyscall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fixture(t, map[string]string{})
		called := false
		m.Syscall = func(int) error { called = true; return errors.New("not permitted") }
		err := m.Do(t.Context(), recovery.Reset)
		if err == nil || !strings.Contains(err.Error(), "reboot(2): not permitted") || !called {
			t.Errorf("got %v, called %v", err, called)
		}
		if got := m.read(t, "/proc/sysrq-trigger"); got != "b" {
			t.Errorf("sysrq got %q, want b", got)
		}
	})
}

type recorder struct{ did []string }

func (r *recorder) Reboot(context.Context) error   { r.did = append(r.did, "reboot"); return nil }
func (r *recorder) PowerOff(context.Context) error { r.did = append(r.did, "poweroff"); return nil }
func (r *recorder) Chassis(_ context.Context, a recovery.Action) error {
	r.did = append(r.did, string(a))
	return nil
}
func (r *recorder) Fire(_ context.Context, a recovery.Action) error {
	r.did = append(r.did, string(a))
	return nil
}

// TestEveryFinalActionHasMeans: whatever a configuration may name is either
// carried out or answered with what is missing.
func TestEveryFinalActionHasMeans(t *testing.T) {
	for _, a := range recovery.FinalActions() {
		if !a.OnMachine() || a == recovery.Reset || a == recovery.Panic {
			continue
		}
		r := new(recorder)
		m := fixture(t, map[string]string{})
		if err := m.Do(t.Context(), a); err == nil {
			t.Errorf("%s without means: no error", a)
		}
		m.Init, m.BMC, m.Countdown = r, r, r
		if err := m.Do(t.Context(), a); err != nil || len(r.did) != 1 {
			t.Errorf("%s: did %v, %v", a, r.did, err)
		}
	}
}
