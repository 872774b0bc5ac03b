package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shisa/ctl/config"
	"shisa/ctl/recovery"
)

func parsed(t *testing.T, src string) *config.Model {
	t.Helper()
	m, problems := config.Parse([]byte(src), "f", "", testTypes())
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	return m
}

// TestMistakes: every mistake of a history is told with its line.
func TestMistakes(t *testing.T) {
	for line, want := range map[string]string{
		"nonsense":                        "no time",
		"-1s end":                         "no time",
		"1s":                              "nothing happens",
		"1s dance":                        "nothing that happens; there are boot, dummy",
		"clock today":                     "want clock",
		"1s boot warm":                    "want boot clean",
		"1s boot unable":                  "needs a value",
		"1s boot actions many":            "no number",
		"1s probe web":                    "want probe MONITOR",
		"1s probe web bad":                "want probe MONITOR",
		"1s probe web failed \"open":      "closing quote",
		"1s probe web failed x0 every 1s": "want a repetition",
		"1s probe web failed x2 every 0s": "want a repetition",
		"1s start shop":                   "want start group NAME",
		"1s stop all now":                 "want stop group NAME",
		"1s suspend":                      "want suspend MONITOR",
		"1s stretch 3":                    "want stretch RATIO TIME",
		"1s stretch 0 1m":                 "want stretch RATIO TIME",
		"1s stretch 3 -1m":                "want stretch RATIO TIME",
		"1s stretch 10001 1m":             "want stretch RATIO TIME",
		"1s store full":                   "want store down or up",
		"1s service":                      "want service stop",
		"1s service pause":                "want service stop",
		"1s fail":                         "an operation",
		"1s fail start db a b":            "in quotes",
		"1s mend start":                   "an operation",
		"1s take stop db":                 "want take OPERATION TIME",
		"1s take stop db soon":            "no time",
		"1s end now":                      "want end alone",
		"99999h end":                      "longer than",
	} {
		_, err := Parse("# a comment\n5ms end\n" + line + "\n")
		if err == nil || !strings.Contains(err.Error(), "line 3: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	if _, err := Parse("2s end\n1s end\n1s x\n"); err == nil || !strings.Contains(err.Error(), "line 2: ") || !strings.Contains(err.Error(), "line 3: ") {
		t.Errorf("not all mistakes at once: %v", err)
	}
}

// TestNames: what a history names must be in the configuration.
func TestNames(t *testing.T) {
	m := parsed(t, lines(protect, shop(), watcher("web", "web")))
	for line, want := range map[string]string{
		"probe wbe ok":               `there is no monitor "wbe"; did you mean "web"?`,
		"probe wbe ok x6 every 10s":  `there is no monitor "wbe"`,
		"suspend nobody":             `there is no monitor "nobody"`,
		"undummy nobody":             `there is no monitor "nobody"`,
		"reset nobody":               `there is no monitor "nobody"`,
		"start group shopp":          `there is no group "shopp"; did you mean "shop"?`,
		"stop resource nobody":       `there is no resource "nobody"`,
		"fail start nobody":          `there is no resource "nobody"`,
		"mend stop nobody":           `there is no resource "nobody"`,
		"take act explode 5s":        `there is no action "explode"`,
		"probe web ok":               "",
		"suspend all":                "",
		"reset limiter":              "",
		"stop group all":             "",
		"fail act reboot":            "",
		"fail blockers":              "",
		"take script /bin/before 3s": "",
	} {
		h, err := Parse("1s end\n2s " + line + "\n1h end\n")
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		got := ""
		if err := h.Check(m); err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || want != "" && !strings.HasPrefix(got, "line 2: "+want) || strings.Contains(got, "\n") {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestRecorded: what was recorded reads back, and leads to the decisions that
// the daemon took.
func TestRecorded(t *testing.T) {
	m := parsed(t, lines(protect, shop(), watcher("gateway", ""), watcher("web", "web", set("parents", []string{"gateway"})), recoveryOf(set("restarts", 1))))
	began := time.Date(2026, 11, 23, 11, 0, 0, 123456789, time.UTC)
	text := Recorded([]Look{
		{"gateway", began, "failed", "no answer"},
		{"web", began.Add(1500 * time.Millisecond), "failed", "refused # really \"so\"\n"},
		{"gateway", began.Add(3 * time.Second), "ok", ""},
		{"web", began.Add(3 * time.Second), "failed", "failed"},
	})
	h, err := Parse(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var reasons []string
	for _, e := range Run(m, h) {
		if e.Kind == Decision && e.Subject == "monitor/web" {
			reasons = append(reasons, e.Action+": "+e.Reason)
		}
	}
	want := []string{"none: monitor gateway, its parent, fails: one cause, one recovery", "restart: tolerated failures are used up"}
	if d := cmp.Diff(want, reasons); d != "" {
		t.Errorf("%s\n%s", d, text)
	}
}

// TestAhead: what follows is played to its end, from where recovery stands, and
// comes to an end for every policy.
func TestAhead(t *testing.T) {
	wall := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, config, recovery string
		from                   recovery.State
		want                   []string // actions decided
	}{
		{"from the beginning", "", recoveryOf(set("restarts", 2), set("backoff", "1m"), set("final_action", "stop_group")), recovery.State{},
			[]string{"restart", "restart", "stop_group"}},
		{"from the second restart", "", recoveryOf(set("restarts", 2), set("final_action", "stop_group")), recovery.State{Restarts: 1},
			[]string{"restart", "stop_group"}},
		{"nothing is left", "", recoveryOf(set("restarts", 1)), recovery.State{Restarts: 1, Exhausted: true}, nil},
		{"a reboot in its window", lines("[reboot]", set("windows", []string{"daily 02:00-03:00"})), recoveryOf(set("restarts", 0), set("final_action", "reboot")), recovery.State{},
			[]string{"reboot", "reboot"}}, // decided, and confirmed
		{"never a window", lines("[reboot]", set("windows", []string{"2020-01-01 00:00 to 2020-01-02 00:00"})), recoveryOf(set("restarts", 0), set("final_action", "reboot")), recovery.State{},
			[]string{"reboot"}},
	} {
		m := parsed(t, lines(protect, tt.config, shop(), watcher("web", "web"), tt.recovery))
		var got []string
		for _, e := range Ahead(m, "web", tt.from, wall) {
			if e.Kind == Decision && e.Action != "none" {
				got = append(got, e.Action)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	if r := Ahead(parsed(t, protect), "nobody", recovery.State{}, wall); r != nil {
		t.Errorf("of no monitor: %v", r)
	}
}
