package exec

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"shisa/ctl/resource"
	"shisa/ctl/run"
)

// The version that scripts written for the original find, and the folder below
// which bin holds the clp commands.
const (
	originalVersion = "3.2.1-1"
	originalPath    = "/usr"
)

// command returns how to run one of the scripts.
func (s *script) command(path string, r resource.Request) (run.Command, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.env.Dir, path)
	}
	c := run.Command{
		Name: s.env.Name, Path: path, Dir: filepath.Dir(path), User: s.user, Limits: s.parsed,
		Env: append(append(run.BaseEnv(), run.UserEnv(s.user)...), s.environ(r)...),
	}
	if s.log == "" {
		return c, nil
	}
	w, err := run.LogTo(s.log, s.rotate)
	c.Output = w
	return c, err
}

// environ returns the variables by which the original tells a script what is
// going on. This server is the only one, so that a group always runs at home.
func (s *script) environ(r resource.Request) []string {
	version, _, _ := strings.Cut(originalVersion, ".")
	system := osRelease()
	return []string{
		"CLP_EVENT=" + string(cmp.Or(r.Event, resource.Start)),
		"CLP_FACTOR=" + string(r.Factor),
		"CLP_LASTACTION=" + cmp.Or(r.LastAction, "NONE"),
		"CLP_SERVER=HOME",
		"CLP_DISK=SUCCESS",
		"CLP_PRIORITY=1",
		"CLP_GROUPNAME=" + s.env.Group,
		"CLP_RESOURCENAME=" + s.env.Name,
		"CLP_OSNAME=" + system.name,
		"CLP_OSVER=" + system.version,
		"CLP_PATH=" + originalPath,
		"CLP_VERSION_FULL=" + originalVersion,
		"CLP_VERSION_MAJOR=" + version,
	}
}

type release struct{ name, version string }

// osRelease reads name and version of the operating system: os-release(5).
var osRelease = sync.OnceValue(func() release {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		b, _ = os.ReadFile("/usr/lib/os-release") // its absence leaves the name of the kernel
	}
	return parseRelease(string(b))
})

func parseRelease(text string) release {
	r := release{name: "Linux"}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if v, err := strconv.Unquote(value); err == nil {
			value = v
		}
		switch key {
		case "NAME":
			r.name = value
		case "VERSION_ID":
			r.version = strings.Trim(value, "'")
		}
	}
	return r
}

// resources are the names of limits, as in limits.conf(5), and their unit there
// is not taken over: all are in the units of setrlimit(2).
var resources = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "memlock": unix.RLIMIT_MEMLOCK, "msgqueue": unix.RLIMIT_MSGQUEUE,
	"nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC,
	"rtprio": unix.RLIMIT_RTPRIO, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

func (p *params) parseLimits() error {
	p.parsed = nil
	for _, text := range p.limits {
		name, value, _ := strings.Cut(text, "=")
		resource, ok := resources[name]
		if !ok {
			return fmt.Errorf("%q: there is no limit %q; write one such as \"nofile=65536\"", text, name)
		}
		n := uint64(run.Unlimited)
		if value != "unlimited" {
			var err error
			if n, err = strconv.ParseUint(value, 10, 63); err != nil {
				return fmt.Errorf("%q: %q is neither a whole number nor unlimited", text, value)
			}
		}
		p.parsed = append(p.parsed, run.Limit{Resource: resource, Soft: n, Max: n})
	}
	return nil
}

// lastLine returns ": " and the last line of output, or nothing.
func lastLine(output []byte) string {
	const limit = 300 // bytes
	output = bytes.TrimSpace(output)
	if i := bytes.LastIndexByte(output, '\n'); i >= 0 {
		output = output[i+1:]
	}
	if len(output) == 0 {
		return ""
	}
	return ": " + strings.ToValidUTF8(string(output[:min(len(output), limit)]), "?")
}
