package config

import (
	"fmt"
	"path/filepath"
	"regexp"

	"shisa/ctl/monitor"
)

// NameLimit bounds names of groups, resources and monitors in bytes. The
// original stopped at 31.
const NameLimit = 63

var (
	nameRx = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	whens  = []monitor.When{monitor.Always, monitor.WhileActive}
)

func wellNamed(p *string) func() error {
	return func() error {
		if len(*p) > NameLimit || !nameRx.MatchString(*p) {
			return fmt.Errorf("%q is not a name: use at most %d letters, digits, '_', '.' and '-', starting with a letter or digit", *p, NameLimit)
		}
		return nil
	}
}

func absolute(p *string) func() error {
	return func() error {
		if !filepath.IsAbs(*p) {
			return fmt.Errorf("%q must be an absolute path", *p)
		}
		return nil
	}
}
