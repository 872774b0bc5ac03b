package multi

import (
	"context"
	"testing"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
)

// healths are monitors by name.
type healths map[string]monitor.Health

func (h healths) Peer(name string) (monitor.Peer, bool) {
	v, ok := h[name]
	return monitor.Peer{Health: v, Probing: ok && v != monitor.Unknown}, ok
}

func (healths) WatchPeers(ctx context.Context, _ []string, _ func()) { <-ctx.Done() }

func TestType(t *testing.T) {
	env := monitor.Env{Name: "both", Peers: healths{
		"a": monitor.Healthy, "b": monitor.Healthy, "c": monitor.Broken, "d": monitor.Broken,
		"w": monitor.Warned, "r": monitor.Retrying, "x": monitor.Blind, "u": monitor.Unknown,
	}}
	of := func(names ...any) map[string]any { return map[string]any{"monitors": names} }
	with := func(m map[string]any, pairs ...string) map[string]any {
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "all well", Env: env, Params: of("a", "b"), Detail: "0 of 2"},
		{Name: "one of two, all decide", Env: env, Params: of("a", "c"), Detail: "1 of 2 monitors have failed: c"},
		{Name: "both of two", Env: env, Params: of("c", "d"), Want: monitor.Failed, Detail: "2 of 2 monitors have failed: c, d"},
		{Name: "a number", Env: env, Params: with(of("a", "b", "c"), "failed_at", "1"), Want: monitor.Failed},
		{Name: "half of three is two", Env: env, Params: with(of("a", "b", "c"), "failed_at", "50%"), Detail: "1 of 3"},
		{Name: "half of four", Env: env, Params: with(of("a", "b", "c", "d"), "failed_at", "50%"), Want: monitor.Failed},
		{Name: "one percent is one", Env: env, Params: with(of("a", "c"), "failed_at", "1%"), Want: monitor.Failed},
		{Name: "a failure is a warning", Env: env, Params: with(of("a", "c"), "warning_at", "1"), Want: monitor.Warning, Detail: "1 of 2"},
		{Name: "a warning is a warning", Env: env, Params: with(of("a", "w"), "warning_at", "1"), Want: monitor.Warning, Detail: "1 warn"},
		{Name: "a warning is no failure", Env: env, Params: with(of("a", "w"), "failed_at", "1")},
		{Name: "failure before warning", Env: env, Params: with(of("c", "w"), "failed_at", "1", "warning_at", "1"), Want: monitor.Failed},
		{Name: "retries are not used up", Env: env, Params: with(of("a", "r"), "failed_at", "1")},
		{Name: "blind, and it decides", Env: env, Params: with(of("c", "x"), "failed_at", "2"), NoLook: true, Detail: "1 cannot look; 2 decide"},
		{Name: "blind, and it does not", Env: env, Params: with(of("a", "b", "x"), "failed_at", "2")},
		{Name: "not probed", Env: env, Params: with(of("u"), "failed_at", "1"), Detail: "none of the monitors"},
		{Name: "the same twice counts once", Env: env, Params: of("c", "c"), Want: monitor.Failed, Detail: "1 of 1"},
		{Name: "nobody", Env: env, Params: of(), WantErr: "monitors: required"},
		{Name: "more than there are", Env: env, Params: with(of("a"), "failed_at", "2"), WantErr: "more than the 1 monitors"},
		{Name: "none at all", Env: env, Params: with(of("a"), "failed_at", "0"), WantErr: "no threshold"},
		{Name: "no number", Env: env, Params: with(of("a"), "failed_at", "most"), WantErr: "no threshold"},
		{Name: "too large a share", Env: env, Params: with(of("a"), "failed_at", "101%"), WantErr: "more than all"},
		{Name: "warning after failure", Env: env, Params: with(of("a", "b"), "failed_at", "1", "warning_at", "2"), WantErr: "never come first"},
	})
}
