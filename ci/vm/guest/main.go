// Command guest is the init of the test guests (package vm).
//
// Process 1 starts a second copy of itself, the agent, reaps what is left behind
// and does orderly shutdowns like a small sysvinit. The agent sets the guest up,
// reports ready and runs the commands of the host. Two processes, because process 1
// has to reap everybody's orphans and the agent has to wait for its own children.
package main

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"shisa/ci/vm/wire"
)

func main() {
	var err error
	if os.Getpid() == 1 {
		err = initMain()
	} else {
		err = agentMain()
	}
	fmt.Fprintln(os.Stderr, "guest:", err)
	os.Exit(1)
}

// initMain is process 1. It returns never, or when the agent cannot be started.
func initMain() error {
	mountAll(coreMounts)
	if config, err := readConfig(wire.ConfigPath); err == nil && config.Root != "" {
		return handOver(config)
	}
	mountAll(otherMounts)
	// busybox: reboot sends TERM, poweroff USR2 and halt USR1 to process 1.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	self, err := os.StartProcess("/proc/self/exe", []string{"@guest-agent"}, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Env:   []string{"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/root"},
	})
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	go reap(self.Pid)
	switch <-signals {
	case unix.SIGTERM:
		return shutdown(unix.LINUX_REBOOT_CMD_RESTART)
	case unix.SIGUSR1:
		return shutdown(unix.LINUX_REBOOT_CMD_HALT)
	default:
		return shutdown(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
}

// reap collects dead orphans for as long as the machine runs. The guest is of no
// use without its agent.
func reap(agent int) {
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if err == nil && pid == agent {
			fmt.Fprintln(os.Stderr, "guest: the agent died; powering off")
			_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		}
	}
}
