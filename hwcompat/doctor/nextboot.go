package doctor

import (
	"cmp"
	"slices"
	"strings"

	"shisa/hwcompat"
)

// nextBootUnprotected speaks when another kernel than the running one starts
// next and has less: an update must not take an engine away unnoticed.
func nextBootUnprotected(j *judge) []hit {
	n := j.Next
	if n == nil || n.Kernel.Release == "" || n.Kernel.Release == j.Facts.Kernel.Release {
		return nil
	}
	hits := append(moduleLost(j, n), driversLost(j, n)...)
	for i := range hits {
		hits[i].reason = n.Kernel.Release + " starts next (" + n.Kernel.Loader + ": " + n.Kernel.Entry + ") and " + hits[i].reason
		if n.Kernel.Loader == "guess" {
			hits[i].severity = ""
		}
	}
	return hits
}

// moduleLost is about our own module, for which softdog can stand in.
func moduleLost(j *judge, n *Next) []hit {
	if !j.wants(Module) || n.Modules.Has(Module) || len(n.Found.Candidates) > 0 {
		return nil
	}
	h := hit{reason: "has no " + Module + rejected(n.Found), mend: n.Found.Mend}
	switch {
	case n.Modules.Tree == "":
		h.reason += "; none of its modules is installed"
		h.severity = Error
	case !n.Modules.Has("softdog"):
		h.reason += "; it has no softdog either"
		h.severity = Error
	default:
		h.reason += "; softdog would stand in"
	}
	return []hit{h}
}

// driversLost is about the drivers of the other engines: of those that the
// configuration names, and of the watchdog chips that are here.
func driversLost(j *judge, n *Next) []hit {
	if n.Modules.Tree == "" && j.wants(Module) {
		return nil // moduleLost has said so
	}
	need := map[string][]string{}
	for _, w := range j.Facts.Watchdogs {
		if !w.Software() && j.wants("wdt") {
			need["wdt"] = append(need["wdt"], cmp.Or(w.Module, w.Driver))
		}
	}
	if slices.Contains(j.Needs.Engines, "softdog") {
		need["softdog"] = []string{"softdog"}
	}
	if slices.Contains(j.Needs.Engines, "ipmi") {
		need["ipmi"] = []string{"ipmi_si", "ipmi_devintf"}
	}
	var hits []hit
	for _, engine := range []string{"softdog", "wdt", "ipmi"} {
		lost := slices.DeleteFunc(need[engine], func(driver string) bool {
			// What this kernel does not have as a module by that name cannot be compared.
			return !j.Facts.Modules.Has(driver) || n.Modules.Has(driver)
		})
		if len(lost) == 0 {
			continue
		}
		h := hit{
			reason: "has no " + strings.Join(lost, ", ") + " for the engine " + engine,
			mend:   "install the package with all modules of " + n.Kernel.Release + " (linux-modules-extra, kernel-modules-extra)",
		}
		if len(j.Needs.Engines) == 1 && j.Needs.Engines[0] == engine {
			h.severity = Error
		}
		hits = append(hits, h)
	}
	return hits
}

func nextBootBelowFloor(j *judge) []hit {
	if j.Next == nil {
		return nil
	}
	a := j.Matrix.Lookup(hwcompat.Query{Release: j.Next.Kernel.Release})
	return when(a.BelowFloor, j.Next.Kernel.Release+" starts next and is older than Linux "+a.Floor, "choose another kernel in the boot loader")
}

// otherKernel is what to do when only the administrator knows what starts next.
const otherKernel = "shisa doctor --kernel RELEASE, with the release that you will start"

func nextBootUnknown(j *judge) []hit {
	n := j.Next
	if n == nil || j.Facts.Virtual.Container != "" {
		return nil
	}
	switch {
	case n.Err != nil:
		return when(true, n.Err.Error(), otherKernel)
	case n.Kernel.Release == "":
		return when(true, "the entry \""+n.Kernel.Entry+"\" of "+n.Kernel.Loader+" starts something that is not a Linux kernel", otherKernel)
	}
	return when(n.Kernel.Loader == "guess", "no boot loader was recognised; "+n.Kernel.Release+" is a guess: "+n.Kernel.Entry, otherKernel)
}
