package simulate

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"shisa/ctl/config"
)

// rich is a configuration with some of everything.
func rich(t testing.TB, final byte) *config.Model {
	t.Helper()
	finals := onMachine()
	src := lines(protect, "[server]", set("maintenance", []string{"daily 12:00-12:30"}),
		"[reboot]", set("windows", []string{"daily 11:00-11:30", "mon 13:00-02:00"}), set("blocker_files", []string{"/run/backup"}), set("blocker_limit", "5m"), set("blocker_timeout", "20m"),
		"[limiter]", set("max", 2), set("calm", "0s"),
		group("back"), group("front", set("start_after", []string{"back"}), set("start_wait", "1m"), set("stop_after", []string{"back"}), set("stop_wait", "1m"),
			set("stop_after_when", []string{"service", "shutdown", "group"})),
		unitOf("back", "db", set("start_retry", 1), set("on_start_failure", "reboot"), set("before_final", "/etc/before")),
		unitOf("back", "log", set("depends_on", []string{}), set("on_stop_failure", "stop_group")),
		unitOf("front", "web", set("stop_retry", 1), set("on_stop_failure", "reset")),
		watcher("gateway", ""),
		watcher("db", "db", set("parents", []string{"gateway"})), recoveryOf(set("restarts", 2), set("scripts", 1), set("script", "/etc/s"), set("final_action", "stop_group")),
		watcher("web", "web", set("retry", 1)), recoveryOf(set("target", "group/front"), set("restarts", 1), set("before_final", "/etc/b"), set("final_action", string(finals[int(final)%len(finals)]))),
		watcher("all", "db"), recoveryOf(set("target", "groups"), set("restarts", 1), set("grace", "20s"), set("final_action", "stop_service")))
	m, problems := config.Parse([]byte(src), "f", "", testTypes())
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	return m
}

// happenings are what the fuzzer composes histories of.
var happenings = []string{
	"probe gateway failed", "probe gateway ok", "probe db failed", "probe db ok", "probe db timeout", "probe web failed", "probe web ok", "probe web blind",
	"probe web certain", "probe all failed", "probe all ok", "start group all", "stop group front", "stop group all", "start resource web", "stop resource db",
	"suspend db", "resume db", "suspend all", "resume all", "dummy web", "undummy all", "reset all", "stretch 3 2m", "unstretch", "store down", "store up",
	"fail start db", "fail stop web", "fail stop log", "fail script /etc/s", "fail blockers backup", "fail act reset", "mend all", "mend blockers",
	"take stop db 40s", "take start web 70s", "take script /etc/b 30s", "take blockers 10m", "service stop", "service reboot", "end",
	"reload observe", "reload protect", "reload suppress", "reload unsuppress",
}

// compose turns bytes into a history: each says what happens and, before it,
// how much time passes.
func compose(bytes []byte) string {
	var b strings.Builder
	b.WriteString("clock 2026-11-23 10:58:00\n0s boot clean\n")
	for i := 0; i+1 < len(bytes); i += 2 {
		fmt.Fprintf(&b, "+%ds %s\n", int(bytes[i+1])*int(bytes[i+1])/16, happenings[int(bytes[i])%len(happenings)])
	}
	b.WriteString("+3h end\n")
	return b.String()
}

// play plays the history that bytes compose, twice.
func play(t *testing.T, bytes []byte, final byte) {
	t.Helper()
	m, text := rich(t, final), compose(bytes)
	h, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	record := Run(m, h)
	for _, wrong := range invariants(m, record) {
		t.Errorf("%s\n%s\n%s", wrong, text, wrong)
	}
	if s := stopping(record); s != "" {
		t.Errorf("the service went on stopping for hours: %s\n%s", s, text)
	}
	if again := Run(m, h); fmt.Sprint(again) != fmt.Sprint(record) {
		t.Errorf("another record of the same history:\n%s", text)
	}
}

// stopping returns what began a stop of the service that came to no end; empty:
// none is under way.
func stopping(r Record) string {
	began := ""
	for _, e := range r {
		switch {
		case e.Kind == Event && strings.HasPrefix(e.Text, "service-stopping"):
			began = e.String()
		case e.Kind == Event && strings.HasPrefix(e.Text, "service-resumed"),
			e.Kind == Command && (strings.HasPrefix(e.Text, "act ") || strings.HasPrefix(e.Text, "end the service")):
			began = ""
		}
	}
	return began
}

// TestRandomHistories does the same as the fuzzer for histories without aim.
func TestRandomHistories(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range *histories {
		bytes := make([]byte, random.IntN(120))
		for i := range bytes {
			bytes[i] = byte(random.Uint32())
		}
		play(t, bytes, byte(random.Uint32()))
		if t.Failed() {
			return
		}
	}
}

var histories = flag.Int("histories", 500, "random histories to play")

// FuzzRun: whatever happens, what is decided keeps to the invariants, and the
// same history gives the same record.
func FuzzRun(f *testing.F) {
	f.Add([]byte{5, 40, 5, 40, 5, 40, 5, 40, 31, 0, 5, 40, 5, 200, 33, 9, 5, 40}, byte(1))
	f.Add([]byte{2, 40, 2, 40, 2, 40, 2, 40, 9, 10, 9, 10, 27, 0, 15, 3, 14, 9, 39, 1, 40, 90}, byte(2))
	f.Add([]byte{27, 0, 13, 9, 11, 200, 28, 9, 13, 9, 29, 0, 11, 9, 41, 255, 34, 0, 5, 1, 5, 1, 5, 1}, byte(9))
	f.Add([]byte{5, 40, 5, 40, 5, 40, 5, 200, 42, 9, 5, 40, 43, 90, 5, 40, 44, 9, 5, 40, 45, 9}, byte(3))
	f.Fuzz(func(t *testing.T, bytes []byte, final byte) {
		if len(bytes) > 200 {
			return
		}
		play(t, bytes, final)
	})
}

// FuzzParse: what is read can be played.
func FuzzParse(f *testing.F) {
	f.Add(compose([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}))
	f.Add("# nothing\n10s probe web failed \"a \\\"b\\\"\" x3 every 1s\n+1m boot unclean rescue unable \"x\" actions 3\n")
	m := rich(f, 0)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := Parse(text)
		if err != nil {
			if !strings.Contains(err.Error(), "line ") {
				t.Errorf("a mistake without its line: %v", err)
			}
			return
		}
		if len(h.steps) > 100 || h.steps[len(h.steps)-1].at > 24*time.Hour {
			return
		}
		Run(m, h)
	})
}
