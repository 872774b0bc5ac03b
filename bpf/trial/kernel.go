// Package trial finds out what the running kernel lets a witness do, by doing
// it: each program of a job is loaded, attached for a moment and closed again,
// best first, and the survivors are then loaded together. No version number is
// compared: distributions move features between versions, and some kernels
// refuse what their version promises (trampolines with EPERM, for one).
package trial

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// ErrPrivilege is returned when the process may not load programs at all.
var ErrPrivilege = errors.New("loading programs into the kernel needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: run as root")

// A Kernel is the running kernel as a loader sees it. It caches decoded type
// information (several MiB): drop it when loading is done.
type Kernel struct {
	// Without names programs that are never tried, with the reason given to
	// whoever asks: for an operator whose kernel misbehaves with one of
	// them, and for tests. They are patterns as path.Match has them.
	Without []string

	cache *btf.Cache
}

// Open prepares loading. It fails with ErrPrivilege when the process lacks the
// capabilities, which is told apart from a kernel that refuses.
func Open() (*Kernel, error) {
	if err := privileged(); err != nil {
		return nil, err
	}
	// Before 5.11 maps and programs are charged to RLIMIT_MEMLOCK.
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the locked-memory limit: %w", err)
	}
	return &Kernel{cache: btf.NewCache()}, nil
}

// Types returns the kernel's own type information. Without it (a kernel built
// without CONFIG_DEBUG_INFO_BTF) no program that reads kernel structures loads.
func (k *Kernel) Types() (*btf.Spec, error) {
	spec, err := k.cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's type information: %w", err)
	}
	return spec, nil
}

// Close gives the cached type information back. What was loaded stays loaded.
func (k *Kernel) Close() { k.cache = nil }

func (k *Kernel) forbids(program string) bool {
	return slices.ContainsFunc(k.Without, func(pattern string) bool {
		match, err := path.Match(pattern, program)
		return match && err == nil
	})
}

// privileged reports whether bpf(2) will listen to this process. CAP_BPF and
// CAP_PERFMON exist since 5.8; CAP_SYS_ADMIN stood for both before and still does.
func privileged() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	if has(unix.CAP_SYS_ADMIN) || has(unix.CAP_BPF) && has(unix.CAP_PERFMON) {
		return nil
	}
	return ErrPrivilege
}

// Surroundings returns what about this process's place on the machine limits
// the witnesses, in words for an operator; none on an ordinary host.
func Surroundings() []string {
	var found []string
	if text, err := os.ReadFile("/sys/kernel/security/lockdown"); err == nil &&
		strings.Contains(string(text), "[confidentiality]") {
		found = append(found, "kernel lockdown is in confidentiality mode: programs may not read kernel memory")
	}
	if text, err := os.ReadFile("/proc/self/uid_map"); err == nil &&
		strings.Join(strings.Fields(string(text)), " ") != "0 0 4294967295" {
		found = append(found, "inside a user namespace: the kernel does not accept programs from here")
	}
	if !InitialPIDNamespace() {
		found = append(found, "inside a PID namespace: the kernel's process numbers are not the ones seen here")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		found = append(found, "the kernel has no type information (CONFIG_DEBUG_INFO_BTF)")
	}
	return found
}

// InitialPIDNamespace reports whether process numbers mean the same here as in
// the kernel's events. The initial namespace's inode is PROC_PID_INIT_INO
// (include/linux/proc_ns.h), fixed since 3.8.
func InitialPIDNamespace() bool {
	const initial = "pid:[4026531836]"
	name, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && name == initial
}
