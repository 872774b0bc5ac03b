package config

import (
	"context"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/resource"
)

// fakes is a registry with one type for each kind of parameter that matters
// to this package.
func fakes() Registry {
	return NewRegistry([]monitor.Type{fakeTCP(), fakeProcess(), fakePID(), fakeHTTP()}, []resource.Type{fakeExec(), fakeUnit()})
}

type nothing struct{}

func (nothing) Probe(context.Context) (monitor.Finding, error)      { return monitor.Finding{}, nil }
func (nothing) Start(context.Context, resource.Request) error       { return nil }
func (nothing) Stop(context.Context, resource.Request) error        { return nil }
func newMonitor[P any](P, monitor.Env) (monitor.Prober, error)      { return nothing{}, nil }
func newResource[P any](P, resource.Env) (resource.Resource, error) { return nothing{}, nil }

type tcpParams struct {
	Host string
	Port int
}

func fakeTCP() monitor.Type {
	return monitor.Define(monitor.Spec[tcpParams]{
		Name: "tcp", Alias: "tcpw", Title: "TCP port", Doc: "Connects to a TCP port. Nothing is sent.",
		Timing: monitor.Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second, Retry: 1},
		Params: func(p *tcpParams, s *param.Set) {
			s.String(&p.Host, "host", "localhost", "Name or address.")
			s.Int(&p.Port, "port", 0, 1, 65535, "", "TCP port.").Required()
		},
		New: newMonitor[tcpParams], Example: map[string]any{"port": int64(80)},
	})
}

type processParams struct {
	Pattern string
	Count   int
	Names   []string
	Load    float64
	Size    int64
	Any     bool
	Order   string
	Grace   time.Duration
}

func fakeProcess() monitor.Type {
	return monitor.Define(monitor.Spec[processParams]{
		Name: "process", Alias: "psw", Title: "Process", Doc: "Counts processes.",
		Timing: monitor.Timing{Interval: 30 * time.Second, Timeout: 60 * time.Second},
		Params: func(p *processParams, s *param.Set) {
			s.String(&p.Pattern, "pattern", "", "Regular expression for the command line.").Required()
			s.Int(&p.Count, "min_count", 1, 1, 999, "processes", "How many there must be.")
			s.Strings(&p.Names, "users", nil, "Users whose processes count.")
			s.Float(&p.Load, "load", 0.5, 0, 1, "", "A ratio.")
			s.Size(&p.Size, "max_size", 1<<30, 1, 1<<40, "Largest resident set.")
			s.Bool(&p.Any, "any_user", true, "Whether processes of all users count.")
			s.Choice(&p.Order, "order", "oldest", []string{"oldest", "newest"}, "Which one is watched.")
			s.Duration(&p.Grace, "grace", 0, 0, time.Hour, "How long one may be missing.")
		},
		New: newMonitor[processParams], Example: map[string]any{"pattern": "^nginx: master"},
	})
}

type pidParams struct{}

func fakePID() monitor.Type {
	return monitor.Define(monitor.Spec[pidParams]{
		Name: "pid", Alias: "pidw", Title: "Main process", Doc: "Watches the main process of its target.",
		Timing: monitor.Timing{Interval: 3 * time.Second, Timeout: 60 * time.Second}, When: monitor.WhileActive, Target: true,
		Params: func(*pidParams, *param.Set) {}, New: newMonitor[pidParams],
	})
}

type httpParams struct{ URL, Password string }

func fakeHTTP() monitor.Type {
	return monitor.Define(monitor.Spec[httpParams]{
		Name: "http", Alias: "httpw", Title: "HTTP", Doc: "Gets a page.",
		Timing: monitor.Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second},
		Params: func(p *httpParams, s *param.Set) {
			s.String(&p.URL, "url", "", "Address of the page.").Required()
			s.String(&p.Password, "password", "", "Password to log in with.").Secret()
		},
		New: newMonitor[httpParams], Example: map[string]any{"url": "http://localhost/"},
	})
}

type execParams struct{ Start, Stop string }

func fakeExec() resource.Type {
	return resource.Define(resource.Spec[execParams]{
		Name: "exec", Alias: "exec", Title: "Script", Doc: "Runs scripts.",
		Timing: resource.Timing{Start: 30 * time.Minute, Stop: 30 * time.Minute},
		Params: func(p *execParams, s *param.Set) {
			s.String(&p.Start, "start", "", "Script that starts it.").Required().File()
			s.String(&p.Stop, "stop", "", "Script that stops it.").File()
		},
		New: newResource[execParams], Example: map[string]any{"start": "start.sh", "stop": "stop.sh"},
	})
}

type unitParams struct{ Unit string }

func fakeUnit() resource.Type {
	return resource.Define(resource.Spec[unitParams]{
		Name: "systemd", Alias: "service", Title: "systemd unit", Doc: "Starts a unit.",
		Timing: resource.Timing{Start: time.Minute, Stop: time.Minute},
		Params: func(p *unitParams, s *param.Set) { s.String(&p.Unit, "unit", "", "Name of the unit.").Required() },
		New:    newResource[unitParams], Example: map[string]any{"unit": "nginx.service"},
	})
}
