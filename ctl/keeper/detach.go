package keeper

import (
	"os"
	"syscall"
)

// detached describes a child in a session of its own that reads nothing and
// shares our standard error.
func detached() *os.ProcAttr {
	return &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, // for ipmiutil and ipmitool
		Files: []*os.File{nil, nil, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
}
