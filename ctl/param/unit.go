package param

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a duration with unit, such as "90s", "1m30s", "500ms" or
// "2d". It differs from time.ParseDuration in knowing days and refusing
// negative values and a bare "0".
func ParseDuration(text string) (time.Duration, error) {
	bad := func() error { return fmt.Errorf(`%q is not a duration: write a number with unit, such as "30s"`, text) }
	rest, days := text, time.Duration(0)
	if d, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(d, 10, 16)
		if err != nil {
			return 0, bad()
		}
		if days, rest = time.Duration(n)*24*time.Hour, after; rest == "" {
			return days, nil
		}
	}
	v, err := time.ParseDuration(rest)
	if err != nil || v < 0 || rest == "0" || v > math.MaxInt64-days {
		return 0, bad()
	}
	return days + v, nil
}

// FormatDuration writes d as ParseDuration reads it, without zero parts:
// "1m30s", "60m" as "1h".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
}

// ParseSize reads a number of bytes with unit: B, KiB, MiB, GiB or TiB.
func ParseSize(text string) (int64, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		return n * u.bytes, nil
	}
	return 0, fmt.Errorf(`%q is not a size: write a number with unit, such as "500MiB"`, text)
}

// FormatSize writes n bytes as ParseSize reads them, in the largest unit that
// divides it.
func FormatSize(n int64) string {
	for _, u := range sizeUnits {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// Literal writes a value that a TOML decoder yielded, or could have, as TOML on
// one line: string, bool, int64, float64 or []any of them; nil is "".
func Literal(raw any) string {
	switch v := raw.(type) {
	case nil:
		return ""
	case string:
		return quoted(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = Literal(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(raw)
}

// quoted writes s as a TOML basic string. strconv.Quote is no help: it writes
// \a and \v, which TOML does not know.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
