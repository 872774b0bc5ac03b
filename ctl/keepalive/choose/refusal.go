package choose

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"shisa/hwcompat/kofind"
)

// logged is an error of init_module(2) with what the kernel's log says about it.
type logged struct {
	error
	log string
}

func (l logged) Unwrap() error { return l.error }

// insertFile loads one file and, when the kernel refuses it, reads its log.
func insertFile(file, params string) error {
	image, err := Unpack(file)
	if err != nil {
		return err
	}
	// Only records that come from now on (Documentation/ABI/testing/dev-kmsg). Not as
	// an os.File: that would wait for the next one.
	log, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(log)
		_, err = unix.Seek(log, 0, io.SeekEnd)
	}
	refused := unix.InitModule(image, params)
	if refused == nil || err != nil {
		return refused
	}
	return logged{refused, lastRecord(func(p []byte) (int, error) { return unix.Read(log, p) }, moduleName(file)+": ")}
}

// lastRecord returns the last record of the kernel's log that begins with prefix.
func lastRecord(read func([]byte) (int, error), prefix string) string {
	last, record := "", make([]byte, 8192) // a read gives one record
	for {
		n, err := read(record)
		if errors.Is(err, unix.EPIPE) {
			continue // overwritten meanwhile
		}
		if err != nil || n == 0 {
			return last // EAGAIN: that was all
		}
		_, text, _ := strings.Cut(string(record[:n]), ";")
		text, _, _ = strings.Cut(text, "\n")
		if strings.HasPrefix(text, prefix) {
			last = text
		}
	}
}

// refusal explains why the kernel does not take a file of our module.
func (m Machine) refusal(file string, err error, found kofind.Result) *Refusal {
	r := &Refusal{File: file, Err: err}
	var l logged
	if errors.As(err, &l) {
		r.Err, r.Log = l.error, l.log
	}
	r.Why, r.Mend = m.explain(r, found.Rebuild)
	if r.Log != "" {
		r.Why += " (" + r.Log + ")"
	}
	return r
}

// enrol is how a module's key becomes one that the kernel trusts. DKMS keeps its own
// in /var/lib/dkms.
const enrol = "sign it with a key that the firmware knows: mokutil --import /var/lib/dkms/mok.pub, restart, enrol the key in the dialogue that follows"

// explain says what an error of init_module(2) means here, and what helps. Which
// error the kernel gives for what: kernel/module/main.c and signing.c of 6.12; older
// ones agree.
func (m Machine) explain(r *Refusal, rebuild string) (why, mend string) {
	symbols := strings.Contains(r.Log, "symbol")
	switch {
	case errors.Is(r.Err, unix.EKEYREJECTED), errors.Is(r.Err, unix.ENOKEY), errors.Is(r.Err, unix.EBADMSG):
		return "its signature is missing or not trusted by this kernel", enrol
	case errors.Is(r.Err, unix.EPERM) && m.says("proc/sys/kernel/modules_disabled", "1"):
		return "loading modules is switched off until the next start (kernel.modules_disabled)",
			"load clpka earlier, from /etc/modules-load.d, or leave kernel.modules_disabled at 0"
	case errors.Is(r.Err, unix.EPERM) && m.lockdown() != "":
		return "the kernel is locked down (" + m.lockdown() + ") and takes signed modules only", enrol
	case errors.Is(r.Err, unix.EPERM):
		return "only root may load a module", "run shisad as root with CAP_SYS_MODULE"
	case errors.Is(r.Err, unix.ENOENT) && r.Log != "", symbols:
		return "it needs a symbol that this kernel does not have, or has in another version", rebuild
	case errors.Is(r.Err, unix.ENOEXEC):
		return "it was built for another kernel or is damaged", rebuild
	case errors.Is(r.Err, unix.EINVAL):
		return "it does not take its parameters", "modinfo " + r.File
	case errors.Is(r.Err, unix.ENOMEM):
		return "there is no memory for it", "restart shisad when there is memory again"
	}
	return fmt.Sprintf("it cannot be loaded: %v", r.Err), "shisa doctor"
}

// says reports whether a file holds just this text.
func (m Machine) says(path, text string) bool {
	got, err := os.ReadFile(filepath.Join(m.Root, path))
	return err == nil && strings.TrimSpace(string(got)) == text
}

// lockdown returns the mode of kernel_lockdown(7); "": none.
func (m Machine) lockdown() string {
	text, err := os.ReadFile(filepath.Join(m.Root, "sys/kernel/security/lockdown"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), "[")
	mode, _, _ := strings.Cut(rest, "]")
	if mode == "none" {
		return ""
	}
	return mode
}
