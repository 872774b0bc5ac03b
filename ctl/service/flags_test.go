package service

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestPathsAreWhole: what is given from the folder that the daemon is started in
// is found from any other, as clients look for it.
func TestPathsAreWhole(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse([]string{"-config", "a.toml", "-run", "r", "-state", "s", "-keeper", "k"}, io.Discard)
	if err != nil || f.config != filepath.Join(here, "a.toml") || f.run != filepath.Join(here, "r") || f.state != filepath.Join(here, "s") || f.keeper != filepath.Join(here, "k") {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := parse(nil, io.Discard); err != nil || f.config != DefaultConfig || f.run != DefaultRun || f.state != "" || f.keeper != "" {
		t.Errorf("without options: %+v, %v", f, err)
	}
}
