package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/recovery"
)

// verbs read each kind of line.
var verbs = map[string]func(s *step, verb string, words []string) error{
	"boot": boot, "probe": probe, "start": unit, "stop": unit,
	"suspend": aboutMonitor, "resume": aboutMonitor, "dummy": aboutMonitor, "undummy": aboutMonitor, "reset": aboutMonitor,
	"stretch": stretch, "unstretch": stretch, "store": store, "service": service, "reload": reload,
	"fail": fail, "mend": mend, "take": take, "end": end,
}

func verbNames() []string { return slices.Sorted(maps.Keys(verbs)) }

func boot(s *step, _ string, words []string) error {
	in := decide.Boot{Clean: true}
	for i := 0; i < len(words); i++ {
		switch word := words[i]; word {
		case "clean":
		case "unclean":
			in.Clean = false
		case "rescue":
			in.Rescue = true
		case "adopt":
			in.Adopt = true
		case "unable", "actions":
			if i++; i == len(words) {
				return fmt.Errorf("%s needs a value", word)
			}
			if word == "unable" {
				in.Unable = words[i]
			} else if n, err := strconv.ParseUint(words[i], 10, 16); err == nil {
				in.Durable.Actions = int(n)
			} else {
				return fmt.Errorf("%q is no number of actions", words[i])
			}
		default:
			return errForm(words, "boot clean or unclean, rescue, adopt, unable WHY, actions N")
		}
	}
	s.input = in
	return nil
}

func probe(s *step, _ string, words []string) error {
	const form = "probe MONITOR ok, warning, failed, certain, timeout or blind, then perhaps what it said"
	if len(words) != 2 && len(words) != 3 {
		return errForm(words, form)
	}
	outcome, ok := outcomes[words[1]]
	if !ok {
		return errForm(words, form)
	}
	in := decide.Probed{Monitor: words[0], Outcome: outcome, Warning: words[1] == "warning", Detail: words[1]}
	if len(words) == 3 {
		in.Detail = words[2]
	}
	s.probe, s.input = words[0], in
	return nil
}

func unit(s *step, verb string, words []string) error {
	if len(words) != 2 {
		return errForm(words, verb+" group NAME, group all or resource NAME")
	}
	up := verb == "start"
	switch {
	case words[0] == "resource":
		s.input = decide.ResourceWanted{Name: words[1], Up: up, By: By}
	case words[0] == "group":
		s.input = decide.GroupWanted{Name: all(words[1]), Up: up, By: By}
	default:
		return errForm(words, verb+" group NAME, group all or resource NAME")
	}
	return nil
}

// all turns the word into what the machine calls all.
func all(name string) string {
	if name == "all" {
		return ""
	}
	return name
}

func aboutMonitor(s *step, verb string, words []string) error {
	if len(words) != 1 {
		return errForm(words, verb+" MONITOR or all")
	}
	name := all(words[0])
	switch verb {
	case "suspend", "resume":
		s.input = decide.Hold{Monitor: name, On: verb == "suspend", By: By}
	case "dummy", "undummy":
		s.input = decide.Dummy{Monitor: name, On: verb == "dummy", By: By}
	default:
		s.input = decide.ResetMonitor{Monitor: name}
		if name == "limiter" {
			s.input = decide.ResetLimiter{}
		}
	}
	return nil
}

func stretch(s *step, verb string, words []string) error {
	if verb == "unstretch" && len(words) == 0 {
		s.input = decide.Stretch{By: By}
		return nil
	}
	if len(words) != 2 {
		return errForm(words, "stretch RATIO TIME, or unstretch")
	}
	ratio, err := strconv.Atoi(words[0])
	d, derr := time.ParseDuration(words[1])
	if err != nil || derr != nil || ratio < 1 || ratio > decide.MaxStretch || d <= 0 || d > longest {
		return errForm(words, "stretch RATIO TIME, such as stretch 3 10m")
	}
	s.input = decide.Stretch{Ratio: ratio, For: d, By: By}
	return nil
}

func store(s *step, _ string, words []string) error {
	if len(words) != 1 || words[0] != "down" && words[0] != "up" {
		return errForm(words, "store down or up")
	}
	s.input = decide.Store{Down: words[0] == "down"}
	return nil
}

// reloads change the configuration that is in force.
var reloads = map[string]func(*config.Model){
	"observe":    func(m *config.Model) { m.Mode = config.Observe },
	"protect":    func(m *config.Model) { m.Mode = config.Protect },
	"suppress":   func(m *config.Model) { m.Server.RecoverySuppress = true },
	"unsuppress": func(m *config.Model) { m.Server.RecoverySuppress = false },
}

func reload(s *step, _ string, words []string) error {
	if len(words) != 1 || reloads[words[0]] == nil {
		return errForm(words, "reload observe, protect, suppress or unsuppress")
	}
	change := reloads[words[0]]
	s.world = func(w *World) {
		m := *w.Model
		change(&m)
		w.Model = &m
		w.Input(decide.Reload{Model: &m})
	}
	return nil
}

func service(s *step, _ string, words []string) error {
	in := decide.StopService{Then: recovery.NoAction, By: By, Reason: "requested by " + By}
	switch {
	case len(words) != 1:
		return errForm(words, "service stop, shutdown, reboot or going-down")
	case words[0] == "stop":
	case words[0] == "shutdown":
		in.Then = recovery.Shutdown
	case words[0] == "reboot":
		in.Then = recovery.Reboot
	case words[0] == "going-down":
		in.Server, in.Reason = true, "the operating system is going down"
	default:
		return errForm(words, "service stop, shutdown, reboot or going-down")
	}
	s.input = in
	return nil
}

// operationOf reads what an operation is called and returns the words after it.
func operationOf(words []string) (string, []string, error) {
	switch {
	case len(words) > 0 && words[0] == "blockers":
		return words[0], words[1:], nil
	case len(words) > 1 && slices.Contains([]string{"start", "stop", "script", "act"}, words[0]):
		return words[0] + " " + words[1], words[2:], nil
	}
	return "", nil, errForm(words, "an operation: start RESOURCE, stop RESOURCE, script PATH, act ACTION or blockers")
}

func fail(s *step, _ string, words []string) error {
	what, rest, err := operationOf(words)
	if err != nil {
		return err
	}
	why := "it fails"
	if len(rest) > 0 {
		why = rest[0]
	}
	if len(rest) > 1 || why == "" {
		return errForm(words, "fail OPERATION WHY, in quotes if it has blanks")
	}
	s.operation, s.world = what, func(w *World) { w.Fails[what] = why }
	return nil
}

func mend(s *step, _ string, words []string) error {
	if len(words) == 1 && words[0] == "all" {
		s.world = func(w *World) { clear(w.Fails) }
		return nil
	}
	what, rest, err := operationOf(words)
	if err == nil && len(rest) > 0 {
		err = errForm(words, "mend OPERATION or all")
	}
	s.operation, s.world = what, func(w *World) { delete(w.Fails, what) }
	return err
}

func take(s *step, _ string, words []string) error {
	what, rest, err := operationOf(words)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errForm(words, "take OPERATION TIME")
	}
	d, err := time.ParseDuration(rest[0])
	if err != nil || d < 0 || d > longest {
		return fmt.Errorf("%q is no time", rest[0])
	}
	s.operation, s.world = what, func(w *World) { w.Takes[what] = d }
	return nil
}

func end(s *step, _ string, words []string) error {
	if len(words) > 0 {
		return errForm(words, "end alone")
	}
	s.world = func(*World) {}
	return nil
}
