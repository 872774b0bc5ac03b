package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"shisa/ctl/proc"
	"shisa/ctl/resource"
	"shisa/ctl/run"
)

// An asynchronous application outlives the daemon. Its identity is kept in a
// file, so that the next daemon takes it over instead of starting a second one.
// The identity is number and start time: a stale file names nobody.

func stateFile(env resource.Env) string {
	if env.RunDir == "" {
		return ""
	}
	return filepath.Join(env.RunDir, "exec."+env.Name)
}

// adopt takes over what an earlier Start, maybe of an earlier daemon, has left
// running, and reports whether there is such a thing.
func (s *script) adopt() bool {
	s.mu.Lock()
	id := s.main
	s.mu.Unlock()
	if id.PID != 0 {
		return id.Alive()
	}
	if id = s.load(); !id.Alive() {
		return false
	}
	s.keep(nil, id)
	return true
}

func (s *script) load() (id proc.ID) {
	if s.state == "" {
		return id
	}
	b, err := os.ReadFile(s.state)
	if err != nil {
		return id
	}
	if _, err := fmt.Sscanf(string(b), "%d@%d", &id.PID, &id.Start); err != nil || id.PID <= 1 {
		return proc.ID{}
	}
	return id
}

// save keeps the identity. A torn file would only name nobody, so the plain way
// of writing it is enough.
func (s *script) save(id proc.ID) error {
	if s.state == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.state), 0o755); err != nil {
		return fmt.Errorf("keep the process number: %w", err)
	}
	if err := os.WriteFile(s.state, []byte(id.String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the process number: %w", err)
	}
	return nil
}

func (s *script) forget() error {
	if s.state == "" {
		return nil
	}
	if err := os.Remove(s.state); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// endAdopted ends a process that is not our child, with its process group. Each
// member is signalled by its own identity.
func endAdopted(ctx context.Context, id proc.ID) error {
	signalGroup(id, syscall.SIGTERM)
	if waitGroup(ctx, id, run.DefaultGrace) {
		return nil
	}
	signalGroup(id, syscall.SIGKILL)
	if waitGroup(context.WithoutCancel(ctx), id, run.KillWait) {
		return nil
	}
	return fmt.Errorf("end process %d: it or a child of it cannot be killed", id.PID)
}

// group returns the living members of the group that the process led. While the
// group has members the kernel gives its number to nobody else; but when its
// leader is gone we cannot know any more that it is the same group.
func group(id proc.ID) []proc.ID {
	leader, err := proc.Read(id.PID)
	if err != nil || leader.Start != id.Start {
		return nil
	}
	all, _ := proc.List() // who cannot be looked at cannot be signalled, either
	var ids []proc.ID
	for _, s := range all {
		if s.Group == id.PID && !s.Ended() {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func signalGroup(id proc.ID, sig syscall.Signal) {
	ids := group(id)
	// The leader last: as long as it lives the group is known to be the same.
	slices.SortStableFunc(ids, func(a, b proc.ID) int {
		switch {
		case a == id:
			return 1
		case b == id:
			return -1
		}
		return 0
	})
	for _, member := range ids {
		_ = proc.Signal(member, sig) // it may be gone by now
	}
}

// waitGroup waits at most limit until no member is left.
func waitGroup(ctx context.Context, id proc.ID, limit time.Duration) bool {
	const pause = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for len(group(id)) > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
	return true
}
