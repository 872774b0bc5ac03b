package hwcompat

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown renders the matrix as the page MATRIX.md: our own rows first, then
// what the original verified, in short.
func (m *Matrix) Markdown() string {
	var b strings.Builder
	b.WriteString(`# What is known to work

Generated from ` + "`data/`" + ` by ` + "`go generate ./hwcompat`" + `; do not edit. README.md says what the words mean.

**yes** works, and how we know · **no** claimed not to work, and how we know · · not tried: nothing is claimed

`)
	m.writePlatforms(&b)
	m.writeEvidence(&b)
	m.writeOriginal(&b)
	m.writeMeanings(&b)
	return b.String()
}

func (m *Matrix) writePlatforms(b *strings.Builder) {
	meta := m.Platforms.Meta
	fmt.Fprintf(b, "## This product\n\nThe control plane needs Linux %s or later. %s.\n\n", meta.Floor, meta.FloorSource)
	b.WriteString("| platform | kernel | package | module by |")
	for _, s := range subjects {
		fmt.Fprintf(b, " %s |", s)
	}
	b.WriteString("\n| --- | --- | --- | --- |" + strings.Repeat(" --- |", len(subjects)) + "\n")
	for _, p := range m.Platforms.Rows {
		name := p.DistroName + " " + p.Version
		if p.Note != "" {
			name += ", " + p.Note
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |", name, p.Kernel, p.Package, p.Module)
		for _, s := range subjects {
			fmt.Fprintf(b, " %s |", cell(p.Claim(s)))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func cell(c Claim) string {
	switch c.State {
	case Works:
		return fmt.Sprintf("**yes** (%s, since %s)", c.Verified, c.Since)
	case Unsupported:
		return fmt.Sprintf("**no** (%s)", c.Verified)
	}
	return "·"
}

// writeEvidence lists each piece of evidence once, with what rests on it.
func (m *Matrix) writeEvidence(b *strings.Builder) {
	b.WriteString("## Evidence\n\n| evidence | verified | date | platforms |\n| --- | --- | --- | --- |\n")
	type key struct {
		evidence, date string
		verified       Verification
	}
	var order []key
	rests := map[key][]string{}
	for _, p := range m.Platforms.Rows {
		for _, c := range p.Claims {
			k := key{c.Evidence, c.Date, c.Verified}
			if rests[k] == nil {
				order = append(order, k)
			}
			if !slices.Contains(rests[k], p.ID) {
				rests[k] = append(rests[k], p.ID)
			}
		}
	}
	for _, k := range order {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", k.evidence, k.verified, k.date, strings.Join(rests[k], ", "))
	}
	b.WriteString("\n")
}

// writeOriginal counts the original's kernels by distribution; the rows
// themselves are in data/kernels.toml and asked with Lookup.
func (m *Matrix) writeOriginal(b *strings.Builder) {
	b.WriteString("## The original\n\n")
	fmt.Fprintf(b, "%s\n\nEvery kernel of this table is below Linux %s: this control plane cannot run there. The rows stay, so that `shisa doctor --kernel` can answer for them.\n\n",
		m.Kernels.Meta.Document, m.Platforms.Meta.Floor)
	b.WriteString("| distribution | version | architecture | kernels | first of the original's versions |\n| --- | --- | --- | ---: | --- |\n")
	type key struct{ name, version, arch string }
	type sum struct {
		n     int
		since string
	}
	var order []key
	sums := map[key]*sum{}
	for _, k := range m.Kernels.Rows {
		id := key{k.DistroName, strings.TrimSpace(k.Version + " " + k.Update), k.Arch}
		s := sums[id]
		if s == nil {
			s = &sum{since: k.Since}
			sums[id] = s
			order = append(order, id)
		}
		s.n++
		if CompareVersions(k.Since, s.since) < 0 {
			s.since = k.Since
		}
	}
	for _, id := range order {
		fmt.Fprintf(b, "| %s | %s | %s | %d | %s |\n", id.name, id.version, id.arch, sums[id].n, sums[id].since)
	}
	b.WriteString("\n")
}

func (m *Matrix) writeMeanings(b *strings.Builder) {
	b.WriteString("## What became of the original's restrictions\n\n| restriction | finding of `shisa doctor`, or why it is gone |\n| --- | --- |\n")
	for _, w := range m.Meanings.Rows {
		text := w.Gone
		if len(w.Finding) > 0 {
			text = "`" + strings.Join(w.Finding, "`, `") + "`"
		}
		fmt.Fprintf(b, "| %s | %s |\n", w.Restriction, text)
	}
}
