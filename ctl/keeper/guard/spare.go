package guard

import (
	"os"
	"unsafe"
)

// spare has systemd-shutdown pass this process by when it ends all others, or not
// any more: it leaves alone what runs as root and calls itself something that begins
// with '@' (argv_has_at in src/shared/killall.c since 183; systemd.io, "Storage
// Daemons for the Root File System"). What a process calls itself is read from its
// own memory (proc(5), /proc/PID/cmdline), so it can be changed at any time.
//
// Spared, the keeper holds its devices to the very end. Otherwise systemd-shutdown
// would find the first watchdog free, give it the time of RebootWatchdogSec=, ten
// minutes by default, and ping it; 252 takes no 0 for that from the bus.
func spare(yes bool) {
	if len(os.Args) == 0 || os.Args[0] == "" {
		return
	}
	first := os.Args[0][0]
	if own == 0 {
		own = first
	}
	*unsafe.StringData(os.Args[0]) = own // on the stack that the kernel made, which is writable
	if yes {
		*unsafe.StringData(os.Args[0]) = '@'
	}
}

// own is how the name of this process begins; 0: not looked at yet.
var own byte
