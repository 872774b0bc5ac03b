package simulate

import (
	"fmt"
	"strings"
)

// A testCase is one file of testdata/cases: what it shows, a configuration and
// a history. What is decided is added by running it.
type testCase struct{ name, shows, config, history string }

// A corpus collects the cases of all tables.
type corpus struct{ cases []testCase }

// add adds a case; name is joined with hyphens.
func (c *corpus) add(shows, config, history string, name ...any) {
	words := make([]string, len(name))
	for i, n := range name {
		words[i] = strings.NewReplacer(" ", "_", "/", "_").Replace(fmt.Sprint(n))
	}
	c.cases = append(c.cases, testCase{strings.Join(words, "-"), shows, config, history})
}

// lines joins what is not empty.
func lines(all ...string) string {
	var b strings.Builder
	for _, s := range all {
		if s = strings.Trim(s, "\n"); s != "" {
			b.WriteString(s + "\n")
		}
	}
	return b.String()
}

const protect = `mode = "protect"`

func group(name string, keys ...string) string {
	return lines(append([]string{"[[group]]", fmt.Sprintf("name = %q", name)}, keys...)...)
}

func unitOf(group, name string, keys ...string) string {
	return lines(append([]string{"[[resource]]", fmt.Sprintf("name = %q", name), `type = "unit"`, fmt.Sprintf("group = %q", group)}, keys...)...)
}

// watcher is a monitor of a resource while that is active; without one it
// watches the server.
func watcher(name, target string, keys ...string) string {
	about := ""
	if target != "" {
		about = fmt.Sprintf("target = %q\nwhen = \"active\"", target)
	}
	return lines(append([]string{"[[monitor]]", fmt.Sprintf("name = %q", name), `type = "probe"`, about}, keys...)...)
}

func recoveryOf(keys ...string) string {
	return lines(append([]string{"[monitor.recovery]"}, keys...)...)
}

// shop is the usual group of cases: web, which needs db.
func shop() string { return group("shop") + unitOf("shop", "db") + unitOf("shop", "web") }

func set(key string, value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%s = %q", key, v)
	case []string:
		return fmt.Sprintf("%s = [%s]", key, quoted(v))
	}
	return fmt.Sprintf("%s = %v", key, value)
}

func quoted(all []string) string {
	q := make([]string, len(all))
	for i, s := range all {
		q[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(q, ", ")
}

// count writes "2 things" and "1 thing".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
