package stall

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestTracker(t *testing.T) {
	const s = time.Second
	limits := Limits{Blocked: 2 * s, Starved: 2 * s, Hog: 2 * s}
	blocked := func(at time.Duration, switches uint64) Sample {
		return Sample{TID: 1, Start: 1, At: at, Blocked: true, Switches: switches}
	}
	running := func(at, runtime time.Duration) Sample {
		return Sample{TID: 1, Start: 1, At: at, OnCPU: true, Runtime: runtime, Switches: 5}
	}
	queued := func(at, runtime, waiting time.Duration) Sample {
		return Sample{TID: 1, Start: 1, At: at, Runtime: runtime, Waiting: waiting, Switches: 5}
	}
	other := func(sample Sample) Sample { sample.Start = 2; return sample }
	for name, c := range map[string]struct {
		scans []Sample // one each; the verdict is of the last
		want  Kind     // 0: not stalled
		lasts time.Duration
	}{
		"blocked":                          {[]Sample{blocked(0, 5), blocked(s, 5), blocked(2*s, 5)}, Blocked, 2 * s},
		"blocked again and again":          {[]Sample{blocked(0, 5), blocked(s, 6), blocked(2*s, 7)}, 0, 0},
		"blocked, not long enough":         {[]Sample{blocked(0, 5), blocked(s, 5)}, 0, 0},
		"another process of this number":   {[]Sample{blocked(0, 5), blocked(s, 5), other(blocked(2*s, 5))}, 0, 0},
		"blocked after running":            {[]Sample{running(0, 0), running(s, s), blocked(2*s, 5)}, 0, 0},
		"hog":                              {[]Sample{running(0, 0), running(s, s), running(2*s, 2*s)}, Hog, 2 * s},
		"hog at the end of a slice":        {[]Sample{running(0, 0), running(s, s), queued(2*s, 2*s, s/100)}, Hog, 2 * s},
		"hog with a hiccup":                {[]Sample{running(0, 0), running(s, s), running(2*s, 2*s), running(2*s+s/10, 2*s+s/15)}, Hog, 2*s + s/10},
		"hog, looked at between two ticks": {[]Sample{running(0, 0), running(s, s), running(s+s/100, s), running(2*s, 2*s)}, Hog, 2 * s},
		"hog on a CPU without ticks":       {[]Sample{running(0, 0), running(s, 3*s/5), running(2*s, 2*s), running(3*s, 13*s/5), running(4*s, 4*s)}, Hog, 4 * s},
		"hog that is throttled":            {[]Sample{running(0, 0), running(s, 3*s/4), running(2*s, 17*s/10), running(3*s, 27*s/10)}, Hog, 3 * s},
		"three quarters of a CPU":          {[]Sample{running(0, 0), running(s, 3*s/4), running(2*s, 3*s/2), running(3*s, 9*s/4), running(4*s, 3*s), running(5*s, 15*s/4)}, 0, 0},
		"hog no more":                      {[]Sample{running(0, 0), running(s, s), running(2*s, 2*s), running(3*s, 2*s+s/5)}, 0, 0},
		"half a CPU":                       {[]Sample{running(0, 0), running(s, s/2), running(2*s, s)}, 0, 0},
		"starved, first sight":             {[]Sample{queued(0, 0, 3*s)}, Starved, 3 * s},
		"starved, wait not known":          {[]Sample{queued(0, s, 0), queued(s, s, 0), queued(2*s, s, 0)}, Starved, 2 * s},
		"waits, but gets its turn":         {[]Sample{queued(0, s, s/2), queued(s, s+s/10, s/2), queued(2*s, s+s/5, s/2)}, 0, 0},
		"hog that is starved":              {[]Sample{running(0, 0), running(2*s, 2*s), queued(3*s, 2*s, s), queued(5*s, 2*s, 3*s)}, Starved, 3 * s},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tracker{limits: limits}
			var got []Task
			for _, sample := range c.scans {
				got = tr.update([]Sample{sample})
			}
			switch {
			case c.want == 0 && len(got) != 0:
				t.Errorf("got %v for %v", got[0].Kind, got[0].For)
			case c.want != 0 && (len(got) != 1 || got[0].Kind != c.want || got[0].For != c.lasts):
				t.Errorf("got %+v, want %v for %v", got, c.want, c.lasts)
			}
		})
	}
}

func TestTrackerForgetsTheDead(t *testing.T) {
	var tr tracker
	for i := range 100 {
		tr.update([]Sample{{TID: i, Blocked: true}})
	}
	if len(tr.seen) != 1 {
		t.Errorf("remembers %d tasks", len(tr.seen))
	}
}

func TestZeroLimitIsOff(t *testing.T) {
	tr := tracker{}
	tr.update([]Sample{{TID: 1, Blocked: true}})
	if got := tr.update([]Sample{{TID: 1, Blocked: true, At: time.Hour}}); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestByCgroup(t *testing.T) {
	got := ByCgroup([]Task{
		{Sample: Sample{Cgroup: 7}, Kind: Blocked, For: 1},
		{Sample: Sample{Cgroup: 8}, Kind: Hog, For: 9},
		{Sample: Sample{Cgroup: 7}, Kind: Starved, For: 3},
	})
	want := []CgroupLoad{{Cgroup: 8, Hogs: 1, Longest: 9}, {Cgroup: 7, Blocked: 1, Starved: 1, Longest: 3}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestResolve(t *testing.T) {
	const kallsyms = `ffffffff81000000 T _stext
ffffffff81000100 t helper
ffffffff81000180 d data
ffffffffc0000000 t slow_probe	[slow]
0000000000000000 T hidden
`
	got := resolve(strings.NewReader(kallsyms), []uint64{0xffffffff81000010, 0xffffffff81000190, 0xffffffffc0000004, 0x1000})
	want := map[uint64]string{
		0xffffffff81000010: "_stext+0x10",
		0xffffffff81000190: "helper+0x90",
		0xffffffffc0000004: "slow_probe+0x4 [slow]",
	}
	for address, name := range want {
		if got[address] != name {
			t.Errorf("0x%x: got %q, want %q", address, got[address], name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
}

func TestParseStat(t *testing.T) {
	tail := " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 20 16 1 18 4242 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 1 39"
	for name, c := range map[string]struct {
		line string
		want Sample
		ok   bool
	}{
		"blocked":  {"5 (a) b) D" + tail, Sample{Comm: "a) b", Blocked: true, Start: 4242, Priority: 120, Policy: 1}, true},
		"runnable": {"5 (a) R" + tail, Sample{Comm: "a", Start: 4242, Priority: 120, Policy: 1}, true},
		"asleep":   {"5 (a) S" + tail, Sample{}, false},
		"cut":      {"5 (a) D 1 2", Sample{}, false},
		"no name":  {"5", Sample{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got Sample
			ok := parseStat([]byte(c.line), &got)
			if ok != c.ok || ok && (got.Comm != c.want.Comm || got.Blocked != c.want.Blocked || got.Start != c.want.Start ||
				got.Priority != c.want.Priority || got.Policy != c.want.Policy) {
				t.Errorf("got %+v, %v, want %+v", got, ok, c.want)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	if got := switches([]byte("Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n")); got != 15 {
		t.Errorf("got %d switches", got)
	}
	if got := stackText("[<0>] io_schedule+0x46/0x80\n[<0>] wait\n"); !slices.Equal(got, []string{"io_schedule+0x46/0x80", "wait"}) {
		t.Errorf("got %q", got)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("5 (a) D 1 2 3"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var s Sample
		parseStat(line, &s)
	})
}
