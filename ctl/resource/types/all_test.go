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
