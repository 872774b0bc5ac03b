package simulate

import (
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/recovery"
)

// ladders: the whole way down, for every target and length.
func (c *corpus) ladders() {
	type target struct{ name, key string }
	for _, t := range []target{{"resource", "resource/web"}, {"group", "group/shop"}, {"groups", "groups"}} {
		for _, scripts := range []int{0, 2} {
			for _, restarts := range []int{0, 1, 3} {
				for _, final := range []recovery.Action{recovery.NoAction, recovery.StopResource, recovery.StopGroup, recovery.Reboot} {
					if final == recovery.StopResource && t.name != "resource" {
						continue
					}
					script := ""
					if scripts > 0 {
						script = set("script", "/etc/mend")
					}
					c.add(fmt.Sprintf("%s of the script, %s of %s, then %s. Nothing helps.", count(scripts, "run"), count(restarts, "restart"), t.key, final),
						lines(protect, shop(), watcher("web", "web"), recoveryOf(set("target", t.key), set("scripts", scripts), script,
							set("restarts", restarts), set("final_action", string(final)), set("backoff", "0s"))),
						"10s probe web failed x9 every 10s\n",
						"ladder", t.name, fmt.Sprintf("s%d", scripts), fmt.Sprintf("r%d", restarts), final)
				}
			}
		}
	}
}

// patterns: what probes find, against what is tolerated.
func (c *corpus) patterns() {
	patterns := []struct{ name, shows, history string }{
		{"lasting", "A failure that lasts.", "10s probe web failed x6 every 10s"},
		{"flapping", "Every second probe fails.", "10s probe web failed\n+10s probe web ok\n+10s probe web failed\n+10s probe web ok\n+10s probe web failed"},
		{"mended", "Fails three times, then works, then fails again.", "10s probe web failed x3 every 10s\n+10s probe web ok\n+10s probe web failed x2 every 10s"},
		{"timeouts", "No answer in time, again and again.", "10s probe web timeout x6 every 10s"},
		{"timeout_then_failed", "No answer, then a failure.", "10s probe web timeout x2 every 10s\n+10s probe web failed x3 every 10s"},
		{"blind", "Cannot look: that says nothing about the target.", "10s probe web blind x6 every 10s"},
		{"blind_between", "Cannot look between two failures: the count stands.", "10s probe web failed\n+10s probe web blind x2 every 10s\n+10s probe web failed x3 every 10s"},
		{"certain", "A failure that looking again cannot change: no retry.", "10s probe web certain x3 every 10s"},
		{"warnings", "A warning is no failure.", "10s probe web warning x3 every 10s\n+10s probe web ok"},
		{"warning_resets", "A warning means that the target works: the count starts anew.", "10s probe web failed\n+10s probe web warning\n+10s probe web failed x2 every 10s"},
	}
	for _, p := range patterns {
		for _, retry := range []int{0, 1, 3} {
			c.add(fmt.Sprintf("%s %s tolerated.", p.shows, count(retry, "failure")),
				lines(protect, shop(), watcher("web", "web", set("retry", retry)), recoveryOf(set("restarts", 2), set("final_action", "stop_group"), set("backoff", "0s"))),
				p.history+"\n", "pattern", p.name, fmt.Sprintf("retry%d", retry))
		}
	}
	for _, p := range patterns[:6] {
		for _, flag := range []string{"no_retry_on_timeout", "no_recovery_on_timeout"} {
			c.add(p.shows+" With "+flag+".",
				lines(protect, shop(), watcher("web", "web", set("retry", 1)), recoveryOf(set("restarts", 1), set("final_action", "stop_group"), set(flag, true), set("backoff", "0s"))),
				p.history+"\n", "pattern", p.name, flag)
		}
	}
}

// onMachine lists the actions that take the machine down.
func onMachine() []recovery.Action {
	return slices.DeleteFunc(recovery.FinalActions(), func(a recovery.Action) bool { return !a.OnMachine() })
}

// finals: each final action, how it is confirmed, and what follows when it
// fails.
func (c *corpus) finals() {
	for _, a := range recovery.FinalActions() {
		command := ""
		if a == recovery.Command {
			command = set("command", "/etc/last")
		}
		for _, before := range []string{"none", "runs", "fails", "slow"} {
			script, history := "", ""
			switch before {
			case "runs":
				script = set("before_final", "/etc/before")
			case "fails":
				script, history = set("before_final", "/etc/before"), "0s fail script /etc/before \"exit status 1\""
			case "slow":
				script, history = set("before_final", "/etc/before"), "0s take script /etc/before 4s"
			}
			if a == recovery.NoAction && before != "none" {
				continue
			}
			c.add(fmt.Sprintf("Final action %s at once; the script before it: %s.", a, before),
				lines(protect, shop(), watcher("web", "web"), recoveryOf(set("restarts", 0), set("final_action", string(a)), command, script)),
				lines(history, "10s probe web failed x3 every 10s", "+1m end"), "final", a, before)
		}
	}
	for _, a := range onMachine() {
		next, _ := a.Harder()
		for _, broken := range []int{1, 2} {
			history := fmt.Sprintf("0s fail act %s \"not supported\"", a)
			if broken == 2 {
				history += fmt.Sprintf("\n0s fail act %s \"not supported\"", next)
			}
			if broken == 2 && next == recovery.NoAction {
				continue
			}
			c.add(fmt.Sprintf("Action %s does not succeed (%d in a row): the next harder one is taken, both are recorded.", a, broken),
				lines(protect, shop(), watcher("host", ""), recoveryOf(set("final_action", string(a)))),
				lines(history, "10s probe host failed x2 every 10s", "+10s end"), "harder", a, fmt.Sprint(broken))
		}
	}
	looks := map[string]string{"failed": "failed", "ok": "ok", "warning": "warning", "timeout": "timeout", "certain": "certain",
		"blind_failed": "blind\n+10s probe host failed", "blind_ok": "blind\n+10s probe host ok", "ok_failed": "ok\n+10s probe host failed x2 every 10s"}
	for name, look := range looks {
		for _, a := range []recovery.Action{recovery.StopService, recovery.Shutdown, recovery.Reset, recovery.BMCCycle} {
			c.add(fmt.Sprintf("One more look before %s finds: %s.", a, strings.ReplaceAll(name, "_", ", then ")),
				lines(protect, shop(), watcher("host", ""), recoveryOf(set("final_action", string(a)))),
				"10s probe host failed\n+1s probe host "+look+"\n+1m end\n", "look", a, name)
		}
	}
}

// scripts: scripts of recovery that work, fail or take long, with probes going
// on meanwhile.
func (c *corpus) scripts() {
	for _, which := range []string{"script", "before_restart", "before_final"} {
		for _, how := range []string{"works", "fails", "slow", "heals"} {
			history := ""
			switch how {
			case "fails":
				history = "0s fail script /etc/s \"exit status 3\""
			case "slow", "heals":
				history = "0s take script /etc/s 25s"
			}
			probes := "10s probe web failed x6 every 10s"
			if how == "heals" {
				probes = "10s probe web failed\n+10s probe web ok x5 every 10s"
			}
			n, restarts, final := 0, 0, "none"
			switch which {
			case "script":
				n = 1
			case "before_restart":
				restarts = 1
			default:
				final = "stop_group"
			}
			c.add(fmt.Sprintf("The script %s: %s. Its outcome decides nothing.", which, how),
				lines(protect, shop(), watcher("web", "web"), recoveryOf(set(which, "/etc/s"), set("scripts", n), set("restarts", restarts), set("final_action", final),
					set("script_timeout", "30s"))), lines(history, probes, "+1m end"), "script", which, how)
		}
	}
}

// pauses: distance between restarts, and grace after them.
func (c *corpus) pauses() {
	for _, backoff := range []string{"0s", "10s", "1m"} {
		for _, most := range []string{"1m", "5m"} {
			for _, jitter := range []int{0, 50} {
				c.add(fmt.Sprintf("Back-off from %s to %s with %d%% of jitter: the first restart is immediate, the later ones keep a growing distance.", backoff, most, jitter),
					lines(protect, shop(), watcher("web", "web"), recoveryOf(set("restarts", 6), set("backoff", backoff), set("backoff_max", most), set("backoff_jitter_percent", jitter))),
					"5s probe web failed x90 every 5s\n", "backoff", backoff, most, fmt.Sprintf("jitter%d", jitter))
			}
		}
	}
	c.add("After a long time without a restart the back-off begins anew.",
		lines(protect, shop(), watcher("web", "web"), recoveryOf(set("restarts", 9), set("backoff", "30s"), set("backoff_jitter_percent", 0))),
		"10s probe web failed x5 every 10s\n+10s probe web ok x60 every 10s\n+10s probe web failed x5 every 10s\n", "backoff", "calm")
	for _, target := range []string{"resource/web", "group/shop", "groups", "server"} {
		for _, grace := range []string{"0s", "25s", "2m"} {
			restarts, final := 2, "none"
			if target == "server" {
				restarts, final = 0, "command\"\ncommand = \"/etc/c"
			}
			c.add(fmt.Sprintf("Grace of %s after each start of %s.", grace, target),
				lines(protect, shop(), watcher("web", "web"), recoveryOf(set("target", target), set("restarts", restarts), "final_action = \""+final+"\"", set("grace", grace), set("backoff", "0s"))),
				"10s probe web failed x12 every 10s\n", "grace", strings.ReplaceAll(target, "/", "_"), grace)
		}
	}
}

// families: one cause, one recovery.
func (c *corpus) families() {
	for _, parent := range []string{"ok", "failed", "retrying", "blind", "timeout", "warning", "suspended", "mended"} {
		keys, history := "", "5s probe gateway "+parent
		switch parent {
		case "retrying":
			keys, history = set("retry", 9), "5s probe gateway failed"
		case "suspended":
			history = "5s suspend gateway"
		case "mended":
			history = "5s probe gateway failed\n25s probe gateway ok"
		}
		lone := strings.Split(history, "\n")
		probes := "10s probe web failed x2 every 10s"
		if parent == "mended" {
			history, probes = lone[0], "10s probe web failed\n"+lone[1]+"\n+5s probe web failed"
		}
		for _, restarts := range []int{0, 1} {
			final := "reboot"
			if restarts > 0 {
				final = "none"
			}
			c.add(fmt.Sprintf("The parent is %s while the target fails.", parent),
				lines(protect, shop(), watcher("gateway", "", keys), watcher("web", "web", set("parents", []string{"gateway"})),
					recoveryOf(set("restarts", restarts), set("final_action", final))),
				lines(history, probes, "+1m end"), "parent", parent, fmt.Sprintf("r%d", restarts))
		}
	}
	for _, top := range []string{"ok", "failed"} {
		for _, middle := range []string{"ok", "failed"} {
			c.add(fmt.Sprintf("Three generations: the first %s, the second %s, the third fails.", top, middle),
				lines(protect, shop(), watcher("power", ""), watcher("gateway", "", set("parents", []string{"power"})),
					watcher("web", "web", set("parents", []string{"gateway"})), recoveryOf(set("restarts", 1))),
				lines("5s probe power "+top, "6s probe gateway "+middle, "7s probe web failed x2 every 10s", "+10s probe power ok", "+0s probe gateway ok", "+1s probe web ok"),
				"generations", top, middle)
		}
	}
	targets := []string{"resource/db", "resource/web", "group/shop", "groups"}
	for _, a := range targets {
		for _, b := range targets {
			c.add(fmt.Sprintf("Two monitors find a failure at once, one recovers %s, the other %s: only one restart at a time.", a, b),
				lines(protect, shop(), watcher("first", "db"), recoveryOf(set("target", a), set("restarts", 2), set("backoff", "0s")),
					watcher("second", "web"), recoveryOf(set("target", b), set("restarts", 2), set("backoff", "0s"))),
				lines("0s take stop db 3s", "10s probe first failed", "+0s probe second failed", "+1s probe first failed", "+0s probe second failed",
					"+20s probe first ok", "+0s probe second failed", "+20s probe second ok"),
				"rivals", strings.ReplaceAll(a, "/", "_"), strings.ReplaceAll(b, "/", "_"))
		}
	}
}
