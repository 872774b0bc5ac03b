package host

import (
	"strconv"
	"strings"
)

// secureBootVar is the EFI variable SecureBoot of the global vendor
// (UEFI 2.10, 3.3): four bytes of attributes, then 1 when it is on.
const secureBootVar = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

func (v *view) kernel() Kernel {
	k := Kernel{
		Release:     v.text("proc/sys/kernel/osrelease"),
		Version:     v.text("proc/sys/kernel/version"),
		Arch:        v.arch(),
		CommandLine: v.text("proc/cmdline"),
		BTF:         v.exists("sys/kernel/btf/vmlinux"),
		ModuleBTF:   len(v.list("sys/kernel/btf")) > 1,
		Lockdown:    bracketed(v.text("sys/kernel/security/lockdown")),
		EFI:         v.exists("sys/firmware/efi"),
		SigEnforce:  v.text("sys/module/module/parameters/sig_enforce") == "Y",
		NoModules:   v.text("proc/sys/kernel/modules_disabled") == "1",
		PanicSecs:   v.number("proc/sys/kernel/panic"),
		Kdump:       v.text("sys/kernel/kexec_crash_loaded") == "1",
		Pstore:      v.pstore(),
		RTBudget:    v.exists("sys/fs/cgroup/cpu/cpu.rt_runtime_us") || v.exists("sys/fs/cgroup/cpu,cpuacct/cpu.rt_runtime_us"),
		RTRuntime:   v.number("proc/sys/kernel/sched_rt_runtime_us"),
	}
	k.RealTime = v.text("sys/kernel/realtime") == "1" || strings.Contains(k.Version, "PREEMPT_RT")
	if k.EFI {
		k.SecureBoot = v.secureBoot()
	}
	return k
}

// arch reads /proc/sys/kernel/arch (Linux 6.1); older kernels name it in the
// release only, on some distributions.
func (v *view) arch() string {
	if a := v.text("proc/sys/kernel/arch"); a != "" {
		return a
	}
	release := v.text("proc/sys/kernel/osrelease")
	for suffix, arch := range map[string]string{
		"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64",
		"i686": "i686", "686": "i686", "686-pae": "i686", "s390x": "s390x", "ppc64le": "ppc64le", "powerpc64le": "ppc64le",
	} {
		if strings.HasSuffix(release, "."+suffix) || strings.HasSuffix(release, "-"+suffix) {
			return arch
		}
	}
	// x86_64 has a vsyscall page or a line "lm" of flags; the flag is in every version.
	for _, line := range v.lines("proc/cpuinfo") {
		if flags, ok := strings.CutPrefix(line, "flags"); ok {
			if strings.Contains(flags+" ", " lm ") {
				return "x86_64"
			}
			return "i686"
		}
	}
	return ""
}

func (v *view) secureBoot() string {
	b := v.read(secureBootVar)
	switch {
	case len(b) < 5:
		return "unknown"
	case b[4] == 1:
		return "on"
	}
	return "off"
}

// pstore names the back end; "(null)" is what the parameter shows without one.
func (v *view) pstore() string {
	b := v.text("sys/module/pstore/parameters/backend")
	if b == "(null)" {
		return ""
	}
	return b
}

// bracketed returns the chosen word of "none [integrity] confidentiality".
func bracketed(s string) string {
	_, s, _ = strings.Cut(s, "[")
	s, _, _ = strings.Cut(s, "]")
	return s
}

func (v *view) osRelease() OS {
	var o OS
	file := v.first("etc/os-release", "usr/lib/os-release")
	if file == "" {
		return o
	}
	for _, line := range v.lines(file) {
		key, val, _ := strings.Cut(line, "=")
		val = unquote(val)
		switch key {
		case "ID":
			o.ID = val
		case "VERSION_ID":
			o.VersionID = val
		case "PRETTY_NAME":
			o.PrettyName = val
		case "ID_LIKE":
			o.Like = strings.Fields(val)
		}
	}
	return o
}

// unquote undoes the shell quoting of os-release(5) and of similar files.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return strings.Trim(s, `"`)
}

func (v *view) security() Security {
	s := Security{}
	if lsm := v.text("sys/kernel/security/lsm"); lsm != "" {
		s.Modules = strings.Split(lsm, ",")
	}
	switch v.text("sys/fs/selinux/enforce") {
	case "1":
		s.SELinux = "enforcing"
	case "0":
		s.SELinux = "permissive"
	}
	for _, line := range v.lines("etc/selinux/config") {
		if t, ok := strings.CutPrefix(line, "SELINUXTYPE="); ok {
			s.SELinuxType = strings.TrimSpace(t)
		}
	}
	if s.SELinux != "" {
		s.SELinuxPolicy = v.selinuxModule(s.SELinuxType, "shisa")
	}
	return s
}

// selinuxModule looks for an installed policy module: under the store of
// policycoreutils 2.4 and later, by priority, or in that of RHEL 7.
func (v *view) selinuxModule(policy, module string) bool {
	for _, store := range []string{"var/lib/selinux/" + policy + "/active/modules", "etc/selinux/" + policy + "/active/modules"} {
		for _, priority := range v.list(store) {
			if v.exists(store + "/" + priority + "/" + module) {
				return true
			}
		}
	}
	return v.exists("etc/selinux/" + policy + "/modules/active/modules/" + module + ".pp")
}
