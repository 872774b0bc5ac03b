package doctor

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/hwcompat"
	check "shisa/hwcompat/doctor"
)

// ForKernel answers for another kernel on this machine; an empty release means
// the one that the boot loader starts next. A release that cannot be one is an
// error.
func ForKernel(m *config.Model, o Options, release string) (api.Doctor, error) {
	if release != "" && !hwcompat.IsRelease(release) {
		return api.Doctor{}, fmt.Errorf("%q is not the release of a kernel; uname -r shows one, such as 6.1.0-21-amd64", release)
	}
	matrix, err := hwcompat.Load()
	if err != nil {
		return api.Doctor{}, err
	}
	var r check.KernelReport
	if fsys := os.DirFS(cmp.Or(o.Root, "/")); release == "" {
		r = check.ForNextBoot(fsys, matrix, needs(m, o.Types))
	} else {
		r = check.ForKernel(fsys, matrix, needs(m, o.Types), release)
	}
	d := api.Doctor{Server: serverName(m), Kernel: r.Answer.Release, Checks: []api.Check{}}
	if r.NextEntry != "" {
		d.Checks = append(d.Checks, kernelCheck("boot loader", api.LevelOK, "%s starts %s", r.NextLoader, r.NextEntry))
	}
	if r.Answer.Release != "" {
		d.Checks = append(d.Checks, modules(r)...)
		d.Checks = append(d.Checks, known(r.Answer)...)
	}
	d.Checks = grouped(append(d.Checks, found(r.Findings)...))
	d.Level = worst(d.Checks)
	return d, nil
}

func kernelCheck(name string, l api.Level, format string, args ...any) api.Check {
	return api.Check{Area: "kernel", Name: name, Level: l, Text: fmt.Sprintf(format, args...)}
}

// modules tells of our module and of what would stand in for it. Where the
// kernel is not installed, nothing is known of them.
func modules(r check.KernelReport) []api.Check {
	if !r.Installed {
		c := kernelCheck("modules", api.LevelInfo, "%s is not installed here: which countdowns it would have is not known", r.Answer.Release)
		c.Mend = "install it, or ask on a machine that has it"
		return []api.Check{c}
	}
	var all []api.Check
	for _, c := range r.Module {
		all = append(all, kernelCheck("clpka", api.LevelOK, "%s (%s)", c.Path, c.Why))
	}
	return append(all, kernelCheck("softdog", api.LevelInfo, "%v", r.Softdog))
}

// known is what the matrix says, a line for each way in which something is known.
func known(a hwcompat.Answer) []api.Check {
	var all []api.Check
	for _, p := range a.Platforms {
		name := fmt.Sprintf("%s %s", p.DistroName, p.Version)
		if p.Note != "" {
			name += ", " + p.Note
		}
		for _, c := range p.Claims {
			all = append(all, kernelCheck(name, claimLevel(c), "%s: %s (%s, %s: %s; since shisa %s)", c.State, subjects(c.Subjects), c.Verified, c.Date, c.Evidence, c.Since))
		}
		switch len(p.NotTried) {
		case 0:
		case len(hwcompat.Subjects()):
			all = append(all, kernelCheck(name, api.LevelInfo, "%s: all of it", hwcompat.NotTried))
		default:
			all = append(all, kernelCheck(name, api.LevelInfo, "%s: %s", hwcompat.NotTried, subjects(p.NotTried)))
		}
	}
	for _, k := range a.Original {
		all = append(all, kernelCheck("the original", api.LevelInfo, "%s", original(k)))
	}
	return all
}

func subjects(list []hwcompat.Subject) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// original is a row of the original's table, as printed and as probably meant.
func original(k hwcompat.Kernel) string {
	var spans []string
	for _, r := range k.Ranges {
		spans = append(spans, r.String())
	}
	text := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s (%s)", k.DistroName, k.Version, k.Update, k.Arch)), " ") +
		": clpka in its versions " + strings.Join(spans, ", ")
	if k.LikelySince != "" {
		text += ", where " + k.LikelySince + " was probably meant"
	}
	if k.LikelyKernel != "" {
		text += "; printed as " + k.Kernel + ", where " + k.LikelyKernel + " was probably meant"
	}
	return text
}

// claimLevel keeps what was not tried, and what does not work, apart from what works.
func claimLevel(c hwcompat.Claim) api.Level {
	if c.State == hwcompat.Works {
		return api.LevelOK
	}
	return api.LevelInfo
}
