package cpufreq

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is a /sys of two clocks.
func machine(t *testing.T, offered string) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range []string{"policy0", "policy2"} {
		dir := filepath.Join(root, "devices/system/cpu/cpufreq", p)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"scaling_available_governors": offered + "\n", "scaling_governor": "schedutil\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func TestSet(t *testing.T) {
	for _, c := range []struct {
		name, offered, mode, want, wantErr string
	}{
		{name: "high", offered: "performance powersave schedutil", mode: "high", want: "performance"},
		{name: "low", offered: "performance powersave schedutil", mode: "low", want: "powersave"},
		{name: "auto", offered: "performance ondemand powersave", mode: "auto", want: "ondemand"},
		{name: "auto of intel_pstate", offered: "performance powersave", mode: "auto", want: "powersave"},
		{name: "not offered", offered: "userspace", mode: "high", want: "schedutil", wantErr: "policy0 offers userspace, none of performance"},
		{name: "unknown", offered: "performance", mode: "fast", want: "schedutil", wantErr: "use high, low or auto"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := machine(t, c.offered)
			err := Set(root, c.mode)
			if c.wantErr == "" && err != nil || c.wantErr != "" && (err == nil || !strings.Contains(err.Error(), c.wantErr)) {
				t.Errorf("error %v, want %q", err, c.wantErr)
			}
			if got, err := Get(root); err != nil || !slices.Equal(got, []string{c.want}) {
				t.Errorf("governors %v (%v), want %s", got, err, c.want)
			}
		})
	}
}

func TestNone(t *testing.T) {
	if err := Set(t.TempDir(), "high"); !errors.Is(err, ErrNone) {
		t.Errorf("set: %v", err)
	}
	if _, err := Get(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("get: %v", err)
	}
}
