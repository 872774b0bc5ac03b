// Package bpftest runs the tests of the kernel witnesses inside guests, on every
// kernel of ci/kernels.txt, and once more with everything modern taken away.
package bpftest
