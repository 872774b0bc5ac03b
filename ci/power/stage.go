package power

import (
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"shisa/ci/kbuild"
	"shisa/ci/vm"
	"shisa/ci/vm/wire"
)

// stateDir is where the daemon keeps its state: on the disk that survives.
const stateDir = "/var/lib/shisa"

// spareDir is on a disk that nobody needs.
const spareDir = "/srv"

// caseTimeout bounds one case, two boots on a busy host included. Each step has its
// own, shorter time.
const caseTimeout = 15 * time.Minute

// prepareTimeout is how long it may take until the daemon has armed.
const prepareTimeout = 2 * time.Minute

// A stage is one kernel with its disks, on which cases are played.
type stage struct {
	console io.Writer
	kernel  vm.Kernel
	dir     string
	daemon  bool              // some case needs it
	built   map[string]string // module files by engine
	broken  map[string]error  // why an engine's module is not there
	guest   *vm.Guest         // nil: the next case boots
	pid     int               // of guest's QEMU
	boots   int               // of guest
}

// open gets the kernel, and builds the modules that it does not have itself.
func (s *stage) open(ctx context.Context, cases []Case) (err error) {
	if s.kernel, err = vm.Get(ctx, cases[0].Kernel); err != nil {
		return err
	}
	s.daemon = slices.ContainsFunc(cases, func(c Case) bool { return !c.Fault.Feeder })
	for _, c := range cases {
		e := c.Engine
		if e.Source == "" || s.built[e.Name] != "" || s.broken[e.Name] != nil {
			continue
		}
		s.built[e.Name], s.broken[e.Name] = kbuild.Module(ctx, s.kernel, e.Source, e.Name)
	}
	s.dir, err = os.MkdirTemp("", "shisa-power-")
	return err
}

// drop kills the guest: the next case begins with a new one.
func (s *stage) drop() {
	if s.guest != nil {
		s.guest.Close()
	}
	s.guest = nil
}

func (s *stage) close() {
	s.drop()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // what stays in the temporary folder is found by whoever cleans it
	}
}

// up boots the guest unless one is left from the case before.
func (s *stage) up(ctx context.Context) error {
	if s.guest != nil {
		return nil
	}
	disks := []string{filepath.Join(s.dir, "state.img"), filepath.Join(s.dir, "spare.img")}
	for _, disk := range disks {
		if err := vm.MakeDisk(ctx, disk, 64); err != nil {
			return err
		}
	}
	binaries := map[string]string{"/bin/fault": "./ci/power/fault"}
	if s.daemon {
		for _, name := range []string{"shisad", "shisa-keeper", "shisa"} {
			binaries["/usr/sbin/"+name] = "./cmd/" + name
		}
	}
	g, err := vm.Start(ctx, vm.Config{
		Kernel:   s.kernel,
		Machine:  vm.Machine{Watchdog: true, BMC: true, Pvpanic: true, Pstore: true, Disks: disks},
		Cmdline:  "printk.always_kmsg_dump=1",
		Present:  engineModules(s.built),
		Binaries: binaries,

		ModuleFiles: slices.DeleteFunc(slices.Collect(maps.Values(s.built)), func(file string) bool { return file == "" }),
		Files:       map[string]vm.File{"/bin/hang": {Data: []byte("#!/bin/sh\nexec sleep 100000\n"), Mode: 0o755}},
		Mounts: []wire.Mount{
			{Source: "/dev/vda", Target: stateDir, Type: "ext4"},
			{Source: "/dev/vdb", Target: spareDir, Type: "ext4"},
		},
		StopWait: time.Hour, // a hanging shutdown is to be ended by the countdown only
		Console:  s.console,
	})
	if err != nil {
		return err
	}
	s.guest, s.boots, s.pid = g, 1, processWith("/proc", disks[0])
	return nil
}

// run runs one case. The guest is kept for the next one unless the case failed.
//
// An emulated guest hangs now and then before anything was done to it; then the case
// is played once more with a new one, and the result says so. What goes wrong from
// the strike on counts at once, and so does a reset that nobody asked for, unless the
// host kept the guest waiting for so long that its countdown was right to fire.
func (s *stage) run(ctx context.Context, c Case) Result {
	res, struck := s.try(ctx, c)
	if res.Pass || struck && !starved(c, res) || ctx.Err() != nil || s.broken[c.Engine.Name] != nil {
		return res
	}
	again, _ := s.try(ctx, c)
	again.Again = res.Reason
	return again
}

// starved reports whether the host took so much of the guest's time that nothing follows
// from what became of a case in which nothing was to happen.
func starved(c Case, r Result) bool {
	return !c.Fault.Reset && time.Duration(r.WaitedMS)*time.Millisecond >= stallTimeout/2
}

// try runs the case and says whether it came to the strike, or to a reset.
func (s *stage) try(ctx context.Context, c Case) (Result, bool) {
	start := time.Now()
	struck := false
	res := Result{
		Kernel: c.Kernel, Release: s.kernel.Release, Engine: c.Engine.Name, Fault: c.Fault.Name,
		Issue: c.Fault.Issue, Seen: "-", Events: []string{},
	}
	err := s.broken[c.Engine.Name]
	if err == nil {
		err = s.up(ctx) // it lives longer than the case
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, caseTimeout+c.Fault.Observe)
		defer cancel()
		a := &act{stage: s, guest: s.guest, Case: c, result: &res}
		err = a.play(ctx)
		a.note()
		struck = !a.strike.IsZero() || a.actedSince(start)
	}
	res.Pass = err == nil
	if err != nil {
		res.Reason = err.Error()
	}
	if err != nil {
		s.drop()
	}
	res.TookMS = time.Since(start).Milliseconds()
	return res, struck
}
