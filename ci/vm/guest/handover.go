package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"shisa/ci/vm/wire"
)

const (
	// newRoot is where the disk is mounted before it becomes the root.
	newRoot = "/sysroot"
	// ownDir is on the tmpfs that systemd takes over: nothing of ours is on the disk.
	ownDir   = "/run/guest"
	unitDir  = "/run/systemd/system"
	unitName = "guest-agent.service"
)

// unitText keeps the agent until systemd has killed everybody else: no conflict
// with shutdown.target, and a name that starts with '@'
// (systemd.io/ROOT_STORAGE_DAEMONS).
const unitText = `[Unit]
Description=Agent of the test guest
DefaultDependencies=no
IgnoreOnIsolate=yes
After=basic.target dbus.service

[Service]
ExecStart=@` + ownDir + `/agent @guest-agent ` + ownDir + `/vm.json
Environment=HOME=/root
OOMScoreAdjust=-1000
LimitCORE=0
`

// handOver makes the system on the disk of c go on in our place, as an initramfs
// does, with the agent as one of its services. It returns only when it cannot.
func handOver(c wire.Config) error {
	for _, mod := range c.Modules {
		if err := loadModule(mod); err != nil {
			fmt.Fprintln(os.Stderr, "guest:", err)
		}
	}
	if err := waitFor(c.Root); err != nil {
		return err
	}
	if err := mount(wire.Mount{Source: c.Root, Target: newRoot, Type: "ext4"}); err != nil {
		return err
	}
	if err := installAgent(c); err != nil {
		return fmt.Errorf("leave the agent in %s: %w", ownDir, err)
	}
	for _, m := range coreMounts {
		if err := unix.Mount(m.Target, newRoot+m.Target, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", m.Target, err)
		}
	}
	if err := errors.Join(os.Chdir(newRoot), unix.Mount(".", "/", "", unix.MS_MOVE, ""), unix.Chroot("."), os.Chdir("/")); err != nil {
		return fmt.Errorf("make %s the root: %w", c.Root, err)
	}
	return unix.Exec("/sbin/init", []string{"/sbin/init"}, os.Environ())
}

// installAgent leaves this program, a configuration without what is done already,
// and a unit where systemd finds them.
func installAgent(c wire.Config) error {
	c.Modules, c.Mounts = nil, nil
	config, err := json.Marshal(c)
	if err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	wants := filepath.Join(unitDir, "multi-user.target.wants")
	for _, dir := range []string{ownDir, wants} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(filepath.Join(ownDir, "agent"), self, 0o755),
		os.WriteFile(filepath.Join(ownDir, "vm.json"), config, 0o644),
		os.WriteFile(filepath.Join(unitDir, unitName), []byte(unitText), 0o644),
		os.Symlink("../"+unitName, filepath.Join(wants, unitName)))
}
