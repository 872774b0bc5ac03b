package simulate

import (
	"fmt"
	"strings"

	"shisa/ctl/recovery"
)

// A shape is a way in which resources of one group need each other.
type shape struct {
	name, shows string
	units       []string
	needs       map[string][]string // nil entry: no key, needs all before
}

func shapes() []shape {
	return []shape{
		{"chain", "each needs all before", []string{"a", "b", "c"}, nil},
		{"parallel", "none needs another", []string{"a", "b", "c"}, map[string][]string{"a": {}, "b": {}, "c": {}}},
		{"diamond", "b and c need a, d needs both", []string{"a", "b", "c", "d"}, map[string][]string{"b": {"a"}, "c": {"a"}, "d": {"b", "c"}}},
		{"fork", "b and c need a", []string{"a", "b", "c"}, map[string][]string{"b": {"a"}, "c": {"a"}}},
		{"forward", "a needs c, which stands later", []string{"a", "b", "c"}, map[string][]string{"a": {"c"}, "b": {}, "c": {}}},
	}
}

func (s shape) config(keys func(unit string) []string) string {
	text := group("g")
	for _, u := range s.units {
		var more []string
		if needs, ok := s.needs[u]; ok {
			more = append(more, set("depends_on", needs))
		}
		if keys != nil {
			more = append(more, keys(u)...)
		}
		text += unitOf("g", u, more...)
	}
	return text
}

// orders: start, stop, restart and failure of every resource in every shape.
func (c *corpus) orders() {
	for _, s := range shapes() {
		slow := ""
		for i, u := range s.units {
			slow += fmt.Sprintf("0s take start %s %ds\n0s take stop %s %ds\n", u, i+1, u, i+1)
		}
		c.add("Start and stop where "+s.shows+".", lines(protect, s.config(nil)), lines(slow, "30s stop group g", "1m start group g", "90s service stop", "2m end"), "order", s.name)
		for _, u := range s.units {
			c.add(fmt.Sprintf("Monitor of %s restarts it where %s.", u, s.shows),
				lines(protect, s.config(nil), watcher("m", u), recoveryOf(set("restarts", 1))), lines(slow, "30s probe m failed", "1m probe m ok"), "order", s.name, "restart", u)
			c.add(fmt.Sprintf("%s does not start where %s.", u, s.shows),
				lines(protect, s.config(nil)), lines("0s fail start "+u+" \"exit status 1\"", "10s end", "10s mend all", "20s start group g"), "order", s.name, "start_failure", u)
			c.add(fmt.Sprintf("%s does not start, but the others are started all the same, where %s.", u, s.shows),
				lines(protect, s.config(func(unit string) []string {
					if unit == u {
						return []string{"start_anyway = true"}
					}
					return nil
				})), lines("0s fail start "+u+" \"exit status 1\"", "10s stop group g"), "order", s.name, "start_anyway", u)
			c.add(fmt.Sprintf("%s does not stop where %s.", u, s.shows),
				lines(protect, s.config(nil)), lines("0s fail stop "+u+" \"not done within 1m\"", "10s stop group g", "20s mend all", "30s start group g"), "order", s.name, "stop_failure", u)
			c.add(fmt.Sprintf("The operator stops and starts %s alone where %s.", u, s.shows),
				lines(protect, s.config(nil)), lines("10s stop resource "+u, "20s start resource "+u), "order", s.name, "alone", u)
		}
	}
}

// attempts: further attempts to start and stop, and what follows the last.
func (c *corpus) attempts() {
	for _, which := range []string{"start", "stop"} {
		for _, retry := range []int{0, 1, 3} {
			for _, until := range []string{"never", "second", "last"} {
				mend := map[string]string{"never": "", "second": "7s mend all", "last": fmt.Sprintf("%ds mend all", 5*retry+2)}[until]
				if until != "never" && retry == 0 {
					continue
				}
				history := lines("0s fail "+which+" db \"exit status 1\"", mend, "1m end")
				if which == "stop" {
					history = lines("0s fail stop db \"exit status 1\"", "1s stop group shop", mend, "1m end")
				}
				for _, final := range []recovery.Action{recovery.NoAction, recovery.StopGroup, recovery.Shutdown} {
					c.add(fmt.Sprintf("db does not %s, %s allowed, mended: %s; then %s.", which, count(retry, "further attempt"), until, final),
						lines(protect, group("shop"), unitOf("shop", "db", set(which+"_retry", retry), set("on_"+which+"_failure", string(final))), unitOf("shop", "web")),
						history, "attempt", which, fmt.Sprintf("retry%d", retry), until, final)
				}
			}
		}
		for _, how := range []string{"works", "fails", "slow"} {
			c.add(fmt.Sprintf("A script before the final action of a resource that does not %s: %s.", which, how),
				lines(protect, group("shop"), unitOf("shop", "db", set("on_"+which+"_failure", "reboot"), set("before_final", "/etc/before"))),
				lines("0s fail "+which+" db \"exit status 1\"", map[string]string{"fails": "0s fail script /etc/before \"exit status 2\"", "slow": "0s take script /etc/before 4s"}[how],
					"1s stop group shop", "1m end"), "attempt", which, "before_final", how)
		}
	}
}

// late: a start or stop that is not done in time.
func (c *corpus) late() {
	for _, which := range []string{"start", "stop"} {
		for _, a := range []recovery.Action{recovery.NoAction, recovery.StopGroup, recovery.Shutdown, recovery.Reset} {
			for _, how := range []string{"late", "fails"} {
				history := "0s take " + which + " db 2m"
				if how == "fails" {
					history = "0s fail " + which + " db \"exit status 1\""
				}
				c.add(fmt.Sprintf("db %s at %s; on_resource_timeout = %q.", map[string]string{"late": "is not done in time", "fails": "fails in time"}[how], which, a),
					lines(protect, "[server]", set("on_resource_timeout", string(a)), group("shop"), unitOf("shop", "db", set("on_"+which+"_failure", "stop_service")), unitOf("shop", "web")),
					lines(history, "5s end", "3m stop group shop", "10m end"), "late", which, how, a)
			}
		}
	}
}

// several: several resources fail at once; all final actions are honoured, the
// strongest last (fix 52).
func (c *corpus) several() {
	actions := []recovery.Action{recovery.NoAction, recovery.StopGroup, recovery.StopService, recovery.Shutdown, recovery.Reboot, recovery.Reset}
	for _, a := range actions {
		for _, b := range actions {
			c.add(fmt.Sprintf("a and b do not start; a asks for %s, b for %s.", a, b),
				lines(protect, group("g"), unitOf("g", "a", set("depends_on", []string{}), set("on_start_failure", string(a))),
					unitOf("g", "b", set("depends_on", []string{}), set("on_start_failure", string(b)))),
				"0s fail start a \"exit status 1\"\n0s fail start b \"exit status 2\"\n1m end\n", "several", a, b)
		}
	}
	for _, waits := range []string{"script", "window"} {
		for _, a := range []recovery.Action{recovery.NoAction, recovery.StopGroup} {
			for _, then := range []string{"nothing", "started", "stopped"} {
				config := lines(protect, group("g"), unitOf("g", "a", set("depends_on", []string{}), set("on_start_failure", string(a))))
				b := []string{set("depends_on", []string{}), set("on_start_failure", "reboot")}
				if waits == "script" {
					b = append(b, set("before_final", "/before"), set("script_timeout", "1m"))
				} else {
					config = lines(config, "[reboot]", set("windows", []string{"daily 11:01-11:05"}))
				}
				history := "clock 2026-11-23 11:00:00\n0s fail start a \"exit status 1\"\n0s fail start b \"exit status 2\"\n0s take script /before 30s\n"
				switch then {
				case "started":
					history += "10s mend all\n10s start group g\n"
				case "stopped":
					history += "10s stop group g\n"
				}
				c.add(fmt.Sprintf("a asks for %s, b for a reboot that waits for its %s; meanwhile %s by the operator.", a, waits, then),
					lines(config, unitOf("g", "b", b...)), history+"2m end\n", "several", "waits", waits, a, then)
			}
		}
	}
	for _, a := range []recovery.Action{recovery.StopService, recovery.Shutdown, recovery.Reset} {
		c.add(fmt.Sprintf("a asks for %s, b for a reboot after its script; nothing is lost.", a),
			lines(protect, group("g"), group("other"), unitOf("g", "a", set("depends_on", []string{}), set("on_start_failure", string(a))),
				unitOf("g", "b", set("depends_on", []string{}), set("on_start_failure", "reboot"), set("before_final", "/before"), set("script_timeout", "1m")),
				unitOf("other", "other")),
			"0s fail start a \"exit status 1\"\n0s fail start b \"exit status 2\"\n0s take script /before 30s\n5m end\n",
			"several", "waits", "script", a)
	}
}

// between: groups that wait for each other.
func (c *corpus) between() {
	for _, other := range []string{"quick", "slow", "fails", "too_slow", "stopped"} {
		for _, anyway := range []bool{false, true} {
			history := ""
			switch other {
			case "slow":
				history = "0s take start db 20s"
			case "fails":
				history = "0s fail start db \"exit status 1\""
			case "too_slow":
				history = "0s take start db 50s"
			case "stopped":
				history = "0s boot clean\n1s stop group all\n2s start group front"
			}
			c.add(fmt.Sprintf("front starts after back, waits 30s; back is %s; start anyway: %v.", other, anyway),
				lines(protect, group("back"), group("front", set("start_after", []string{"back"}), set("start_wait", "30s"), set("start_anyway", anyway)),
					unitOf("back", "db"), unitOf("front", "web")), lines(history, "2m end"), "between", "start", other, map[bool]string{true: "anyway", false: "gives_up"}[anyway])
		}
	}
	for _, when := range [][]string{{"service"}, {"shutdown"}, {"group"}, {"service", "shutdown", "group"}} {
		for _, cause := range []string{"stop group back", "stop group all", "service stop", "service shutdown", "service going-down"} {
			for _, other := range []string{"stops", "fails"} {
				history := "0s take stop web 5s"
				if other == "fails" {
					history = "0s fail stop web \"exit status 1\""
				}
				c.add(fmt.Sprintf("back stops after front at a stop of: %s; the cause is: %s; front %s.", strings.Join(when, ", "), cause, other),
					lines(protect, group("back", set("stop_after", []string{"front"}), set("stop_after_when", when), set("stop_wait", "30s"), set("stop_anyway", false)), group("front"),
						unitOf("back", "db"), unitOf("front", "web")), lines(history, "10s "+cause, "2m end"), "between", "stop", strings.Join(when, "_"), cause, other)
			}
		}
	}
}

// ends: the service and the machine go down; what can be stopped is stopped
// (enhancement 58), and a shutdown that may hang is guarded.
func (c *corpus) ends() {
	for _, how := range []string{"stop", "shutdown", "reboot", "going-down"} {
		for _, watch := range []string{"always", "on_failure", "never"} {
			for _, stuck := range []string{"none", "web", "db", "mail"} {
				history := ""
				if stuck != "none" {
					history = "0s fail stop " + stuck + " \"exit status 1\""
				}
				c.add(fmt.Sprintf("service %s with shutdown.watch = %q; does not stop: %s. The rest is stopped all the same.", how, watch, stuck),
					lines(protect, "[shutdown]", set("watch", watch), shop(), group("post", set("stop_after", []string{"shop"})), unitOf("post", "mail"), watcher("web", "web"), recoveryOf(set("restarts", 1))),
					lines(history, "10s service "+how, "+1s probe web failed", "1h end"), "end", how, watch, stuck)
			}
		}
	}
	c.add("A shutdown while a group is still starting: it waits for the start under way, then stops everything.",
		lines(protect, shop()), "0s take start db 20s\n5s service reboot\n1m end\n", "end", "reboot", "while_starting")
	c.add("A shutdown while a restart is under way.",
		lines(protect, shop(), watcher("web", "web"), recoveryOf(set("restarts", 1))), "0s take stop web 20s\n5s probe web failed\n10s service shutdown\n1m end\n", "end", "shutdown", "while_restarting")
}

// starts: which groups are started with the service.
func (c *corpus) starts() {
	for _, auto := range []string{"always", "clean", "never"} {
		for _, boot := range []string{"clean", "unclean", "rescue", "adopt"} {
			c.add(fmt.Sprintf("autostart = %q, boot %s; manual is never started by itself.", auto, boot),
				lines(protect, "[server]", set("autostart", auto), shop(), group("manual", set("auto_start", false)), unitOf("manual", "tool")),
				lines("0s boot "+boot, "10s start group manual", "1m end"), "boot", auto, boot)
		}
	}
	for _, ratio := range []int{1, 3, 100} {
		c.add(fmt.Sprintf("Timeouts are multiplied by %d for ten minutes.", ratio),
			lines(protect, shop(), watcher("web", "web"), recoveryOf(set("restarts", 2), set("backoff", "0s"))),
			lines(fmt.Sprintf("5s stretch %d 10m", ratio), "10s probe web timeout", "11m probe web failed"), "stretch", fmt.Sprint(ratio))
	}
	c.add("Timeouts are multiplied, and that is ended early.", lines(protect, shop()), "5s stretch 5 10m\n1m unstretch\n20m end\n", "stretch", "ended")
}
