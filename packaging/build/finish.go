package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// tarball packs the files of all packages, for systems without a package manager
// that we know, with a script that installs them and one that takes them away.
func (b *build) tarball(_ context.Context, packages []*pkg) ([]string, error) {
	l := &layout{b: b}
	for _, p := range packages {
		// The script puts the configuration there, when there is none.
		l.files = append(l.files, slices.DeleteFunc(slices.Clone(p.files), func(f file) bool { return f.conf })...)
	}
	l.script("packaging/tarball/uninstall", "/usr/share/shisa/uninstall")
	const list = "/usr/share/shisa/files"
	paths := list + "\n"
	for _, f := range sorted(l.files) {
		if !f.dir {
			paths += f.path + "\n"
		}
	}
	l.text(list, paths)
	l.script("packaging/tarball/install", "/install")
	if err := l.err(); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed) // what every system can unpack
	if err := writeTar(z, fmt.Sprintf("shisa-%s/", b.version), sorted(l.files), b.epoch); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	name := filepath.Join(b.out, fmt.Sprintf("shisa-%s-linux-amd64.tar.gz", b.version))
	return []string{name}, os.WriteFile(name, packed.Bytes(), 0o644)
}

// A bom is a bill of materials in the form of CycloneDX 1.5, as far as it is
// filled in.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl,omitempty"`
	Used    string `json:"description,omitempty"` // which programs contain it
}

// sbom lists the Go modules that are in the programs, as the programs
// themselves record them: not what go.mod would allow, but what was linked.
func (b *build) sbom() (string, error) {
	used := map[component][]string{}
	programs, err := filepath.Glob(filepath.Join(b.work, "bin", "*"))
	if err != nil {
		return "", err
	}
	for _, p := range programs {
		info, err := buildinfo.ReadFile(p)
		if err != nil {
			return "", err
		}
		name := filepath.Base(p)
		goroot := component{Type: "library", Name: "std", Version: info.GoVersion, PURL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}
		used[goroot] = append(used[goroot], name)
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			c := component{Type: "library", Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version}
			used[c] = append(used[c], name)
		}
	}
	list := bom{
		Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata: metadata{
			Timestamp: time.Unix(b.epoch, 0).UTC().Format(time.RFC3339),
			Component: component{Type: "application", Name: "shisa", Version: b.version},
		},
	}
	for c, by := range used {
		c.Used = "in " + strings.Join(by, ", ")
		list.Components = append(list.Components, c)
	}
	slices.SortFunc(list.Components, func(x, y component) int { return strings.Compare(x.PURL, y.PURL) })
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return "", err
	}
	name := filepath.Join(b.out, fmt.Sprintf("shisa-%s.cdx.json", b.version))
	return name, os.WriteFile(name, append(text, '\n'), 0o644)
}

// finish writes SHA256SUMS and prints what was made.
func (b *build) finish(made []string) error {
	slices.Sort(made)
	var sums strings.Builder
	for _, name := range made {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), filepath.Base(name))
		fmt.Printf("%9.2f MiB  %s\n", float64(len(data))/(1<<20), name)
	}
	return os.WriteFile(filepath.Join(b.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
