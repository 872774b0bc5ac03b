package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const deb822 = `Types: deb deb-src
# a comment inside
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/archive.gpg

Types: deb-src
URIs: http://source.invalid/debian
Suites: bookworm

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: bookworm

Types: deb
URIs: http://mirror.invalid/security
Suites: bookworm-security
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
`

const oneLine = `# old style
deb [arch=amd64 signed-by=/keys/a.gpg] http://old.invalid/debian bookworm main contrib # note
deb-src http://old.invalid/debian bookworm main
deb http://old.invalid/security bookworm-security main
deb broken
`

func TestMachineArchives(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             []string // "uris|suites|first line of the key"
	}{
		{"deb822", "apt/sources.list.d/debian.sources", deb822, []string{
			"http://mirror.invalid/debian|bookworm bookworm-updates|/keys/archive.gpg",
			"http://mirror.invalid/security|bookworm-security|-----BEGIN PGP PUBLIC KEY BLOCK-----",
		}},
		{"one line", "apt/sources.list", oneLine, []string{
			"http://old.invalid/debian|bookworm|/keys/a.gpg",
			"http://old.invalid/security|bookworm-security|",
		}},
		{"one line in the folder", "apt/sources.list.d/x.list", "deb http://x.invalid/d sid main", []string{"http://x.invalid/d|sid|"}},
		{"other files", "apt/sources.list.d/x.list.disabled", "deb http://x.invalid/d sid main", nil},
		{"nothing", "apt/x", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			etc := t.TempDir()
			path := filepath.Join(etc, tt.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			list, err := machineArchives(etc)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range list {
				key, _, _ := strings.Cut(a.signedBy, "\n")
				got = append(got, strings.Join(a.uris, " ")+"|"+strings.Join(a.suites, " ")+"|"+key)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(tt.want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func TestDeriveSources(t *testing.T) {
	archives := parseDeb822(deb822)
	text, err := deriveSources(archives, "bookworm", []string{"sid", "bullseye-security"})
	if err != nil {
		t.Fatal(err)
	}
	derived := parseDeb822(text)
	if len(derived) != 2 {
		t.Fatalf("got %d stanzas, want 2:\n%s", len(derived), text)
	}
	main, security := derived[0], derived[1]
	if main.uris[0] != "http://mirror.invalid/debian" || main.suites[0] != "sid" || main.signedBy != "/keys/archive.gpg" {
		t.Errorf("the main archive: got %+v", main)
	}
	if security.uris[0] != "http://mirror.invalid/security" || security.suites[0] != "bullseye-security" {
		t.Errorf("the security archive: got %+v", security)
	}
	if security.signedBy != archives[1].signedBy {
		t.Errorf("a key in the file came out as %q, want %q", security.signedBy, archives[1].signedBy)
	}
	if _, err := deriveSources(archives, "noble", []string{"sid"}); err == nil {
		t.Error("a machine without a source for its own release: got no error")
	}
	if text, err := deriveSources(archives[:1], "bookworm", []string{"x-security"}); err != nil || !strings.Contains(text, "mirror.invalid/debian") {
		t.Errorf("no security archive: got %q, %v; want the main one", text, err)
	}
}

func TestOSCodename(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"debian", "ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm"},
		{"quoted", `VERSION_CODENAME="trixie"`, "trixie"},
		{"none", "ID=other\n", ""},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := osCodename(path)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}
