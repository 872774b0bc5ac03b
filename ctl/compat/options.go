package compat

import (
	"fmt"
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

// given holds the options of a command line by their names, and its other words
// under "".
type given map[string][]string

// parse reads args. An option that is unknown, stands twice or lacks its value
// is an error, and so are more words than wanted.
func parse(args []string, options []option, words int) (given, error) {
	g := given{}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if len(word) < 2 || word[0] != '-' {
			if g[""] = append(g[""], word); len(g[""]) > words {
				return nil, fmt.Errorf("%q is one word too many", word)
			}
			continue
		}
		name, text, inline := strings.Cut(word, "=")
		if !strings.HasPrefix(word, "--") {
			name, text, inline = word, "", false
		}
		i := slices.IndexFunc(options, func(o option) bool { return slices.Contains(strings.Fields(o.names), name) })
		if i < 0 {
			return nil, fmt.Errorf("%s is not known", name)
		}
		o := options[i]
		key := o.key()
		_, twice := g[key]
		switch {
		case twice:
			return nil, fmt.Errorf("%s stands twice", name)
		case o.value == alone && inline:
			return nil, fmt.Errorf("%s takes no value", name)
		case o.value == with && !inline && len(args) == 0:
			return nil, fmt.Errorf("%s needs a value", name)
		case o.value == with && !inline, o.value == maybe && !inline && len(args) > 0 && !strings.HasPrefix(args[0], "-"):
			text, args, inline = args[0], args[1:], true
		}
		g[key] = nil
		if inline {
			g[key] = []string{text}
		}
	}
	return g, nil
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

// which returns the one of names that was given. None, and two at once, are
// wrong usage.
func (g given) which(names ...string) (string, error) {
	found := g.among(names)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &failure{badOption, "Give one of " + strings.Join(names, ", ") + ".", nil}
	}
	return "", &failure{badOption, strings.Join(found, " and ") + " exclude each other.", nil}
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
	forceOption   = option{"-f", alone}     // on one server nothing has to be forced
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
	c.ctx, cancel = contextWithin(c.ctx, limit)
	return cancel, nil
}
