// Package power holds the power tests: each case boots a real kernel in QEMU,
// arms one engine, breaks the guest in one way, and asserts on what the hypervisor
// saw, on when it saw it, and on the cause that shisa names after the next boot.
//
// Engines and Faults are the two tables; a case is one fault on one engine and one
// kernel. All cases of a kernel run in the same QEMU one after the other: the reset
// that ends one case is the boot that begins the next.
package power
