package doctor

import (
	"fmt"
	"os"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/hwcompat"
	check "shisa/hwcompat/doctor"
)

// ForKernel answers for another kernel on this machine; an empty release means
// the one that the boot loader starts next.
func ForKernel(m *config.Model, o Options, release string) (api.Doctor, error) {
	matrix, err := hwcompat.Load()
	if err != nil {
		return api.Doctor{}, err
	}
	root := o.Root
	if root == "" {
		root = "/"
	}
	var r check.KernelReport
	if fsys := os.DirFS(root); release == "" {
		r = check.ForNextBoot(fsys, matrix, needs(m, o.Types))
	} else {
		r = check.ForKernel(fsys, matrix, needs(m, o.Types), release)
	}
	d := api.Doctor{Server: serverName(m), Kernel: r.Answer.Release, Checks: []api.Check{}}
	add := func(name string, l api.Level, format string, args ...any) {
		d.Checks = append(d.Checks, api.Check{Area: "kernel", Name: name, Level: l, Text: fmt.Sprintf(format, args...)})
	}
	if r.NextLoader != "" {
		add("boot loader", api.LevelOK, "%s starts %s", r.NextLoader, r.NextEntry)
	}
	if !r.Installed {
		add("modules", api.LevelWarning, "the modules of %s are not installed here", r.Answer.Release)
	}
	for _, c := range r.Module {
		add("clpka", api.LevelOK, "%s (%s)", c.Path, c.Why)
	}
	add("softdog", api.LevelOK, "%v", r.Softdog)
	for _, p := range r.Answer.Platforms {
		for _, s := range hwcompat.Subjects() {
			c := p.Claim(s)
			add(string(s), claimLevel(c), "%s (%s %s, kernel %s)", c.State, p.DistroName, p.Version, p.Kernel)
		}
	}
	for _, k := range r.Answer.Original {
		add("the original's table", api.LevelInfo, "%s %s %s: clpka %v", k.Distro, k.Version, k.Kernel, k.CLPKA)
	}
	d.Checks = grouped(append(d.Checks, found(r.Findings)...))
	d.Level = worst(d.Checks)
	return d, nil
}

// claimLevel keeps what was not tried apart from what works.
func claimLevel(c hwcompat.Claim) api.Level {
	if c.State == hwcompat.Works {
		return api.LevelOK
	}
	return api.LevelInfo
}
