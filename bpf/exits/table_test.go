package exits

import (
	"cmp"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTable feeds the connector's events in awkward orders.
func TestTable(t *testing.T) {
	const second = uint64(time.Second)
	fork := func(pid int, at uint64) procEvent { return procEvent{what: eventFork, at: at, pid: pid, tgid: pid} }
	exit := func(tid, tgid int, code uint32) procEvent {
		return procEvent{what: eventExit, at: 9 * second, pid: tid, tgid: tgid, code: code}
	}
	for name, c := range map[string]struct {
		events  []procEvent
		start   uint64 // what /proc says of any process; 0: gone
		state   byte   // zero: a zombie
		threads []int  // live others at each exit
		want    []ID
		code    int
	}{
		"one thread": {
			events: []procEvent{fork(5, 2*second), exit(5, 5, 3<<8)}, start: 199,
			threads: []int{0}, want: []ID{{5, 199}}, code: 3,
		},
		"leader first": {
			events: []procEvent{fork(5, 2*second), exit(5, 5, 3<<8), exit(6, 5, 0)}, start: 199,
			threads: []int{1, 0}, want: []ID{{5, 199}}, code: 3,
		},
		"leader gone, threads live": {
			events: []procEvent{fork(5, 2*second), exit(5, 5, 3<<8)}, start: 199,
			threads: []int{1},
		},
		"a thread only": {
			events: []procEvent{fork(5, 2*second), exit(6, 5, 0)}, start: 199,
			threads: []int{0},
		},
		"number already reused when we look": {
			events: []procEvent{fork(5, 2*second), exit(5, 5, 0)}, start: 900,
			threads: []int{0}, want: []ID{{5, 0}},
		},
		"gone when we look": {
			events:  []procEvent{fork(5, 2*second), exit(5, 5, 0)},
			threads: []int{0}, want: []ID{{5, 0}},
		},
		"never seen alive": {events: []procEvent{exit(5, 5, 0)}, threads: []int{0}},
		"late report of the former owner, we are alive": {
			events: []procEvent{fork(5, 2*second), exit(5, 5, 0)}, start: 199, state: 'S',
			threads: []int{0},
		},
		"late report of the former owner, by its time": {
			events: []procEvent{fork(5, 20*second), exit(5, 5, 0)}, start: 1999,
			threads: []int{0},
		},
		"born again before its death": {
			events: []procEvent{fork(5, 2*second), fork(5, 3*second), exit(5, 5, 0)}, start: 199,
			threads: []int{0}, want: []ID{{5, 199}, {5, 199}},
		},
		"twice": {
			events: []procEvent{fork(5, 2*second), exit(5, 5, 0), exit(5, 5, 0)}, start: 199,
			threads: []int{0, 0}, want: []ID{{5, 199}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []Exit
			table := newTable(func(e Exit) { got = append(got, e) })
			table.boot = 0
			table.look = func(pid int) (stat, error) {
				if c.start == 0 {
					return stat{}, unix.ESRCH
				}
				return stat{ID: ID{pid, c.start}, Threads: 1, State: cmp.Or(c.state, 'Z')}, nil
			}
			table.rest = func(int, int) int { n := c.threads[0]; c.threads = c.threads[1:]; return n }
			for _, e := range c.events {
				table.apply(e)
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %+v, want %v", got, c.want)
			}
			for i, e := range got {
				if e.ID != c.want[i] || e.Status.ExitStatus() != c.code {
					t.Errorf("got %+v, want %v with code %d", e, c.want[i], c.code)
				}
			}
		})
	}
}

func TestRecentForgets(t *testing.T) {
	var r recent
	if !r.add(birth{1, 1}) || r.add(birth{1, 1}) {
		t.Error("a duplicate is not noticed")
	}
	for pid := range uint32(len(r.ring)) {
		r.add(birth{pid + 2, 1})
	}
	if !r.add(birth{1, 1}) {
		t.Error("nothing is forgotten")
	}
	if len(r.set) > len(r.ring) {
		t.Errorf("remembers %d", len(r.set))
	}
}

func TestPidfds(t *testing.T) {
	p, err := NewPidfds()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	c := watch(t, p)

	cmd := self("wait")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 16))
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Add(ID{id.PID, id.Start + 1}); !errors.Is(err, ErrGone) {
		t.Errorf("another process of the same number: %v", err)
	}
	if err := p.Add(id); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	got := c.await(t, id.PID)[0]
	if got.ID != id || !got.Status.Known || got.Status.Signal() != unix.SIGKILL {
		t.Errorf("got %+v", got)
	}
	cmd.Wait()
	if err := p.Add(id); !errors.Is(err, ErrGone) {
		t.Errorf("a process that is gone: %v", err)
	}
}
