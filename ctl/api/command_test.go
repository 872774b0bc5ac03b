package api

import (
	"strings"
	"testing"

	"shisa/ctl/monitor"
)

func TestNotifyCommand(t *testing.T) {
	for _, tt := range []struct {
		name   string
		c      NotifyCommand
		want   ErrorCode // empty: it is good
		record string
	}{
		{"category", NotifyCommand{Category: "disk"}, "", "notify disk"},
		{"keyword", NotifyCommand{Category: "disk", Keyword: "sdb", Text: "två\u00a0ord"}, "", "notify disk.sdb"},
		{"monitor alone", NotifyCommand{Monitor: "alarm", Clear: true}, "", "clear monitor alarm"},
		{"both", NotifyCommand{Monitor: "alarm", Category: "disk"}, "", "notify monitor alarm disk"},
		{"longest", NotifyCommand{Category: strings.Repeat("c", monitor.CategoryLimit), Keyword: strings.Repeat("k", monitor.KeywordLimit)}, "", ""},
		{"nothing", NotifyCommand{Text: "help"}, BadRequest, ""},
		{"category too long", NotifyCommand{Category: strings.Repeat("c", monitor.CategoryLimit+1)}, TooLarge, ""},
		{"keyword too long", NotifyCommand{Category: "c", Keyword: strings.Repeat("k", monitor.KeywordLimit+1)}, TooLarge, ""},
		{"text too long", NotifyCommand{Category: "c", Text: strings.Repeat("t", monitor.TextLimit+1)}, TooLarge, ""},
		{"two lines", NotifyCommand{Category: "a\nb"}, BadRequest, ""},
		{"terminal", NotifyCommand{Category: "c", Text: "\x1b[2J"}, BadRequest, ""},
		{"no text", NotifyCommand{Category: "c", Keyword: "\xff"}, BadRequest, ""},
	} {
		if got := CodeOf(tt.c.Check()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if tt.record != "" && tt.c.String() != tt.record {
			t.Errorf("%s: %q, want %q", tt.name, tt.c.String(), tt.record)
		}
	}
}
