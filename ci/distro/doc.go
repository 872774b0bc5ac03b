// Package distro boots real releases of the distribution: root file systems made
// with debootstrap, the suite's own kernel and its own systemd, in QEMU. On them
// the packages and the units are proven: what systemd does with Type=notify, with
// a restart, with a shutdown that hangs, and what dpkg leaves behind.
//
// Image makes the disk of a suite once and keeps it in the cache; Boot starts a
// guest on a snapshot of it (package vm), so that each test begins with an
// untouched system. Making an image needs root, debootstrap and the network; both
// need QEMU.
//
// The tests run when SHISA_VM=1 is set (make distro-test does), on all suites or on
// those that SHISA_DISTRO names.
package distro
