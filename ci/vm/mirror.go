package vm

import (
	"fmt"
	"strings"
)

// A Mirror is where this machine's distribution has a suite.
type Mirror struct {
	URI     string
	Keyring string // file of the keys that sign it; empty: apt's own
}

// MirrorOf returns from where a suite of the distribution comes: the archive that
// serves this machine's own release.
func MirrorOf(suite string) (Mirror, error) {
	codename, err := osCodename("/etc/os-release")
	if err != nil {
		return Mirror{}, err
	}
	archives, err := machineArchives("/etc")
	if err != nil {
		return Mirror{}, err
	}
	a, err := archiveFor(archives, codename, suite)
	if err != nil {
		return Mirror{}, err
	}
	if len(a.uris) == 0 {
		return Mirror{}, fmt.Errorf("the package source of %q has no address", suite)
	}
	m := Mirror{URI: a.uris[0]}
	if strings.HasPrefix(a.signedBy, "/") {
		m.Keyring = a.signedBy
	}
	return m, nil
}
