package simulate

import (
	"fmt"
	"strings"

	"shisa/ctl/recovery"
)

// windows: when the machine may go down, and when nothing is recovered.
func (c *corpus) windows() {
	cases := []struct{ name, shows, window string }{
		{"open", "the window is open", "mon 10:00-12:00"},
		{"opens", "the window opens ten minutes later", "daily 11:10-11:20"},
		{"midnight", "the window lies past midnight", "mon-fri 23:00-01:00"},
		{"past", "the only window is past", "2026-11-01 00:00 to 2026-11-02 00:00"},
		{"next_week", "the window is on the day before", "sun 11:00-12:00"},
	}
	for _, w := range cases {
		for _, then := range []string{"lasts", "heals"} {
			for _, a := range []recovery.Action{recovery.Reboot, recovery.Reset, recovery.StopGroup} {
				probes := "10s probe web failed x100 every 10s"
				if then == "heals" {
					probes = "10s probe web failed x10 every 10s\n+10s probe web ok x90 every 10s"
				}
				if w.name == "midnight" {
					probes = strings.ReplaceAll(probes, "every 10s", "every 10m")
				}
				c.add(fmt.Sprintf("Action %s is decided; %s; the failure %s.", a, w.shows, then),
					lines(protect, "[reboot]", set("windows", []string{w.window}), shop(), watcher("web", "web"), recoveryOf(set("restarts", 0), set("final_action", string(a)))),
					lines("clock 2026-11-23 11:00:00", "0s boot clean", probes), "window", w.name, then, a)
			}
		}
	}
	c.add("The window closes between the decision and the last look: the action waits for the next one.",
		lines(protect, "[reboot]", set("windows", []string{"daily 10:00-11:01"}), shop(), watcher("web", "web"), recoveryOf(set("restarts", 0), set("final_action", "reboot"))),
		lines("clock 2026-11-23 11:00:00", "0s boot clean", "50s probe web failed x4 every 10s"), "window", "closes")
	c.add("Nobody knows the calendar: no window can be open, the action waits.",
		lines(protect, "[reboot]", set("windows", []string{"daily 00:00-24:00"}), shop(), watcher("web", "web"), recoveryOf(set("restarts", 0), set("final_action", "reboot"))),
		"10s probe web failed x4 every 10s\n", "window", "no_clock")
	for _, whose := range []string{"server", "monitor"} {
		for _, w := range []struct{ name, window string }{{"all_along", "daily 10:00-13:00"}, {"closes", "daily 10:00-11:02"}, {"opens", "daily 11:01-11:03"}} {
			for _, then := range []string{"lasts", "heals"} {
				probes := "10s probe web failed x24 every 10s"
				if then == "heals" {
					probes = "10s probe web failed x8 every 10s\n+10s probe web ok x16 every 10s"
				}
				server, own := "", ""
				if whose == "server" {
					server = lines("[server]", set("maintenance", []string{w.window}))
				} else {
					own = set("maintenance", []string{w.window})
				}
				c.add(fmt.Sprintf("Maintenance window %s of the %s; the failure %s.", w.window, whose, then),
					lines(protect, server, shop(), watcher("web", "web", own), recoveryOf(set("restarts", 2), set("final_action", "stop_group"), set("backoff", "0s"))),
					lines("clock 2026-11-23 11:00:00", "0s boot clean", probes), "maintenance", whose, w.name, then)
			}
		}
	}
}

// blockers: what forbids a reboot, for a bounded time.
func (c *corpus) blockers() {
	for _, a := range []recovery.Action{recovery.Reboot, recovery.Shutdown, recovery.Reset, recovery.BMCCycle} {
		for _, how := range []string{"free", "a_minute", "for_ever", "silent"} {
			for _, then := range []string{"lasts", "heals"} {
				history := ""
				switch how {
				case "a_minute":
					history = "0s fail blockers \"a backup runs\"\n1m20s mend blockers"
				case "for_ever":
					history = "0s fail blockers \"a backup runs\""
				case "silent":
					history = "0s take blockers 10h"
				}
				probes := []string{"10s probe web failed", "+10s probe web failed x40 every 10s"}
				if then == "heals" {
					probes = []string{"10s probe web failed", "+30s probe web ok", "+10s probe web ok x5 every 10s"}
				}
				first, rest, _ := strings.Cut(history, "\n")
				text := lines(first, probes[0], "+10s end", strings.Join(probes[1:], "\n"))
				if rest != "" {
					text = lines(first, "10s probe web failed x7 every 10s", rest, "+10s probe web failed x20 every 10s")
					if then == "heals" {
						text = lines(first, "10s probe web failed x3 every 10s", "+10s probe web ok", rest, "+1m end")
					}
				}
				c.add(fmt.Sprintf("Action %s; the blocker: %s, heeded for 5m; the failure %s.", a, strings.ReplaceAll(how, "_", " "), then),
					lines(protect, "[reboot]", set("blocker", "/etc/ask"), set("blocker_limit", "5m"), shop(), watcher("web", "web"), recoveryOf(set("restarts", 0), set("final_action", string(a)))),
					text, "blocker", a, how, then)
			}
		}
	}
	c.add("Window and blocker: first the window, then the question, then one more look.",
		lines(protect, "[reboot]", set("windows", []string{"daily 11:05-12:00"}), set("blocker_files", []string{"/run/backup"}), shop(), watcher("web", "web"), recoveryOf(set("restarts", 0), set("final_action", "reboot"))),
		lines("clock 2026-11-23 11:00:00", "0s boot clean", "0s fail blockers \"file /run/backup exists\"", "10s probe web failed x40 every 10s", "+5s mend blockers", "+5s probe web failed x10 every 10s"), "blocker", "window")
}

// limits: machine-level actions across boots.
func (c *corpus) limits() {
	for _, most := range []int{1, 2, 3} {
		for before := range 4 {
			c.add(fmt.Sprintf("%s before this boot, %d allowed.", count(before, "action"), most),
				lines(protect, "[limiter]", set("max", most), set("calm", "1h"), shop(), watcher("host", ""), recoveryOf(set("final_action", "reset"))),
				lines(fmt.Sprintf("0s boot unclean actions %d", before), "10s probe host failed x3 every 10s", "+10s probe host ok", "+10s probe host failed x3 every 10s"),
				"limit", fmt.Sprintf("max%d", most), fmt.Sprintf("before%d", before))
		}
	}
	for _, how := range []string{"calm", "never", "operator", "off"} {
		keys, between := []string{set("max", 1), set("calm", "30m")}, "40m end"
		switch how {
		case "never":
			keys = []string{set("max", 1), set("calm", "0s")}
		case "operator":
			between = "1m reset limiter"
		case "off":
			keys, between = []string{set("enabled", false)}, ""
		}
		c.add("The limit is reached, then: "+how+".",
			lines(protect, "[limiter]", lines(keys...), shop(), watcher("host", ""), recoveryOf(set("final_action", "reset"))),
			lines("0s boot unclean actions 1", "10s probe host failed x3 every 10s", "+10s probe host ok", between, "+10s probe host failed x3 every 10s"), "limit", how)
	}
}

// holds: everything that keeps decisions from being carried out, and its end.
func (c *corpus) holds() {
	type hold struct{ name, config, begin, end string }
	for _, h := range []hold{
		{"suspend_monitor", "", "5s suspend web", "resume web"},
		{"suspend_all", "", "5s suspend all", "resume all"},
		{"suppress_server", "[server]\nsuppress_recovery = true", "", ""},
		{"suppress_monitor", "", "", ""},
		{"observe", "", "", ""},
		{"rescue", "", "0s boot rescue\n1s start group shop", ""},
		{"unable", "", `0s boot unable "a container"`, ""},
		{"store_down", "", "5s store down", "store up"},
		{"group_stopped", "", "5s stop group shop", "start group shop"},
	} {
		for _, step := range []string{"restart", "reset"} {
			for _, ends := range []bool{false, true} {
				if ends && h.end == "" {
					continue
				}
				restarts, final := 1, "none"
				if step == "reset" {
					restarts, final = 0, "reset"
				}
				mode, suppress, history := protect, "", "10s probe web failed x4 every 10s"
				switch h.name {
				case "observe":
					mode = `mode = "observe"`
				case "suppress_monitor":
					suppress = set("suppress", true)
				}
				shows := fmt.Sprintf("%s while a failure asks for %s.", strings.ReplaceAll(h.name, "_", " "), step)
				if ends {
					history += "\n+1s " + h.end + "\n+9s probe web failed x3 every 10s"
					shows += " Then that ends."
				}
				c.add(shows, lines(mode, h.config, shop(), watcher("web", "web"), recoveryOf(set("restarts", restarts), set("final_action", final), suppress)),
					lines(h.begin, history), "hold", h.name, step, map[bool]string{true: "ends", false: "stays"}[ends])
			}
		}
	}
	for _, which := range []string{"start", "stop"} {
		for _, suppressed := range []bool{false, true} {
			c.add(fmt.Sprintf("db does not %s; the final action for that is suppressed: %v.", which, suppressed),
				lines(protect, "[server]", set("suppress_"+which+"_failure", suppressed), group("shop"), unitOf("shop", "db", set("on_"+which+"_failure", "reboot")), unitOf("shop", "web")),
				lines("0s fail "+which+" db \"exit status 1\"", "10s stop group shop", "+1m end"), "hold", "failure", which, fmt.Sprint(suppressed))
		}
	}
}

// dummies: failures that are only played.
func (c *corpus) dummies() {
	for _, name := range []string{"web", "all"} {
		for _, ends := range []bool{false, true} {
			for _, final := range []string{"none", "stop_group", "reboot"} {
				history := "10s dummy " + name + "\n+1s probe web ok x3 every 10s"
				if ends {
					history = "10s dummy " + name + "\n+1s probe web ok\n+1s undummy " + name + "\n+1s probe web ok x2 every 10s"
				}
				c.add(fmt.Sprintf("A dummy failure of %s with final action %s; it ends: %v.", name, final, ends),
					lines(protect, shop(), watcher("web", "web"), recoveryOf(set("restarts", 1), set("final_action", final), set("backoff", "0s")), watcher("db", "db")),
					history+"\n", "dummy", name, final, map[bool]string{true: "ends", false: "stays"}[ends])
			}
		}
	}
}

// operators: commands at every stage of recovery.
func (c *corpus) operators() {
	stages := []struct{ name, shows, config, history string }{
		{"delayed", "a restart waits for its back-off", recoveryOf(set("restarts", 9), set("backoff", "1m"), set("backoff_jitter_percent", 0)),
			"10s probe web failed x2 every 10s"},
		{"restarting", "a restart is under way", recoveryOf(set("restarts", 9)), "0s take stop web 1m\n10s probe web failed"},
		{"script", "a recovery script runs", recoveryOf(set("scripts", 1), set("script", "/etc/s"), set("restarts", 1), set("script_timeout", "2m")),
			"0s take script /etc/s 1m\n10s probe web failed"},
		{"final", "a reboot waits for its blocker", recoveryOf(set("restarts", 0), set("final_action", "reboot")), "0s fail blockers \"a backup runs\"\n10s probe web failed"},
		{"exhausted", "recovery has given up", recoveryOf(set("restarts", 1), set("backoff", "0s")), "10s probe web failed x3 every 10s"},
	}
	for _, s := range stages {
		for _, command := range []string{"stop group shop", "start group shop", "stop resource web", "start resource web", "suspend web", "suspend all", "reset web", "service stop", "service reboot"} {
			c.add(fmt.Sprintf("%s while %s.", command, s.shows),
				lines(protect, "[reboot]", set("blocker_files", []string{"/run/backup"}), set("blocker_limit", "10m"), shop(), watcher("web", "web"), s.config),
				lines(s.history, "+1s "+command, "+10s probe web failed x2 every 10s", "+5m end"), "operator", s.name, command)
		}
	}
}
