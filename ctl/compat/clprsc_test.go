package compat

import (
	"context"
	"strings"
	"testing"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
)

// TestForceTakesOthersAlong: without -f a resource is not stopped while others
// need it, nor started while it needs others that are not; what is needed need
// not be named.
func TestForceTakesOthersAlong(t *testing.T) {
	const text = "[[group]]\nname = \"shop\"\n[[group]]\nname = \"mail\"\n" +
		"[[resource]]\nname = \"disk\"\ntype = \"exec\"\ngroup = \"shop\"\nstart = \"/bin/true\"\n" +
		"[[resource]]\nname = \"queue\"\ntype = \"exec\"\ngroup = \"mail\"\nstart = \"/bin/true\"\n" +
		"[[resource]]\nname = \"database\"\ntype = \"exec\"\ngroup = \"shop\"\nstart = \"/bin/true\"\n" + // needs disk
		"[[resource]]\nname = \"web\"\ntype = \"exec\"\ngroup = \"shop\"\nstart = \"/bin/true\"\ndepends_on = [\"database\"]\n" +
		"[[resource]]\nname = \"batch\"\ntype = \"exec\"\ngroup = \"shop\"\nstart = \"/bin/true\"\ndepends_on = []\n"
	states := func(disk, database, web, batch api.State) string {
		s := apitest.Status()
		s.Groups = []api.Group{
			{Name: "shop", Resources: []api.Resource{{Name: "disk", State: disk}, {Name: "database", State: database}, {Name: "web", State: web}, {Name: "batch", State: batch}}},
			{Name: "mail", Resources: []api.Resource{{Name: "queue", State: api.Started}}},
		}
		return apitest.Serve(t, configured{&apitest.Fake{StatusFunc: func(context.Context) (api.Status, error) { return s, nil }}, text})
	}
	up := states(api.Started, api.Started, api.Started, api.Started)
	down := states(api.Stopped, api.StartFailed, api.Stopped, api.Stopped)
	half := states(api.Started, api.Stopping, api.Stopped, api.Stopped)
	for _, c := range []struct {
		name, socket, words, says string
	}{
		{"stop what two need, one through the other", up, "-t disk", "Resource disk is needed by database, web, which would be stopped, too"},
		{"the same by force", up, "-t disk -f", ""},
		{"stop what nobody needs", up, "-t web", ""},
		{"stop what names no dependencies", up, "-t batch", ""},
		{"stop the only one of another group", up, "-t queue", ""},
		{"stop what none needs any more", down, "-t disk", ""},
		{"stop while what needs it still stops", half, "-t disk", "is needed by database, which"},
		{"start without what it needs", down, "-s web", "Resource web needs database, disk, which would be started, too"},
		{"the same by force", down, "-s web -f", ""},
		{"start the first", down, "-s disk", ""},
		{"start what names no dependencies", down, "-s batch", ""},
		{"start with all that it needs", up, "-s web", ""},
	} {
		r := at(t, c.socket, &services{}, append([]string{"clprsc"}, strings.Fields(c.words)...)...)
		want := result{0, succeeded + "\n", ""}
		if c.says != "" {
			want = result{codes[badStatus], "", r.err}
		}
		if r != want || !strings.Contains(r.err, c.says) {
			t.Errorf("%s: %+v, want %q", c.name, r, c.says)
		}
	}
}
