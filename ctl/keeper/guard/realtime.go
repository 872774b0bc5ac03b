package guard

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Priority of all threads of the keeper under SCHED_FIFO: above every
	// real-time task but those at the very top. The daemon's beats come from
	// ordinary priority, so this hides no stall.
	Priority = 99

	// memoryLimit is when the garbage collector starts after all. The threads
	// that ping make no garbage; requests make some kilobytes each.
	memoryLimit = 12 << 20
)

// self is the program that runs, also when its file was replaced meanwhile.
const self = "/proc/self/exe"

// rise makes every thread of this process real-time. Only threads that are made
// later inherit what one thread sets, and Go has made some by now: so it is set
// on this one and the program executes itself once more. It returns why that
// is not possible, or does not return, or returns nil in the second image.
func rise() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	policy, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0)
	if errno == 0 && policy == unix.SCHED_FIFO {
		return nil // without SCHED_RESET_ON_FORK: threads inherit it
	}
	param := struct{ priority int32 }{Priority}
	_, _, errno = unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, uintptr(unsafe.Pointer(&param)))
	if errno != 0 {
		return errno
	}
	return unix.Exec(self, os.Args, os.Environ())
}

// rename gives every thread the name under which operators look for the process:
// executed as /proc/self/exe it is called "exe" (proc(5), comm). It helps people and
// scripts only, so it may fail.
func rename(name string) {
	tasks, _ := os.ReadDir("/proc/self/task") // empty: nothing to rename
	for _, task := range tasks {
		_ = os.WriteFile("/proc/self/task/"+task.Name()+"/comm", []byte(name), 0)
	}
}

// harden sets up the process for its task and returns what could not be done,
// each with its consequence: in a container or without root it goes on without.
func harden() []string {
	var lacks []string
	lack := func(err error, consequence string) {
		if err != nil {
			lacks = append(lacks, fmt.Sprintf("%s (%v)", consequence, err))
		}
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	lack(rise(), "not real-time: under load pings may be late")
	rename("shisa-keeper")
	// MCL_FUTURE without MCL_ONFAULT would make all that the Go runtime
	// reserves resident: 87 MB.
	err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	if err == unix.EINVAL { // before Linux 4.4
		err = unix.Mlockall(unix.MCL_CURRENT)
	}
	lack(err, "memory is not locked: with exhausted memory pings may be late")
	lack(os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0), "not exempt from the OOM killer")
	return lacks
}
