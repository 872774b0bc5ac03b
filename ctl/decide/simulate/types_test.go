package simulate

import (
	"context"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/resource"
)

// testTypes returns a registry for configurations of tests: monitors of type
// "probe" and resources of type "unit", which have no parameters and do
// nothing.
func testTypes() config.Registry {
	return config.NewRegistry([]monitor.Type{monitor.Define(monitor.Spec[none]{
		Name: "probe", Title: "Scripted probe", Doc: "Finds what a test says.",
		Timing: monitor.Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second},
		Params: func(*none, *param.Set) {},
		New:    func(none, monitor.Env) (monitor.Prober, error) { return idle{}, nil },
	})}, []resource.Type{resource.Define(resource.Spec[none]{
		Name: "unit", Title: "Scripted resource", Doc: "Starts and stops as a test says.",
		Timing: resource.Timing{Start: time.Minute, Stop: time.Minute},
		Params: func(*none, *param.Set) {},
		New:    func(none, resource.Env) (resource.Resource, error) { return idle{}, nil },
	})})
}

type none struct{}

type idle struct{}

func (idle) Probe(context.Context) (monitor.Finding, error) { return monitor.Finding{}, nil }
func (idle) Start(context.Context, resource.Request) error  { return nil }
func (idle) Stop(context.Context, resource.Request) error   { return nil }
