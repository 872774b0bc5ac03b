package decide_test

import (
	"fmt"
	"testing"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/decide/decidetest"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// largest is as much as a configuration may hold, in a chain of groups.
func largest() *config.Model {
	m := model(config.Recovery{})
	m.Groups, m.Resources, m.Monitors = nil, nil, nil
	for i := range config.MaxGroups {
		g := config.Group{Name: fmt.Sprint("g", i), Auto: true, StartWait: time.Hour, StopWait: time.Hour, StopWhen: []string{"service"}}
		if i > 0 {
			g.StartAfter = []string{fmt.Sprint("g", i-1)}
		}
		if i < config.MaxGroups-1 {
			g.StopAfter = []string{fmt.Sprint("g", i+1)}
		}
		m.Groups = append(m.Groups, g)
	}
	for i := range config.MaxResources {
		m.Resources = append(m.Resources, config.Resource{Name: fmt.Sprint("r", i), Type: "exec", Group: fmt.Sprint("g", i%config.MaxGroups),
			Timing: resource.Timing{Start: time.Minute, Stop: time.Minute}})
	}
	for i := range config.MaxMonitors {
		target := fmt.Sprint("r", i%config.MaxResources)
		m.Monitors = append(m.Monitors, config.Monitor{Name: fmt.Sprint("m", i), When: monitor.WhileActive, Target: target,
			Timing:   monitor.Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second},
			Recovery: config.Recovery{Target: config.Ref{Kind: "resource", Name: target}, Policy: recovery.Policy{MaxRestart: 3}}})
	}
	return m
}

// TestLargest starts, probes, recovers and stops as much as is allowed.
func TestLargest(t *testing.T) {
	m := largest()
	w := decidetest.New(m)
	w.Input(decide.Boot{Clean: true})
	w.Run(time.Minute)
	if got := w.Count("start r"); got != config.MaxResources {
		t.Fatalf("%d resources were started, want %d", got, config.MaxResources)
	}
	for _, c := range m.Monitors {
		if !w.Probing(c.Name) {
			t.Fatalf("monitor %s is not probed", c.Name)
		}
		w.Probe(c.Name, ok)
	}
	for i := range config.MaxResources {
		w.Probe(fmt.Sprint("m", i), bad)
	}
	w.Run(time.Minute)
	if got := w.Count("stop r"); got < config.MaxResources {
		t.Errorf("%d resources were stopped to be started again, want each of %d", got, config.MaxResources)
	}
	w.Trace = nil
	w.Input(decide.StopService{Reason: "test"})
	w.Run(time.Minute)
	if got := w.Count("stop r"); got != config.MaxResources || w.Count("exit") != 1 {
		t.Errorf("%d resources were stopped, want %d; service ended: %d", got, config.MaxResources, w.Count("exit"))
	}
	for _, b := range w.Broken {
		t.Error(b)
	}
}

// TestLongGroup: one group may hold all resources that there may be, each of
// which needs those before it.
func TestLongGroup(t *testing.T) {
	m := model(config.Recovery{})
	m.Monitors, m.Resources = nil, nil
	for i := range config.MaxResources {
		m.Resources = append(m.Resources, config.Resource{Name: fmt.Sprint("r", i), Group: "g"})
	}
	w := decidetest.New(m)
	w.Input(decide.Boot{Clean: true})
	w.Run(time.Minute)
	for i, did := range w.Did("start r") {
		if did != fmt.Sprint("start r", i) {
			t.Fatalf("%d: %s", i, did)
		}
	}
	w.Trace = nil
	w.Input(decide.GroupWanted{Name: "g", By: "test"})
	w.Run(time.Minute)
	for i, did := range w.Did("stop r") {
		if did != fmt.Sprint("stop r", config.MaxResources-1-i) {
			t.Fatalf("%d: %s", i, did)
		}
	}
	if w.Count("start r")+w.Count("stop r") != config.MaxResources {
		t.Errorf("%d stops", w.Count("stop r"))
	}
}

func BenchmarkStartStopGroup500(b *testing.B) {
	m := model(config.Recovery{})
	m.Monitors, m.Resources = nil, nil
	for i := range 500 {
		m.Resources = append(m.Resources, config.Resource{Name: fmt.Sprint("r", i), Group: "g"})
	}
	for b.Loop() {
		w := decidetest.New(m)
		w.Input(decide.Boot{Clean: true})
		w.Run(time.Minute)
		w.Input(decide.GroupWanted{Name: "g", By: "test"})
		w.Run(time.Minute)
	}
}

func BenchmarkProbeLargest(b *testing.B) {
	m := largest()
	w := decide.New(m)
	w.Step(0, decide.Boot{Clean: true, Adopt: true, Durable: everything(m)})
	i := 0
	for b.Loop() {
		i++
		w.Step(time.Duration(i)*time.Microsecond, decide.Probed{Monitor: m.Monitors[i%len(m.Monitors)].Name, Outcome: ok})
	}
}

// everything is a state in which all runs.
func everything(m *config.Model) decide.Durable {
	d := decide.Durable{Groups: map[string]bool{}}
	for _, g := range m.Groups {
		d.Groups[g.Name] = true
	}
	for _, r := range m.Resources {
		d.Online = append(d.Online, r.Name)
	}
	return d
}
