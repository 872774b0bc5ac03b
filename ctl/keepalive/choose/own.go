package choose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive"
	"shisa/hwcompat/kofind"
)

// ownModule is our kernel module.
const ownModule = "clpka"

// A Refusal is a file of our module that the kernel does not take.
type Refusal struct {
	File string
	Err  error  // what init_module(2) says; or why the file cannot be read
	Log  string // what the kernel's log says about it, one line; may be empty
	Why  string // the same for the operator
	Mend string // what would make it load
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.File, r.Why) }

// Unwrap returns the error of the system call.
func (r *Refusal) Unwrap() error { return r.Err }

// absent says that no countdown can be had from our module, and what would bring it.
type absent struct {
	why, mend string
	err       error
}

func (a *absent) Error() string {
	return fmt.Sprintf("%v: %s; what helps: %s", keepalive.ErrAbsent, a.why, a.mend)
}

func (a *absent) Unwrap() error { return errors.Join(keepalive.ErrAbsent, a.err) }

// mend returns what would bring back what err says is missing; "": nothing known.
func mend(err error) string {
	var a *absent
	if errors.As(err, &a) {
		return a.mend
	}
	return ""
}

// loadOwn loads our module: of the files for this kernel the first that it takes, in
// the order of package kofind (built for exactly this release, linked by
// weak-modules, built by DKMS), by their path, so that no stale index of depmod and no
// other module of the name comes between. Files elsewhere are left to modprobe.
func (c *chooser) loadOwn() error {
	m := c.machine
	found := kofind.Find(os.DirFS(m.Root), m.Release, ownModule)
	switch {
	case m.loaded(ownModule):
		return fmt.Errorf("%w: module %s is there, its device is not", keepalive.ErrAbsent, ownModule)
	case !c.keepalive.LoadModule:
		return &absent{why: "module " + ownModule + " is not loaded and load_module is false", mend: "set keepalive.load_module = true"}
	case m.DryRun && len(found.Candidates) > 0:
		return fmt.Errorf("%w: module %s would be loaded first, from %s", keepalive.ErrAbsent, ownModule, found.Candidates[0].Path)
	}
	params := m.ownParams()
	var refused []*Refusal
	var why []string
	for _, candidate := range found.Candidates {
		err := m.Insert(filepath.Join(m.Root, candidate.Path), params)
		if err == nil || errors.Is(err, unix.EEXIST) {
			return nil
		}
		r := m.refusal(candidate.Path, err, found)
		refused, why = append(refused, r), append(why, r.Error())
	}
	if len(refused) == 0 {
		return c.loadElsewhere(found, params)
	}
	return &absent{why: strings.Join(why, "; "), mend: refused[0].Mend, err: refused[0]}
}

// loadElsewhere leaves it to modprobe to find the module.
func (c *chooser) loadElsewhere(found kofind.Result, params string) error {
	_, err := Dependencies(c.machine.Root, c.machine.Release, ownModule)
	if !errors.Is(err, ErrNoModule) {
		return c.load(ownModule, strings.Fields(params)...)
	}
	why := "no module " + ownModule + " for kernel " + c.machine.Release
	for _, r := range found.Rejected {
		why += "; " + r.Path + ": " + r.Why
	}
	return &absent{why: why, mend: found.Mend, err: err}
}

// ownParams are the parameters of our module: what the last boot ended with is for
// the loader to know, and for WDIOC_GETBOOTSTATUS to tell.
func (m Machine) ownParams() string {
	if m.Fired || m.firedBefore() {
		return fmt.Sprintf("bootstatus=%d", unix.WDIOF_CARDRESET)
	}
	return ""
}

// recordLimit bounds what is read of one record of the kernel, in bytes.
const recordLimit = 1 << 20

// firedBefore looks for the module's own words in what the kernel left in pstore, or
// systemd-pstore(8) moved from there since this boot began.
func (m Machine) firedBefore() bool {
	began := m.booted()
	for _, pattern := range []string{"sys/fs/pstore/dmesg-*", "var/lib/systemd/pstore/*/dmesg*", "var/lib/systemd/pstore/*/*/dmesg*"} {
		names, _ := filepath.Glob(filepath.Join(m.Root, pattern)) // the patterns are ours
		for _, name := range names {
			st, err := os.Stat(name)
			if err != nil || strings.HasPrefix(pattern, "var") && st.ModTime().Before(began) {
				continue
			}
			if fired(name) {
				return true
			}
		}
	}
	return false
}

// booted returns when this boot began (proc(5), /proc/stat), or now: no archive counts
// as fresh then.
func (m Machine) booted() time.Time {
	text, err := os.ReadFile(filepath.Join(m.Root, "proc/stat"))
	if err != nil {
		return time.Now()
	}
	for line := range strings.Lines(string(text)) {
		if s, ok := strings.CutPrefix(line, "btime "); ok {
			if seconds, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Now()
}

// fired reports whether a record says that our module acted.
func fired(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, recordLimit))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte("clpka: FIRED ")) && !bytes.Contains(line, []byte(" action=none ")) {
			return true
		}
	}
	return false
}
