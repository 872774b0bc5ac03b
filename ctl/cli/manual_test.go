package cli

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"shisa/ctl/doc"
)

// What the manual and README.md tell people to type, the command line takes: every
// command and option that they show exists.
func TestManualShowsCommandsThatExist(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"README": string(readme)}
	for _, topic := range doc.Topics() {
		if pages[topic.Name], err = doc.Read(topic.Name); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for page, text := range pages {
		for _, line := range commandsIn(text) {
			n++
			if err := understood(line); err != nil {
				t.Errorf("%s: %q: %v", page, line, err)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d commands were found", n)
	}
	for _, bad := range []string{"shisa staus", "shisa config chekc", "shisa events --frobnicate", "shisa help modle"} {
		if understood(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

var (
	inline = regexp.MustCompile("`(shisa [^`]+)`")
	block  = regexp.MustCompile(`(?m)^    (?:\$ )?(?:sudo )?(shisa [a-z].*)$`)
	after  = regexp.MustCompile(`\s{2,}.*|\s+#.*|\s*(&&|\||;|\$\().*`) // comments, further commands
)

// commandsIn returns the commands of shisa that a page shows.
func commandsIn(text string) (lines []string) {
	for _, m := range append(inline.FindAllStringSubmatch(text, -1), block.FindAllStringSubmatch(text, -1)...) {
		lines = append(lines, after.ReplaceAllString(m[1], ""))
	}
	return lines
}

// understood looks for the command and its options, and runs nothing.
func understood(line string) error {
	root := (&app{out: io.Discard, err: io.Discard}).root()
	root.InitDefaultHelpCmd()
	words := strings.Fields(strings.TrimSuffix(line, " --help"))[1:]
	if toFillIn(words) {
		return nil
	}
	c, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	args := c.Flags().Args()
	switch {
	case len(args) == 0 || toFillIn(args):
		return nil
	case c.Name() == "help":
		if below, _, err := root.Find(args); err == nil && below != root {
			return nil
		}
		_, err := doc.Read(args[0])
		return err
	case c.HasSubCommands():
		return known(c, args)
	}
	return nil
}

// toFillIn reports whether the first word stands for a name, such as MONITOR.
func toFillIn(words []string) bool { return len(words) > 0 && strings.ToUpper(words[0]) == words[0] }
