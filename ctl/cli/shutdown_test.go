package cli

import (
	"strings"
	"testing"
	"time"

	"shisa/bpf/timeline"
	"shisa/ctl/api"
)

func TestWriteTimeline(t *testing.T) {
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	report := timeline.Analyse([]timeline.Mark{
		{At: at(100), Kind: timeline.Begin},
		{At: at(100.1), Kind: timeline.Signal, Arg: 15, PID: 7, Name: "web\x1b[2J"},
		{At: at(104.1), Kind: timeline.Signal, Arg: 9, PID: 7, Name: "web\x1b[2J"},
		{At: at(104.2), Kind: timeline.Exit, PID: 7, Name: "web"},
		{At: at(104.3), Kind: timeline.Reboot, Arg: 1},
		{At: at(104.4), Kind: timeline.DevicesBegin},
		{At: at(104.5), Kind: timeline.Device, Name: "slow.7", Driver: "slowdrv"},
		{At: at(108.5), Kind: timeline.Stuck, Arg: 4000, Name: "slow.7", Driver: "slowdrv"},
	})
	for _, locale := range []string{"C", "C.UTF-8"} {
		t.Run(locale, func(t *testing.T) {
			t.Setenv("LC_ALL", locale)
			var out strings.Builder
			a := app{out: &out}
			tl := api.NewTimeline("boot", report)
			a.writeWhy(api.Why{Subject: "shutdown", Summary: tl.Summary, Timeline: &tl})
			text := out.String()
			for _, want := range []string{"ignored SIGTERM, killed", "slow.7", "driver slowdrv", "ends in slow.7"} {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q", want)
				}
			}
			bars := strings.Contains(text, "█")
			if strings.Contains(text, "\x1b") || bars != (locale != "C") {
				t.Errorf("what is not text for this terminal: %q", text)
			}
			t.Log("\n" + text)
		})
	}
}
