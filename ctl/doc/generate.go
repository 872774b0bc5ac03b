package doc

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"shisa/ctl/api/schema"
	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/monitor/types"
	restypes "shisa/ctl/resource/types"
	"shisa/hwcompat/doctor"
)

// Generated returns the chapters that are written from the code, by name. root is
// the top folder of the sources, whose comments the API's chapter quotes.
func Generated(root string) (map[string][]byte, error) {
	comments, err := schema.ReadComments(root)
	if err != nil {
		return nil, err
	}
	chapters := map[string]func(io.Writer) error{
		"configuration": func(w io.Writer) error {
			return config.Reference(w, config.NewRegistry(types.All(), restypes.All()))
		},
		"groups": func(w io.Writer) error {
			_, err := io.WriteString(w, decide.Drawing())
			return err
		},
		"event-codes": events,
		"findings":    findings,
		"api": func(w io.Writer) error {
			fmt.Fprint(w, apiIntroduction)
			schema.Markdown(w, comments)
			return nil
		},
	}
	all := map[string][]byte{}
	for name, write := range chapters {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return nil, fmt.Errorf("write chapter %s: %w", name, err)
		}
		text := bytes.TrimRight(b.Bytes(), "\n")
		all[name] = append(text, "\n"...)
	}
	return all, nil
}

// apiIntroduction stands before what the code says of the API.
//
//go:embed api.md
var apiIntroduction string

// findings writes the table of what the doctor may find.
func findings(w io.Writer) error {
	fmt.Fprint(w, "# Findings of the doctor\n\n`shisa doctor` says what it found, and ends with the command that mends it. With an *error* something that was asked for does not work; ",
		"with a *warning* it works less well than it could, or will stop to; an *info* is worth knowing. In some cases a finding weighs more or less than is said here. ",
		"`shisa doctor --json` has the ids.\n\n| id | usually | what it says |\n| --- | --- | --- |\n")
	for _, f := range doctor.Kinds() {
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", f.ID, f.Severity, f.Title)
	}
	return nil
}

// events writes the table of events.
func events(w io.Writer) error {
	fmt.Fprint(w, "# Events\n\nEverything that an operator must know is an event: in the log, in the history (`shisa events`), and for whoever follows. ",
		"Codes are stable. The last column is the original's module and number, where there is one.\n\n",
		"| code | severity | what it says | what to do | original |\n| --- | --- | --- | --- | --- |\n")
	cell := func(text string) string { return strings.ReplaceAll(cmp.Or(text, "–"), "|", "\\|") }
	for _, d := range event.All() {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", d.Code, d.Severity, cell(d.Text), cell(d.Mend), cell(d.Legacy))
	}
	return nil
}
