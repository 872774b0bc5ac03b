#!/bin/sh
# Start script of an exec resource. Exit status 0 is success (start_success).
#
#   CLP_EVENT         START: an ordinary start; RECOVER: started again by recovery,
#                     or after an unclean stop; empty: run by hand
#   CLP_FACTOR        GROUPRESTART, RESOURCERESTART: part of a restart; else empty
#   CLP_GROUPNAME, CLP_RESOURCENAME, CLP_OSNAME, CLP_OSVER, CLP_VERSION_FULL

# The application gets the limits of the service; lift those that are in its way.
# shellcheck disable=SC3045 # not in POSIX, but in dash, bash and busybox
ulimit -s unlimited || true

case "$CLP_EVENT" in
START)
	;; # what is to be done before an ordinary start only
RECOVER)
	;; # what is to be done before a start after a failure only
*)
	echo "not run by shisa" >&2
	;;
esac

# Start the application here.

exit 0
