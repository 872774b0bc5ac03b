package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// debDocs are the files that Debian's policy wants in every package: the
// copyright and a changelog, and what lintian should overlook.
func (b *build) debDocs(p *pkg) []file {
	doc := "/usr/share/doc/" + p.name + "/"
	changelog := fmt.Sprintf("%s (%s) unstable; urgency=medium\n\n  * Commit %.12s; see CHANGELOG.md of the source.\n\n -- %s  %s\n",
		p.name, b.version, b.commit, maintainer, time.Unix(b.epoch, 0).UTC().Format(time.RFC1123Z))
	files := []file{
		{path: doc + "changelog.gz", mode: 0o644, data: gzipped([]byte(changelog))},
		{path: doc + "copyright", mode: 0o644, data: copyright},
	}
	if text, err := os.ReadFile(filepath.Join("packaging/deb", p.name, "lintian-overrides")); err == nil {
		files = append(files, file{path: "/usr/share/lintian/overrides/" + p.name, mode: 0o644, data: text})
	}
	return files
}

var copyright = []byte(`Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: shisa

Files: *
Copyright: 2026 the shisa authors
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.

Files: usr/src/clpka-*
Copyright: 2026 the shisa authors
License: GPL-2.0-only
 On Debian systems the text is in /usr/share/common-licenses/GPL-2.
`)
