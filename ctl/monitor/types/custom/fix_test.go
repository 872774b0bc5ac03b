package custom

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/proc"
)

// The original's genw could end before the children that it had started when a probe
// took too long. Ours has ended the script and everything that it started when the
// probe returns, whether it obeys SIGTERM or not.
func TestFix037TimeoutLeavesNoChildren(t *testing.T) {
	for name, child := range map[string]string{
		"obeys":   "sleep 60",
		"ignores": "sh -c \"trap '' TERM; while :; do sleep 0.05; done\"",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			pidFile := filepath.Join(dir, "pid")
			script := fmt.Sprintf("#!/bin/sh\n%s & echo $! >%s\nwait\n", child, pidFile)
			if err := os.WriteFile(filepath.Join(dir, "slow"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			p, err := Type.New(map[string]any{"script": "slow"}, monitor.Env{Name: "app", Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := p.Probe(ctx); err == nil {
				t.Error("the probe did not time out")
			}
			var pid int
			text, err := os.ReadFile(pidFile)
			if err == nil {
				_, err = fmt.Sscan(string(text), &pid)
			}
			if err != nil {
				t.Fatal(err)
			}
			if id, err := proc.Identify(pid); err == nil && id.Alive() {
				t.Errorf("process %d lives on", pid)
			}
		})
	}
}
