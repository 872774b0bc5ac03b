package compat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/monitor/types"
	"shisa/ctl/param"
	restypes "shisa/ctl/resource/types"
)

// configured is a daemon that runs with a configuration.
type configured struct {
	*apitest.Fake
	text string
}

func (c configured) Config(context.Context) (api.ConfigText, error) {
	return api.ConfigText{Source: "/etc/shisa/shisa.toml", Text: c.text}, nil
}

// everyType is a configuration with a resource and a monitor of each type.
func everyType() string {
	var b strings.Builder
	fill := func(keys map[string]any) {
		for k, v := range keys {
			fmt.Fprintf(&b, "%s = %s\n", k, param.Literal(v))
		}
	}
	b.WriteString("[[group]]\nname = \"g\"\n")
	for _, t := range restypes.All() {
		fmt.Fprintf(&b, "[[resource]]\nname = \"%s-1\"\ntype = %q\ngroup = \"g\"\n", t.Name, t.Name)
		fill(t.Example)
	}
	for _, t := range types.All() {
		fmt.Fprintf(&b, "[[monitor]]\nname = \"%s-1\"\ntype = %q\ntarget = \"exec-1\"\n", t.Name, t.Name)
		fill(t.Example)
	}
	return b.String()
}

// TestFix082EveryParameterShown: the properties of a monitor or resource show
// every parameter that its type has.
func TestFix082EveryParameterShown(t *testing.T) {
	socket := apitest.Serve(t, configured{&apitest.Fake{}, everyType()})
	show := func(option, name string) string {
		r := at(t, socket, &services{}, "clpstat", option, name, "-detail")
		if r.code != 0 {
			t.Fatalf("%s %s: %+v", option, name, r)
		}
		return r.out
	}
	check := func(page, typeName string, set *param.Set) {
		for _, key := range set.Specs() {
			label := strings.ReplaceAll(key.Name, "_", " ")
			if key.Text() != "" && !strings.Contains(page, strings.ToUpper(label[:1])+label[1:]+" ") {
				t.Errorf("type %s: %s is not shown:\n%s", typeName, key.Name, page)
			}
		}
	}
	for _, typ := range types.All() {
		check(show("--mon", typ.Name+"-1"), typ.Name, typ.Params())
	}
	for _, typ := range restypes.All() {
		check(show("--rsc", typ.Name+"-1"), typ.Name, typ.Params())
	}
}

// TestTypesByKind: a resource and a monitor of one name in our configuration
// have each the original's name of its own type.
func TestTypesByKind(t *testing.T) {
	socket := apitest.Serve(t, configured{&apitest.Fake{}, everyType()})
	for _, c := range []struct{ option, name, want string }{
		{"--rsc", "vm-1", "vm"}, {"--mon", "vm-1", "vmw"}, {"--rsc", "exec-1", "exec"}, {"--mon", "process-1", "psw"}, {"--mon", "systemd-1", "systemd"},
	} {
		line := "  Type                                                    : " + c.want + "\n"
		if out := at(t, socket, &services{}, "clpstat", c.option, c.name).out; !strings.Contains(out, line) {
			t.Errorf("%s %s is not %s:\n%s", c.option, c.name, c.want, out)
		}
	}
}

func TestProperties(t *testing.T) {
	const text = "mode = \"protect\"\n[keepalive]\nmethod = \"softdog\"\n[[group]]\nname = \"shop\"\ncomment = \"web shop\"\n" +
		"[[resource]]\nname = \"web\"\ntype = \"exec\"\ngroup = \"shop\"\nstart = \"start.sh\"\n" +
		"[[monitor]]\nname = \"psw1\"\ntype = \"process\"\nmatch = \"nginx*\"\n"
	socket := apitest.Serve(t, configured{&apitest.Fake{}, text})
	for name, words := range map[string][]string{
		"info":       {"clpstat", "-i"},
		"info_userw": {"clpstat", "--mon", "userw"},
	} {
		r := at(t, socket, &services{}, words...)
		if r.code != 0 || r.err != "" {
			t.Errorf("%v: %+v", words, r)
		}
		golden(t, name+".txt", r.out)
	}
	const method = "  Shutdown Monitoring Method                              : softdog\n" // a line that scripts look for
	if out := at(t, socket, &services{}, "clpstat", "--cl", "--detail").out; !strings.Contains(out, method) {
		t.Errorf("the method is missing:\n%s", out)
	}
}

// TestGuardShown: a monitor that shows the guard of user space has the lines
// that the original's had, whatever its name; there is no second one then.
func TestGuardShown(t *testing.T) {
	s := apitest.Status()
	s.Monitors = []api.Monitor{{Name: "guard", Type: "stall", Alias: "userw", State: api.MonitorProbing, Verdict: api.OK}}
	socket := apitest.Serve(t, configured{&apitest.Fake{StatusFunc: func(context.Context) (api.Status, error) { return s, nil }},
		"[keepalive]\nmethod = \"softdog\"\n[[monitor]]\nname = \"guard\"\ntype = \"stall\"\ncomment = \"a \\\"guard\\\"\"\n"})
	want := []string{
		"  [Monitor0 : guard]",
		"  Type                                                    : userw",
		"  Comment                                                 : a \"guard\"",
		"  Method                                                  : softdog",
		"  Use HB interval and timeout                             : Off",
	}
	lines := strings.Split(at(t, socket, &services{}, "clpstat", "--mon").out, "\n")
	if len(lines) != len(want)+3 || !slices.Equal(lines[1:len(lines)-2], want) {
		t.Errorf("%q", lines)
	}
}
