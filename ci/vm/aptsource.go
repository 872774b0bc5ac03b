package vm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An archive is one configured package archive of this machine.
type archive struct {
	uris     []string
	suites   []string
	signedBy string // raw text of the field, may be several lines; empty: apt's own keys
}

// machineArchives reads this machine's own package sources in both of apt's
// formats. Kernels of other suites come from the same mirrors.
func machineArchives(etc string) ([]archive, error) {
	files := []string{filepath.Join(etc, "apt/sources.list")}
	for _, glob := range []string{"*.list", "*.sources"} {
		found, err := filepath.Glob(filepath.Join(etc, "apt/sources.list.d", glob))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	var list []archive
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the package sources: %w", err)
		}
		if strings.HasSuffix(file, ".sources") {
			list = append(list, parseDeb822(string(text))...)
		} else {
			list = append(list, parseOneLine(string(text))...)
		}
	}
	return list, nil
}

// parseDeb822 reads stanzas of "Field: value" lines with folded continuations
// (sources.list(5)). Disabled and source-only stanzas are left out.
func parseDeb822(text string) []archive {
	var list []archive
	fields := map[string]string{}
	flush := func() {
		enabled := !strings.EqualFold(strings.TrimSpace(fields["enabled"]), "no")
		if enabled && slices.Contains(strings.Fields(fields["types"]), "deb") {
			list = append(list, archive{
				uris:     strings.Fields(fields["uris"]),
				suites:   strings.Fields(fields["suites"]),
				signedBy: strings.TrimSpace(fields["signed-by"]),
			})
		}
		clear(fields)
	}
	var last string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			fields[last] += "\n" + line
		default:
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(name))
			fields[last] = strings.TrimSpace(value)
		}
	}
	flush()
	return list
}

// parseOneLine reads "deb [options] uri suite components" lines.
func parseOneLine(text string) []archive {
	var list []archive
	scan := bufio.NewScanner(strings.NewReader(text))
	for scan.Scan() {
		line, _, _ := strings.Cut(scan.Text(), "#")
		rest, isDeb := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !isDeb {
			continue
		}
		var a archive
		rest = strings.TrimSpace(rest)
		if options, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(rest, "[") {
			rest = after
			for option := range strings.FieldsSeq(options[1:]) {
				if key, ok := strings.CutPrefix(option, "signed-by="); ok {
					a.signedBy = key
				}
			}
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		a.uris, a.suites = fields[:1], fields[1:2]
		list = append(list, a)
	}
	return list
}

// archiveFor returns the archive that has a suite, as far as those that serve the
// machine's own release tell. Security suites live in an archive of their own.
func archiveFor(archives []archive, codename, suite string) (archive, error) {
	find := func(names ...string) (archive, bool) {
		for _, a := range archives {
			if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(a.suites, n) }) {
				return a, true
			}
		}
		return archive{}, false
	}
	main, ok := find(codename, "stable", "testing", "unstable", "sid")
	if !ok {
		return archive{}, fmt.Errorf("no configured package source has the suite %q of this machine", codename)
	}
	if strings.HasSuffix(suite, "-security") {
		if security, ok := find(codename+"-security", "stable-security"); ok {
			return security, nil
		}
	}
	return main, nil
}

// deriveSources writes the deb822 text of a private source for the wanted suites.
func deriveSources(archives []archive, codename string, suites []string) (string, error) {
	var b strings.Builder
	for _, suite := range suites {
		a, err := archiveFor(archives, codename, suite)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: amd64\n",
			strings.Join(a.uris, " "), suite)
		if a.signedBy != "" {
			// A folded value (a key in the file itself) keeps its lines.
			fmt.Fprintf(&b, "Signed-By: %s\n", a.signedBy)
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

// osCodename reads VERSION_CODENAME of an os-release(5) file.
func osCodename(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"'`), nil
		}
	}
	return "", fmt.Errorf("%s names no VERSION_CODENAME: kernels come from a Debian archive only", path)
}
