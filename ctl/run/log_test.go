package run

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

var stamped = regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}\[(\d+)\] (.*)$`)

func TestLogLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := sh("echo $$; printf 'a\\n\\nno end'")
	c.Output = openTestLog(t, path, 1<<20)
	if r := Run(t.Context(), c); !r.OK() {
		t.Fatal(r)
	}
	var got []string
	eventually(t, "the log is closed", func() bool {
		got = strings.Split(strings.TrimSpace(read(t, path)), "\n")
		return len(got) == 4
	})
	m := stamped.FindStringSubmatch(got[0])
	if m == nil || m[1] != m[2] {
		t.Errorf("the first line %q does not bear the number of the process", got[0])
	}
	for i, want := range []string{1: "a", 2: "", 3: "no end"} {
		if m := stamped.FindStringSubmatch(got[i]); i > 0 && (m == nil || m[2] != want) {
			t.Errorf("line %d is %q, want %q", i, got[i], want)
		}
	}
}

func TestLogRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := openTestLog(t, path, 1000)
	for i := range 100 {
		fmt.Fprintf(w, "line %d\n", i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	now, before := read(t, path), read(t, rotatedName(path))
	if len(now) > 1000 || len(before) > 1000 || len(before) < 900 {
		t.Errorf("sizes are %d and %d, want at most 1000", len(now), len(before))
	}
	last := 100
	all := strings.Split(strings.TrimSpace(before+now), "\n")
	for i := range all {
		if want := fmt.Sprintf("line %d", last-len(all)+i); !strings.HasSuffix(all[i], want) {
			t.Fatalf("line is %q, want %q: a line was lost", all[i], want)
		}
	}
}

func TestLogLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := openTestLog(t, path, 1<<20)
	fmt.Fprint(w, strings.Repeat("x", 3*LineLimit), "\n")
	w.Close()
	if n := strings.Count(read(t, path), strings.Repeat("x", LineLimit)+"\n"); n != 3 {
		t.Errorf("the long line was broken into %d whole pieces, want 3", n)
	}
}

func TestLogUnrotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "log")
	for range 2 {
		c := sh("echo as it is")
		c.Output = openTestLog(t, path, 0)
		if r := Run(t.Context(), c); !r.OK() {
			t.Fatal(r)
		}
	}
	if got := read(t, path); got != "as it is\nas it is\n" {
		t.Errorf("got %q", got)
	}
}

// The disk was full, or the folder gone: the command goes on, and the log says
// how much it lacks.
func TestLogLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	path := filepath.Join(dir, "log")
	w := openTestLog(t, path, 60)
	fmt.Fprintln(w, "first")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(dir), "dir", "a file where the folder was", 0o600)
	fmt.Fprintf(w, "%s\nlost\n", strings.Repeat("x", 60))
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w, "again")
	w.Close()
	if got := read(t, path); !strings.Contains(got, "(2 lines are missing") || !strings.Contains(got, "again") {
		t.Errorf("got %q", got)
	}
}

// Fix 95 of the original: when several commands with a rotated log started for
// the first time together, making their folder failed for all but one.
func TestFix095ConcurrentFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	var wg sync.WaitGroup
	const commands = 20
	for i := range commands {
		wg.Go(func() {
			w, err := LogTo(filepath.Join(dir, fmt.Sprintf("log%d", i%4)), 1<<20)
			if err != nil {
				t.Error(err)
				return
			}
			c := sh("echo here")
			c.Output = w
			if r := Run(t.Context(), c); !r.OK() {
				t.Error(r)
			}
		})
	}
	wg.Wait()
	eventually(t, "every command has its line", func() bool {
		n := 0
		for i := range 4 {
			n += strings.Count(read(t, filepath.Join(dir, fmt.Sprintf("log%d", i))), "] here\n")
		}
		return n == commands
	})
}

// Fix 121 of the original: nothing was logged at all when the name of the log
// was longer than 31 bytes. What is too long for the file system is said.
func TestFix121LongLogName(t *testing.T) {
	for _, n := range []int{31, 32, 33, 253} {
		path := filepath.Join(t.TempDir(), strings.Repeat("n", n))
		w := openTestLog(t, path, 1<<20)
		fmt.Fprintln(w, "here")
		w.Close()
		if got := read(t, path); !strings.HasSuffix(got, "] here\n") {
			t.Errorf("%d bytes: got %q", n, got)
		}
	}
	for _, n := range []int{254, 256} {
		if _, err := LogTo(filepath.Join(t.TempDir(), strings.Repeat("n", n)), 1<<20); err == nil || !strings.Contains(err.Error(), "255") {
			t.Errorf("%d bytes: got error %v", n, err)
		}
	}
}

func openTestLog(t *testing.T, path string, rotate int64) io.WriteCloser {
	t.Helper()
	w, err := LogTo(path, rotate)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
