package config

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// signs mark the steps in the text form of a plan.
var signs = map[Op]string{OpStart: "+", OpStop: "-", OpChange: "~", OpRestart: "↻", OpLater: "…"}

// meanings say in words what a step does.
var meanings = map[Op]string{
	OpStart:   "starts",
	OpStop:    "stops",
	OpChange:  "changes in place",
	OpRestart: "restarts",
	OpLater:   "changes when shisad is started the next time",
}

// WriteText writes the plan for people: a line for each step, which begins
// with + - ~ ↻ or …, below it each key with its old and new value, and at the
// end what there is to do in all and whether the countdown is touched.
func (p Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	if p.Empty() {
		b.WriteString("Nothing to do: both configurations mean the same.\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	counts := make(map[Op]int)
	for _, s := range p.Steps {
		counts[s.Op]++
		s.write(&b)
	}
	b.WriteString("\n" + tally(counts))
	if p.Rearm {
		b.WriteString("The countdown is armed anew.\n")
	} else {
		b.WriteString("The countdown goes on untouched.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// title names the thing the way its table is written.
func (s Step) title() string {
	switch {
	case s.Kind == SectionKind && s.Name == "":
		return "general"
	case s.Kind == SectionKind:
		return "[" + s.Name + "]"
	case s.Type != "":
		return fmt.Sprintf("%s %s (%s)", s.Kind, s.Name, s.Type)
	}
	return fmt.Sprintf("%s %s", s.Kind, s.Name)
}

func (s Step) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s %s %s", signs[s.Op], s.title(), meanings[s.Op])
	if s.Why != "" {
		b.WriteString(": " + s.Why)
	}
	b.WriteByte('\n')
	width := 0
	for _, f := range s.Fields {
		width = max(width, utf8.RuneCountInString(f.Key))
	}
	for _, f := range s.Fields {
		fmt.Fprintf(b, "    %-*s  %s → %s\n", width, f.Key, orNothing(f.Old), orNothing(f.New))
	}
}

func orNothing(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

// tally counts the steps in words.
func tally(counts map[Op]int) string {
	var parts []string
	for _, c := range []struct {
		op   Op
		text string
	}{{OpStart, "to start"}, {OpStop, "to stop"}, {OpRestart, "to restart"}, {OpChange, "to change in place"}, {OpLater, "to change later"}} {
		if n := counts[c.op]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.text))
		}
	}
	text := strings.Join(parts, ", ")
	return strings.ToUpper(text[:1]) + text[1:] + ". "
}
