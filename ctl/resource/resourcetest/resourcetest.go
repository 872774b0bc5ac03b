// Package resourcetest holds the tests that every resource type must pass: what
// its declaration promises, and that starting and stopping keep the contract of
// resource.Resource.
package resourcetest

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shisa/ctl/param/paramtest"
	"shisa/ctl/proc"
	"shisa/ctl/resource"
)

// A Case is one configuration of a resource type and how it starts and stops.
// Each case is stopped before it is started, started twice and stopped twice.
type Case struct {
	Name   string
	Params map[string]any
	Env    resource.Env

	WantErr  string // substring of the mistake in the configuration
	StartErr string // substring of why it does not start
	StopErr  string // substring of why it does not stop
	Timeout  time.Duration
}

// opLimit is how long a start or stop of a case may take that names no timeout.
const opLimit = 30 * time.Second

// slack is by how much an operation may exceed its deadline: what it has
// started must be ended, and test machines are busy.
const slack = 15 * time.Second

// commonKeys belong to every resource; a parameter of a type would hide them.
var commonKeys = []string{"name", "type", "group", "comment", "depends_on", "start_timeout", "stop_timeout",
	"start_retry", "stop_retry", "on_start_failure", "start_anyway", "on_stop_failure"}

// Run checks the declaration of typ and then every case.
func Run(t *testing.T, typ resource.Type, cases []Case) {
	t.Helper()
	t.Run("declaration", func(t *testing.T) { checkDeclaration(t, typ) })
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { checkCase(t, typ, c) })
	}
}

func checkDeclaration(t *testing.T, typ resource.Type) {
	if typ.Timing.Start < time.Second || typ.Timing.Stop < time.Second {
		t.Errorf("default timing %+v is too short", typ.Timing)
	}
	paramtest.Check(t, typ, paramtest.Declaration{Name: typ.Name, Title: typ.Title, Doc: typ.Doc, Example: typ.Example, Common: commonKeys})
}

func checkCase(t *testing.T, typ resource.Type, c Case) {
	if _, err := proc.Default(); err != nil {
		t.Fatal(err)
	}
	before, others := goleak.IgnoreCurrent(), children(t)
	r, err := typ.New(c.Params, c.Env)
	if c.WantErr != "" {
		if err == nil || !strings.Contains(err.Error(), c.WantErr) {
			t.Fatalf("New: got error %v, want one with %q", err, c.WantErr)
		}
		return
	}
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if p, ok := r.(resource.Processer); ok {
		if pid, _, running := p.Process(); running {
			t.Errorf("process %d runs before the start", pid)
		}
	}
	op(t, c, "first stop", c.StopErr, func(ctx context.Context) error { return r.Stop(ctx, resource.Request{Event: resource.Start}) })
	for range 2 {
		op(t, c, "start", c.StartErr, func(ctx context.Context) error { return r.Start(ctx, resource.Request{Event: resource.Start}) })
		op(t, c, "stop", c.StopErr, func(ctx context.Context) error {
			return r.Stop(ctx, resource.Request{Event: resource.Start, Factor: resource.GroupStop})
		})
	}
	op(t, c, "second stop", c.StopErr, func(ctx context.Context) error { return r.Stop(ctx, resource.Request{Event: resource.Start}) })
	if p, ok := r.(resource.Processer); ok {
		if pid, _, running := p.Process(); running {
			t.Errorf("process %d counts as running after the stop", pid)
		}
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("left behind: %v", err)
	}
	noChildren(t, others)
}

func op(t *testing.T, c Case, what, want string, do func(context.Context) error) {
	t.Helper()
	limit := c.Timeout
	if limit == 0 {
		limit = opLimit
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begin := time.Now()
	err := do(ctx)
	if took := time.Since(begin); took > limit+slack {
		t.Errorf("%s took %v, longer than its %v", what, took, limit)
	}
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got error %v, want one with %q", what, err, want)
	}
}

// noChildren checks that no process of ours is left but those that were there
// before, not even a zombie.
func noChildren(t *testing.T, before []proc.ID) {
	t.Helper()
	for deadline := time.Now().Add(slack); ; time.Sleep(5 * time.Millisecond) {
		left := slices.DeleteFunc(children(t), func(id proc.ID) bool { return slices.Contains(before, id) })
		switch {
		case len(left) == 0:
			return
		case time.Now().After(deadline):
			t.Fatalf("left behind: %v", left)
		}
	}
}

func children(t *testing.T) (ids []proc.ID) {
	t.Helper()
	all, err := proc.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Parent == os.Getpid() {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
