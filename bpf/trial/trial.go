package trial

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// A Job is one witness: parts that share the maps of one object.
type Job struct {
	Name    string
	Objects []Object // alternatives, best first: the first that can do every required part
	Parts   []Part
	// Setup, if not nil, adjusts a copy of the object to this kernel before
	// each load: variables decided by looking at its types, sizes of maps.
	Setup func(*Kernel, *ebpf.CollectionSpec) error
	// Reuse are maps to be taken over instead of made, by name. They must
	// have the shape that the object declares. Not during trials.
	Reuse map[string]*ebpf.Map
}

// An Object is a compiled collection of programs and maps.
type Object struct {
	Name string
	Spec func() (*ebpf.CollectionSpec, error)
	// Partial objects are worth having with any one of their parts.
	Partial bool
}

// A Part is one thing that a job watches, with the programs able to do it. An
// object that has none of them is not refused for that.
type Part struct {
	Name     string
	Programs []string // alternatives, best first
	Optional bool     // the job is worth having without this part
}

// A Choice says which program does a part, and why no better one does.
type Choice struct {
	Job     string
	Part    string
	Object  string    // empty: none
	Program string    // empty: none
	Refused []Refusal // what was tried before, in order
}

// A Refusal is the kernel's answer to one program. Formatting Err with %+v
// prints the verifier's whole log.
type Refusal struct {
	Object  string
	Program string
	Err     error
}

// String is one line for an operator.
func (c Choice) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s: ", c.Job, c.Part)
	if c.Program == "" {
		b.WriteString("none")
	} else {
		fmt.Fprintf(&b, "%s (%s)", c.Program, c.Object)
	}
	for _, r := range c.Refused {
		b.WriteString("; " + r.String())
	}
	return b.String()
}

// String is the program, the object when it matters, and the kernel's words.
func (r Refusal) String() string {
	words := strings.TrimPrefix(r.Err.Error(), "program "+r.Program+": ")
	// The limit was lifted when the kernel was opened.
	words = strings.ReplaceAll(words, " (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", "")
	return fmt.Sprintf("%s (%s): %s", r.Program, r.Object, words)
}

// ErrNone is wrapped when no program can do a required part of a job.
var ErrNone = errors.New("no program for it works on this kernel")

var errForbidden = errors.New("switched off by configuration")

// Try finds the programs for a job and leaves nothing loaded. The choices are
// complete also when it fails with ErrNone: they say why.
func (k *Kernel) Try(job Job) ([]Choice, error) {
	choices, _, err := k.choose(job)
	return choices, err
}

// choose returns the choices, and the object they belong to.
func (k *Kernel) choose(job Job) ([]Choice, *ebpf.CollectionSpec, error) {
	choices := make([]Choice, len(job.Parts))
	for i, part := range job.Parts {
		choices[i] = Choice{Job: job.Name, Part: part.Name}
	}
	var missing error
	for _, object := range job.Objects {
		spec, err := k.prepare(job, object)
		if err != nil {
			return choices, nil, err
		}
		missing = k.chooseFrom(job, object, spec, choices)
		if missing == nil {
			return choices, spec, nil
		}
	}
	return choices, nil, missing
}

// chooseFrom fills in the choices that one object allows. It gives the object up
// at the first required part that it cannot do.
func (k *Kernel) chooseFrom(job Job, object Object, spec *ebpf.CollectionSpec, choices []Choice) error {
	for i := range choices {
		choices[i].Object, choices[i].Program = "", ""
	}
	found := 0
	for i, part := range job.Parts {
		k.choosePart(part, object.Name, spec, &choices[i])
		switch {
		case choices[i].Program != "":
			found++
		case !part.Optional && !object.Partial && offers(spec, part):
			return fmt.Errorf("load %s/%s: %w", job.Name, part.Name, ErrNone)
		}
	}
	if found == 0 {
		return fmt.Errorf("load %s: %w", job.Name, ErrNone)
	}
	return nil
}

func (k *Kernel) choosePart(part Part, object string, spec *ebpf.CollectionSpec, choice *Choice) {
	for _, name := range part.Programs {
		if _, ok := spec.Programs[name]; !ok {
			continue
		}
		err := k.try(spec, name)
		if err == nil {
			choice.Object, choice.Program = object, name
			return
		}
		choice.Refused = append(choice.Refused, Refusal{Object: object, Program: name, Err: err})
	}
}

// offers reports whether an object has any program for a part. One that has
// none does without the part.
func offers(spec *ebpf.CollectionSpec, part Part) bool {
	return slices.ContainsFunc(part.Programs, func(name string) bool {
		_, ok := spec.Programs[name]
		return ok
	})
}

// try loads one program alone, attaches it and closes it.
func (k *Kernel) try(spec *ebpf.CollectionSpec, name string) error {
	if k.forbids(name) {
		return errForbidden
	}
	only, err := subset(spec, []string{name})
	if err != nil {
		return err
	}
	for _, m := range only.Maps {
		shrink(m)
	}
	coll, err := k.load(only, nil)
	if err != nil {
		return err
	}
	defer coll.Close()
	l, err := attach(only.Programs[name], coll.Programs[name])
	if err != nil || l == nil {
		return err
	}
	return l.Close()
}

// shrink keeps a trial from paying for big tables: the verifier looks at key
// and value sizes only. An array is left alone, for programs index into it.
func shrink(m *ebpf.MapSpec) {
	switch m.Type {
	case ebpf.RingBuf:
		m.MaxEntries = 64 << 10 // a multiple of every page size
	case ebpf.Hash, ebpf.LRUHash:
		m.MaxEntries = min(m.MaxEntries, 64)
	}
}

func (k *Kernel) prepare(job Job, object Object) (*ebpf.CollectionSpec, error) {
	spec, err := object.Spec()
	if err != nil {
		return nil, fmt.Errorf("decode object %s: %w", object.Name, err)
	}
	if job.Setup != nil {
		if err := job.Setup(k, spec); err != nil {
			return nil, fmt.Errorf("set up %s: %w", job.Name, err)
		}
	}
	return spec, nil
}

func (k *Kernel) load(spec *ebpf.CollectionSpec, reuse map[string]*ebpf.Map) (*ebpf.Collection, error) {
	return ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Cache: k.cache, MapReplacements: reuse})
}

// subset copies a collection down to the named programs and what they refer
// to, so that one program's refusal does not take the others with it, and no
// map is created for nobody.
func subset(spec *ebpf.CollectionSpec, programs []string) (*ebpf.CollectionSpec, error) {
	out := spec.Copy()
	keep := make(map[string]bool)
	for _, name := range programs {
		p, ok := spec.Programs[name]
		if !ok {
			return nil, fmt.Errorf("object has no program %q", name)
		}
		keep[name] = true
		for _, ins := range p.Instructions {
			if ref := ins.Reference(); ref != "" {
				keep[ref] = true
			}
		}
	}
	for name := range out.Programs {
		if !keep[name] {
			delete(out.Programs, name)
		}
	}
	for name := range out.Maps {
		if !keep[name] {
			delete(out.Maps, name)
		}
	}
	for name, v := range out.Variables {
		if _, ok := out.Maps[v.SectionName]; !ok {
			delete(out.Variables, name)
		}
	}
	return out, nil
}

// attach joins a program to the place that its section names. Programs that
// are run by bpf(2) or by a counter have none and yield a nil link.
func attach(spec *ebpf.ProgramSpec, prog *ebpf.Program) (link.Link, error) {
	switch spec.Type {
	case ebpf.RawTracepoint:
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: spec.AttachTo, Program: prog})
	case ebpf.TracePoint:
		group, name, _ := strings.Cut(spec.AttachTo, "/")
		return link.Tracepoint(group, name, prog, nil)
	case ebpf.Kprobe:
		if strings.HasPrefix(spec.SectionName, "kretprobe/") {
			return link.Kretprobe(spec.AttachTo, prog, nil)
		}
		return link.Kprobe(spec.AttachTo, prog, nil)
	case ebpf.Tracing:
		if spec.AttachType == ebpf.AttachTraceIter {
			return link.AttachIter(link.IterOptions{Program: prog})
		}
		return link.AttachTracing(link.TracingOptions{Program: prog, AttachType: spec.AttachType})
	case ebpf.Syscall, ebpf.PerfEvent:
		return nil, nil
	}
	return nil, fmt.Errorf("attach a %s program: not one of ours", spec.Type)
}
