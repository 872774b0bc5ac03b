package host

import (
	"fmt"
	"maps"
	"testing"
)

// Each kind of unread file of a process is counted once, whatever the order.
func TestFoldProc(t *testing.T) {
	const processes = 1000
	v := &view{unread: map[string]string{"proc/1/environ": "permission denied", "etc/shadow": "permission denied"}}
	for pid := range processes {
		v.unread[fmt.Sprintf("proc/%d/exe", pid)] = "permission denied"
		v.unread[fmt.Sprintf("proc/%d/fd", pid)] = "operation not permitted"
	}
	v.foldProc()
	want := map[string]string{
		"etc/shadow":     "permission denied",
		"proc/1/environ": "permission denied",
		"proc/*/exe":     "permission denied (1000 of them)",
		"proc/*/fd":      "operation not permitted (1000 of them)",
	}
	if !maps.Equal(v.unread, want) {
		t.Errorf("%v, want %v", v.unread, want)
	}
}
