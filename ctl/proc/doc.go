// Package proc names processes for ever and tells at once when one is gone.
//
// A process number alone names nothing: the kernel gives it to somebody else as
// soon as its owner has been reaped. Everything here therefore speaks of an
// [ID], the number together with the start time, and signals only through a
// pidfd whose identity was checked after it was opened. A stored number is
// never signalled.
package proc
