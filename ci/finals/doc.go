// Package finals has the daemon take a guest down by each final action there is, once,
// and lets the hypervisor say what happened. After the next boot the daemon has to
// name its own deed.
package finals
