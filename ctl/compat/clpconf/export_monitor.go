package clpconf

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

func (e *exporter) monitor(t, rec config.Table) {
	name, kind := bare(entry(t, "name")), bare(entry(t, "type"))
	typ := e.types.Monitors[kind]
	n := e.root.make("monitor").object(kindOf(typ.Alias, kind), name)
	if typ.Alias == stallAlias && e.stall == nil {
		e.stall = n
	}
	specs := slices.Concat(config.Declared(monitorKind), typ.Params().Specs())
	dir := path.Join(scriptDir, "monitor.s", name)
	for _, k := range t.Entries {
		s := spec(specs, k.Key)
		switch {
		case k.Key == "name" || k.Key == "type" || k.Text == "":
		case k.Key == "comment":
			e.comment(n, k.Text)
		case typ.Alias == stallAlias: // whose interval and timeout are those of [stall]
			if k.Text != s.Default && k.Text != stallDefaults(typ)[k.Key] {
				e.own(n, "", k.Key, k.Text)
			}
		case k.Key == "url" && kind == "http":
			e.page(n, s, k.Text)
		case k.Key == "monitors" && kind == "multi":
			for at, m := range list(k.Text) {
				n.make("parameters").add(&Node{Name: "list", Attr: "id", Key: strconv.Itoa(at)}).set("name", m)
			}
		case k.Key == "log_rotate" && k.Text != s.Default:
			e.rotation(n, s, k.Text)
		case s.IsFile:
			e.script(n, dir, "", s, k.Text)
		case k.Text != s.Default || slices.Contains([]string{"when", "interval", "timeout", "retry", "first_wait"}, k.Key):
			e.put(n, "", s, k.Text)
		}
	}
	e.recovery(n, rec, dir)
}

// stallDefaults are the defaults of a type's timing as they are written.
func stallDefaults(t monitor.Type) map[string]string {
	return map[string]string{
		"interval": param.Literal(param.FormatDuration(t.Timing.Interval)), "timeout": param.Literal(param.FormatDuration(t.Timing.Timeout)),
		"retry": strconv.Itoa(t.Timing.Retry), "first_wait": param.Literal(param.FormatDuration(t.Timing.FirstWait)), "when": param.Literal(string(t.When)),
	}
}

// page writes a URL in the original's parts, if it can be put together again.
func (e *exporter) page(n *Node, s *param.Spec, text string) {
	u, err := url.Parse(bare(text))
	if err != nil || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		e.own(n, "", s.Name, text)
		return
	}
	n.set("parameters/servername", u.Hostname())
	if u.Port() != "" {
		n.set("parameters/port", u.Port())
	}
	n.set("parameters/requesturi", "/"+strings.TrimPrefix(u.RequestURI(), "/"))
	if u.Scheme == "https" {
		n.set("parameters/https", "1")
	}
}

func (e *exporter) recovery(n *Node, t config.Table, dir string) {
	specs := config.Declared("monitor.recovery")
	one := ""
	for _, k := range t.Entries {
		s := spec(specs, k.Key)
		switch {
		case k.Text == "" || k.Text == `""`:
		case k.Key == "target":
			e.relation(n, bare(k.Text))
		case s.IsFile && s.Alias != "":
			// The original has one script for all steps.
			name := e.file(dir, k.Text)
			step := map[string]string{"script": "", "before_restart": "userestart", "before_final": "use"}[k.Key]
			if one != "" && one != name || k.Key == "script" && entry(t, "scripts") == "0" {
				e.own(n, "recovery", k.Key, param.Literal(name))
				continue
			}
			one = name
			n.set("emergency/preaction/path", below(dir, name))
			if step != "" {
				n.set("emergency/preaction/"+step, "1")
			}
		case s.IsFile:
			e.script(n, dir, "recovery", s, k.Text)
		case k.Text != s.Default:
			e.put(n, "recovery", s, k.Text)
		}
	}
}

func (e *exporter) relation(n *Node, target string) {
	kind, name, _ := strings.Cut(target, "/")
	switch kind {
	case "resource":
		kind = "rsc"
	case "group":
		kind = "grp"
	case "groups":
		kind, name = "cls", "AllGroups"
	default:
		kind, name = "cls", "LocalServer"
	}
	n.set("relation/type", kind)
	n.set("relation/name", name)
}
