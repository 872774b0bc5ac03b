package exits

import (
	"encoding/binary"
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	tail := " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 1 18 4242 20 21"
	for name, c := range map[string]struct {
		line string
		want stat
		bad  bool
	}{
		"plain":       {line: "17 (sh) S" + tail, want: stat{ID: ID{17, 4242}, Comm: "sh", State: 'S', Parent: 1, Threads: 1}},
		"parentheses": {line: "17 (a) R (b)) Z" + tail, want: stat{ID: ID{17, 4242}, Comm: "a) R (b)", State: 'Z', Parent: 1, Threads: 1}},
		"no name":     {line: "17 S" + tail, bad: true},
		"short":       {line: "17 (sh) S 1 2", bad: true},
		"empty":       {bad: true},
		"no state":    {line: "17 (sh)", bad: true},
		"not numbers": {line: "17 (sh) S a b c d e f g h i j k l m n o p q r s t u v", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			var got stat
			err := got.parse([]byte(c.line))
			if c.bad {
				if err == nil {
					t.Fatalf("accepted as %+v", got)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestIdentifySelf(t *testing.T) {
	id, err := Identify(os.Getpid())
	if err != nil || id.PID != os.Getpid() || id.Start == 0 {
		t.Errorf("got %v, %v", id, err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("17 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 1 18 4242"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var s stat
		_ = s.parse(line)
	})
}

func FuzzParseEvent(f *testing.F) {
	message := binary.NativeEndian.AppendUint32(nil, procIndex)
	message = binary.NativeEndian.AppendUint32(message, procValue)
	message = append(message, make([]byte, 60)...)
	f.Add(message)
	f.Fuzz(func(t *testing.T, data []byte) { parseEvent(data) })
}
