package api

import (
	"context"
	"slices"
	"time"
)

// A Right is what a caller must be allowed to do.
type Right string

// Rights.
const (
	Read    Right = "read"    // look, change nothing
	Control Right = "control" // change something
)

// How long a request may take.
const (
	QuickTime  = 5 * time.Second  // answered from memory or by one query
	ProbeTime  = 2 * time.Minute  // waits for a probe or looks at hardware
	ChangeTime = 70 * time.Minute // waits for scripts of groups, which have timeouts of their own
)

// A Route is one method and path. {name} in the path is given to the handler.
type Route struct {
	Method string
	Path   string
	Right  Right
	Doc    string        // one sentence
	Query  []string      // parameters after '?'
	Body   any           // zero value of the body's type; nil: none
	Answer any           // zero value of the answer's type; nil: a stream
	Limit  time.Duration // after which the answer is an error; 0: a stream without end

	call func(context.Context, Backend, *request) (any, error)
}

// Routes lists everything that the API can do.
func Routes() []Route {
	return slices.Concat(readRoutes(), monitorRoutes(), unitRoutes(), serverRoutes(), operateRoutes())
}

func readRoutes() []Route {
	return []Route{
		{Method: "GET", Path: "/v1/status", Right: Read, Limit: QuickTime, Answer: Status{},
			Doc:  "A snapshot of everything.",
			call: func(ctx context.Context, b Backend, _ *request) (any, error) { return b.Status(ctx) }},
		{Method: "GET", Path: "/v1/overview", Right: Read, Limit: QuickTime, Answer: Overview{},
			Doc: "The same, with only what a table shows of each monitor.",
			call: func(ctx context.Context, b Backend, _ *request) (any, error) {
				s, err := b.Status(ctx)
				return s.Overview(), err
			}},
		{Method: "GET", Path: "/v1/events", Right: Read, Limit: QuickTime, Answer: []eventAnswer{},
			Query: eventParameters, Doc: "Stored events, oldest first.",
			call: func(ctx context.Context, b Backend, r *request) (any, error) {
				q, err := r.eventQuery()
				if err != nil {
					return nil, err
				}
				events, err := b.Events(ctx, q)
				return list(events), err
			}},
		{Method: "GET", Path: "/v1/events/follow", Right: Read, Query: eventParameters,
			Doc: "Stored events, then each as it happens: one JSON object a line. An empty object is a sign of life."},
		{Method: "GET", Path: "/v1/why", Right: Read, Limit: QuickTime, Answer: Why{}, Query: []string{"subject"},
			Doc: `Why the machine went down last, or why "monitor/NAME", "group/NAME" or "resource/NAME" is as it is.`,
			call: func(ctx context.Context, b Backend, r *request) (any, error) {
				return b.Why(ctx, r.query.Get("subject"))
			}},
		{Method: "GET", Path: "/v1/doctor", Right: Read, Limit: ProbeTime, Answer: Doctor{},
			Doc:  "What this machine offers, and what stands in the way.",
			call: func(ctx context.Context, b Backend, _ *request) (any, error) { return b.Doctor(ctx) }},
		{Method: "GET", Path: "/v1/config", Right: Control, Limit: QuickTime, Answer: ConfigText{},
			Doc:  "The running configuration.",
			call: func(ctx context.Context, b Backend, _ *request) (any, error) { return b.Config(ctx) }},
	}
}

func monitorRoutes() []Route {
	docs := map[MonitorVerb]string{
		SuspendMonitor: "Stop probing with a monitor until it is resumed.",
		ResumeMonitor:  "Probe again.",
		TestMonitor:    "Probe now and answer with the probe.",
		ResetMonitor:   "Clear the recovery counters.",
		FailMonitor:    "Simulate a failure.",
		UnfailMonitor:  "Stop simulating a failure.",
	}
	var routes []Route
	for _, v := range MonitorVerbs() {
		routes = append(routes, Route{Method: "POST", Path: "/v1/monitors/{name}/" + string(v), Right: Control, Limit: ProbeTime,
			Body: MonitorCommand{}, Answer: Result{}, Doc: docs[v],
			call: func(ctx context.Context, b Backend, r *request) (any, error) {
				c, err := body[MonitorCommand](r)
				if err != nil {
					return nil, err
				}
				c.Name, c.Verb = r.name, v
				return b.Monitor(ctx, c)
			}})
	}
	return routes
}

func unitRoutes() []Route {
	var routes []Route
	add := func(kind, doc string, v UnitVerb, do func(Backend, context.Context, UnitCommand) (Result, error)) {
		routes = append(routes, Route{Method: "POST", Path: "/v1/" + kind + "/{name}/" + string(v), Right: Control, Limit: ChangeTime,
			Body: UnitCommand{}, Answer: Result{}, Doc: doc,
			call: func(ctx context.Context, b Backend, r *request) (any, error) {
				c, err := body[UnitCommand](r)
				if err != nil {
					return nil, err
				}
				c.Name, c.Verb = r.name, v
				return do(b, ctx, c)
			}})
	}
	add("groups", "Start a group; * starts all.", StartUnit, Backend.Group)
	add("groups", "Stop a group; * stops all.", StopUnit, Backend.Group)
	add("resources", "Start a resource and what it needs.", StartUnit, Backend.Resource)
	add("resources", "Stop a resource and what needs it.", StopUnit, Backend.Resource)
	return routes
}

func serverRoutes() []Route {
	return []Route{
		post("/v1/suspend", "Stop all probing and recovery; the countdown stays armed.", QuickTime, Backend.Suspend),
		post("/v1/resume", "Probe and recover again.", QuickTime, Backend.Resume),
		post("/v1/shutdown", "Stop all groups and take the machine down.", ProbeTime, Backend.Shutdown),
		post("/v1/notify", "Tell monitors of type message of a failure, or that one is over.", QuickTime, Backend.Notify),
		{Method: "POST", Path: "/v1/limiter/reset", Right: Control, Limit: QuickTime, Answer: Result{},
			Doc:  "Forget the machine-level actions that count against the limit.",
			call: func(ctx context.Context, b Backend, _ *request) (any, error) { return b.ResetLimiter(ctx) }},
		post("/v1/config/plan", "Check a configuration and say what applying it would change.", ProbeTime, Backend.PlanConfig),
		post("/v1/config/apply", "Apply a configuration.", ChangeTime, Backend.ApplyConfig),
	}
}

// post is a route that hands its body to one method.
func post[C, A any](path, doc string, limit time.Duration, do func(Backend, context.Context, C) (A, error)) Route {
	var c C
	var a A
	return Route{Method: "POST", Path: path, Right: Control, Limit: limit, Doc: doc, Body: c, Answer: a,
		call: func(ctx context.Context, b Backend, r *request) (any, error) {
			c, err := body[C](r)
			if err != nil {
				return nil, err
			}
			return do(b, ctx, c)
		}}
}
