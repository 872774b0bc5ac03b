#!/bin/sh
# Stop script of an exec resource. Exit status 0 is success (stop_success). It
# also runs after a start that failed, and must succeed when nothing runs.
#
#   CLP_FACTOR        CLUSTERSTOP: the service stops; SERVERSTOP: the machine goes
#                     down; GROUPSTOP, GROUPRESTART, RESOURCERESTART: as they say
#   CLP_LASTACTION    REBOOT, HALT or NONE: what follows the stop of the service
#   CLP_GROUPNAME, CLP_RESOURCENAME, CLP_OSNAME, CLP_OSVER, CLP_VERSION_FULL

# shellcheck disable=SC3045 # not in POSIX, but in dash, bash and busybox
ulimit -s unlimited || true

case "$CLP_FACTOR" in
GROUPRESTART | RESOURCERESTART)
	;; # what is to be done before a restart only
*)
	;; # what is to be done before any other stop
esac

# Stop the application here, and wait for its end.

exit 0
