package clpconf

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"

	"shisa/ctl/config"
)

func conf(text string) *Source {
	return &Source{Name: "test", Files: map[string][]byte{FileName: []byte(text)}}
}

// TestHostile: files that mean harm, or are none at all, end with an error that
// says where and what.
func TestHostile(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "there is no element in it"},
		{"no XML", "[group]\nname = 1\n", "there is no element in it"},
		{"binary", "\x7fELF\x02\x01\x01", "illegal character code"},
		{"truncated", "<root>\n<group name=\"a\">", "line 2: not XML: unexpected EOF"},
		{"wrong end", "<root></group>", "not XML"},
		{"two roots", "<root/><root/>", "a second outermost element"},
		{"another file", "<html><body/></html>", "outermost element is <html>"},
		{"entity bomb", `<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><root>&lol2;</root>`, "a clp.conf has no <!DOCTYPE lolz"},
		{"outside entity", `<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><root>&x;</root>`, "a clp.conf has no <!DOCTYPE r"},
		{"unknown entity", "<root><a>&nbsp;</a></root>", "not XML"},
		{"deep", strings.Repeat("<root>", 40), "nested deeper than 32"},
		{"huge text", "<root><a>" + strings.Repeat("x", textLimit+1) + "</a></root>", "longer than 65536 bytes"},
		{"huge file", strings.Repeat(" ", SizeLimit+1), "larger than 16 MiB"},
		{"unknown charset", `<?xml version="1.0" encoding="KLINGON-8"?><root/>`, `"KLINGON-8" is not known`},
		{"not what it says", "<?xml version=\"1.0\" encoding=\"EUC-JP\"?>\n<root>\n<a>\xff\xfe</a></root>", "line 3 is not EUC-JP"},
		{"not ASCII", "<?xml version=\"1.0\" encoding=\"ASCII\"?>\n<root>\xa4</root>", "line 2 is not ASCII"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Import(conf(c.text), Options{Types: registry})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestCharsets: one text in each character set that occurs gives one result.
func TestCharsets(t *testing.T) {
	const text = `<root><server name="s"/><group name="g"><comment>中文 日本</comment></group></root>`
	for _, c := range []struct {
		name   string
		encode func(string) (string, error)
	}{
		{"EUC-JP", japanese.EUCJP.NewEncoder().String},
		{"Shift_JIS", japanese.ShiftJIS.NewEncoder().String},
		{"SJIS", japanese.ShiftJIS.NewEncoder().String},
		{"GB2312", simplifiedchinese.GBK.NewEncoder().String},
		{"UTF-8", func(s string) (string, error) { return s, nil }},
		{"EUC-JP", func(s string) (string, error) { return s, nil }}, // an editor converted it and left the declaration
	} {
		b, err := c.encode(text)
		if err != nil {
			t.Fatal(err)
		}
		r := mustImport(t, conf(`<?xml version="1.0" encoding="`+c.name+`"?>`+"\n"+b), Options{})
		if !strings.Contains(r.TOML, `comment = "中文 日本"`) {
			t.Errorf("%s: %s", c.name, r.TOML)
		}
	}
	for _, withMark := range []string{"\xef\xbb\xbf" + text, "\xff\xfe" + utf16(text)} {
		if r := mustImport(t, conf(withMark), Options{}); !strings.Contains(r.TOML, "中文") {
			t.Errorf("with a byte order mark: %s", r.TOML)
		}
	}
}

func utf16(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r), byte(r>>8))
	}
	return string(b)
}

// TestExportCharset: an export takes the smallest of the original's character
// sets that has every letter.
func TestExportCharset(t *testing.T) {
	for comment, want := range map[string]string{"plain": "ASCII", "日本": "EUC-JP", "简体": "GB2312", "é中한": "UTF-8"} {
		m, problems := config.Parse([]byte("[[group]]\nname = \"g\"\ncomment = \""+comment+"\"\n"), "t", "", registry)
		if m == nil {
			t.Fatal(problems)
		}
		out, err := Export(m, registry, "server1", Folder{})
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(out.Files[FileName]), "\n")
		if !strings.Contains(first, `"`+want+`"`) {
			t.Errorf("%s: %s, want %s", comment, first, want)
		}
		if r := mustImport(t, out, Options{}); !strings.Contains(r.TOML, comment) {
			t.Errorf("%s is lost:\n%s", comment, r.TOML)
		}
	}
}

// TestBlanks: however many elements or blanks there are between two tags, they
// are no text.
func TestBlanks(t *testing.T) {
	r := mustImport(t, conf("<root>"+strings.Repeat("\n<group name='g'/>"+strings.Repeat(" ", 1000), 100)+"</root>"), Options{})
	load(t, r)
	if got := strings.Count(r.TOML, "[[group]]"); got != 100 {
		t.Errorf("%d groups", got)
	}
}

// TestWindows: a configuration for the other operating system comes in as far as
// it goes, and the operator is told.
func TestWindows(t *testing.T) {
	r := mustImport(t, conf(`<root><all><serveros>windows</serveros></all><group name="g"><resource name="script@s"/><resource name="exec@e"/></group>
		<resource><script name="s"><parameters><path>start.bat</path></parameters></script>
		<exec name="e"><parameters><act><path>C:\start.bat</path></act></parameters></exec></resource>
		<monitor><userw name="userw"/></monitor></root>`), Options{})
	load(t, r)
	if n := r.Count()[Attention]; n < 3 {
		t.Errorf("%d notes: %+v", n, r.Items)
	}
}

// TestNames: names that ours cannot be, and such that become equal, are changed,
// and whoever refers to them follows.
func TestNames(t *testing.T) {
	r := mustImport(t, conf(`<root><group name="業務 A"><resource name="exec@実行"/></group><group name="業務 B"/>
		<resource><exec name="実行"><parameters><act><path>/bin/true</path></act></parameters></exec></resource>
		<monitor><pidw name="見張り"><target>実行</target><relation><type>grp</type><name>業務 A</name></relation></pidw></monitor></root>`), Options{})
	load(t, r)
	for _, want := range []string{`name = "A"`, `name = "B"`, `name = "unnamed"`, `target = "unnamed"`, `target = "group/A"`} {
		if !strings.Contains(r.TOML, want) {
			t.Errorf("%s is missing in\n%s", want, r.TOML)
		}
	}
}

// TestPaths: a script that would leave its folder is not taken.
func TestPaths(t *testing.T) {
	for _, path := range []string{"../../../etc/passwd", "..", `..\x`, "a\x01b"} {
		s := conf(`<root><group name="g"><resource name="exec@e"/></group><resource><exec name="e"><parameters><act><path>` +
			strings.ReplaceAll(path, "\x01", "&#9;") + `</path></act></parameters></exec></resource></root>`)
		r := mustImport(t, s, Options{})
		if len(r.Files) != 0 || strings.Contains(r.TOML, "passwd") {
			t.Errorf("%q: %v\n%s", path, r.Files, r.TOML)
		}
		if r.Count()[Attention] == 0 {
			t.Errorf("%q: the operator is not told that the resource is gone", path)
		}
		load(t, r)
	}
}

func archive(t *testing.T, change func(*zip.Writer)) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	change(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "conf.zip")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func put(t *testing.T, w *zip.Writer, name, text string, mode fs.FileMode) {
	t.Helper()
	h := &zip.FileHeader{Name: name, Method: zip.Deflate}
	h.SetMode(mode)
	f, err := w.CreateHeader(h)
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestZip(t *testing.T) {
	const small = "<root><server name='s'/></root>"
	for _, c := range []struct {
		name  string
		files func(*testing.T, *zip.Writer)
		want  string // error; empty: none
		has   string
	}{
		{"flat", func(t *testing.T, w *zip.Writer) {
			put(t, w, "clp.conf", small, 0o644)
			put(t, w, "scripts/g/e/start.sh", "x", 0o644)
		}, "", "scripts/g/e/start.sh"},
		{"in a folder, from Windows", func(t *testing.T, w *zip.Writer) {
			put(t, w, `conf\clp.conf`, small, 0o644)
			put(t, w, `conf\scripts\g\e\start.sh`, "x", 0o644)
		}, "", "scripts/g/e/start.sh"},
		{"slip", func(t *testing.T, w *zip.Writer) {
			put(t, w, "clp.conf", small, 0o644)
			put(t, w, "scripts/../../../etc/cron.d/x", "x", 0o644)
		}, "leaves the folder", ""},
		{"slip from Windows", func(t *testing.T, w *zip.Writer) {
			put(t, w, "clp.conf", small, 0o644)
			put(t, w, `..\..\x`, "x", 0o644)
		}, "leaves the folder", ""},
		{"absolute", func(t *testing.T, w *zip.Writer) { put(t, w, "/etc/clp.conf", small, 0o644) }, "leaves the folder", ""},
		{"link", func(t *testing.T, w *zip.Writer) {
			put(t, w, "clp.conf", "/etc/passwd", 0o777|fs.ModeSymlink)
		}, "is a link", ""},
		{"twice", func(t *testing.T, w *zip.Writer) {
			put(t, w, "clp.conf", small, 0o644)
			put(t, w, "clp.conf", small, 0o644)
		}, "stands in it twice", ""},
		{"bomb", func(t *testing.T, w *zip.Writer) { put(t, w, "clp.conf", strings.Repeat(" ", SizeLimit+1), 0o644) }, "larger than 16 MiB", ""},
		{"without", func(t *testing.T, w *zip.Writer) { put(t, w, "readme", "", 0o644) }, "there is no clp.conf", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(archive(t, func(w *zip.Writer) { c.files(t, w) }))
			switch {
			case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			case c.has != "" && s.Files[c.has] == nil:
				t.Errorf("%s is missing: %d files", c.has, len(s.Files))
			}
		})
	}
}

// TestLinksAreNotFollowed: what is imported is in the folder.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "scripts/g/e"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte("<root/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "scripts/g/e/start.sh")); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil || len(s.Files) != 1 {
		t.Errorf("%d files (%v), want clp.conf alone", len(s.Files), err)
	}
}

// TestFix072LimitsOfModel: more monitors than are allowed are refused whole.
func TestFix072LimitsOfModel(t *testing.T) {
	many := func(n int) *Source {
		return conf("<root><monitor>" + strings.Repeat("<psw name='m'><parameters><processname>a</processname></parameters></psw>", n) + "</monitor></root>")
	}
	if _, err := Import(many(config.MaxMonitors+1), Options{Types: registry}); err == nil || !strings.Contains(err.Error(), "at most 16384") {
		t.Errorf("error %v", err)
	}
	if r := mustImport(t, many(300), Options{}); !strings.Contains(r.TOML, "name = \"m-300\"") {
		t.Error("three hundred monitors of one name do not get names of their own")
	}
}

// TestFix093LimitCountsAll: a monitor that comes by itself, such as that of user
// space, counts like any other.
func TestFix093LimitCountsAll(t *testing.T) {
	full := "<root><monitor>" + strings.Repeat("<psw name='m'/>", config.MaxMonitors) + "<userw name='userw'/></monitor></root>"
	if _, err := Import(conf(full), Options{Types: registry}); err == nil || !strings.Contains(err.Error(), "there are 16385 monitors in it") {
		t.Errorf("error %v", err)
	}
}

// FuzzImport: whatever the file, an import ends with an error or with a
// configuration that is good, and every element is in its report.
func FuzzImport(f *testing.F) {
	for _, pattern := range samplePatterns() {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Add([]byte("<root><shisa><mode>\"protect\"</mode><stall><enabled>false</enabled></stall></shisa></root>"))
	f.Add([]byte("<root><monitor><mtw name='a'><parameters><list id='0'><name>a</name></list></parameters></mtw></monitor></root>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Import(&Source{Name: "fuzz", Files: map[string][]byte{FileName: b}}, Options{Types: registry})
		if err != nil {
			return
		}
		m, problems := config.Parse([]byte(r.TOML), "fuzz", "", registry)
		if m == nil {
			t.Fatalf("%v\n%s", problems.Err(), r.TOML)
		}
		tree, err := Read(b)
		if err != nil {
			t.Fatal(err)
		}
		said := map[string]bool{}
		for _, i := range r.Items {
			said[i.Path] = true
		}
		tree.leaves(func(n *Node) {
			if !said[n.Path()] {
				t.Errorf("%s is not in the report", n.Path())
			}
		})
		out, err := Export(m, registry, "s", Folder{Read: func(string) ([]byte, error) { return nil, nil }})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Import(out, Options{Types: registry})
		if err != nil {
			t.Fatalf("%v\n%s", err, out.Files[FileName])
		}
		two, problems := config.Parse([]byte(again.TOML), "fuzz", "", registry)
		if two == nil {
			t.Fatal(problems.Err())
		}
		if plan := config.Diff(m, two); !plan.Empty() {
			var text strings.Builder
			_ = plan.WriteText(&text)
			t.Errorf("the round trip changes\n%s\nfrom\n%s\nexported as\n%s", text.String(), r.TOML, out.Files[FileName])
		}
	})
}
