package compat

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An option is one that a command knows.
type option struct {
	names string // "-h", or "-detail --detail"; the last is what commands ask for
	value value
}

// A value says whether an option takes one.
type value int

const (
	alone value = iota // never
	with               // always
	maybe              // if the next word is no option
)

// given holds the values of the options of a command line by their names.
type given map[string][]string

// parse reads args, which are options and their values alone. An option that is
// unknown, stands twice, or lacks its value is an error. So is a value that is
// empty: it is a variable of a script that was never set, and "all groups" must
// not come of it.
func parse(args []string, options []option) (given, error) {
	g := given{}
	for len(args) > 0 {
		name, text, has := args[0], "", false
		args = args[1:]
		switch {
		case len(name) < 2 || name[0] != '-':
			return nil, fmt.Errorf("%q is one word too many", name)
		case strings.HasPrefix(name, "--"):
			name, text, has = strings.Cut(name, "=")
		}
		i := slices.IndexFunc(options, func(o option) bool { return slices.Contains(strings.Fields(o.names), name) })
		if i < 0 {
			return nil, fmt.Errorf("%s is not known", name)
		}
		o := options[i]
		if !has && len(args) > 0 && (o.value == with || o.value == maybe && !strings.HasPrefix(args[0], "-")) {
			text, args, has = args[0], args[1:], true
		}
		_, twice := g[o.key()]
		switch {
		case twice:
			return nil, fmt.Errorf("%s stands twice", name)
		case has && o.value == alone:
			return nil, fmt.Errorf("%s takes no value", name)
		case has && text == "", !has && o.value == with:
			return nil, fmt.Errorf("%s needs a value", name)
		case has:
			g[o.key()] = []string{text}
		default:
			g[o.key()] = nil
		}
	}
	return g, nil
}

// agree checks that any two of the options given stand in one form of the
// command.
func (c command) agree(g given) error {
	names := slices.Sorted(maps.Keys(g))
	for i, a := range names {
		for _, b := range names[i+1:] {
			if !slices.ContainsFunc(c.forms(), func(form []string) bool { return slices.Contains(form, a) && slices.Contains(form, b) }) {
				return fmt.Errorf("%s and %s exclude each other", a, b)
			}
		}
	}
	return nil
}

// forms returns the words of each form of the command, without the signs around
// them that say what may be left out.
func (c command) forms() [][]string {
	var all [][]string
	for form := range strings.Lines(c.usage) {
		all = append(all, strings.FieldsFunc(form, func(r rune) bool { return strings.ContainsRune("[]|\t\n ", r) }))
	}
	return all
}

func (o option) key() string {
	all := strings.Fields(o.names)
	return all[len(all)-1]
}

// has reports whether an option was given.
func (g given) has(name string) bool {
	_, ok := g[name]
	return ok
}

// text returns the value of an option; empty: none.
func (g given) text(name string) string {
	if v := g[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// among returns those of names that were given.
func (g given) among(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !g.has(n) })
}

// which returns the one of names that was given; none is wrong usage. That there
// are not two is for [command.agree] to say.
func (g given) which(names ...string) (string, error) {
	if found := g.among(names); len(found) > 0 {
		return found[0], nil
	}
	return "", badOption.say("Give one of " + strings.Join(names, ", ") + ".")
}

// number returns the value of an option within low and high, or other when the
// option was not given.
func (g given) number(name string, low, high, other int) (int, error) {
	if !g.has(name) {
		return other, nil
	}
	n, err := strconv.Atoi(g.text(name))
	if err != nil || n < low || n > high {
		return 0, &failure{badOption, fmt.Sprintf("%s takes a number from %d to %d, not %q.", name, low, high, g.text(name)), err}
	}
	return n, nil
}

// seconds is number in seconds.
func (g given) seconds(name string, low, high, other int) (time.Duration, error) {
	n, err := g.number(name, low, high, other)
	return time.Duration(n) * time.Second, err
}

// Options that many commands share.
var (
	hostOption    = option{"-h", with}      // the server to act on
	timeoutOption = option{"--apito", with} // seconds to wait for the daemon
	forceOption   = option{"-f", alone}     // what depends on it, too
	waitOption    = option{"-w", with}      // seconds
	allOption     = option{"-a", alone}     // all servers: this one
)

// within limits the call to what --apito allows. The original's 1 to 9999
// seconds overrode a timeout of the whole cluster; here a command without it
// waits until it is done, because each step has a timeout of its own.
func (c *call) within() (cancel func(), err error) {
	limit, err := c.given.seconds("--apito", 1, 9999, 0)
	if err != nil || limit == 0 {
		return func() {}, err
	}
	return c.limit(limit), nil
}

// limit gives the call at most so long from now on.
func (c *call) limit(d time.Duration) (cancel func()) {
	c.ctx, cancel = context.WithTimeout(c.ctx, d)
	return cancel
}
