package claims

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"shisa/ci/power"
	"shisa/ci/vm"
	"shisa/hwcompat"
)

// engines are the subjects that the engines of ci/power stand for.
var engines = map[string]hwcompat.Subject{
	"clpka": hwcompat.EngineCLPKA, "softdog": hwcompat.EngineSoftdog, "i6300esb": hwcompat.EngineWatchdog, "bmc": hwcompat.EngineIPMI,
}

// jobs are the subjects that the jobs of package bpf stand for.
var jobs = map[string]hwcompat.Subject{
	"process": hwcompat.WitnessExit, "tasks": hwcompat.WitnessStall, "block": hwcompat.WitnessBlock,
	"beats": hwcompat.WitnessTimer, "shutdown": hwcompat.WitnessStop,
}

// kernelLimit bounds all that is tried on one kernel.
const kernelLimit = 10 * time.Minute

func TestContradictions(t *testing.T) {
	claim := func(s hwcompat.Subject, state hwcompat.State) hwcompat.Claim {
		return hwcompat.Claim{Subjects: []hwcompat.Subject{s}, State: state, Evidence: "somebody said so"}
	}
	p := &hwcompat.Platform{ID: "p", Claims: []hwcompat.Claim{
		claim(hwcompat.EngineSoftdog, hwcompat.Works), claim(hwcompat.WitnessTimer, hwcompat.Unsupported),
	}}
	tests := []struct {
		name  string
		tried Tried
		want  []string
		free  []hwcompat.Subject
	}{
		{"nothing was tried", Tried{}, nil, nil},
		{"both as claimed", Tried{hwcompat.EngineSoftdog: "", hwcompat.WitnessTimer: "no helper"}, nil, nil},
		{"claimed support fails", Tried{hwcompat.EngineSoftdog: "never fired"},
			[]string{"p: engine/softdog is said to work (somebody said so), and does not: never fired"}, nil},
		{"claimed non-support works", Tried{hwcompat.WitnessTimer: ""},
			[]string{"p: ebpf/timer is said not to work (somebody said so), and works"}, nil},
		{"nobody claims it", Tried{hwcompat.WitnessExit: "", hwcompat.WitnessBlock: "refused"}, nil, []hwcompat.Subject{hwcompat.WitnessExit}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Contradictions(p, tt.tried); !slices.Equal(got, tt.want) {
				t.Errorf("contradictions %q, want %q", got, tt.want)
			}
			if got := Unclaimed(p, tt.tried); !slices.Equal(got, tt.free) {
				t.Errorf("unclaimed %q, want %q", got, tt.free)
			}
		})
	}
}

// TestClaims tries everything on every kernel, or on the one that SHISA_VM_KERNEL
// names.
func TestClaims(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	if err := vm.Available(); err != nil {
		t.Fatal(err)
	}
	matrix, err := hwcompat.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kernels(t) {
		t.Run(k.Name, func(t *testing.T) {
			rows := rowsOf(matrix, k)
			if len(rows) == 0 {
				t.Skipf("no row of the matrix is about %s", k.Release)
			}
			ctx, cancel := context.WithTimeout(t.Context(), kernelLimit)
			defer cancel()
			tried := try(ctx, t, k)
			for _, s := range hwcompat.Subjects() {
				if why, ok := tried[s]; ok && why == "" {
					t.Logf("%s: works", s)
				} else if ok {
					t.Logf("%s: does not work: %s", s, why)
				}
			}
			for _, p := range rows {
				for _, c := range Contradictions(p, tried) {
					t.Error(c)
				}
				if free := Unclaimed(p, tried); len(free) > 0 {
					t.Logf("%s: works and could be claimed: %v", p.ID, free)
				}
			}
		})
	}
}

func kernels(t *testing.T) []vm.Kernel {
	t.Helper()
	if name := os.Getenv("SHISA_VM_KERNEL"); name != "" {
		k, err := vm.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return []vm.Kernel{k}
	}
	all, err := vm.CachedKernels()
	if err != nil || len(all) == 0 {
		t.Fatalf("no kernels: %v", err)
	}
	return all
}

// rowsOf are the distribution's rows about the kernel, whose guests are Debian's.
func rowsOf(m *hwcompat.Matrix, k vm.Kernel) []*hwcompat.Platform {
	var rows []*hwcompat.Platform
	for i := range m.Platforms.Rows {
		p := &m.Platforms.Rows[i]
		if p.Fits(k.Release) && p.Distro == "debian" {
			rows = append(rows, p)
		}
	}
	return rows
}

// try tries the witnesses and the programs in one guest, and the engines by letting
// each reset one.
func try(ctx context.Context, t *testing.T, k vm.Kernel) Tried {
	t.Helper()
	tried := Tried{}
	g, err := vm.Start(ctx, vm.Config{Kernel: k, Binaries: map[string]string{
		"/usr/sbin/shisad": "./cmd/shisad", "/usr/sbin/shisa-keeper": "./cmd/shisa-keeper", "/usr/sbin/shisa": "./cmd/shisa",
		"/bin/probe": "./ci/claims/probe",
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var words map[string]string
	r, err := g.Run(ctx, "probe")
	if err == nil {
		err = json.Unmarshal([]byte(r.Stdout), &words)
	}
	if err != nil {
		t.Fatalf("probe: %v\n%s", err, r.Stderr)
	}
	for job, why := range words {
		s, ok := jobs[job]
		if !ok {
			t.Fatalf("job %s stands for no subject: mend the table", job)
		}
		tried[s] = why
	}
	tried[hwcompat.ControlPlane] = controlPlane(ctx, g)
	tryEngines(ctx, t, k, tried)
	return tried
}

// controlPlane starts the programs and says why they do not work, if they do not.
func controlPlane(ctx context.Context, g *vm.Guest) string {
	if _, err := g.Go("sh", "-c", "exec shisad -foreground >/run/shisad.log 2>&1"); err != nil {
		return err.Error()
	}
	last := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		r, err := g.Run(ctx, "shisa", "status", "--json")
		if err != nil {
			return err.Error()
		}
		var status struct {
			Protection struct {
				State  string `json:"state"`
				Keeper struct {
					State string `json:"state"`
				} `json:"keeper"`
			} `json:"protection"`
		}
		if err := json.Unmarshal([]byte(r.Stdout), &status); err != nil {
			last = r.Stderr
			continue
		}
		p := status.Protection
		if p.State == "observing" && p.Keeper.State == "running" {
			return ""
		}
		last = fmt.Sprintf("state %s, keeper %s", p.State, p.Keeper.State)
	}
	return "not running after a minute: " + last
}

func tryEngines(ctx context.Context, t *testing.T, k vm.Kernel, tried Tried) {
	t.Helper()
	cases, err := power.Matrix([]string{k.Name}, power.Choice{Faults: []string{"unfed"}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	report, err := power.Run(ctx, cases, &out, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Cases {
		s, ok := engines[r.Engine]
		if !ok {
			t.Fatalf("engine %s stands for no subject: mend the table", r.Engine)
		}
		tried[s] = r.Reason
	}
}
