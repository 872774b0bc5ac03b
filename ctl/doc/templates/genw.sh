#!/bin/sh
# Script of a custom monitor. Exit status 0: the target works; 1 to 125: it does
# not (normal, warning, failed). Any other says nothing about the target.
#
#   CLP_MONITORNAME   name of the monitor

# shellcheck disable=SC3045 # not in POSIX, but in dash, bash and busybox
ulimit -s unlimited || true

# Look at the target here, change nothing, and be done within the timeout. The
# last line of output is shown to the operator.

exit 0
