package clpconf

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// encodings are those in which a clp.conf comes; nil writes ASCII, anything else
// being a reference.
var encodings = map[string]encoding.Encoding{
	"ASCII": nil, "EUC-JP": japanese.EUCJP, "Shift_JIS": japanese.ShiftJIS, "GB2312": simplifiedchinese.GBK, "UTF-8": encoding.Nop,
}

// redeclared replaces the declaration, of which a file need not have any. It keeps
// the lines where they are.
func redeclared(text, name string) string {
	text = regexp.MustCompile(`^\s*<\?xml[^>]*\?>`).ReplaceAllString(text, "")
	return `<?xml version="1.0" encoding="` + name + `"?>` + text
}

// inEncoding writes a clp.conf, however it came, in another encoding. Letters
// that this has not are written as references.
func inEncoding(t *testing.T, conf []byte, name string) []byte {
	t.Helper()
	text, _, err := decode(conf)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, r := range redeclared(text, name) {
		switch set := encodings[name]; {
		case r < 0x80 || set == encoding.Nop:
			b.WriteRune(r)
		case set == nil:
			fmt.Fprintf(&b, "&#x%x;", r)
		default:
			letter, err := set.NewEncoder().String(string(r))
			if err != nil {
				letter = fmt.Sprintf("&#%d;", r)
			}
			b.WriteString(letter)
		}
	}
	return b.Bytes()
}

// packings are the ways in which a configuration comes: what Open is given.
var packings = map[string]func(*testing.T, *Source) string{
	"folder": func(t *testing.T, s *Source) string {
		dir := t.TempDir()
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	},
	"file with scripts beside it": func(t *testing.T, s *Source) string {
		dir := t.TempDir()
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(dir, "saved.conf") // a name is a name
		if err := os.Rename(filepath.Join(dir, FileName), other); err != nil {
			t.Fatal(err)
		}
		return other
	},
	"zip":            func(t *testing.T, s *Source) string { return packed(t, s, "", "/") },
	"zip of folder":  func(t *testing.T, s *Source) string { return packed(t, s, "export 1/", "/") },
	"zip of Windows": func(t *testing.T, s *Source) string { return packed(t, s, "", `\`) },
}

func packed(t *testing.T, s *Source, top, slash string) string {
	return archive(t, func(w *zip.Writer) {
		for name, data := range s.Files {
			put(t, w, strings.ReplaceAll(top+name, "/", slash), string(data), 0o644)
		}
	})
}

// TestHoweverItComes: a configuration means the same in each encoding, as a
// folder, a file, and a zip, and its report says the same.
func TestHoweverItComes(t *testing.T) {
	for path, s := range samples(t) {
		want := mustImport(t, s, Options{})
		wantReport := report(t, want)
		for name := range encodings {
			other := &Source{Files: map[string][]byte{}}
			for file, data := range s.Files {
				other.Files[file] = data
			}
			other.Files[FileName] = inEncoding(t, s.Files[FileName], name)
			for how, pack := range packings {
				came, err := Open(pack(t, other))
				if err != nil {
					t.Errorf("%s in %s as a %s: %v", path, name, how, err)
					continue
				}
				came.Name = s.Name // which stands in the first line of what is written
				got := mustImport(t, came, Options{})
				if got.TOML != want.TOML {
					t.Errorf("%s in %s as a %s: got\n%s\nwant\n%s", path, name, how, got.TOML, want.TOML)
				}
				if r := report(t, got); r != wantReport {
					t.Errorf("%s in %s as a %s: the report is\n%s\nwant\n%s", path, name, how, r, wantReport)
				}
				if len(got.Files) != len(want.Files) {
					t.Errorf("%s in %s as a %s: %d scripts, want %d", path, name, how, len(got.Files), len(want.Files))
				}
				for script, f := range want.Files {
					if !bytes.Equal(got.Files[script].Data, f.Data) {
						t.Errorf("%s in %s as a %s: %s differs", path, name, how, script)
					}
				}
			}
		}
	}
}

func report(t *testing.T, r *Result) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteReport(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
