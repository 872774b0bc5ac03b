package trial

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Loaded is a job at work in the kernel. It owns maps, programs and links, and
// must stay reachable: a link that is garbage detaches its program silently.
type Loaded struct {
	Choices []Choice

	coll  *ebpf.Collection
	links map[string]link.Link // by program
}

// Load finds the programs for a job, loads the survivors as one collection and
// attaches them. When it fails, Loaded still carries the choices and is of no
// other use.
//
// The best programs of the best object are tried all at once: where the kernel
// takes them, and most do, that is the whole of it. Only where it does not is each
// tried by itself.
func (k *Kernel) Load(job Job) (*Loaded, error) {
	if choices, spec, err := k.best(job); err == nil {
		if l, err := k.start(job, choices, spec); err == nil {
			return l, nil
		}
	}
	choices, spec, err := k.choose(job)
	if err != nil {
		return &Loaded{Choices: choices}, err
	}
	return k.start(job, choices, spec)
}

// best are the programs to begin with.
func (k *Kernel) best(job Job) ([]Choice, *ebpf.CollectionSpec, error) {
	object := job.Objects[0]
	spec, err := k.prepare(job, object)
	if err != nil {
		return nil, nil, err
	}
	choices := make([]Choice, len(job.Parts))
	for i, part := range job.Parts {
		choices[i] = Choice{Job: job.Name, Part: part.Name}
		at := slices.IndexFunc(part.Programs, func(name string) bool { return spec.Programs[name] != nil })
		switch {
		case at < 0:
		case k.forbids(part.Programs[at]):
			return nil, nil, errForbidden
		default:
			choices[i].Object, choices[i].Program = object.Name, part.Programs[at]
		}
	}
	return choices, spec, nil
}

// start loads and attaches what was chosen.
func (k *Kernel) start(job Job, choices []Choice, spec *ebpf.CollectionSpec) (*Loaded, error) {
	l := &Loaded{Choices: choices, links: make(map[string]link.Link)}
	var names []string
	for _, c := range choices {
		if c.Program != "" {
			names = append(names, c.Program)
		}
	}
	survivors, err := subset(spec, names)
	if err != nil {
		return l, err
	}
	if l.coll, err = k.load(survivors, job.Reuse); err != nil {
		return l, fmt.Errorf("load %s: %w", job.Name, err)
	}
	for _, name := range names {
		at, err := attach(survivors.Programs[name], l.coll.Programs[name])
		if err != nil {
			return l, errors.Join(fmt.Errorf("attach %s/%s: %w", job.Name, name, err), l.Close())
		}
		if at != nil {
			l.links[name] = at
		}
	}
	return l, nil
}

// Map returns one of the object's maps, nil when no surviving program uses it.
func (l *Loaded) Map(name string) *ebpf.Map { return l.coll.Maps[name] }

// Program returns the program that does a part, nil when none does.
func (l *Loaded) Program(part string) *ebpf.Program {
	return l.coll.Programs[l.chosen(part)]
}

// Link returns what attaches the program that does a part, nil when none does.
func (l *Loaded) Link(part string) link.Link { return l.links[l.chosen(part)] }

func (l *Loaded) chosen(part string) string {
	for _, c := range l.Choices {
		if c.Part == part {
			return c.Program
		}
	}
	return ""
}

// Counters are a witness's own account, since it was loaded.
type Counters struct {
	Seen uint64 // events looked at
	Lost uint64 // records that found no room
}

// Counters sums the object's per-CPU counters.
func (l *Loaded) Counters() (Counters, error) {
	m := l.Map("counters")
	if m == nil {
		return Counters{}, errors.New("object keeps no counters")
	}
	sum := func(index uint32) (total uint64, err error) {
		var each []uint64
		if err = m.Lookup(index, &each); err != nil {
			return 0, fmt.Errorf("read counters: %w", err)
		}
		for _, n := range each {
			total += n
		}
		return total, nil
	}
	seen, err := sum(0)
	if err != nil {
		return Counters{}, err
	}
	lost, err := sum(1)
	return Counters{Seen: seen, Lost: lost}, err
}

// MapBytes returns the memory that the object's maps occupy, as the kernel
// accounts it (memlock in the map's fdinfo).
func (l *Loaded) MapBytes() (total uint64, err error) {
	for name, m := range l.coll.Maps {
		info, err := m.Info()
		if err != nil {
			return total, fmt.Errorf("look at map %s: %w", name, err)
		}
		if bytes, ok := info.Memlock(); ok {
			total += bytes
		}
	}
	return total, nil
}

// Files returns descriptors for all that keeps the job at work, for another
// process: the maps named first, then the others, then the links. They belong to
// the caller. A link that the kernel does not know as such has none, and is an
// error.
func (l *Loaded) Files(first ...string) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			files = nil
		}
	}()
	add := func(name string, fd int) {
		if err != nil {
			return
		}
		var dup int
		if dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			err = fmt.Errorf("pass on %s: %w", name, err)
			return
		}
		files = append(files, os.NewFile(uintptr(dup), name))
	}
	for _, name := range first {
		if l.Map(name) == nil {
			return files, fmt.Errorf("pass on map %s: there is none", name)
		}
		add(name, l.Map(name).FD())
	}
	for name, m := range l.coll.Maps {
		if !slices.Contains(first, name) {
			add(name, m.FD())
		}
	}
	for name, at := range l.links {
		known, ok := at.(interface{ FD() int })
		if !ok {
			return files, fmt.Errorf("pass on the link of %s: it has no descriptor", name)
		}
		add(name, known.FD())
	}
	return files, err
}

// Close detaches and unloads everything.
func (l *Loaded) Close() error {
	if l == nil || l.coll == nil {
		return nil
	}
	var errs []error
	for _, at := range l.links {
		errs = append(errs, at.Close())
	}
	l.coll.Close()
	return errors.Join(errs...)
}
