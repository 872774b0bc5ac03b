package doc

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shisa/bpf"
	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/monitor/types"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
	restypes "shisa/ctl/resource/types"
	"shisa/ctl/resource/types/exec"
	"shisa/ctl/why"
	"shisa/hwcompat/doctor"
)

// The chapters that are written from the code say what it says now.
func TestGeneratedIsCurrent(t *testing.T) {
	chapters, err := Generated("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range chapters {
		stands, err := Read(name)
		if err != nil {
			t.Errorf("%v: run make generate", err)
			continue
		}
		if d := cmp.Diff(stands, string(text)); d != "" {
			t.Errorf("%s.md is not current: run make generate (-file +code):\n%.2000s", name, d)
		}
	}
}

func TestTopics(t *testing.T) {
	var names []string
	for _, topic := range Topics() {
		names = append(names, topic.Name)
		text, err := Read(topic.Name)
		if err != nil || !strings.HasPrefix(text, "# "+topic.Title+"\n") || topic.Title == "" {
			t.Errorf("%s: title %q, %v", topic.Name, topic.Title, err)
		}
		for line := range strings.Lines(text) {
			if strings.ContainsRune(line, '\t') || strings.HasSuffix(line, " \n") {
				t.Errorf("%s: tab or blank at the end: %q", topic.Name, line)
				break
			}
		}
	}
	if len(names) < 5 || names[0] != "model" || names[1] != "configuration" {
		t.Errorf("chapters are %v", names)
	}
	if _, err := Read("modle"); err == nil || !strings.Contains(err.Error(), `did you mean "model"`) {
		t.Errorf("got %v", err)
	}
	if _, err := Read("../../docs"); err == nil {
		t.Error("a path was read")
	}
}

// Links between chapters lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([a-z-]+)\.md\)`)
	for _, topic := range Topics() {
		text, err := Read(topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := Read(m[1]); err != nil {
				t.Errorf("%s.md: %v", topic.Name, err)
			}
		}
	}
}

// The chapter on the model names keys, actions and types that there are.
func TestModelNamesWhatThereIs(t *testing.T) {
	text, err := Read("model")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range recovery.FinalActions() {
		if !strings.Contains(text, "`"+string(a)+"`") {
			t.Errorf("final action %s is not named", a)
		}
	}
	reference, err := Read("configuration")
	if err != nil {
		t.Fatal(err)
	}
	known := append(bpf.Witnesses(), "target", "type", "none")
	for _, typ := range types.All() {
		known = append(known, typ.Name)
	}
	for _, typ := range restypes.All() {
		known = append(known, typ.Name)
	}
	key := regexp.MustCompile("`([a-z_]+)(\\.[a-z_]+)?( = [^`]*)?`")
	for _, m := range key.FindAllStringSubmatch(text, -1) {
		name := m[1]
		if name == "shisa" {
			continue // a word for the kernel's command line
		}
		if m[2] != "" {
			if !strings.Contains(reference, "`["+name+"]`") {
				t.Errorf("there is no table %s", name)
			}
			name = m[2][1:]
		}
		states := []string{"offline", "starting", "online", "stopping", "start_failed", "stop_failed", "observe", "protect", "blind", "groups", "server"}
		isAction := slices.Contains(recovery.FinalActions(), recovery.Action(name))
		if !slices.Contains(known, name) && !slices.Contains(states, name) && !isAction && !strings.Contains(reference, "| `"+name+"` |") {
			t.Errorf("there is no key, type or state %q", name)
		}
	}
}

// The chapters for operators name events and causes that there are.
func TestOperatorsAreToldWhatThereIs(t *testing.T) {
	known := []string{"shisa-keeper"}
	for _, d := range event.All() {
		known = append(known, d.Code)
	}
	for _, f := range doctor.Kinds() {
		known = append(known, f.ID)
	}
	for _, c := range why.Causes() {
		known = append(known, string(c))
	}
	for _, topic := range []string{"operation", "safety", "module"} {
		text, err := Read(topic)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`([a-z]+(?:-[a-z]+)+)`").FindAllStringSubmatch(text, -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no event and no cause %q", topic, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`--code ([a-z,-]+)`).FindAllStringSubmatch(text, -1) {
			for code := range strings.SplitSeq(m[1], ",") {
				if event.Lookup(code) == nil {
					t.Errorf("%s: there is no event %q", topic, code)
				}
			}
		}
	}
	for _, c := range why.Causes() {
		if text, _ := Read("operation"); !strings.Contains(text, "`"+string(c)+"`") {
			t.Errorf("operation: cause %s is not explained", c)
		}
	}
}

// Fix 54 of the original: the template of a new script lacked ulimit. Templates
// are scripts that work as they are.
func TestFix054Templates(t *testing.T) {
	all, err := Templates("")
	if err != nil || len(all) != 4 {
		t.Fatalf("%d templates, %v", len(all), err)
	}
	dir := t.TempDir()
	for _, s := range all {
		if !strings.HasPrefix(string(s.Text), "#!/bin/sh\n") || !strings.Contains(string(s.Text), "\nulimit -s unlimited") {
			t.Errorf("%s lacks its first line or ulimit", s.Name)
		}
		if err := os.WriteFile(filepath.Join(dir, s.Name), s.Text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := resource.Env{Name: "app", Group: "web", Dir: dir}
	r, err := exec.Type.New(map[string]any{"start": "start.sh", "stop": "stop.sh"}, env)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []resource.Request{{Event: resource.Start}, {Event: resource.Recover, Factor: resource.ResourceRestart}, {Factor: resource.ServerStop, LastAction: "HALT"}} {
		if err := r.Start(t.Context(), request); err != nil {
			t.Error(err)
		}
		if err := r.Stop(t.Context(), request); err != nil {
			t.Error(err)
		}
	}
	if _, err := Templates("exce"); err == nil || !strings.Contains(err.Error(), `did you mean "exec"`) {
		t.Errorf("got %v", err)
	}
}

// The default configuration, with every key and example put to use, is valid
// with the types of this build: it is the reference by example.
func TestDefaultIsValid(t *testing.T) {
	reg := config.NewRegistry(types.All(), restypes.All())
	var b strings.Builder
	if err := config.WriteDefault(&b, reg); err != nil {
		t.Fatal(err)
	}
	var lines []string
	table := ""
	for line := range strings.Lines(b.String()) {
		text := strings.TrimPrefix(line, "#")
		if strings.HasPrefix(text, "[") {
			table = text
		}
		// An example shows every key, some of which exclude each other.
		if text != line && !strings.HasPrefix(text, " ") && (strings.HasPrefix(text, "[[") || isNeeded(reg, table, text)) || text == line && !strings.HasPrefix(line, "#") {
			lines = append(lines, text)
		}
	}
	_, problems := config.Parse([]byte(strings.Join(lines, "")), "default", "", reg)
	if err := problems.Err(); err != nil {
		t.Errorf("%v\n%s", err, numbered(lines))
	}
}

// isNeeded reports whether a key is one that the example of its type sets.
func isNeeded(reg config.Registry, table, line string) bool {
	name, _, _ := strings.Cut(line, " =")
	if slices.Contains([]string{"name", "type", "group", "target"}, name) && strings.HasPrefix(table, "[[") {
		return true
	}
	for _, typ := range reg.Monitors {
		if _, ok := typ.Example[name]; ok && strings.HasPrefix(table, "[[monitor") {
			return true
		}
	}
	for _, typ := range reg.Resources {
		if _, ok := typ.Example[name]; ok && strings.HasPrefix(table, "[[resource") {
			return true
		}
	}
	return false
}

func numbered(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&b, "%d %s", i+1, line)
	}
	return b.String()
}

// Every piece of configuration in the manual and in README.md is valid.
func TestExamplesAreValid(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"README": fenced(string(readme))}
	for _, topic := range Topics() {
		if pages[topic.Name], err = Read(topic.Name); err != nil {
			t.Fatal(err)
		}
	}
	reg := config.NewRegistry(types.All(), restypes.All())
	n := 0
	for name, text := range pages {
		for i, part := range strings.Split(text, "```toml\n") {
			source, _, isBlock := strings.Cut(part, "```")
			if i == 0 || !isBlock {
				continue
			}
			n++
			_, problems := config.Parse([]byte(source), fmt.Sprintf("%s.md, example %d", name, i), "", reg)
			for _, p := range problems {
				t.Errorf("%v", p)
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d examples were found", n)
	}
}

// fenced turns the indented example of README.md, which begins with the mode,
// into a block with fences.
func fenced(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		code, indented := strings.CutPrefix(line, "    ")
		if !inside && strings.HasPrefix(code, "mode =") {
			inside = true
			b.WriteString("```toml\n")
		}
		if inside && !indented && strings.TrimSpace(line) != "" {
			break
		}
		if inside {
			b.WriteString(code)
		}
	}
	return b.String() + "```\n"
}
