package compat

import (
	"strings"
	"testing"

	"shisa/docs"
)

func chapter(t *testing.T) string {
	t.Helper()
	b, err := docs.Manual.ReadFile("manual/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestManualHasEachCommand: the chapter about migration has each command with
// its twin, and each service and port that the original documents.
func TestManualHasEachCommand(t *testing.T) {
	text := chapter(t)
	rows := map[string]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			rows[strings.Trim(strings.TrimSpace(name), "`")] = cells[2]
		}
	}
	for name, twin := range Twins() {
		row, has := rows[name]
		if !has {
			t.Errorf("%s is missing", name)
		}
		for part := range strings.SplitSeq(twin, ", ") {
			if !strings.Contains(row, "`"+part+"`") {
				t.Errorf("%s: the twin %q is not named: %s", name, part, row)
			}
		}
	}
	for _, service := range []string{"clusterpro", "clusterpro_evt", "clusterpro_trn", "clusterpro_webmgr", "clusterpro_alertsync"} {
		if _, has := rows[service]; !has {
			t.Errorf("service %s is missing", service)
		}
	}
	for _, port := range []string{"29001/TCP", "29002/TCP", "29002/UDP", "29003/UDP", "29003/TCP", "29010/UDP", "162/UDP"} {
		if !strings.Contains(text, "| "+port) {
			t.Errorf("port %s is missing", port)
		}
	}
}
