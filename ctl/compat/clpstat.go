package compat

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"shisa/ctl/api"
)

// clpstat shows the state. Its layout is exact to the column, because scripts
// in the field cut it by columns.
var clpstat = command{
	name: "clpstat", twin: "shisa status",
	usage: `[-s] [--long] [-h host_name] [--apito time]
		--local [--long] [-h host_name] [--apito time]
		-g [-h host_name] [--apito time]
		-m [-h host_name] [--apito time]
		-n [-h host_name] [--apito time]
		-i [--detail] [-h host_name] [--apito time]
		--cl [--detail] [-h host_name] [--apito time]
		--sv [server_name] [--detail] [-h host_name] [--apito time]
		--hb [hb_name] [--detail] [-h host_name] [--apito time]
		--grp [group_name] [--detail] [-h host_name] [--apito time]
		--rsc [resource_name] [--detail] [-h host_name] [--apito time]
		--mon [monitor_name] [--detail] [-h host_name] [--apito time]`,
	options: []option{
		{"-s", alone}, {"--local", alone}, {"-g", alone}, {"-m", alone}, {"-n", alone}, {"-i", alone}, {"--cl", alone}, {"--sv", maybe},
		{"--hb", maybe}, {"--grp", maybe}, {"--rsc", maybe}, {"--mon", maybe}, {"--long", alone}, {"-detail --detail", alone}, hostOption, timeoutOption,
	},
	cluster: []option{{"-p", alone}, {"-f", alone}, {"--np", maybe}, {"--fnc", maybe}, {"--svg", maybe}, {"--xcl", maybe}},
	run:     runStat,
}

// stateViews are the forms of clpstat that show states, propertyViews the
// others. With neither it is the list of states.
var (
	stateViews = map[string]func(*page, api.Status){"-s": (*page).states, "--local": (*page).states,
		"-g": (*page).groupMap, "-m": (*page).monitors, "-n": (*page).heartbeats}
	propertyViews = []string{"-i", "--cl", "--sv", "--hb", "--grp", "--rsc", "--mon"}
)

func runStat(c *call) error {
	p := page{out: c.out, wide: c.given.has("--long")}
	if asked := c.given.among(propertyViews); len(asked) > 0 {
		s, err := c.status()
		if err != nil {
			return err
		}
		return c.properties(&p, s, asked[0])
	}
	show := (*page).states
	for view, other := range stateViews {
		if c.given.has(view) {
			show = other
		}
	}
	s, err := c.overview()
	if err != nil {
		return err
	}
	show(&p, s)
	return nil
}

// pageWidth is the width of every page of clpstat.
const pageWidth = 70

// A page is written in the layout of clpstat. It was measured from published
// output: names of servers and groups are cut to 16 columns and dotted to 17,
// names below them take 15, states 17; --long widens the names by 17.
type page struct {
	out  io.Writer
	wide bool
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// head writes the first line of a page.
func (p *page) head(title string, left int) {
	p.line(" %s  %s  %s", strings.Repeat("=", left), title, strings.Repeat("=", pageWidth-5-left-len(title)))
}

func (p *page) foot() { p.line(" %s", strings.Repeat("=", pageWidth-1)) }

// width is that of a name.
func (p *page) width(narrow int) int {
	if p.wide {
		return narrow + 17
	}
	return narrow
}

// dotted fills the field of a server's or group's name.
func (p *page) dotted(name string) string {
	w := p.width(17)
	name = cut(name, w-1) + " "
	return name + strings.Repeat(".", w-len(name))
}

// plain fills the field of any other name.
func (p *page) plain(name string, narrow int) string {
	w := p.width(narrow)
	return fmt.Sprintf("%-*s", w, cut(name, w-1))
}

// cut shortens a name to at most n bytes. Names are ASCII.
func cut(name string, n int) string { return name[:min(len(name), n)] }

func (p *page) states(s api.Status) {
	p.head("CLUSTER STATUS", 24)
	p.line("  Cluster : %s", s.Server)
	p.line("  <server>")
	p.line("   *%s: %-17s", p.dotted(s.Server), online)
	for _, h := range heartbeats(s) {
		p.line("      %s: %-17s%s", p.plain(h.name, 15), h.state, h.comment)
	}
	p.line("  <group>")
	for _, g := range s.Groups {
		p.line("    %s: %-17s%s", p.dotted(g.Name), groupState(g), inert(g.Comment))
		p.line("      %s: %s", p.plain("current", 15), current(s, g))
		for _, r := range g.Resources {
			p.line("      %s: %-17s%s", p.plain(r.Name, 15), resourceState(r), inert(r.Comment))
		}
	}
	p.line("  <monitor>")
	for _, m := range monitors(s) {
		p.line("    %s: %-17s%s", p.plain(m.Name, 17), monitorState(m), inert(m.Comment))
	}
	p.foot()
}

// legend numbers the servers, of which there is one.
func (p *page) legend(s api.Status) {
	p.line("  Cluster : %s", s.Server)
	p.line("   *server0 : %s", s.Server)
	p.line("")
}

func (p *page) groupMap(s api.Status) {
	p.head("GROUPMAP INFORMATION", 22)
	p.legend(s)
	p.line("  %s", strings.Repeat("-", pageWidth-2))
	line := "    server0 [" + mark(online) + "] : "
	for _, g := range s.Groups {
		if current(s, g) != nowhere {
			line += g.Name + "[" + mark(groupState(g)) + "] "
		}
	}
	p.line("%s", line)
	p.foot()
}

func (p *page) monitors(s api.Status) {
	p.head("MONITOR RESOURCE STATUS", 21)
	p.legend(s)
	for i, m := range monitors(s) {
		p.line("  Monitor%d [%s : %s]", i, m.Name, monitorState(m))
		p.line("  %s", strings.Repeat("-", pageWidth-2))
		p.line("   server0 [%s] : %s", mark(online), probeState(m))
		p.line("")
	}
	p.foot()
}

func (p *page) heartbeats(s api.Status) {
	p.head("HEARTBEAT RESOURCE STATUS", 20)
	p.line("  Cluster : %s", s.Server)
	p.line("   *server0 : %s", s.Server)
	all := heartbeats(s)
	numbers, marks := "", ""
	for i, h := range all {
		p.line("    HB%d : %s", i, h.name)
		numbers += fmt.Sprintf("%2d ", i)
		marks += fmt.Sprintf("%2s ", mark(h.state))
	}
	p.line("")
	p.line("  [on server0 : %s]", online)
	p.line("         HB %s", strings.TrimRight(numbers, " "))
	p.line("  %s", strings.Repeat("-", pageWidth-2))
	p.line("    server0 : %s", strings.TrimRight(marks, " "))
	p.foot()
}

// inert makes text safe to print in a line of a table.
func inert(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '.'
		}
		return r
	}, text)), " ")
}
