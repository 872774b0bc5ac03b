package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Hostile files are refused before they cost much, and a flood of problems is
// cut without making a configuration look usable.
func TestFloods(t *testing.T) {
	var keys, monitors strings.Builder
	for i := range keyLimit + 1 {
		fmt.Fprintf(&keys, "k%d = 1\n", i)
	}
	for i := range 3000 {
		fmt.Fprintf(&monitors, "[[monitor]]\nname = \"m%d\"\ntype = \"http\"\nurl = \"u\"\npassword = \"literal\"\nrecovery.script = \"/s\"\n", i)
	}
	excess := "nested deeper than 32, or more than 1000 keys in one table; no table of this format is"
	for _, tt := range []struct {
		name, src string
		n         int
		last      string
	}{
		{"nested", "a = " + strings.Repeat("[", SizeLimit-10), 1, "f:1: " + excess},
		{"nested tables", "a = " + strings.Repeat("{a=", SizeLimit/4), 1, "f:1: " + excess},
		{"dotted", strings.Repeat("a.", SizeLimit/2-10) + "a = 1", 1, "f:1: " + excess},
		{"header", "[" + strings.Repeat("a.", SizeLimit/2-10) + "a]", 1, "f:1: " + excess},
		{"keys", keys.String(), 1, fmt.Sprintf("f:%d: %s", keyLimit+1, excess)},
		{"warnings", monitors.String(), ProblemLimit + 1, "warning: there are 5000 more problems; mend these first"},
		{"an error among warnings", monitors.String() + "[[monitor]]\n", ProblemLimit + 3, "warning: there are 5000 more problems; mend these first"},
	} {
		m, problems := Parse([]byte(tt.src), "f", "", fakes())
		if len(problems) != tt.n || !strings.HasSuffix(problems[len(problems)-1].String(), tt.last) {
			t.Errorf("%s: %d problems, the last %v", tt.name, len(problems), problems[len(problems)-1])
		}
		if (m != nil) != (tt.name == "warnings") {
			t.Errorf("%s: model %v", tt.name, m != nil)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, src := range goodFiles(f) {
		f.Add([]byte(src))
	}
	paths, _ := filepath.Glob("testdata/broken/*.txtar")
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src[strings.Index(string(src), "-- shisa.toml --\n")+len("-- shisa.toml --\n"):])
	}
	reg := fakes()
	f.Fuzz(func(t *testing.T, src []byte) {
		m, problems := Parse(src, "f", "", reg)
		if (m == nil) != (problems.Err() != nil) {
			t.Fatalf("model %v with problems %v", m, problems)
		}
		lines := 1 + strings.Count(string(src), "\n")
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Text == "" {
				t.Fatalf("%+v of %d lines", p, lines)
			}
		}
		if m == nil {
			return
		}
		var b strings.Builder
		if err := m.WriteTOML(&b); err != nil {
			t.Fatal(err)
		}
		back, problems := Parse([]byte(b.String()), "f", "", reg)
		if problems.Err() != nil {
			t.Fatalf("what is shown is wrong: %v\n%s", problems.Err(), b.String())
		}
		if d := sameMeaning(m, back); d != "" && !strings.Contains(b.String(), masked) {
			t.Fatalf("read back (-shown +read):\n%s", d)
		}
	})
}

// many returns a configuration with as much of everything as is allowed.
func many() []byte {
	var b strings.Builder
	for i := range MaxGroups {
		fmt.Fprintf(&b, "[[group]]\nname = \"g%d\"\n", i)
		if i > 0 {
			fmt.Fprintf(&b, "start_after = [\"g%d\"]\n", i-1)
		}
	}
	for i := range MaxResources {
		fmt.Fprintf(&b, "[[resource]]\nname = \"r%d\"\ntype = \"systemd\"\ngroup = \"g%d\"\nunit = \"u%d.service\"\nstart_timeout = \"2m\"\n", i, i%MaxGroups, i)
	}
	for i := range MaxMonitors {
		fmt.Fprintf(&b, "[[monitor]]\nname = \"m%d\"\ntype = \"tcp\"\ntarget = \"r%d\"\nwhen = \"active\"\ninterval = \"10s\"\ntimeout = \"5s\"\nretry = 2\nhost = \"127.0.0.1\"\nport = 80\n[monitor.recovery]\nrestarts = 2\nfinal_action = \"reboot\"\n", i, i%MaxResources)
	}
	return []byte(b.String())
}

func BenchmarkParseLargest(b *testing.B) {
	src, reg := many(), fakes()
	b.SetBytes(int64(len(src)))
	start := cpu(b)
	for b.Loop() {
		if _, problems := Parse(src, "f", "", reg); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
	b.ReportMetric(float64((cpu(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// cpu returns the processor time that this process has used, which says more
// than a clock on a busy machine.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkDiffLargest(b *testing.B) {
	src, reg := many(), fakes()
	old, _ := Parse(src, "f", "", reg)
	for b.Loop() {
		b.StopTimer()
		new, _ := Parse(src, "f", "", reg)
		new.Monitors[7].Timing.Interval += time.Second
		b.StartTimer()
		if plan := Diff(old, new); len(plan.Steps) != 1 {
			b.Fatal(plan)
		}
	}
}

func BenchmarkWriteLargest(b *testing.B) {
	m, _ := Parse(many(), "f", "", fakes())
	start := cpu(b)
	for b.Loop() {
		if err := m.WriteTOML(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op")
}
