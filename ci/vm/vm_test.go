package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/u-root/u-root/pkg/cpio"
)

func TestParseSources(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // "name suites" of each, or
		err        string // part of the error
	}{
		{"empty", "\n# nothing\n", "", ""},
		{"one", "6.1 bookworm,bookworm-security linux-image-6\\.1.*-amd64 # note", "6.1 bookworm+bookworm-security", ""},
		{"two", "a b c\nd e f\n", "a b, d e", ""},
		{"missing field", "a b c\n6.1 bookworm\n", "", "line 2: want name, suites and package pattern, got 2 fields"},
		{"twice", "a b c\na b c\n", "", "line 2: kernel a is listed twice"},
		{"bad pattern", "a b (\n", "", "line 1: package pattern: error parsing regexp"},
		{"name is a path", "../a b c\n", "", `name "../a"`},
		{"suite is a path", "a b,../c c\n", "", `suite "../c"`},
		{"empty suite", "a b,, c\n", "", `suite ""`},
		{"all mistakes", "a\nb\n", "", "line 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := ParseSources(strings.NewReader(tt.text))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range list {
				got = append(got, s.Name+" "+strings.Join(s.Suites, "+"))
			}
			if g := strings.Join(got, ", "); g != tt.want {
				t.Errorf("got %q, want %q", g, tt.want)
			}
		})
	}
}

// The list in the tree has what the project promises to run on, and its patterns
// match the plain flavour only.
func TestSources(t *testing.T) {
	list, err := Sources()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ kernel, match, not string }{
		{"5.10", "linux-image-5.10.0-46-amd64", "linux-image-5.10.0-46-cloud-amd64"},
		{"6.1", "linux-image-6.1.0-56-amd64", "linux-image-6.1.0-56-rt-amd64"},
		{"6.1", "linux-image-6.1.0-56-amd64", "linux-image-6.12.117+deb12-amd64"},
		{"6.12", "linux-image-6.12.115+deb12.1-amd64", "linux-image-6.12.115+deb12-rt-amd64"},
		{"6.12-rt", "linux-image-6.12.115+deb12-rt-amd64", "linux-image-6.12.115+deb12-amd64"},
		{"newest", "linux-image-7.2.13+deb14-amd64", "linux-image-7.2.13+deb14-cloud-amd64"},
		{"next", "linux-image-7.3-amd64", "linux-image-amd64"},
	}
	for _, tt := range tests {
		i := slices.IndexFunc(list, func(s Source) bool { return s.Name == tt.kernel })
		if i < 0 {
			t.Errorf("ci/kernels.txt lacks %s", tt.kernel)
			continue
		}
		if re := list[i].Package; !re.MatchString(tt.match) || re.MatchString(tt.not) {
			t.Errorf("%s: %s shall match %s and not %s", tt.kernel, re, tt.match, tt.not)
		}
	}
}

func TestCached(t *testing.T) {
	t.Setenv("SHISA_CACHE", t.TempDir())
	if _, err := Cached("6.1"); !errors.Is(err, ErrNotCached) {
		t.Errorf("an empty cache: got %v, want ErrNotCached", err)
	}
	dir, err := kernelDir("6.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Cached("6.1"); !errors.Is(err, ErrNotCached) {
		t.Errorf("an incomplete kernel: got %v, want ErrNotCached", err)
	}
	if err := os.WriteFile(filepath.Join(dir, releaseFile), []byte("6.1.0-9-amd64\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	k, err := Cached("6.1")
	if err != nil || k.Release != "6.1.0-9-amd64" {
		t.Errorf("got %+v, %v", k, err)
	}
	all, err := CachedKernels()
	if err != nil || len(all) != 1 || all[0] != k {
		t.Errorf("CachedKernels: got %v, %v; want just %v", all, err, k)
	}
}

func TestNewestName(t *testing.T) {
	tests := []struct {
		want  string
		names []string
	}{
		{"6.12.117+deb12", []string{"6.12.96+deb12", "6.12.117+deb12", "6.12.43+deb12"}},
		{"6.12.115+deb13.1-amd64", []string{"6.12.115+deb13.1-amd64", "6.12.115+deb13-amd64"}},
		{"7.10.1", []string{"7.9.9", "7.10.1", "7.2.13"}},
		{"5.10.0-46", []string{"5.10.0-9", "5.10.0-46"}},
		{"7.3", []string{"7.2.13", "7.3"}},
	}
	for _, tt := range tests {
		if got := newestName(tt.names); got != tt.want {
			t.Errorf("newestName(%q) = %q, want %q", tt.names, got, tt.want)
		}
	}
}

func TestImageIsReadBack(t *testing.T) {
	im := newImage()
	im.file("/opt/a/b/c", []byte("hello"), 0o755)
	im.file("/empty", nil, 0o600)
	im.symlink("/bin/sh", "busybox")
	var archive bytes.Buffer
	if err := im.write(&archive); err != nil {
		t.Fatal(err)
	}
	format, err := cpio.Format("newc")
	if err != nil {
		t.Fatal(err)
	}
	records, err := cpio.ReadAllRecords(format.Reader(bytes.NewReader(archive.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]cpio.Record{}
	inodes := map[uint64]bool{}
	for _, r := range records {
		if dir := filepath.Dir(r.Name); dir != "." && dir != "/" {
			if _, ok := seen[dir]; !ok {
				t.Errorf("%s comes before its folder", r.Name)
			}
		}
		if inodes[r.Ino] {
			t.Errorf("%s shares its inode number: the kernel would link it", r.Name)
		}
		inodes[r.Ino] = true
		seen[r.Name] = r
	}
	tests := []struct {
		name string
		mode uint64
		text string
	}{
		{"opt/a/b/c", cpio.S_IFREG | 0o755, "hello"},
		{"empty", cpio.S_IFREG | 0o600, ""},
		{"bin/sh", cpio.S_IFLNK | 0o777, "busybox"},
		{"opt/a", cpio.S_IFDIR | 0o755, ""},
		{"dev/console", cpio.S_IFCHR | 0o600, ""},
	}
	for _, tt := range tests {
		r, ok := seen[tt.name]
		if !ok || r.Mode != tt.mode {
			t.Errorf("%s: got mode %o, want %o", tt.name, r.Mode, tt.mode)
			continue
		}
		text := make([]byte, r.FileSize)
		if r.FileSize > 0 {
			if _, err := r.ReadAt(text, 0); err != nil {
				t.Error(err)
			}
		}
		if string(text) != tt.text {
			t.Errorf("%s: got %q, want %q", tt.name, text, tt.text)
		}
	}
	var again bytes.Buffer
	if err := im.write(&again); err != nil || !bytes.Equal(archive.Bytes(), again.Bytes()) {
		t.Errorf("the same image gives other bytes the second time (%v)", err)
	}
}

func TestEventLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newEventLog()
		log.add(Event{Kind: KindReady})
		log.add(Event{Kind: KindReset, Reason: "guest-reset"})
		is := func(kind string, boot int) func(Event) bool {
			return func(e Event) bool { return e.Kind == kind && e.Boot == boot }
		}
		if _, err := log.wait(t.Context(), is(KindReset, 1)); err != nil {
			t.Errorf("an event of the past: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			log.add(Event{Kind: KindReady})
		}()
		start := time.Now()
		if _, err := log.wait(t.Context(), is(KindReady, 2)); err != nil || time.Since(start) != time.Second {
			t.Errorf("an event to come: got %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := log.wait(ctx, is(KindWDT, 0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an event that does not come: got %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			log.close()
		}()
		if _, err := log.wait(t.Context(), is(KindWDT, 0)); !errors.Is(err, ErrEnded) {
			t.Errorf("an event that will never come: got %v, want ErrEnded", err)
		}
		if got := len(log.snapshot()); got != 3 {
			t.Errorf("got %d events, want 3", got)
		}
	})
}

func TestConsoleExpect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var copied bytes.Buffer
		c := newConsole(&copied)
		go func() {
			for _, part := range []string{"first\r\nhalf of the ", "wanted line", "\r\nlast\r\n"} {
				time.Sleep(time.Second)
				_, _ = c.Write([]byte(part))
			}
			c.close()
		}()
		line, err := c.expect(t.Context(), "wanted")
		if err != nil || line != "half of the wanted line" {
			t.Errorf("got %q, %v", line, err)
		}
		if _, err := c.expect(t.Context(), "never"); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v, want ErrEnded", err)
		}
		if copied.String() != c.String() {
			t.Errorf("the copy has %q, the console %q", copied.String(), c.String())
		}
	})
}
