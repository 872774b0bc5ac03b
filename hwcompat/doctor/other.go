package doctor

import (
	"io/fs"
	"slices"

	"shisa/hwcompat"
	"shisa/hwcompat/host"
	"shisa/hwcompat/kofind"
)

// A KernelReport answers for a kernel that need not be the running one.
type KernelReport struct {
	Answer     hwcompat.Answer    `json:"answer"`     // what the matrix knows of it, under this distribution or else under others
	Module     []kofind.Candidate `json:"module"`     // files of clpka that it would load, best first
	Softdog    host.ModuleState   `json:"softdog"`    // to fall back to
	Installed  bool               `json:"installed"`  // its modules are on this machine
	Findings   []Finding          `json:"findings"`   // worst first
	NextLoader string             `json:"loader"`     // boot loader that starts it next; empty: not asked
	NextEntry  string             `json:"boot_entry"` // and the entry of it
}

// ofKernel are the findings that depend on the kernel alone.
var ofKernel = []string{"kernel-below-floor", "kernel-untried", "kernel-unsupported"}

// ofModules are those that depend on its modules as well. Where these are not
// installed, nothing is known of them.
var ofModules = []string{"module-missing", "softdog-builtin", "softdog-missing"}

// ForKernel answers what shisa would have under another kernel on this machine:
// shisa doctor --kernel RELEASE.
func ForKernel(fsys fs.FS, m *hwcompat.Matrix, needs Needs, release string) KernelReport {
	f := host.Inspect(fsys)
	r := KernelReport{Answer: m.Lookup(hwcompat.Query{
		Release: release, Distro: f.OS.ID, Version: f.OS.VersionID, Arch: f.Kernel.Arch,
	})}
	if len(r.Answer.Platforms) == 0 && len(r.Answer.Original) == 0 {
		r.Answer = m.Lookup(hwcompat.Query{Release: release})
	}
	f.Kernel = host.Kernel{Release: release, Arch: f.Kernel.Arch}
	f.Modules = host.ModulesOf(fsys, release)
	found := kofind.Find(fsys, release, Module)
	r.Module, r.Softdog, r.Installed = found.Candidates, f.Modules.State("softdog"), f.Modules.Tree != ""
	r.Findings = slices.DeleteFunc(Diagnose(Input{Facts: f, Matrix: m, Needs: needs, Found: found}), func(f Finding) bool {
		return !slices.Contains(ofKernel, f.ID) && !(r.Installed && slices.Contains(ofModules, f.ID))
	})
	return r
}

// ForNextBoot does the same for the kernel that the boot loader starts next:
// shisa doctor --next-boot. The findings about the next start come with it.
func ForNextBoot(fsys fs.FS, m *hwcompat.Matrix, needs Needs) KernelReport {
	next := NextBoot(fsys)
	r := KernelReport{}
	if next.Kernel.Release != "" {
		r = ForKernel(fsys, m, needs, next.Kernel.Release)
	}
	r.NextLoader, r.NextEntry = next.Kernel.Loader, next.Kernel.Entry
	f := host.Inspect(fsys)
	for _, found := range Diagnose(Input{Facts: f, Matrix: m, Needs: needs, Next: &next}) {
		if slices.Contains([]string{"next-boot-unprotected", "next-boot-below-floor", "next-boot-unknown"}, found.ID) {
			r.Findings = append(r.Findings, found)
		}
	}
	return r
}
