package doctor

import (
	"fmt"
	"strings"

	"shisa/hwcompat"
	"shisa/hwcompat/host"
	"shisa/hwcompat/kofind"
)

func belowFloor(j *judge) []hit {
	return when(j.answer.BelowFloor,
		fmt.Sprintf("Linux %s is older than %s, where Go's run time begins", j.Facts.Kernel.Release, j.answer.Floor),
		"start a kernel of Linux "+j.answer.Floor+" or later")
}

func untried(j *judge) []hit {
	if len(j.answer.Platforms) > 0 || j.answer.BelowFloor {
		return nil
	}
	k := j.Facts.Kernel
	reason := fmt.Sprintf("%s on %s %s is in no row of the matrix", k.Release, j.Facts.OS.ID, j.Facts.OS.VersionID)
	switch {
	case j.answer.OtherArch:
		reason += ", only for another architecture than " + j.answer.Arch
	case j.answer.OtherBuild:
		reason += "; another build of the same series is"
	}
	return when(true, reason+". Not tried does not mean that it fails",
		"try it in a maintenance window: kill -STOP $(pidof shisad) must reset the machine, and shisa why say so")
}

var subjectOf = map[string]hwcompat.Subject{
	Module:    hwcompat.EngineCLPKA,
	"softdog": hwcompat.EngineSoftdog,
	"wdt":     hwcompat.EngineWatchdog,
	"ipmi":    hwcompat.EngineIPMI,
}

// wanted maps what the configuration wants to the subjects that it rests on.
func (j *judge) wanted() []hwcompat.Subject {
	w := []hwcompat.Subject{hwcompat.ControlPlane}
	for _, e := range j.Needs.Engines {
		if s, ok := subjectOf[e]; ok {
			w = append(w, s)
		}
	}
	if j.Needs.Witnesses {
		w = append(w, hwcompat.WitnessExit, hwcompat.WitnessStall, hwcompat.WitnessBlock, hwcompat.WitnessStop)
	}
	return w
}

func unsupported(j *judge) []hit {
	byEvidence := map[string][]string{}
	var order []string
	for _, p := range j.answer.Platforms {
		for _, s := range j.wanted() {
			if c := p.Claim(s); c.State == hwcompat.Unsupported {
				if byEvidence[c.Evidence] == nil {
					order = append(order, c.Evidence)
				}
				byEvidence[c.Evidence] = append(byEvidence[c.Evidence], string(s))
			}
		}
	}
	var hits []hit
	for _, e := range order {
		hits = append(hits, hit{reason: strings.Join(byEvidence[e], ", ") + ": " + e, mend: "do without, or start a newer kernel"})
	}
	return hits
}

func moduleMissing(j *judge) []hit {
	if !j.wants(Module) || j.Facts.Virtual.Container != "" || j.answer.BelowFloor ||
		j.Facts.Modules.Has(Module) || len(j.Found.Candidates) > 0 {
		return nil
	}
	return when(true, "there is no "+Module+" for "+j.Facts.Kernel.Release+rejected(j.Found)+"; the next engine in order is used", j.Found.Mend)
}

// rejected says in half a sentence why the files that are there do not do.
func rejected(r kofind.Result) string {
	if len(r.Rejected) == 0 {
		return ""
	}
	var why []string
	for _, x := range r.Rejected {
		why = append(why, x.Path+" ("+x.Why+")")
	}
	return ": not taken were " + strings.Join(why, ", ")
}

// moduleRefused judges the best file against lockdown and signature checks. A
// compressed file is not judged, its signature cannot be read here.
func moduleRefused(j *judge) []hit {
	k := j.Facts.Kernel
	strict := k.SigEnforce || k.Lockdown == "integrity" || k.Lockdown == "confidentiality"
	if !strict || !j.wants(Module) || j.Facts.Modules.State(Module) == host.Loaded || len(j.Found.Candidates) == 0 {
		return nil
	}
	best := j.Found.Candidates[0]
	if best.Signature != kofind.Unsigned {
		return nil
	}
	by := "module.sig_enforce"
	if k.Lockdown != "" && k.Lockdown != "none" {
		by = "lockdown " + k.Lockdown
		if k.SecureBoot == "on" {
			by += " (Secure Boot)"
		}
	}
	return when(true, fmt.Sprintf("%s is not signed and %s is on", best.Path, by),
		"let DKMS sign it and enrol its key: mokutil --import /var/lib/dkms/mok.pub, restart, confirm on the console")
}

func modulesDisabled(j *judge) []hit {
	return when(j.Facts.Kernel.NoModules && j.Facts.Modules.State(Module) != host.Loaded,
		"kernel.modules_disabled is 1: neither "+Module+" nor softdog can be loaded any more",
		"load them before it is set: put "+Module+" into /etc/modules-load.d, then restart")
}

func btfMissing(j *judge) []hit {
	return when(j.Needs.Witnesses && !j.Facts.Kernel.BTF,
		"/sys/kernel/btf/vmlinux is missing: the eBPF witnesses fall back to /proc",
		"start a kernel built with CONFIG_DEBUG_INFO_BTF")
}

// lockdownBPF: reading kernel memory by eBPF is what mode confidentiality takes
// away (LOCKDOWN_BPF_READ_KERNEL, include/linux/security.h).
func lockdownBPF(j *judge) []hit {
	return when(j.Needs.Witnesses && j.Facts.Kernel.Lockdown == "confidentiality",
		"lockdown is in mode confidentiality: the eBPF witnesses fall back to /proc",
		"start with lockdown=integrity")
}

func panicHangs(j *judge) []hit {
	k := j.Facts.Kernel
	return when(j.Needs.Panic && k.PanicSecs == 0 && !k.Kdump,
		"the final action is panic, kernel.panic is 0 and no crash kernel is loaded: nothing would start the machine again",
		"echo kernel.panic=10 > /etc/sysctl.d/60-shisa-panic.conf && sysctl --system")
}

func pstoreNone(j *judge) []hit {
	return when(j.Needs.Protect && j.Facts.Kernel.Pstore == "" && j.Facts.Virtual.Container == "",
		"pstore has no back end: after a reset only our own records tell what happened",
		"modprobe efi_pstore || modprobe ramoops")
}

// rtBudget: with CONFIG_RT_GROUP_SCHED and control groups version 1, a group
// without cpu.rt_runtime_us may have no real-time thread
// (Documentation/scheduler/sched-rt-group.rst).
func rtBudget(j *judge) []hit {
	return when(j.Facts.Kernel.RTBudget && j.Facts.Kernel.RTRuntime >= 0,
		"the kernel wants a real-time budget for each control group: the keeper may not become SCHED_FIFO",
		"start with systemd.unified_cgroup_hierarchy=1: version 2 has no such budget")
}
