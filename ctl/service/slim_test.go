package service

import (
	"bufio"
	"slices"
	"strings"
	"testing"
)

// As the kernel prints it: text, read-only data, relocated data, a library, a heap.
const smaps = `00400000-00c00000 r-xp 00000000 fe:00 1234                               /usr/sbin/shisad
Size:               8192 kB
Private_Clean:      4000 kB
Anonymous:             0 kB
00c00000-01500000 r--p 00800000 fe:00 1234                               /usr/sbin/shisad
Anonymous:             0 kB
01500000-01501000 r--p 01100000 fe:00 1234                               /usr/sbin/shisad
Anonymous:             4 kB
01501000-01600000 rw-p 01101000 fe:00 1234                               /usr/sbin/shisad
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 99                         /usr/lib/libc.so.6
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f1000000000-7f1000001000 rw-s 00000000 00:1b 7                          /run/shisa/beats
Anonymous:             0 kB
`

func TestProgramParts(t *testing.T) {
	got := programParts(bufio.NewScanner(strings.NewReader(smaps)), "/usr/sbin/shisad")
	want := []mapping{{0x400000, 0x800000}, {0xc00000, 0x900000}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := programParts(bufio.NewScanner(strings.NewReader("nonsense\n\nzz-yy r-xp 0 0 0 /p\nAnonymous: 0 kB\n")), "/p"); len(got) != 0 {
		t.Errorf("nonsense gives %+v", got)
	}
}
