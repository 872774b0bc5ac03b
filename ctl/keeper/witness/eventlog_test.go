package witness

import (
	"errors"
	"testing"
	"time"

	"shisa/ctl/beat"
)

func TestCodes(t *testing.T) {
	for _, phase := range phases {
		for _, cause := range byCode {
			if p, c, ok := Decode(Code(phase, cause)); !ok || p != phase || c != cause {
				t.Errorf("%s %s comes back as %s %s, %v", phase, cause, p, c, ok)
			}
		}
	}
	// Numbers that are in logs out there keep their meaning.
	if got := Code("warning", FileSystem); got != 0x17 {
		t.Errorf("a warning of the file system is %#x", got)
	}
	if p, c, ok := Decode(0x2f); !ok || p != "final" || c != Unknown {
		t.Errorf("a cause of a later version: %s, %s, %v", p, c, ok)
	}
	if _, _, ok := Decode(0x07); ok {
		t.Error("a byte without a phase was taken for ours")
	}
	if p, c, _ := Decode(Code("final", "moonlight")); p != "final" || c != Unknown {
		t.Errorf("a cause without a number: %s, %s", p, c)
	}
}

// The log is written to when it may be the last chance, and once an episode.
func TestMailbox(t *testing.T) {
	type step struct {
		at           time.Duration
		phase, cause string
		fails        bool
		posted       bool
	}
	const s = time.Second
	tests := map[string][]step{
		"a warning may pass":           {{1 * s, "warning", Overload, false, false}, {2 * s, "recovered", "", false, false}},
		"about to fire":                {{1 * s, "warning", DaemonStopped, false, false}, {2 * s, "final", DaemonStopped, false, true}},
		"the disk hangs":               {{1 * s, "warning", FileSystem, false, true}, {2 * s, "final", FileSystem, false, false}},
		"the daemon is blocked":        {{1 * s, "warning", DaemonBlocked, false, true}},
		"a BMC that is busy":           {{1 * s, "warning", FileSystem, true, true}, {2 * s, "final", FileSystem, false, true}},
		"a disk that hangs ever again": {{1 * s, "warning", FileSystem, false, true}, {60 * s, "warning", FileSystem, false, false}, {700 * s, "warning", FileSystem, false, true}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			var codes []byte
			var err error
			box := mailbox{post: func(code byte) error { codes = append(codes, code); return err }}
			for i, st := range steps {
				codes, err = nil, nil
				if st.fails {
					err = errors.New("busy")
				}
				box.offer(&Record{Phase: st.phase, Cause: st.cause}, beat.Time(st.at))
				if posted := len(codes) == 1 && codes[0] == Code(st.phase, st.cause); posted != st.posted {
					t.Errorf("step %d: posted %x", i, codes)
				}
			}
		})
	}
}

// A record for pstore fits into the smallest area, whatever happened.
func TestTextForPstore(t *testing.T) {
	r := full()
	if text := r.text(pmsgLimit); len(text) > pmsgLimit || text[len(text)-1] != '\n' || text[len(text)-2] != '}' {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}
