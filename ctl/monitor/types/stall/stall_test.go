package stall

import (
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
)

func TestType(t *testing.T) {
	const limit = 90 * time.Second
	calm := monitor.Beat{Name: "scheduler", Age: 200 * time.Millisecond, Limit: limit, MaxDelay: 3 * time.Second}
	beat := func(age time.Duration) monitor.Beat {
		return monitor.Beat{Name: "decisions", Age: age, Limit: limit, MaxDelay: age}
	}
	protection := func(change func(*monitor.Stall), beats ...monitor.Beat) monitor.Env {
		s := monitor.Stall{Enabled: true, Timeout: limit, WarnPercent: 80, Beats: beats}
		if change != nil {
			change(&s)
		}
		return monitor.Env{Name: "userw", Stall: func() monitor.Stall { return s }}
	}
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "fresh", Env: protection(nil, calm, beat(time.Second)), Detail: "2 loops make progress; decisions was last seen 1s ago (limit 1m30s); largest delay 3s (scheduler)"},
		{Name: "late", Env: protection(nil, calm, beat(72*time.Second)), Want: monitor.Warning, Detail: "decisions is late: 1m12s of 1m30s"},
		{Name: "just not late", Env: protection(nil, calm, beat(71*time.Second))},
		{Name: "missing", Env: protection(nil, beat(limit), calm), Want: monitor.Failed, Detail: "decisions makes no progress since 1m30s"},
		{Name: "a shorter limit counts more", Env: protection(nil, beat(60*time.Second), monitor.Beat{Name: "api", Age: 9 * time.Second, Limit: 10 * time.Second}),
			Want: monitor.Warning, Detail: "api is late"},
		{Name: "only measured", Env: protection(func(s *monitor.Stall) { s.WarnPercent = 0 }, beat(80*time.Second))},
		{Name: "off", Env: protection(func(s *monitor.Stall) { s.Enabled = false }), Want: monitor.Warning, Detail: "stall.enabled is false"},
		{Name: "nothing would act", Env: protection(func(s *monitor.Stall) { s.Unprotected = "No countdown guards this machine." }, calm),
			Want: monitor.Warning, Detail: "No countdown"},
		{Name: "not measured yet", Env: protection(nil), NoLook: true, Detail: "yet"},
		{Name: "no protection", WantErr: "no stall protection"},
	})
}
