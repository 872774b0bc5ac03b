package window

import (
	"strings"
	"testing"
	"time"
)

func at(t testing.TB, text, zone string) time.Time {
	t.Helper()
	l, err := time.LoadLocation(zone)
	if err != nil {
		t.Skipf("no time zone database: %v", err)
	}
	when, err := time.ParseInLocation("2006-01-02 15:04:05", text, l)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		window, at, zone string
		want             bool
	}{
		{"daily 02:00-04:00", "2026-11-23 01:59:59", "UTC", false},
		{"daily 02:00-04:00", "2026-11-23 02:00:00", "UTC", true},
		{"daily 02:00-04:00", "2026-11-23 03:59:59", "UTC", true},
		{"daily 02:00-04:00", "2026-11-23 04:00:00", "UTC", false},
		{"daily 00:00-24:00", "2026-11-23 23:59:59", "UTC", true},
		{"mon 22:00-06:00", "2026-11-24 05:00:00", "UTC", true}, // began on Monday
		{"mon 22:00-06:00", "2026-11-23 05:00:00", "UTC", false},
		{"mon-fri 00:00-24:00", "2026-11-22 12:00:00", "UTC", false},
		{"fri-mon 00:00-24:00", "2026-11-22 12:00:00", "UTC", true}, // round the end of the week
		{"sat,sun 00:00-24:00", "2026-11-22 12:00:00", "UTC", true},
		{"2nd tue 20:00-24:00", "2026-11-10 21:00:00", "UTC", true},
		{"2nd tue 20:00-24:00", "2026-11-17 21:00:00", "UTC", false},
		{"last sun 22:00-02:00", "2026-11-30 01:00:00", "UTC", true},
		{"last sun 22:00-02:00", "2026-11-22 23:00:00", "UTC", false},
		{"2026-12-24 18:00 to 2026-12-27 06:00", "2026-12-26 12:00:00", "Asia/Tokyo", true},
		{"2026-12-24 18:00 to 2026-12-27 06:00", "2026-12-27 06:00:00", "Asia/Tokyo", false},
		{"Daily 02:00-04:00", "2026-03-29 03:30:00", "Europe/Berlin", true}, // 02:00 is skipped that night
	} {
		w, err := Parse(tt.window)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Open(at(t, tt.at, tt.zone)); got != tt.want {
			t.Errorf("%s at %s: open %v, want %v", tt.window, tt.at, got, tt.want)
		}
	}
}

func TestNext(t *testing.T) {
	now := at(t, "2026-11-23 12:00:00", "UTC") // a Monday
	for window, want := range map[string]string{
		"daily 02:00-04:00":                    "2026-11-24 02:00:00",
		"daily 10:00-14:00":                    "2026-11-23 14:00:00",
		"mon 13:00-14:00":                      "2026-11-23 13:00:00",
		"sun 22:00-13:00":                      "2026-11-23 13:00:00",
		"5th mon 01:00-02:00":                  "2026-11-30 01:00:00",
		"5th tue 01:00-02:00":                  "2026-12-29 01:00:00",
		"2026-12-24 18:00 to 2026-12-27 06:00": "2026-12-24 18:00:00",
		"2025-12-24 18:00 to 2025-12-27 06:00": "",
	} {
		w, err := Parse(window)
		if err != nil {
			t.Fatal(err)
		}
		next, ok := w.Next(now)
		if got := next.Format("2006-01-02 15:04:05"); ok != (want != "") || ok && got != want {
			t.Errorf("%s: next %s, %v; want %s", window, got, ok, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "want \"daily",
		"daily":                                "want \"daily",
		"02:00-04:00":                          "want \"daily",
		"daily 02:00":                          "want \"daily",
		"daily 02:00-02:00":                    "ends when it begins",
		"daily 24:00-02:00":                    "not a beginning",
		"daily 25:00-26:00":                    "no time of day",
		"daily 02:60-04:00":                    "no time of day",
		"daily 2:0-04:00":                      "no time of day",
		"daily -1:00-04:00":                    "no time of day",
		"someday 02:00-04:00":                  "no day",
		"mon-xxx 02:00-04:00":                  "no day",
		"6th mon 02:00-04:00":                  "want \"daily",
		"2026-12-24 18:00 to 2026-12-23 18:00": "ends before it begins",
		"2026-13-24 18:00 to 2026-12-23 18:00": "want \"daily",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// FuzzWindow: whatever is read is consistent with itself.
func FuzzWindow(f *testing.F) {
	for _, s := range []string{"daily 02:00-04:00", "fri-mon,wed 22:00-06:00", "last sun 22:00-02:00", "2026-12-24 18:00 to 2026-12-27 06:00"} {
		f.Add(s, int64(1795435200))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		w, err := Parse(text)
		if err != nil {
			return
		}
		now := time.Unix(unix%(1<<33), 0).UTC()
		next, ok := w.Next(now)
		if !ok {
			return
		}
		if !next.After(now) {
			t.Fatalf("%q: next change %v is not after %v", text, next, now)
		}
		// Between two changes nothing changes.
		if before := next.Add(-time.Second); before.After(now) && w.Open(before) != w.Open(now) {
			t.Fatalf("%q: changes between %v and %v", text, now, next)
		}
	})
}
