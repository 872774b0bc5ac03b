#!/bin/sh
# Script of recovery: [monitor.recovery] script, before_restart, before_final.
# Its exit status is recorded; what follows was decided before it runs.
#
#   CLP_MONITORNAME   monitor that has failed
#   CLP_ACTION        RECOVERY, RESTART or FINALACTION; empty: run by hand
#   CLP_RECOVERYCOUNT, CLP_RESTARTCOUNT   which of them this is

# shellcheck disable=SC3045 # not in POSIX, but in dash, bash and busybox
ulimit -s unlimited || true

case "$CLP_ACTION" in
RECOVERY)
	;; # try to mend the target here
RESTART)
	;; # before the target is restarted
FINALACTION)
	;; # before the final action
*)
	echo "not run by shisa" >&2
	;;
esac

exit 0
