package witness

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/tick"
)

// onThread calls look again and again, with a pause between, until ctx is done. It
// does so on a thread of its own; if that is realtime, at the lowest such priority,
// above every ordinary task and below every other real-time one: whoever is to see
// that others get no CPU must get one itself. The pause is a system call, for the
// runtime's own timers may wait for a thread that is starved.
func onThread(ctx context.Context, pause func() time.Duration, realtime bool, look func()) error {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("create an eventfd: %w", err)
	}
	defer unix.Close(wake)
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail on a fresh counter
	})
	defer func() {
		if !stop() {
			<-woken // it must not write to what has this number next
		}
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its priority
		if realtime {
			attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
			_ = unix.SchedSetAttr(0, &attr, 0) // without the right to, it is as good as any other
		}
		poll := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
		for ctx.Err() == nil {
			if n, _ := unix.Poll(poll, int(tick.Next(pause()).Milliseconds())+1); n == 0 {
				look()
			}
		}
	}()
	<-done
	return nil
}
