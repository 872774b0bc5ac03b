package doctor

import (
	"shisa/hwcompat"
)

// nextBootUnprotected speaks when another kernel than the running one starts
// next and has less: an update must not take the engine away unnoticed.
func nextBootUnprotected(j *judge) []hit {
	n := j.Next
	if n == nil || n.Kernel.Release == "" || n.Kernel.Release == j.Facts.Kernel.Release || !j.wants(Module) {
		return nil
	}
	if n.Modules.Has(Module) || len(n.Found.Candidates) > 0 {
		return nil
	}
	h := hit{
		reason: n.Kernel.Release + " starts next (" + n.Kernel.Loader + ": " + n.Kernel.Entry + ") and has no " + Module + rejected(n.Found),
		mend:   n.Found.Mend,
	}
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
	if n.Kernel.Loader == "guess" && h.severity == Error {
		h.severity = Warning
	}
	return []hit{h}
}

func nextBootBelowFloor(j *judge) []hit {
	if j.Next == nil {
		return nil
	}
	a := j.Matrix.Lookup(hwcompat.Query{Release: j.Next.Kernel.Release})
	return when(a.BelowFloor, j.Next.Kernel.Release+" starts next and is older than Linux "+a.Floor, "choose another kernel in the boot loader")
}

func nextBootUnknown(j *judge) []hit {
	n := j.Next
	if n == nil || j.Facts.Virtual.Container != "" {
		return nil
	}
	switch {
	case n.Err != nil:
		return when(true, n.Err.Error(), "")
	case n.Kernel.Release == "":
		return when(true, "the entry \""+n.Kernel.Entry+"\" of "+n.Kernel.Loader+" starts something that is not a Linux kernel", "")
	}
	return when(n.Kernel.Loader == "guess", "no boot loader was recognised; "+n.Kernel.Release+" is a guess: "+n.Kernel.Entry, "")
}
