package timeline

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// slow is a restart in which a database ignores SIGTERM and a driver is slow.
var slow = []Mark{
	{At: ms(100_000), Kind: Begin},
	{At: ms(100_010), Kind: Signal, Arg: 15, PID: 210, From: 1, Name: "sshd"},
	{At: ms(100_010), Kind: Signal, Arg: 15, PID: 300, From: 1, Name: "mysqld"},
	{At: ms(100_030), Kind: Exit, PID: 210, Name: "sshd"},
	{At: ms(105_010), Kind: Signal, Arg: 9, PID: 300, From: 1, Name: "mysqld"},
	{At: ms(105_200), Kind: Exit, Arg: 9, PID: 300, Name: "mysqld"},
	{At: ms(105_300), Kind: SyncBegin, PID: 1, Name: "systemd"},
	{At: ms(106_800), Kind: SyncEnd, PID: 1, Name: "systemd"},
	{At: ms(106_900), Kind: Reboot, Arg: 1, PID: 1, Name: "systemd"},
	{At: ms(106_910), Kind: DevicesBegin, PID: 1, Name: "systemd"},
	{At: ms(106_911), Kind: Device, Name: "0000:00:1f.2", Driver: "ahci"},
	{At: ms(106_950), Kind: Device, Name: "slowdrv.7", Driver: "slowdrv"},
	{At: ms(107_450), Kind: Stuck, Arg: 500, Name: "slowdrv.7", Driver: "slowdrv"},
	{At: ms(108_950), Kind: Device, Name: "cpu0"},
	{At: ms(108_951), Kind: DevicesEnd, PID: 1, Name: "systemd"},
}

func TestAnalyse(t *testing.T) {
	got := Analyse(slow)
	if got.Total != ms(8951) || got.Request != "restart" || got.Asked != ms(6900) || got.Devices != ms(2041) || !got.Done {
		t.Errorf("got %+v", got)
	}
	want := []Span{
		{Process, "mysqld[300]", "ignored SIGTERM, killed", ms(10), ms(5200), false},
		{Hardware, "slowdrv.7", "driver slowdrv", ms(6950), ms(8950), false},
		{Sync, "sync", "called by systemd[1]", ms(5300), ms(6800), false},
	}
	if diff := cmp.Diff(want, got.Spans[:3]); diff != "" {
		t.Error(diff)
	}
	if len(got.Spans) != 6 {
		t.Errorf("got %d spans", len(got.Spans))
	}
}

func TestAnalyseOrderDoesNotMatter(t *testing.T) {
	shuffled := slices.Clone(slow)
	slices.Reverse(shuffled[2:9])
	if diff := cmp.Diff(Analyse(slow), Analyse(shuffled)); diff != "" {
		t.Error(diff)
	}
}

func TestAnalyseUnfinished(t *testing.T) {
	for name, c := range map[string]struct {
		marks []Mark
		ends  string
	}{
		"in a device":  {slow[:13], "slowdrv.7 (driver slowdrv)"},
		"in sync":      {append(slices.Clone(slow[:7]), Mark{At: ms(120_000), Kind: Exit, PID: 9}), "sync (called by systemd[1])"},
		"in a process": {slow[:5], "mysqld[300] (ignored SIGTERM, killed)"},
		"nowhere":      {slow, ""},
		"empty":        {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Analyse(c.marks).stuck(); got != c.ends {
				t.Errorf("got %q, want %q", got, c.ends)
			}
		})
	}
}

func TestRender(t *testing.T) {
	for name, c := range map[string]struct {
		marks   []Mark
		options Options
	}{
		"wide":   {slow, Options{Width: 100}},
		"ascii":  {slow, Options{Width: 80, ASCII: true, Least: ms(100)}},
		"narrow": {slow, Options{Width: 40, Top: 2}},
		"stuck":  {slow[:13], Options{Width: 100, Top: 3}},
		"empty":  {nil, Options{Width: 80}},
		"hostile": {[]Mark{
			{Kind: Signal, Arg: 15, PID: 1, Name: "\x1b[2J\u009b\xff" + strings.Repeat("é", 40)},
			{At: 1, Kind: Exit, PID: 1}}, Options{Width: 80}},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := Analyse(c.marks).Render(&b, c.options); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (go test -update writes it):\n%s", path, diff)
			}
		})
	}
}

func TestTextRoundTrip(t *testing.T) {
	for _, m := range append(slices.Clone(slow), Mark{At: ms(1), Kind: Stuck, Arg: -1, Name: "a \"b\"\n\xff", Driver: " "}) {
		got, err := Parse("<4>[   12.345678] " + m.Text())
		if err != nil || got != m {
			t.Errorf("got %+v, %v, want %+v", got, err, m)
		}
	}
}

// TestParseKernel reads the line of bpf/src/shutdown.bpf.c, as the kernel's log has it.
func TestParseKernel(t *testing.T) {
	got, err := Parse("<6>[   11.328413] bpf_trace_printk: shisa-shutdown: 11328394561 561 stuck \"0000:00:04.0\" \"\"")
	if want := (Mark{At: 11328394 * time.Microsecond, Kind: Stuck, Arg: 561, Name: "0000:00:04.0"}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"1", "1 2", "1 2 stuck", "-1 2 stuck \"a\" \"b\"", "1 2 3 \"a\" \"b\"", "1 2 stuck \"a", "9223372036854775808 2 stuck \"a\" \"b\""} {
		if got, err := Parse("shisa-shutdown: " + bad); err == nil {
			t.Errorf("%s: got %+v", bad, got)
		}
	}
}

// TestAnalyseWithoutTurns has lost the marks of the devices' turns, but not those of what is stuck.
func TestAnalyseWithoutTurns(t *testing.T) {
	marks := slices.DeleteFunc(slices.Clone(slow[:13]), func(m Mark) bool { return m.Kind >= Reboot && m.Kind <= Device })
	got := Analyse(marks)
	want := Span{Hardware, "slowdrv.7", "driver slowdrv", ms(6950), ms(7450), true}
	if !slices.Contains(got.Spans, want) {
		t.Errorf("got %+v", got.Spans)
	}
	const summary = "shutdown took 7.450 s: 6.950 s until the kernel was asked to go down, then 0.500 s in devices, " +
		"where the record ends; it ends in slowdrv.7 (driver slowdrv)"
	if got := got.Summary(); got != summary {
		t.Errorf("got %s", got)
	}
}

func TestParseAll(t *testing.T) {
	log := "boot\n<4>[1.0] " + slow[0].Text() + "\nother\n" + slow[1].Text() + "\r\n" + slow[2].Text()[:40]
	marks, damaged := ParseAll(log)
	if !slices.Equal(marks, slow[:2]) || damaged != 1 {
		t.Errorf("got %+v and %d damaged", marks, damaged)
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range slow {
		f.Add(m.Text())
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, err := Parse(line)
		if err != nil {
			return
		}
		if again, err := Parse(m.Text()); err != nil || again != m {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
		var b strings.Builder
		_ = Analyse([]Mark{m}).Render(&b, Options{Width: 80})
	})
}
