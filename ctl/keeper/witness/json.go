package witness

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// A writer writes JSON. The standard encoder would double the size of the
// keeper; its decoder reads what this one writes (the tests see to it).
type writer struct {
	b     []byte
	comma bool
}

func (w *writer) key(k string) {
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = false
	if k != "" {
		w.text(k)
		w.b = append(w.b, ':')
	}
}

func (w *writer) text(s string) {
	const hex = "0123456789abcdef"
	w.b = append(w.b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.b = append(w.b, '\\', byte(r))
		case r < ' ':
			w.b = append(w.b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
	w.b = append(w.b, '"')
}

func (w *writer) str(k, v string) { w.key(k); w.text(v); w.comma = true }

func (w *writer) num(k string, v int64) {
	w.key(k)
	w.b = strconv.AppendInt(w.b, v, 10)
	w.comma = true
}

func (w *writer) float(k string, v float64) {
	w.key(k)
	w.b = strconv.AppendFloat(w.b, v, 'f', 2, 64)
	w.comma = true
}

func (w *writer) bool(k string, v bool) {
	w.key(k)
	w.b = strconv.AppendBool(w.b, v)
	w.comma = true
}

func (w *writer) nest(k string, open, end byte, inside func()) {
	w.key(k)
	w.b = append(w.b, open)
	inside()
	w.b = append(w.b, end)
	w.comma = true
}

// list writes the first n of items.
func list[T any](w *writer, k string, items []T, n int, each func(T)) {
	w.nest(k, '[', ']', func() {
		for _, item := range items[:min(n, len(items))] {
			each(item)
		}
	})
}

// text returns r as one line of JSON of at most limit bytes; when it would be
// longer, lists are cut, those of tasks first.
func (r *Record) text(limit int) []byte {
	for n := 32; ; n /= 2 {
		var w writer
		r.write(&w, n)
		w.b = append(w.b, '\n')
		if len(w.b) <= limit || n == 0 {
			return w.b[:min(len(w.b), limit)]
		}
	}
}

func (r *Record) write(w *writer, n int) {
	w.nest("", '{', '}', func() {
		w.str("boot", r.Boot)
		w.str("time", r.Time.Format(time.RFC3339Nano))
		w.num("uptime_ms", r.Uptime)
		w.str("phase", r.Phase)
		w.bool("complete", r.Complete)
		w.str("cause", r.Cause)
		w.str("text", short(r.Text, 800))
		w.str("beat", r.Beat)
		w.num("age_ms", r.Age)
		w.num("limit_ms", r.Limit)
		list(w, "beats", r.Beats, min(2*n, 16), func(b Beat) {
			w.nest("", '{', '}', func() {
				w.str("name", b.Name)
				w.num("age_ms", b.Age)
				w.num("limit_ms", b.Limit)
				w.num("count", b.Count)
			})
		})
		w.key("daemon")
		r.Daemon.write(w)
		w.num("cpus", int64(r.CPUs))
		w.str("load", short(r.Load, 80))
		list(w, "pressure", r.Pressure, 3, func(p Pressure) {
			w.nest("", '{', '}', func() {
				w.str("of", p.Of)
				w.float("some", p.Some)
				w.float("full", p.Full)
			})
		})
		w.nest("memory", '{', '}', func() {
			w.num("total_kib", r.Memory.Total)
			w.num("available_kib", r.Memory.Available)
			w.num("swap_total_kib", r.Memory.SwapTotal)
			w.num("swap_free_kib", r.Memory.SwapFree)
		})
		task := func(t Task) { w.key(""); t.write(w) }
		list(w, "realtime", r.Realtime, n, task)
		list(w, "blocked", r.Blocked, n, task)
		w.num("tasks", int64(r.Tasks))
		w.bool("cut", r.Cut)
	})
}

func (t Task) write(w *writer) {
	w.nest("", '{', '}', func() {
		w.num("pid", int64(t.PID))
		w.num("tid", int64(t.TID))
		w.str("name", short(t.Name, 64))
		w.str("state", t.State)
		w.str("policy", t.Policy)
		w.num("priority", int64(t.Priority))
		w.num("cpu_ticks", t.CPU)
		w.str("wait", short(t.Wait, 64))
		list(w, "stack", t.Stack, maxStack, func(s string) { w.str("", short(s, 64)) })
	})
}

// short cuts s to n bytes at the boundary of a character.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
