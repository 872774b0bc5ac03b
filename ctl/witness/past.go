package witness

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"shisa/bpf/flight"
	"shisa/bpf/timeline"
	state "shisa/ctl/store"
	"shisa/ctl/why"
)

// Past is what the witnesses left behind of a boot that is over.
type Past struct {
	Boot    string
	Entries []flight.Entry  // of the flight record, oldest first
	Marks   []timeline.Mark // of its shutdown, oldest first
}

// Bounds of what is read.
const (
	pastFiles   = 64              // of pstore
	pastBytes   = 4 << 20         // of one file
	pastSpan    = 3 * time.Minute // before the latest evidence
	pastEntries = 3               // of the flight record, in an answer
)

// pstoreDirs are where the kernel's records are, or were moved to by
// systemd-pstore(8).
var pstoreDirs = []string{"sys/fs/pstore", "var/lib/systemd/pstore", "var/lib/systemd/pstore/*"}

// Recall reads what is left of a boot. Records of the kernel count when they are
// not older than since. What cannot be read is left out; what was found outside
// of dir is added to it, for pstore does not keep it.
func Recall(root, dir, boot string, since time.Time) Past {
	p := Past{Boot: boot}
	if boot == "" {
		return p
	}
	flown, gone := filepath.Join(dir, flightPrefix+boot), filepath.Join(dir, timelinePrefix+boot)
	if raw, err := readBounded(flown); err == nil {
		p.Entries, _ = flight.Decode([]byte(raw)) // a torn end costs the last entry
	}
	kept, _ := readBounded(gone) // none is no error
	p.Marks, _ = timeline.ParseAll(kept)
	entries, marks := len(p.Entries), len(p.Marks)
	for _, text := range pstore(root, since) {
		text = ofBoot(text, boot)
		found, _ := timeline.ParseAll(text)
		p.Marks = append(p.Marks, found...)
		p.Entries = append(p.Entries, remembered(text)...)
	}
	p.Marks, p.Entries = unique(p.Marks), distinct(p.Entries)
	if len(p.Entries) > entries {
		_ = state.Replace(flown, flight.Encode(p.Entries)) // the answer is complete without
	}
	if len(p.Marks) > marks {
		var b strings.Builder
		for _, m := range p.Marks {
			b.WriteString(m.Text() + "\n")
		}
		_ = state.Replace(gone, []byte(b.String()))
	}
	return p
}

// ofBoot is what one boot left of a text; all of it where no boot left its mark.
func ofBoot(text, boot string) string {
	_, marked, found := strings.Cut(text, bootMark)
	if !found {
		return text
	}
	var b strings.Builder
	for part := range strings.SplitSeq(marked, bootMark) {
		if strings.HasPrefix(part, boot) {
			b.WriteString(part + "\n")
		}
	}
	return b.String()
}

// distinct orders entries by time and drops those that came two ways: of the same
// beginning, the first stands, which is that of the file.
func distinct(entries []flight.Entry) []flight.Entry {
	var all []flight.Entry
	for _, e := range entries {
		same := func(o flight.Entry) bool { return o.At.Equal(e.At) && o.Kind == e.Kind && o.Subject == e.Subject }
		if !slices.ContainsFunc(all, same) {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b flight.Entry) int { return a.At.Compare(b.At) })
	return all
}

// pstore returns the texts of the kernel's records, in order of time.
func pstore(root string, since time.Time) []string {
	type record struct {
		at   time.Time
		text string
	}
	var all []record
	for _, dir := range pstoreDirs {
		names, _ := filepath.Glob(filepath.Join(root, dir, "*")) // the pattern is ours
		for _, name := range names[:min(len(names), pastFiles)] {
			info, err := os.Stat(name)
			if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(since) {
				continue
			}
			if text, err := readBounded(name); err == nil && strings.Contains(text, "shisa-") {
				all = append(all, record{info.ModTime(), text})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b record) int { return a.at.Compare(b.at) })
	texts := make([]string, len(all))
	for i, r := range all {
		texts[i] = r.text
	}
	return texts
}

func readBounded(name string) (string, error) {
	raw, err := os.ReadFile(name)
	return string(raw[:min(len(raw), pastBytes)]), err
}

// unique orders marks by time and drops those that came two ways.
func unique(marks []timeline.Mark) []timeline.Mark {
	slices.SortStableFunc(marks, func(a, b timeline.Mark) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return slices.CompactFunc(marks, func(a, b timeline.Mark) bool {
		return a.At == b.At && a.Kind == b.Kind && a.Arg == b.Arg && a.Name == b.Name
	})
}

// Lines are what an operator should know of it when asking why the machine went
// down, the likeliest culprit first. Source says who knows.
func (p Past) Lines() []why.Line {
	const source = "witness in the kernel"
	var lines []why.Line
	for _, s := range p.suspects() {
		lines = append(lines, why.Line{Source: source, Text: s.String()})
	}
	if r := timeline.Analyse(p.Marks); r.Total > 0 {
		lines = append(lines, why.Line{Source: source, Text: r.Summary() + "; see: shisa why --shutdown"})
	}
	return lines
}

// Culprit names what most likely was the cause of it all; empty: nothing was
// noticed.
func (p Past) Culprit() string {
	if s := p.suspects(); len(s) > 0 {
		return s[0].String()
	}
	return ""
}

func (p Past) suspects() []flight.Suspect {
	if len(p.Entries) == 0 {
		return nil
	}
	var last time.Time
	for _, e := range p.Entries {
		if end := e.At.Add(e.For); end.After(last) {
			last = end
		}
	}
	s := flight.Suspects(p.Entries, last.Add(time.Second), pastSpan)
	return s[:min(len(s), pastEntries)]
}

// String is for logs.
func (p Past) String() string {
	return fmt.Sprintf("%d pieces of evidence, %d marks of a shutdown", len(p.Entries), len(p.Marks))
}
