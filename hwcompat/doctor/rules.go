package doctor

// A rule is declared once: this table is the list of findings, their severity
// and their order.
type rule struct {
	id       string
	severity Severity
	title    string
	check    func(*judge) []hit
}

var rules = []rule{
	// where it runs
	{"not-root", Warning, "not everything could be looked at", notRoot},
	{"unread", Info, "some files could not be read", unread},
	{"container", Warning, "this is a container", container},
	{"original-installed", Error, "CLUSTERPRO X SingleServerSafe is on this machine", originalInstalled},
	// kernel
	{"kernel-below-floor", Error, "this kernel is too old for the control plane", belowFloor},
	{"kernel-untried", Info, "this kernel was never tried", untried},
	{"kernel-unsupported", Warning, "something wanted is known not to work on this kernel", unsupported},
	{"module-missing", Warning, "no kernel module for this kernel", moduleMissing},
	{"module-refused", Warning, "the kernel will refuse the module", moduleRefused},
	{"modules-disabled", Warning, "the kernel loads no more modules until the next start", modulesDisabled},
	{"btf-missing", Warning, "the kernel has no type information for eBPF", btfMissing},
	{"lockdown-bpf", Warning, "lockdown keeps eBPF from reading the kernel", lockdownBPF},
	{"panic-hangs", Warning, "after a panic the machine would hang", panicHangs},
	{"pstore-none", Info, "the kernel's last words are not kept", pstoreNone},
	{"rt-budget", Warning, "real-time threads may be refused", rtBudget},
	// countdowns
	{"watchdog-held", Warning, "a watchdog is held by somebody else", watchdogHeld},
	{"systemd-watchdog", Warning, "systemd drives a watchdog itself", systemdWatchdog},
	{"watchdog-daemon", Warning, "another watchdog daemon is running", watchdogDaemon},
	{"heartbeat-package", Warning, "the heartbeat package uses the watchdog too", heartbeatPackage},
	{"softdog-builtin", Info, "softdog is part of the kernel image", softdogBuiltin},
	{"softdog-missing", Warning, "softdog is not there to fall back to", softdogMissing},
	{"softdog-starved", Warning, "on this kernel real-time tasks keep softdog from firing", softdogStarved},
	{"tco-driver", Warning, "an old driver keeps /dev/watchdog for itself", tcoDriver},
	{"backstop-missing", Warning, "nothing outlives the kernel", backstopMissing},
	{"nowayout", Info, "a watchdog cannot be stopped once started", noWayOut},
	{"pvpanic-missing", Info, "the hypervisor does not learn of a panic", pvpanicMissing},
	// BMC
	{"bmc-no-driver", Warning, "the BMC has no driver", bmcNoDriver},
	{"bmc-untried", Info, "the BMC of this server was never tried", bmcUntried},
	{"bmc-shared", Warning, "another program uses the BMC", bmcShared},
	{"ipmi-program", Error, "the program for the BMC is not installed", ipmiProgram},
	// network
	{"host-name", Warning, "the own host name does not resolve", hostName},
	{"no-network", Warning, "no network interface is up", noNetwork},
	{"port-taken", Error, "a port is taken by another program", portTaken},
	{"port-range", Warning, "the kernel may give one of our ports to others", portRange},
	{"firewall-closed", Warning, "the firewall keeps a port closed", firewallClosed},
	{"snmp-agentx", Warning, "snmpd takes no sub-agents", snmpAgentX},
	{"snmp-view", Warning, "the SNMP view leaves our objects out", snmpView},
	{"snmp-dlmod-left", Warning, "snmpd loads a library that is gone", snmpDlmodLeft},
	// storage and time
	{"root-no-journal", Warning, "the root file system has no journal", rootNoJournal},
	{"state-no-journal", Warning, "the state folder is not on a journaling file system", stateNoJournal},
	{"time-unsynced", Warning, "nothing keeps the time of day right", timeUnsynced},
	{"clock-source", Warning, "the clock source is coarse", clockSource},
	// what is installed
	{"selinux-policy", Warning, "SELinux enforces without our policy", selinuxPolicy},
	{"program-missing", Error, "a program that a monitor needs is not installed", programMissing},
	{"library-missing", Error, "a library that a monitor needs is not installed", libraryMissing},
	{"app-condition", Info, "a monitored product comes with a condition", appCondition},
	// the next start
	{"next-boot-unprotected", Warning, "the next start loses a countdown", nextBootUnprotected},
	{"next-boot-below-floor", Error, "the kernel that starts next is too old for the control plane", nextBootBelowFloor},
	{"next-boot-unknown", Info, "the kernel that starts next is not known", nextBootUnknown},
}
