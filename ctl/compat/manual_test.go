package compat

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
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

// TestManualIsWhole: the chapter about migration has each command with its twin,
// and each screen, file, service and port that the original documents.
func TestManualIsWhole(t *testing.T) {
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
	others := []string{"clplogcc", "clplogcf", "clplcnsc", "clpprer", "clpledctrl", "clplamp", "clpbmccnf", "clpcfset", "clpcfadm", "clpcfget",
		"clpcfchk", "clpencrypt", "clpperfc", "clphealthchk", "clpfwctrl.sh", "clpsvcctrl"}
	services := []string{"clusterpro", "clusterpro_evt", "clusterpro_trn", "clusterpro_webmgr", "clusterpro_alertsync"}
	for _, name := range slices.Concat(others, services) {
		if _, has := rows[name]; !has {
			t.Errorf("%s is missing", name)
		}
	}
	for _, thing := range []string{
		"29001/TCP", "29002/TCP", "29002/UDP", "29003/UDP", "29003/TCP", "29010/UDP", "162/UDP", "icmp", "JVM management port", "UDP port of the log",
		"package `clusterprosss`", "`/opt/nec/clusterpro/`", "`/opt/nec/clusterpro/bin/`", "`/opt/nec/clusterpro/etc/clp.conf`",
		"`/opt/nec/clusterpro/etc/policy/*.pol`", "`/opt/nec/clusterpro/scripts/`", "`/opt/nec/clusterpro/work/rexec/`", "`/opt/nec/clusterpro/log/`",
		"`/opt/nec/clusterpro/tmp/`", "`/opt/nec/clusterpro/drivers/`", "`/opt/nec/clusterpro/lib/libclpmgmtmib.so`", "`/etc/logrotate.d/syslog`",
		"WebManager, operation mode", "WebManager, reference mode", "WebManager, configuration mode", "WebManager, verification mode", "Alert view",
		"Log collection", "Time information", "Integrated manager",
	} {
		if !strings.Contains(text, "| "+thing) {
			t.Errorf("%s is missing", thing)
		}
	}
}

// TestManualHasEachExitCode: no command ends with a code that the chapter does
// not explain.
func TestManualHasEachExitCode(t *testing.T) {
	_, text, found := strings.Cut(chapter(t), "Exit codes: ")
	text, _, ends := strings.Cut(text, "## ")
	said := regexp.MustCompile(`\d+`).FindAllString(text, -1)
	if !found || !ends || len(said) == 0 {
		t.Fatal("the exit codes are missing")
	}
	all := slices.Collect(maps.Values(codes))
	for _, c := range commands() {
		all = slices.AppendSeq(all, maps.Values(c.codes))
	}
	for _, code := range all {
		if !slices.Contains(said, strconv.Itoa(code)) {
			t.Errorf("%d is missing", code)
		}
	}
}
