package clpconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"shisa/ctl/param"
)

// words are values that the original writes as numbers, by the path of the
// element below its object. The original numbers actions in three different
// ways; each path has its own. Those of userw, which are parameters by names
// that other types have, too, go under its name.
var words = map[string]map[string]string{
	"polling/timing":         {"0": "always", "1": "active"},
	"agentparam/requesttype": {"0": "HEAD", "1": "GET"},
	"emergency/action": {"1": "none", "2": "stop_group", "3": "stop_service", "4": "shutdown", "5": "reboot", "8": "panic",
		"9": "keepalive_reset", "10": "keepalive_panic", "11": "bmc_reset", "12": "bmc_power_off", "13": "bmc_power_cycle", "14": "bmc_nmi",
		"16": "stop_resource"},
	"cluster/rsctimeout/rsctoaction": {"0": "none", "2": "shutdown", "3": "reboot", "8": "panic", "9": "keepalive_reset", "10": "keepalive_panic",
		"11": "bmc_reset", "12": "bmc_power_off", "13": "bmc_power_cycle", "14": "bmc_nmi"},
	"act/action":        activation,
	"deact/action":      activation,
	"haltp/action":      {"RESET": "reset", "PANIC": "panic"},
	"userw/action":      {"RESET": "reset", "PANIC": "panic"},
	"parameters/vmtype": {"0": "vsphere", "1": "kvm", "2": "xenserver"},
	"userw/method":      {"keepalive": "keepalive", "softdog": "softdog", "ipmi": "ipmi", "none": "none"},
}

var activation = map[string]string{"1": "none", "2": "stop_group", "3": "stop_service", "4": "shutdown", "5": "reboot", "8": "panic",
	"9": "keepalive_reset", "10": "keepalive_panic", "11": "bmc_reset", "12": "bmc_power_off", "13": "bmc_power_cycle", "14": "bmc_nmi"}

// number reads a text as a whole number; anything else is 0.
func number(n *Node) int {
	if n == nil {
		return 0
	}
	v, err := strconv.Atoi(n.Text)
	if err != nil {
		return 0
	}
	return v
}

// literal turns a text of the original into a value of ours, as TOML.
func literal(s *param.Spec, text string) (string, error) {
	if table, ok := words[s.Alias]; ok {
		for theirs, ours := range table {
			if strings.EqualFold(theirs, text) {
				return param.Literal(ours), nil
			}
		}
		return "", fmt.Errorf("%q has no counterpart", clip(text))
	}
	switch s.Kind {
	case param.Duration:
		n, err := whole(text)
		return param.Literal(param.FormatDuration(time.Duration(n) * time.Second)), err
	case param.Integer:
		n, err := whole(text)
		return strconv.FormatInt(n, 10), err
	case param.Size:
		n, err := whole(text)
		return param.Literal(param.FormatSize(n)), err
	case param.Boolean:
		switch text {
		case "1":
			return "true", nil
		case "0":
			return "false", nil
		}
		return "", fmt.Errorf("%q is neither 0 nor 1", clip(text))
	case param.List:
		var items []any
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
			items = append(items, w)
		}
		return param.Literal(items), nil
	case param.Text, param.Choice, param.Number:
	}
	return param.Literal(text), nil
}

// whole reads a number of seconds, bytes or times.
func whole(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(time.Duration(1<<63-1)/time.Second) {
		return 0, fmt.Errorf("%q is no number", clip(text))
	}
	return n, nil
}

// original is literal the other way round; ok is false for what the original
// has no way to write.
func original(s *param.Spec, lit string) (text string, ok bool) {
	v, err := value(lit)
	if err != nil {
		return "", false
	}
	if table, has := words[s.Alias]; has {
		for number, word := range table {
			if word == v {
				return number, true
			}
		}
		return "", false
	}
	switch v := v.(type) {
	case bool:
		return map[bool]string{true: "1", false: "0"}[v], true
	case int64:
		return strconv.FormatInt(v, 10), v >= 0
	case string:
		return originalText(s, v)
	case []any:
		var items []string
		for _, item := range v {
			w, isText := item.(string)
			if !isText || strings.ContainsAny(w, ", ") || w == "" {
				return "", false
			}
			items = append(items, w)
		}
		return strings.Join(items, ","), len(items) > 0
	}
	return "", false
}

func originalText(s *param.Spec, v string) (text string, ok bool) {
	switch s.Kind {
	case param.Duration:
		d, err := param.ParseDuration(v)
		return strconv.FormatInt(int64(d/time.Second), 10), err == nil && d%time.Second == 0
	case param.Size:
		n, err := param.ParseSize(v)
		return strconv.FormatInt(n, 10), err == nil
	case param.Text, param.Choice, param.Integer, param.Number, param.Boolean, param.List:
	}
	return v, v == strings.TrimSpace(v) && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' })
}

// value decodes one TOML value.
func value(lit string) (any, error) {
	var v map[string]any
	if strings.ContainsAny(lit, "\n\r") {
		return nil, fmt.Errorf("%q is more than one line", clip(lit))
	}
	if _, err := toml.Decode("v = "+lit, &v); err != nil {
		return nil, fmt.Errorf("%q is no value", clip(lit))
	}
	switch x := v["v"].(type) {
	case string, bool, int64, float64:
		return x, nil
	case []any:
		if !slices.ContainsFunc(x, func(item any) bool { _, ok := item.(string); return !ok }) {
			return x, nil
		}
	}
	return nil, fmt.Errorf("%q is no value of ours", clip(lit))
}
