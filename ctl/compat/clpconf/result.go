package clpconf

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"shisa/ctl/config"
)

// An Outcome says what became of an element.
type Outcome string

// Outcomes.
const (
	Mapped        Outcome = "mapped"         // it is in our configuration, at Key
	Implied       Outcome = "implied"        // the original's default, which differs from ours and so is written out
	NotApplicable Outcome = "not-applicable" // it means nothing on one server, or to shisa
	Unsupported   Outcome = "unsupported"    // shisa cannot do it
	Invalid       Outcome = "invalid"        // its value is none that shisa takes; the default holds
	Attention     Outcome = "attention"      // the operator has something to do
)

// An Item is what became of one element.
type Item struct {
	Path    string  `json:"path"`            // "/root/group@failover1/start"; of the nearest element for what is implied; or a file
	Line    int     `json:"line,omitempty"`  // of the source
	Value   string  `json:"value,omitempty"` // secrets are blanked
	Outcome Outcome `json:"outcome"`
	Key     string  `json:"key,omitempty"`  // "monitor.web.interval"
	Text    string  `json:"text,omitempty"` // our value, or the reason
}

// A File is one file of a result.
type File struct {
	Data []byte
	Exec bool
}

// A Result is an imported configuration.
type Result struct {
	TOML  string
	Files map[string]File // scripts, by names relative to the configuration
	Items []Item          // in order of the source
}

// Count returns how many items have each outcome.
func (r *Result) Count() map[Outcome]int {
	n := make(map[Outcome]int)
	for _, i := range r.Items {
		n[i.Outcome]++
	}
	return n
}

// sections are the parts of a report, what needs attention first.
var sections = []struct {
	outcome Outcome
	title   string
}{
	{Attention, "To be looked at"},
	{Invalid, "Values that were not taken; the default holds"},
	{Unsupported, "What shisa cannot do"},
	{NotApplicable, "What does not apply"},
	{Implied, "Defaults of the original, written out because ours differ"},
	{Mapped, "Taken over"},
}

// WriteReport writes the report for people.
func (r *Result) WriteReport(w io.Writer) error {
	var b strings.Builder
	for _, s := range sections {
		first := true
		for _, i := range r.Items {
			if i.Outcome != s.outcome {
				continue
			}
			if first {
				fmt.Fprintf(&b, "%s\n\n", s.title)
				first = false
			}
			b.WriteString(i.line())
		}
		if !first {
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (i Item) line() string {
	text := "  " + clipLong(i.Path)
	if i.Value != "" {
		text += " = " + clipLong(i.Value)
	}
	if i.Line > 0 {
		text += fmt.Sprintf(" (line %d)", i.Line)
	}
	switch {
	case i.Key != "" && i.Text != "":
		text += " → " + i.Key + ": " + i.Text
	case i.Key != "":
		text += " → " + i.Key
	default:
		text += ": " + i.Text
	}
	return text + "\n"
}

// clipLong makes a text of the source fit for a line of the report.
func clipLong(text string) string {
	parts := make([]string, 0, 1)
	for len(text) > 0 && len(parts) < 8 {
		n := min(len(text), 50)
		for n < len(text) && text[n]&0xc0 == 0x80 { // not within a letter
			n++
		}
		parts, text = append(parts, clip(text[:n])), text[n:]
	}
	return strings.Join(parts, "")
}

// secrets are names of elements whose values are nobody's business.
var secrets = []string{"password", "passwd", "snmpcom", "pass"}

// value is the text of a node as a report may show it.
func (n *Node) value() string {
	if n.Text != "" && slices.Contains(secrets, n.Name) {
		return "(secret)"
	}
	return n.Text
}

// ReportName is the name of the report beside an imported configuration.
const ReportName = "import-report.txt"

// Write writes the configuration, its scripts and the report into a folder,
// which is made. Files of the same names are replaced.
func (r *Result) Write(dir string) error {
	var report strings.Builder
	if err := r.WriteReport(&report); err != nil {
		return err
	}
	files := maps.Clone(r.Files)
	files[config.FileName] = File{Data: []byte(r.TOML)}
	files[ReportName] = File{Data: []byte(report.String())}
	return write(dir, files)
}

// Write writes clp.conf and the scripts into a folder, which is made.
func (s *Source) Write(dir string) error {
	files := make(map[string]File, len(s.Files))
	for name, data := range s.Files {
		files[name] = File{data, name != FileName}
	}
	return write(dir, files)
}

// write writes files; none of them can leave the folder.
func write(dir string, files map[string]File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		mode := fs.FileMode(0o600) // there may be passwords in it
		if f.Exec {
			mode = 0o755
		}
		if folder := path.Dir(name); folder != "." {
			if err := root.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		if err := root.WriteFile(name, f.Data, mode); err != nil {
			return err
		}
		if err := root.Chmod(name, mode); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Names lists the files of a source.
func (s *Source) Names() iter.Seq[string] { return maps.Keys(s.Files) }
