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

// A rule says why elements at a path have no place in our configuration. The
// first that matches counts; * stands for any one name, and below a path all is
// meant.
type rule struct {
	path    string
	outcome Outcome
	text    string
}

var rules = []rule{
	{"all/charset", NotApplicable, "our files are UTF-8"},
	{"all/encode", NotApplicable, "our files are UTF-8"},
	{"all/serveros", NotApplicable, "it is Linux"},
	{"dummyconf", NotApplicable, "a mark of the original's editor"},
	{"trekking", NotApplicable, "bookkeeping of the original's editor"},
	{"webmgr/client/objectnumber", NotApplicable, "a count for the original's editor"},
	{"webmgr", Unsupported, "the web manager has settings of its own"},
	{"webalert", NotApplicable, "events are in the history of the daemon"},
	{"rstd", NotApplicable, "the API of the daemon is always there"},
	{"statsd", Unsupported, "figures are asked for, not sent"},
	{"heartbeat", NotApplicable, "no other server has to be heard"},
	{"networkpartition", NotApplicable, "one server cannot be cut in two"},
	{"fencing", NotApplicable, "there is no other server to shut out"},
	{"forcestop", NotApplicable, "there is no other server to stop"},
	{"cluster/comment", NotApplicable, "there is no cluster to comment on"},
	{"cluster/uuid", NotApplicable, "a mark of the original's editor"},
	{"cluster/heartbeat", NotApplicable, "no other server has to be heard"},
	{"cluster/networkpartition", NotApplicable, "one server cannot be cut in two"},
	{"cluster/survive", NotApplicable, "there is never another server that is alive"},
	{"cluster/rsctimeout", Unsupported, "a start or stop that takes too long counts as failed"},
	{"cluster/messages", Unsupported, "alerts are configured anew: shisa config reference"},
	{"cluster/mail", Unsupported, "alerts are configured anew: shisa config reference"},
	{"cluster/trap", Unsupported, "alerts are configured anew: shisa config reference"},
	{"cluster/syslog", NotApplicable, "the log goes to standard error, and so to the journal"},
	{"cluster/cialert", Unsupported, "there is no chassis lamp"},
	{"cluster/dn1000s", Unsupported, "there is no warning light"},
	{"cluster/sysinfo", Unsupported, "figures of the system are not collected"},
	{"cluster/ocw", NotApplicable, "a service for clusters"},
	{"alertservice", Unsupported, "there is no warning light"},
	{"messages", Unsupported, "alerts are configured anew: shisa config reference"},
	{"pm", NotApplicable, "systemd starts the daemon again, and the countdown guards it meanwhile"},
	{"haltp/method", NotApplicable, "the countdown of [keepalive] guards the shutdown, too"},
	{"haltp", Unsupported, "what this means is not known to shisa; see [shutdown]"},
	{"rc", Unsupported, "see [server] and [limiter]"},
	{"rm", Unsupported, "see [server] and [limiter]"},
	{"server/priority", NotApplicable, "there is no order among one server"},
	{"server/device", NotApplicable, "addresses by which servers hear each other"},
	{"server/hba", NotApplicable, "a single server filters no disks"},
	{"server/survive", NotApplicable, "there is never another server that is alive"},
	{"server/comment", NotApplicable, "a server has no comment with us"},
	{"group/gid", NotApplicable, "groups are in order of the file"},
	{"group/type", NotApplicable, "there is one kind of group"},
	{"group/policy", NotApplicable, "there is one server to run on"},
	{"group/failover", NotApplicable, "there is no failover on one server"},
	{"group/failback", NotApplicable, "there is no failover on one server"},
	{"group/exclusive", NotApplicable, "exclusion is among servers"},
	{"group/depend/act/depend/sameserver", NotApplicable, "there is one server"},
	{"resource/types", NotApplicable, "announces a type"},
	{"monitor/types", NotApplicable, "announces a type"},
	{"*/types", NotApplicable, "announces a type"},
	{"resource/*/act/fo", NotApplicable, "there is no failover on one server"},
	{"resource/*/act/timeout", NotApplicable, "start_timeout bounds the script, and with it the start"},
	{"resource/*/deact/timeout", NotApplicable, "stop_timeout bounds the script, and with it the stop"},
	{"resource/*/parameters/act/postrunothers", NotApplicable, "there is no standby server to run on"},
	{"resource/*/parameters/deact/prerunothers", NotApplicable, "there is no standby server to run on"},
	{"monitor/*/polling/servers", NotApplicable, "there is one server"},
	{"monitor/*/emergency/threshold/fo", NotApplicable, "there is no failover on one server"},
	{"monitor/*/emergency/preaction/usefailover", NotApplicable, "there is no failover on one server"},
	{"monitor/*/emergency/dumpcollect", Unsupported, "shisa keeps what it saw by itself: shisa why"},
	{"monitor/*/emergency/infocollect", Unsupported, "shisa keeps what it saw by itself: shisa why"},
	{"resource/vm/parameters/guestos/use", NotApplicable, "the host is asked, from wherever shisa runs"},
	{"resource/vm/parameters/guestos/datastore", NotApplicable, "the host knows where the machine is"},
	{"resource/vm/parameters/vcenter", NotApplicable, "the host is asked itself: no machine moves on one server"},
	{"resource/vm/parameters/migration", NotApplicable, "there is no other server to move to"},
	{"resource/vm/parameters/libpath", NotApplicable, "no library is needed"},
	{"resource/vm/parameters/starttimeout", NotApplicable, "start_timeout bounds the start"},
	{"monitor/vmw/parameters/object", NotApplicable, "target says which machine it is"},
	{"monitor/*/parameters/libraryfullpath", NotApplicable, "no library is needed"},
	{"monitor/genw/parameters/waitstop", NotApplicable, "what watches while a resource is active ends before it is stopped"},
	{"monitor/*/relation", Invalid, "type and name say together what is recovered"},
	{"monitor/*/nice", Unsupported, "probes run at the priority of the daemon"},
	{"monitor/userw/firstmonwait", NotApplicable, "the countdown is armed as soon as the daemon is up"},
	{"monitor/userw/polling", NotApplicable, "the interval and timeout of the heartbeat are used, as parameters/usehb says"},
	{"*/*/server", NotApplicable, "it is for one server, of which its elements tell"},
}

// reason says why nothing was made of a node.
func reason(n *Node) (Outcome, string) {
	words := n.words()
	for _, r := range rules {
		if matches(words, strings.Split(r.path, "/")) {
			return r.outcome, r.text
		}
	}
	switch {
	case n.parent == nil:
		return NotApplicable, "holds the others"
	case n.Attr == "" && n.Text == "":
		return NotApplicable, "it is empty"
	}
	return Unsupported, "this element is not known to shisa"
}

func matches(words, pattern []string) bool {
	if len(words) < len(pattern) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != words[i] {
			return false
		}
	}
	return true
}

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
