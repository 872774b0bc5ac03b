// Package vm boots real kernels of the distribution in QEMU and drives them.
//
// It gets a kernel from the distribution's packages (Fetch), packs a small
// initramfs out of static Go binaries, files and kernel modules (Image), boots it
// (Start), talks to the guest's init (Guest.Run, Send, Expect) and reports what the
// hypervisor saw (Guest.Events): resets, watchdog actions, panics, power-offs. The
// hypervisor is the judge: a guest that resets cannot report its own test.
//
// Only TCG is used, so that the tests run wherever QEMU does; a boot takes a few
// seconds. The boot tests of this package run when SHISA_VM=1 is set (make vm-test
// sets it) and then boot every kernel of ci/kernels.txt, or the one that
// SHISA_VM_KERNEL names; what is not in the cache is fetched.
package vm
