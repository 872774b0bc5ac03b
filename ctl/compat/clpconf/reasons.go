package clpconf

import "strings"

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
	{"monitor/genw/parameters/waitstop", NotApplicable, "what watches while a resource is active ends before it is stopped"},
	{"monitor/*/nice", Unsupported, "probes run at the priority of the daemon"},
	{"monitor/userw/polling", NotApplicable, "the interval and timeout of the heartbeat are used, as parameters/usehb says"},
	{"*/*/server", NotApplicable, "it is for another server"},
}

// reason says why nothing was made of a node.
func reason(n *Node) (Outcome, string) {
	words := n.words()
	for _, r := range rules {
		if matches(words, strings.Split(r.path, "/")) {
			return r.outcome, r.text
		}
	}
	if n.parent == nil {
		return NotApplicable, "holds the others"
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
