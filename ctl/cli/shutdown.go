package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"shisa/bpf/timeline"
	"shisa/ctl/api"
)

// The table of a shutdown.
const (
	timelineWidth = 100                  // columns where the terminal does not say
	timelineRows  = 25                   // the longest
	timelineLeast = 5 * time.Millisecond // what was shorter explains nothing
)

// writeTimeline draws the last shutdown: what took longest, and when it was.
func (a *app) writeTimeline(t api.Timeline) {
	width := a.paint.width
	if width == 0 {
		width = timelineWidth
	}
	var b strings.Builder
	o := timeline.Options{Width: width - 2, Top: timelineRows, Least: timelineLeast, ASCII: !utf8Terminal(os.Getenv)}
	if err := t.Report().Render(&b, o); err != nil {
		return // a strings.Builder takes everything
	}
	_, table, _ := strings.Cut(b.String(), "\n") // the first line was said already
	for line := range strings.Lines(table) {
		fmt.Fprint(a.out, "  ", line)
	}
}

// utf8Terminal reports whether the locale has more than ASCII: the first of these
// that is set decides, locale(7).
func utf8Terminal(get func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(get(name)); value != "" {
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}
