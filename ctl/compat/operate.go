package compat

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/event"
)

var clptoratio = command{
	name: "clptoratio", twin: "shisa stretch",
	usage: `-r ratio [-t time] [-h host_name] [--apito time]
		-i [-h host_name] [--apito time]
		-s [-h host_name] [--apito time]`,
	options: []option{{"-r", with}, {"-t", with}, {"-i", alone}, {"-s", alone}, hostOption, timeoutOption},
	run:     runRatio,
}

func runRatio(c *call) error {
	verb, err := c.given.which("-r", "-i", "-s")
	if err != nil {
		return err
	}
	ratio, err := c.given.number("-r", 1, api.MaxStretch, 1)
	if err != nil {
		return err
	}
	length, err := ratioTime(c.given.text("-t"))
	switch {
	case verb == "-r" && ratio > 1 && err != nil:
		return err
	case ratio == 1 && c.given.has("-t"):
		return badOption.say("-t goes with a ratio of more than 1.")
	}
	s, err := c.overview()
	if err != nil {
		return err
	}
	if verb == "-s" {
		fmt.Fprintf(c.out, "present toratio : %d\n", s.Stretch.Ratio)
		return nil
	}
	if _, err := c.client.Stretch(c.ctx, api.StretchCommand{Ratio: ratio, ForMS: api.Millis(length), Reason: c.name}); err != nil {
		return err
	}
	return c.succeed()
}

// ratioTime reads minutes, hours or days: "30m", "2h", "1d", at most 30 days.
func ratioTime(text string) (time.Duration, error) {
	unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	digits := strings.TrimRight(text, "mhd")
	n, err := strconv.Atoi(digits)
	each := unit[text[len(digits):]]
	if err != nil || n < 1 || each == 0 || n > int(api.MaxStretchFor/each) {
		return 0, &failure{badOption, "-t takes a time of 1m to 30d, such as 30m, 2h or 1d.", err}
	}
	return time.Duration(n) * each, nil
}

var clpregctrl = command{
	name: "clpregctrl", twin: "shisa limiter",
	usage: `--get [-h host_name]
		--clear -t rc|rm -r haltcount [-h host_name]`,
	options: []option{{"-g --get", alone}, {"-c --clear", alone}, {"-t", with}, {"-r", with}, hostOption},
	codes:   map[fault]int{internal: 10, badOption: 3, notRunning: 20, badStatus: 20, noConnect: 21, timeout: 22},
	run:     runRegistry,
}

// runRegistry shows and clears the count of machine-level actions. The original
// kept one for groups (rc) and one for monitors (rm); here both are one, since a
// machine that reboots in a loop does so for either.
func runRegistry(c *call) error {
	verb, err := c.given.which("--get", "--clear")
	if err != nil {
		return err
	}
	s, err := c.overview()
	if err != nil {
		return err
	}
	if verb == "--clear" {
		kind, registry := c.given.text("-t"), c.given.text("-r")
		if kind != "rc" && kind != "rm" || registry != "haltcount" {
			return badOption.say("Clear -t rc or rm, -r haltcount.")
		}
		if _, err := c.client.ResetLimiter(c.ctx); err != nil {
			return err
		}
		return c.registryDone()
	}
	rule := strings.Repeat("*", 30)
	for _, kind := range []string{"rc", "rm"} {
		fmt.Fprintln(c.out, rule)
		for _, l := range []property{{"type", kind}, {"registry", "haltcount"}, {"comment", "halt count"}, {"kind", "int"},
			{"value", strconv.Itoa(s.Limiter.Count)}, {"default", "0"}} {
			fmt.Fprintf(c.out, " %-8s : %s\n", l.label, l.value)
		}
	}
	fmt.Fprintln(c.out, rule)
	return c.registryDone()
}

func (c *call) registryDone() error {
	fmt.Fprintln(c.out, " Command succeeded.(code:0)")
	return nil
}

var clpcpufreq = command{
	name: "clpcpufreq", twin: "shisa speed",
	usage: `--high [-h host_name]
		--low [-h host_name]
		-i [-h host_name]
		-s [-h host_name]`,
	options: []option{{"--high", alone}, {"--low", alone}, {"-i", alone}, {"-s", alone}, hostOption},
	run:     runSpeed,
}

func runSpeed(c *call) error {
	verb, err := c.given.which("--high", "--low", "-i", "-s")
	if err != nil {
		return err
	}
	if _, err := c.overview(); err != nil {
		return err
	}
	mode := map[string]api.SpeedMode{"--high": api.SpeedHigh, "--low": api.SpeedLow, "-i": api.SpeedAuto}[verb]
	r, err := c.client.Speed(c.ctx, api.SpeedCommand{Mode: mode, Reason: c.name})
	if err != nil {
		return err
	}
	if verb == "-s" {
		fmt.Fprintln(c.out, r.Text)
		return nil
	}
	return c.succeed()
}

var clplogcmd = command{
	name: "clplogcmd", twin: "shisa note",
	usage:   `-m message [-i ID] [-l ERR|WARN|INFO] [--syslog] [--alert] [--mail] [--trap]`,
	options: []option{{"-m", with}, {"-i", with}, {"-l", with}, {"--syslog", alone}, {"--alert", alone}, {"--mail", alone}, {"--trap", alone}},
	run:     runLog,
}

// severities are the words that scripts use; the original took them loosely.
var severities = map[string]event.Severity{
	"": event.Info, "INFO": event.Info, "WARN": event.Warning, "WAR": event.Warning, "WARNING": event.Warning, "ERR": event.Error, "ERROR": event.Error,
}

// runLog writes an event. Where events go is said by the configuration alone, so
// that the options for it are taken and have no effect.
func runLog(c *call) error {
	severity, ok := severities[strings.ToUpper(c.given.text("-l"))]
	if !ok {
		return badOption.say("-l takes ERR, WARN or INFO.")
	}
	id, err := c.given.number("-i", 1, 10000, 1)
	if err != nil {
		return err
	}
	if c.given.text("-m") == "" {
		return badOption.say("-m is missing.")
	}
	if _, err := c.client.Note(c.ctx, api.NoteCommand{Text: c.given.text("-m"), Severity: severity, ID: id}); err != nil {
		return err
	}
	return c.succeed()
}
