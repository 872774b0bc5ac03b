package witness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBeatsOfOthers takes beats as sd_notify sends them, from a pipe and from the
// header, with a timer in the kernel if there is one, and without.
func TestBeatsOfOthers(t *testing.T) {
	for name, without := range map[string][]string{"as good as can be": nil, "without programs": {"*"}} {
		t.Run(name, func(t *testing.T) {
			w, h := running(t, Options{Settings: Settings{Without: without}})
			conn, err := net.Dial("unixgram", w.o.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			say := func(text string) {
				if _, err := conn.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			say("READY=1\nSTATUS=not about beats")
			say("WATCHDOG_USEC=100000\nWATCHDOG=1\nBEAT_NAME=notify")
			say("WATCHDOG=1\nBEAT_NAME=ends\nWATCHDOG_USEC=2000000")
			say("STOPPING=1\nBEAT_NAME=ends")
			say("WATCHDOG=trigger\nBEAT_NAME=gives up\nWATCHDOG_USEC=60000000\nWATCHDOG=1")
			say("WATCHDOG=trigger\nBEAT_NAME=gives up")
			pipe, err := os.OpenFile(strings.TrimSuffix(w.o.Socket, ".sock")+".pipe", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer pipe.Close()
			fmt.Fprintln(pipe, "bad line with words\nscript 50ms")
			h.await(t, "beat-missed", "beat/script")
			if os.Geteuid() == 0 {
				h.await(t, "beat-missed", "beat/notify")
				h.await(t, "beat-missed", "beat/gives?up")
			}
			fmt.Fprintln(pipe, "script 1h")
			h.await(t, "beat-back", "beat/script")
			say("STOPPING=1\nBEAT_NAME=notify")
			say("STOPPING=1\nBEAT_NAME=gives up")
			example(t, w, h)
			if slices.Contains(h.codes(), "beat-missed beat/ends") {
				t.Error("missed after its end")
			}
		})
	}
}

// example builds the header's example and lets it hang.
func example(t *testing.T, w *Witness, h *heard) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	program := filepath.Join(t.TempDir(), "beats")
	if words, err := exec.Command(cc, "-std=gnu99", "-Wall", "-Wextra", "-Werror", "-o", program, "../../bpf/include/example/beats.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, words)
	}
	c := exec.Command(program, "example", "2000", "20", "hang")
	c.Env = []string{"SHISA_BEAT_SOCKET=" + w.o.Socket}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	how := make([]byte, 16)
	n, err := out.Read(how)
	if want := map[bool]string{true: "shared\n", false: "datagrams\n"}[os.Geteuid() == 0]; err != nil || string(how[:n]) != want {
		t.Errorf("it beats by %q, %v", how[:n], err)
	}
	h.await(t, "beat-missed", "beat/example")
}

func TestParseLine(t *testing.T) {
	for line, want := range map[string]notice{
		"web":        {name: "web", beat: true},
		"web 5s":     {name: "web", beat: true, limit: 5 * time.Second},
		"web stop":   {name: "web", gone: true},
		"":           {},
		"a b c":      {},
		"web -1s":    {},
		"web potato": {},
	} {
		got, ok := parseLine(line)
		if ok != (want.name != "") || ok && got != want {
			t.Errorf("%q: got %+v, %v", line, got, ok)
		}
	}
}

func FuzzParseNotify(f *testing.F) {
	f.Add([]byte("WATCHDOG=1\nWATCHDOG_USEC=100\nBEAT_NAME=x\nBEAT_MAP=1"))
	f.Add([]byte("WATCHDOG=trigger\nSTOPPING=1\n\n=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := parseNotify(b)
		if n.limit < 0 || len(clean(n.name)) > 24 {
			t.Errorf("%q: %+v", b, n)
		}
	})
}
