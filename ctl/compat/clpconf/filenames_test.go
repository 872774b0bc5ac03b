package clpconf

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// TestNamesOfFiles: files whose names are in another encoding are found by the
// names that the configuration gives them, in a folder and in a zip.
func TestNamesOfFiles(t *testing.T) {
	const text = `<?xml version="1.0" encoding="UTF-8"?><root><all><charset>CHARSET</charset></all><group name="表示"><resource name="exec@網"/></group>
		<resource><exec name="網"><parameters><act><path>start.sh</path></act></parameters></exec></resource></root>`
	for _, c := range []struct {
		conf  string
		names encoding.Encoding
	}{
		{"UTF-8", encoding.Nop}, {"EUC-JP", japanese.EUCJP}, {"Shift_JIS", japanese.ShiftJIS}, {"GB2312", simplifiedchinese.GBK},
		{"EUC-JP", japanese.ShiftJIS}, // a zip made on Windows
	} {
		script, err := c.names.NewEncoder().String("scripts/表示/網/start.sh")
		if err != nil {
			t.Fatal(err)
		}
		data := inEncoding(t, []byte(text), c.conf)
		dir := t.TempDir()
		for name, data := range map[string]string{FileName: string(data), script: "#!/bin/sh\n"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		zipped := archive(t, func(w *zip.Writer) {
			put(t, w, script, "#!/bin/sh\n", 0o644)
			put(t, w, FileName, string(data), 0o644)
		})
		for _, from := range []string{dir, zipped} {
			s, err := Open(from)
			if err != nil {
				t.Errorf("%s, names in %v, %s: %v", c.conf, c.names, from, err)
				continue
			}
			r := mustImport(t, s, Options{})
			if got := string(r.Files["scripts/unnamed/unnamed/start.sh"].Data); got != "#!/bin/sh\n" {
				t.Errorf("%s, names in %v, %s: start.sh is %q", c.conf, c.names, from, got)
			}
		}
	}
}
