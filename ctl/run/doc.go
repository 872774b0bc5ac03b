// Package run is the one place that starts commands, so that none can outlive
// its bounds: each gets a process group of its own and, where the kernel lets
// us, a control group of its own, a deadline, a limit on its output, an
// environment that was written down, and an end whose cause is known.
//
// The rules that it keeps:
//
//   - Nobody else is ever signalled. A group is signalled only while its leader
//     has not been reaped, since until then the kernel cannot give its number
//     away; everything else goes through a pidfd or a control group.
//   - No zombie is left. Each command is reaped by its own number when its
//     pidfd says that it has ended, however long that takes; there is no
//     handler of SIGCHLD and no wait for "any child".
//   - A deadline is one absolute moment of the monotonic clock.
//   - No shell, unless the operator's script names one in its first line.
package run
