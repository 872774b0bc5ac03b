package clpconf

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/param"
)

// byHand are elements of which the path alone does not say what they become.
var byHand = [][2]string{
	{"server name=", "`server.name`"},
	{"cluster/heartbeat/interval, timeout", "`stall.interval`, `stall.timeout`, when userw borrows them"},
	{"group name=, resource name=", "`group.name`, and the `group` of the resource"},
	{"group/depend/act/depend name=", "`group.start_after`"},
	{"group/depend/deact/depend name=", "`group.stop_after`"},
	{"group/depend/deact/cluster, server, other", "`group.stop_after_when`"},
	{"resource/exec/parameters/timeout/start, stop", "`resource.start_timeout`, `resource.stop_timeout`"},
	{"resource/*/depend name=", "`resource.depends_on`"},
	{"resource/*/act/action = 0", "`resource.start_anyway`"},
	{"monitor/userw", "`[stall]`, and a monitor of type `stall` to look at"},
	{"monitor/userw/parameters/method, action", "`keepalive.method`, `keepalive.action`"},
	{"monitor/httpw/parameters/servername, port, requesturi, https", "`url` of the type `http`"},
	{"monitor/mtw/parameters/list", "`monitors` of the type `multi`"},
	{"monitor/*/relation/type, name", "`monitor.recovery.target`"},
	{"*/parameters/logrotate/use, size", "`log_rotate`"},
}

// WriteElements writes which element becomes which key, and which none, as
// tables in Markdown for the manual.
func WriteElements(w io.Writer, types config.Registry) error {
	var b strings.Builder
	b.WriteString("| element below `/root` | key |\n| --- | --- |\n")
	row := func(path, key string) { fmt.Fprintf(&b, "| `%s` | %s |\n", path, key) }
	for _, r := range byHand {
		row(r[0], r[1])
	}
	declared := func(above, label string, specs []*param.Spec) {
		for _, s := range specs {
			if s.Alias != "" && s.Alias != "relation" && s.Alias != "depend" && !strings.HasSuffix(s.Alias, "depend") && s.Alias != "depend/deact" {
				row(above+s.Alias, "`"+label+s.Name+"`")
			}
		}
	}
	for _, t := range config.Tables() {
		above, label := map[string]string{"group": "group/", "resource": "resource/*/", "monitor": "monitor/*/", "monitor.recovery": "monitor/*/",
			"stall": "monitor/userw/"}[t], strings.TrimPrefix(t+".", ".")
		declared(above, label, config.Declared(t))
	}
	for _, name := range slices.Sorted(maps.Keys(types.Resources)) {
		if t := types.Resources[name]; t.Alias != "" {
			declared("resource/"+t.Alias+"/", name+": ", t.Params().Specs())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types.Monitors)) {
		if t := types.Monitors[name]; t.Alias != "" {
			declared("monitor/"+t.Alias+"/", name+": ", t.Params().Specs())
		}
	}
	b.WriteString("\n| element without a key | why |\n| --- | --- |\n")
	for _, r := range rules {
		row(r.path, r.text)
	}
	for _, kind := range slices.Sorted(maps.Keys(elsewhere)) {
		row("*/"+kind, elsewhere[kind])
	}
	_, err := io.WriteString(w, b.String())
	return err
}
