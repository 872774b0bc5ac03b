package main

import (
	"os"
	"path/filepath"
	"strings"
)

// A root has no SELinux: this stands in for the command that loads and takes out
// policy modules, and remembers how it was called.
const semodule = `#!/bin/sh
echo "$*" >>/tmp/semodule.log
[ "$1" != -r ] || rm -r /var/lib/selinux
`

const (
	semodulePath = "usr/sbin/semodule"
	policyStore  = "var/lib/selinux/targeted/active/modules/400/shisa"
)

// loadPolicy has a root look as if our policy module was loaded.
func loadPolicy(root string) error {
	if err := os.MkdirAll(filepath.Join(root, policyStore), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, semodulePath), []byte(semodule), 0o755)
}

// checkPolicy wants it renewed by the upgrade, if there was one, and taken out by the
// removal.
func checkPolicy(r *report, name func(string) string, root string, upgraded bool) {
	calls := readText(root, "tmp/semodule.log")
	if upgraded {
		r.check(strings.Contains(calls, "-i /usr/share/selinux/packages/shisa.cil\n"), name("upgrade renews the policy module"), calls)
	}
	r.check(strings.HasSuffix(calls, "-r shisa\n"), name("removal takes out the policy module"), calls)
	err := os.Remove(filepath.Join(root, semodulePath))
	r.check(err == nil, name("tidy"), errText(err))
}

// hasGroup reports whether a root has the group whose members may look.
func hasGroup(root string) bool {
	return strings.Contains("\n"+readText(root, "etc/group"), "\nshisa:")
}
