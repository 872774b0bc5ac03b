package stall

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/procfs"
)

// Pressure is how much time tasks lost for want of one resource (PSI, since
// 4.20; /proc/pressure).
type Pressure struct {
	Resource  string        // cpu, io, memory
	Some10    float64       // percent of the last 10 s in which some task waited
	Some60    float64       // the same, 60 s
	Full10    float64       // percent in which all tasks waited: nothing got done; 0 for cpu before 5.13
	Full60    float64       // the same, 60 s
	SomeTotal time.Duration // since boot
	FullTotal time.Duration
}

// ErrNoPressure means that the kernel does not account for pressure: built
// without CONFIG_PSI, or started without psi=1 where that is not the default.
var ErrNoPressure = errors.New("the kernel does not account for pressure (psi=1)")

// Pressures reads the pressure of the whole machine on CPU, I/O and memory.
func Pressures() ([]Pressure, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("read pressure: %w", err)
	}
	var all []Pressure
	for _, resource := range []string{"cpu", "io", "memory"} {
		stats, err := fs.PSIStatsForResource(resource)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
			return nil, ErrNoPressure
		}
		if err != nil {
			return nil, fmt.Errorf("read pressure on %s: %w", resource, err)
		}
		p := Pressure{Resource: resource}
		if s := stats.Some; s != nil {
			p.Some10, p.Some60, p.SomeTotal = s.Avg10, s.Avg60, time.Duration(s.Total)*time.Microsecond
		}
		if f := stats.Full; f != nil {
			p.Full10, p.Full60, p.FullTotal = f.Avg10, f.Avg60, time.Duration(f.Total)*time.Microsecond
		}
		all = append(all, p)
	}
	return all, nil
}
