package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTimerLateness(t *testing.T) {
	const fired = "[ 7.1] clpka: FIRED countdown=main action=reset reason=timeout timeout_ms=3000 late_us="
	for _, c := range []struct {
		console string
		want    time.Duration
	}{
		{"", -1},
		{"clpka: timeout 60000 ms, action reset\n", -1},
		{fired + "68\n[ 7.2] clpka: last ping 3000 ms ago\n", 68 * time.Microsecond},
		{fired + "68\nbooting again\n" + fired + "4300\n", 4300 * time.Microsecond},
		{strings.Replace(fired, "=timeout", "=beat", 1) + "0\n", -1},
	} {
		if got := timerLateness(c.console); got != c.want {
			t.Errorf("%q: %v, want %v", c.console, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	r := report{out: &out}
	r.add(row{kernel: "6.1", engine: "clpka", fault: "none", seen: "RESET guest-reset", fired: true, lateness: 3 * time.Millisecond, timer: 500 * time.Microsecond})
	r.add(row{kernel: "6.1", engine: "softdog", fault: "none", seen: "RESET guest-reset", fired: true, lateness: 9 * time.Millisecond, timer: -1})
	r.add(row{kernel: "6.1", engine: "clpka", fault: "api", seen: "-", timer: -1, err: errors.New("no such call")})
	r.add(row{kernel: "6.1", engine: "clpka", fault: "lateness", timer: -1, samples: samples{"reset": {3e6, 1e6, 2e6}}})
	r.close()
	want := `pass 6.1 clpka none RESET/guest-reset lateness_ms=3.0 timer_ms=0.5
pass 6.1 softdog none RESET/guest-reset lateness_ms=9.0
fail 6.1 clpka api -
     no such call
pass 6.1 clpka lateness 
lateness of the action, by the hypervisor's clock, all cases: min 3.0, median 3.0, p90 3.0, max 3.0 ms of 1
lateness of the reset: min 1.0, median 2.0, p90 2.0, max 3.0 ms of 3
lateness of the timer, by the module's clock: min 0.5, median 0.5, p90 0.5, max 0.5 ms of 1
3 passed, 1 failed
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
