package message

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ReceiverArg {
		os.Exit(Receive(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// mailbox is a monitor.Mailbox without a daemon.
type mailbox struct {
	mu   sync.Mutex
	kept []monitor.Message
}

func (b *mailbox) Latest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.kept))
}

func (b *mailbox) Since(seq uint64) []monitor.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]monitor.Message(nil), b.kept[seq:]...)
}

func (b *mailbox) WatchMail(ctx context.Context, _ func()) { <-ctx.Done() }

func (b *mailbox) put(m monitor.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.Seq, m.At = uint64(len(b.kept)+1), time.Now()
	b.kept = append(b.kept, m)
}

// arriving is a mailbox in which messages arrive just after a prober was made.
type arriving struct{ mailbox }

func (*arriving) Latest() uint64 { return 0 }

func TestType(t *testing.T) {
	env := func(messages ...monitor.Message) monitor.Env {
		box := new(arriving)
		for _, m := range messages {
			box.put(m)
		}
		return monitor.Env{Name: "alarm", Mail: box}
	}
	disk := monitor.Message{Category: "disk", Keyword: "sdb", From: "root", Text: "lost a path"}
	over := disk
	over.Clear = true
	long := strings.Repeat("k", monitor.KeywordLimit)
	on := func(pairs ...any) map[string]any {
		m := map[string]any{"category": "disk"}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "nothing", Env: env(), Params: on("keyword", "sdb"), Detail: "no message of disk.sdb holds"},
		{Name: "a message", Env: env(disk), Params: on(), Want: monitor.Failed, Certain: true, Detail: "disk.sdb from root at"},
		{Name: "its text", Env: env(disk), Params: on(), Want: monitor.Failed, Certain: true, Detail: ": lost a path"},
		{Name: "two messages", Env: env(disk, disk), Params: on(), Want: monitor.Failed, Certain: true, Detail: "2 messages, the last: disk.sdb"},
		{Name: "cleared", Env: env(disk, over), Params: on()},
		{Name: "cleared and again", Env: env(disk, over, disk), Params: on(), Want: monitor.Failed, Certain: true, Detail: "disk.sdb from root"},
		{Name: "longest keyword", Env: env(monitor.Message{Category: "disk", Keyword: long, Text: strings.Repeat("ä", 511)}),
			Params: on("keyword", long), Want: monitor.Failed, Certain: true, Detail: "disk.kkk"},
		{Name: "no category", Env: env(), Params: map[string]any{}, WantErr: "category: required"},
		{Name: "keyword too long", Env: env(), Params: on("keyword", long+"k"), WantErr: "1024 bytes, more than 1023"},
		{Name: "trap from anywhere", Env: env(), Params: on("trap_listen", "127.0.0.1:0"), WantErr: "trap_listen needs"},
		{Name: "no port", Env: env(), Params: on("trap_listen", "127.0.0.1"), WantErr: "no address with port"},
		{Name: "no address", Env: env(), Params: on("trap_from", []any{"bmc"}), WantErr: "neither an address"},
		{Name: "port of others", Env: env(), Params: on("trap_listen", "192.0.2.1:16200", "trap_from", []any{"127.0.0.1"}), NoLook: true, Detail: "await traps"},
		{Name: "no mail", Params: on(), WantErr: "not delivered"},
	})
}

func TestTakes(t *testing.T) {
	for _, tt := range []struct {
		category, keyword string
		message           monitor.Message
		want              bool
	}{
		{"disk", "", monitor.Message{Category: "disk", Keyword: "sdb"}, true},
		{"disk", "sdb", monitor.Message{Category: "disk", Keyword: "sdb"}, true},
		{"disk", "sdb", monitor.Message{Category: "disk", Keyword: "sda"}, false},
		{"disk", "sdb", monitor.Message{Category: "disk"}, false},
		{"disk", "", monitor.Message{Category: "Disk"}, false},
	} {
		takes := Type.Takes(map[string]any{"category": tt.category, "keyword": tt.keyword})
		if got := takes(tt.message); got != tt.want {
			t.Errorf("%s.%s takes %+v: %t", tt.category, tt.keyword, tt.message, got)
		}
	}
}

// Fix 11 of the original: with a keyword of 256 characters or more the linkage
// did not work.
func TestFix011LongKeyword(t *testing.T) {
	for _, n := range []int{255, 256, 257, 1023} {
		keyword := strings.Repeat("あ", n/3) + strings.Repeat("x", n%3)
		if len(keyword) != n {
			t.Fatalf("made %d bytes", len(keyword))
		}
		params := map[string]any{"category": "BMC", "keyword": keyword}
		if !Type.Takes(params)(monitor.Message{Category: "BMC", Keyword: keyword}) {
			t.Errorf("%d bytes: not taken", n)
		}
		if Type.Takes(params)(monitor.Message{Category: "BMC", Keyword: keyword[:n-1] + "y"}) {
			t.Errorf("%d bytes: the end does not count", n)
		}
	}
}

// Fix 62 of the original: the monitor could fail at its very first start.
func TestFix062FirstStart(t *testing.T) {
	for range 100 {
		p, err := Type.New(map[string]any{"category": "disk"}, monitor.Env{Mail: new(mailbox)})
		if err != nil {
			t.Fatal(err)
		}
		if f, err := p.Probe(t.Context()); err != nil || f.Verdict != monitor.OK {
			t.Fatalf("got %+v, %v", f, err)
		}
	}
}

// A message is one failure, however often it is looked at, and is forgotten
// when its time is over.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := new(mailbox)
		box.put(monitor.Message{Category: "disk"}) // before the monitor began
		p, err := Type.New(map[string]any{"category": "disk", "hold": "1m"}, monitor.Env{Mail: box})
		if err != nil {
			t.Fatal(err)
		}
		look := func(verdict monitor.Verdict, known bool) {
			t.Helper()
			f, err := p.Probe(t.Context())
			if err != nil || f.Verdict != verdict || f.Known != known {
				t.Fatalf("got %+v, %v; want %v, known %t", f, err, verdict, known)
			}
		}
		look(monitor.OK, false)
		box.put(monitor.Message{Category: "disk"})
		look(monitor.Failed, false)
		look(monitor.Failed, true)
		time.Sleep(59 * time.Second)
		look(monitor.Failed, true)
		box.put(monitor.Message{Category: "disk"})
		look(monitor.Failed, false)
		time.Sleep(59 * time.Second)
		look(monitor.Failed, true)
		time.Sleep(time.Second)
		look(monitor.OK, false)
	})
}
