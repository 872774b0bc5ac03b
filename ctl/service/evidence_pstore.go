package service

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"shisa/ctl/keeper"
	"shisa/ctl/store"
	"shisa/ctl/why"
)

// Limits of what is read of pstore.
const (
	crashFiles = 32        // the newest
	crashBytes = 256 << 10 // of one file
	crashLines = 12        // kept of one file
)

// A record is a file that the kernel left in pstore.
type record struct {
	name string // where it lies
	kind string // first part of the base name: "dmesg", "console", "pmsg"
	at   time.Time
	text []byte
}

// pstore reads what the kernel left (Documentation/ABI/testing/pstore), oldest
// first, there or where systemd-pstore(8) has moved it to: simple records stay
// single files, those in parts get folders and are joined.
func (s scene) pstore() []record {
	const live, archive = "sys/fs/pstore/", "var/lib/systemd/pstore/"
	var all []record
	for _, path := range s.glob(live+"*", archive+"*", archive+"*/*", archive+"*/*/*") {
		kind, _, _ := strings.Cut(filepath.Base(path), "-")
		kind = strings.TrimSuffix(kind, ".txt") // "dmesg.txt" is joined
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || !slices.Contains([]string{"dmesg", "console", "pmsg"}, kind) {
			continue
		}
		all = append(all, record{name: path, kind: kind, at: info.ModTime()})
	}
	slices.SortStableFunc(all, func(a, b record) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.name, b.name)) })
	all = all[max(0, len(all)-crashFiles):]
	for i := range all {
		all[i].text, all[i].name = read(all[i].name, crashBytes), s.named(all[i].name)
	}
	return all
}

// telling are parts of kernel lines that say what happened.
var telling = []string{"Kernel panic", "BUG:", "Oops", "Call Trace", "RIP:", "hung_task", "blocked for more than", "soft lockup",
	"hard LOCKUP", "Out of memory", "clpka:", "softdog:", "sysrq:", "watchdog:", "shisa: last words"}

// crash takes the kind from the first line, "Panic#1 Part1", and the lines that
// say what happened from the rest.
func (r record) crash() (why.Crash, bool) {
	c := why.Crash{File: r.name, At: r.at}
	s := bufio.NewScanner(bytes.NewReader(r.text))
	for first := true; s.Scan(); first = false {
		line := s.Text()
		if kind, _, ok := strings.Cut(line, "#"); first && ok {
			c.Kind = kind
			continue
		}
		if len(c.Lines) < crashLines && slices.ContainsFunc(telling, func(part string) bool { return strings.Contains(line, part) }) {
			c.Lines = append(c.Lines, line)
		}
		c.Fired = c.Fired || strings.Contains(line, "clpka: FIRED") || strings.Contains(line, "softdog: Initiating")
	}
	return c, r.kind == "dmesg"
}

// messages returns the records of the keeper's witness in the part of pstore
// for user space. It is a ring: the first line may be torn.
func (r record) messages() []keeper.LastWords {
	if r.kind != "pmsg" {
		return nil
	}
	var all []keeper.LastWords
	for line := range bytes.Lines(r.text) {
		var w keeper.LastWords
		if start := bytes.IndexByte(line, '{'); start >= 0 && json.Unmarshal(line[start:], &w) == nil && w.Boot != "" {
			all = append(all, w)
		}
	}
	return all
}

// kernelWords returns what the keeper's witness told the kernel's log in that
// boot, as far as the kernel kept it.
func kernelWords(run *store.Run, records []record) []why.Words {
	var all []why.Words
	for _, r := range records {
		if r.kind == "pmsg" || r.at.Before(run.First.Time) {
			continue // of an earlier boot
		}
		s := bufio.NewScanner(bytes.NewReader(r.text))
		for s.Scan() {
			w, since, ok := kernelLine(s.Text())
			if !ok {
				continue
			}
			w.At, w.From = r.at, "kernel log in pstore"
			if since > 0 { // the journal knows what the wall clock said at a time since boot
				w.At = run.Last.Time.Add(since - run.Last.Uptime)
			}
			all = append(all, w)
		}
	}
	slices.SortStableFunc(all, func(a, b why.Words) int { return a.At.Compare(b.At) })
	return slices.CompactFunc(all, func(a, b why.Words) bool { return a == b })
}

// kernelLine reads a line as the witness writes it into the kernel's log, with
// the kernel's time since boot before it (0: it has none).
func kernelLine(line string) (w why.Words, since time.Duration, ok bool) {
	head, rest, ok := strings.Cut(line, "shisa: last words (")
	if !ok {
		return w, 0, false
	}
	if _, stamp, bracket := strings.Cut(head, "["); bracket {
		stamp, _, _ = strings.Cut(stamp, "]")
		seconds, _ := strconv.ParseFloat(strings.TrimSpace(stamp), 64) // 0: another form of line
		since = time.Duration(seconds * float64(time.Second))
	}
	phase, rest, ok := strings.Cut(rest, "): beat ")
	if !ok {
		return w, 0, false
	}
	w.Phase, w.Stall, _ = strings.Cut(phase, ", ")
	var age, limit int64
	var numbers string
	if w.Beat, numbers, ok = strings.Cut(rest, " is "); !ok {
		return w, 0, false
	}
	if n, _ := fmt.Sscanf(numbers, "%d ms old, limit %d ms:", &age, &limit); n != 2 {
		return w, 0, false
	}
	_, w.Text, _ = strings.Cut(numbers, "ms: ")
	w.Age, w.Limit = time.Duration(age)*time.Millisecond, time.Duration(limit)*time.Millisecond
	return w, since, true
}
