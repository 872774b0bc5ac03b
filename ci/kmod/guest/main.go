// Command guest is the tool of the tests of clpka inside the guest.
//
//	guest hold [flags]      arm, ping, tell the host when, then hurt the machine
//	guest hog -cpu N        spin on a CPU at real-time priority 99
//	guest status            the module's status as JSON
//	guest note TEXT         leave a note
//	guest shutdown MS ACTION  arm the shutdown countdown
//	guest cycles N          arm, ping and disarm N times
//	guest fuzz DURATION     hostile calls of all kinds
//	guest bench             cost of a ping and of being armed
//	guest api               calls and their answers, as a user of the watchdog API sees them
//	guest pretimeout        let a pretimeout happen, see it as a uevent, ping, disarm
//	guest engine            the Go driver on the real module
//	guest choose            what the daemon would choose, and why nothing else
//	guest kfunc OBJECT PROGRAM   an eBPF program pings, then says that a beat was missed
//	guest kexec IMAGE CMDLINE now|crash   load a kernel; now: and start it
package main

import (
	"fmt"
	"os"
	"runtime"
)

var commands = map[string]func([]string) error{
	"hold":     hold,
	"hog":      hog,
	"status":   status,
	"note":     note,
	"shutdown": shutdown,
	"cycles":   cycles,
	"fuzz":     fuzz,
	"bench":    bench,
	"api":      api,
	"engine":   engine,
	"choose":   choose,
	"kfunc":    kfunc,

	"pretimeout": pretimeout,
}

func main() {
	runtime.LockOSThread() // CPU affinity and scheduling class are a thread's
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "guest: unknown command")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "guest: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
