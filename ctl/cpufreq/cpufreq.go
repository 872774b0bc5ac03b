// Package cpufreq chooses how the processors run: fast, slow, or as the kernel
// finds right. It speaks to the kernel's governors in sysfs
// (Documentation/admin-guide/pm/cpufreq.rst).
package cpufreq

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNone says that this machine offers no choice: most virtual ones do not.
var ErrNone = errors.New("this machine's processors have no frequency governors")

// Modes name what can be asked for, with the governors that do it, best first.
var modes = map[string][]string{
	"high": {"performance"},
	"low":  {"powersave"},
	"auto": {"schedutil", "ondemand", "conservative", "powersave"}, // intel_pstate's powersave follows the load
}

// Set gives every processor the governor for mode, "high", "low" or "auto".
// root is "/sys". It fails with ErrNone where there is no choice; where only some
// processors could be set, the error names the others.
func Set(root, mode string) error {
	wanted, ok := modes[mode]
	if !ok {
		return fmt.Errorf("%q is no mode: use high, low or auto", mode)
	}
	policies, err := find(root)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range policies {
		errs = append(errs, set(p, wanted))
	}
	return errors.Join(errs...)
}

func set(policy string, wanted []string) error {
	b, err := os.ReadFile(filepath.Join(policy, "scaling_available_governors"))
	if err != nil {
		return err
	}
	offered := strings.Fields(string(b))
	i := slices.IndexFunc(wanted, func(g string) bool { return slices.Contains(offered, g) })
	if i < 0 {
		return fmt.Errorf("%s offers %s, none of %s", filepath.Base(policy), strings.Join(offered, ", "), strings.Join(wanted, ", "))
	}
	return os.WriteFile(filepath.Join(policy, "scaling_governor"), []byte(wanted[i]), 0o644)
}

// Get returns the governors in force, each once, in order of the alphabet. root
// is "/sys". It fails with ErrNone where there are none.
func Get(root string) ([]string, error) {
	policies, err := find(root)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, p := range policies {
		b, err := os.ReadFile(filepath.Join(p, "scaling_governor"))
		if err != nil {
			return nil, err
		}
		all = append(all, strings.TrimSpace(string(b)))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// find returns the folders of the policies; a policy is shared by processors
// that share a clock.
func find(root string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "devices/system/cpu/cpufreq/policy*"))
	if err == nil && len(found) == 0 {
		err = ErrNone
	}
	return found, err
}
