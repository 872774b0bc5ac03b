package types

import (
	"os"
	"slices"
	"testing"
)

// The list must hold every folder: go generate writes it.
func TestAllIsCurrent(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var folders, names []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "internal" {
			folders = append(folders, e.Name())
		}
	}
	for _, typ := range All() {
		names = append(names, typ.Name)
	}
	if !slices.Equal(folders, names) {
		t.Errorf("all.go has %v, the folders are %v: run go generate", names, folders)
	}
}

func TestAliasesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, typ := range All() {
		if other := seen[typ.Alias]; other != "" && typ.Alias != "" {
			t.Errorf("%s and %s have the same alias %q", other, typ.Name, typ.Alias)
		}
		seen[typ.Alias] = typ.Name
	}
}
