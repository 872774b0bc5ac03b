package event

// Service.
var (
	ServiceStarted = define("service-started", Info, "shisa started",
		"shisa {version} started in mode {mode} with configuration {config}.").legacy("pm/1")
	ServiceResumed  = define("service-resumed", Warning, "The service goes on", "The machine could not be taken down: what was stopped for that is started again.").mend("take it down by hand: systemctl reboot")
	ServiceStopping = define("service-stopping", Info, "shisa is stopping", "shisa is stopping: {reason}.").legacy("pm/2")
	ConfigApplied   = define("config-applied", Info, "Configuration applied",
		"Configuration applied: {summary}.").legacy("cfmgr/1")
	ConfigRejected = define("config-rejected", Error, "Configuration rejected",
		"Configuration not applied, {instead}: {error}").legacy("pm/13").mend("shisa config check")
	ConfigIncomplete = define("config-incomplete", Error, "Configuration incomplete",
		"The configuration is in force, but: {error}").mend("shisa config check")
	BrakeSet = define("brake-set", Warning, "Brake set",
		"The operator's brake is set: {reason}. Nothing is recovered and no countdown is armed.")
	BrakeReleased = define("brake-released", Warning, "Brake released",
		"The operator's brake is released: mode {mode} is in force again.")
	BootReason = define("boot-reason", Info, "Why the machine went down last",
		"{reason}")
	BootUnclean = define("boot-unclean", Warning, "The machine went down uncleanly",
		"Last time the machine went down: {reason}").mend("shisa why")
	AutostartHeld = define("autostart-held", Warning, "Automatic start held back",
		"Groups are not started automatically: the machine did not go down cleanly.").legacy("cl/18").mend("shisa group start --all")
	StoreDegraded = define("store-degraded", Error, "State cannot be written",
		"The state directory cannot be written: {error}. Machine-level actions are withheld.").mend("free space on, or remount, the state directory")
	StoreRecovered = define("store-recovered", Info, "State can be written again", "The state directory can be written again.")
	ProbePanicked  = define("probe-panicked", Error, "A probe crashed", "The probe of {name} crashed: {error}").mend("report it with the output of shisa why {name}")
)

// Monitors.
var (
	MonitorFailed = define("monitor-failed", Error, "Monitor found a failure",
		"Monitor {name} found a failure: {detail}").legacy("rm/9").mend("shisa why {name}")
	MonitorWarning  = define("monitor-warning", Warning, "Monitor found a warning", "Monitor {name} warns: {detail}").legacy("rm/4")
	MonitorRecovery = define("monitor-recovered", Info, "Monitor is healthy again", "Monitor {name} is healthy again: {detail}").legacy("rm/26")
	MonitorBlind    = define("monitor-blind", Warning, "Monitor cannot look",
		"Monitor {name} could not look: {error}. This says nothing about its target.").legacy("rm/72").mend("shisa why {name}")
	MonitorTimedOut  = define("monitor-timed-out", Warning, "Probe timed out", "Monitor {name} got no answer within {timeout}.")
	MonitorSlow      = define("monitor-slow", Warning, "Probe is slow", "Monitor {name} took {took} of {timeout}.").legacy("rm/71")
	MonitorSuspended = define("monitor-suspended", Info, "Monitor suspended", "Monitor {name} is suspended: {reason}.").legacy("rm/29")
	MonitorResumed   = define("monitor-resumed", Info, "Monitor resumed", "Monitor {name} is resumed.").legacy("rm/30")
	AllSuspended     = define("all-suspended", Warning, "Everything is suspended", "Every monitor is suspended, {reason}: nothing is probed or recovered; the countdown stays armed.").mend("shisa resume")
	AllResumed       = define("all-resumed", Info, "Everything is resumed", "Every monitor is resumed, {reason}.")
	DummyFailure     = define("dummy-failure", Warning, "Dummy failure", "Dummy failure of monitor {name}: {state}.").legacy("rm/180")
)

// Groups and resources.
var (
	GroupStarting    = define("group-starting", Info, "Group is starting", "Group {name} is starting: {reason}.").legacy("rc/10")
	GroupStarted     = define("group-started", Info, "Group started", "Group {name} is started.").legacy("rc/11")
	GroupStartFailed = define("group-start-failed", Error, "Group did not start", "Group {name} did not start: {error}").legacy("rc/12").mend("shisa why group/{name}")
	GroupStopping    = define("group-stopping", Info, "Group is stopping", "Group {name} is stopping: {reason}.").legacy("rc/20")
	GroupStopped     = define("group-stopped", Info, "Group stopped", "Group {name} is stopped.").legacy("rc/21")
	GroupStopFailed  = define("group-stop-failed", Error, "Group did not stop", "Group {name} did not stop: {error}").legacy("rc/22")
	ResourceStarted  = define("resource-started", Info, "Resource started", "Resource {name} is started.").legacy("rc/31")
	ResourceStopped  = define("resource-stopped", Info, "Resource stopped", "Resource {name} is stopped.").legacy("rc/41")
	ResourceFailed   = define("resource-start-failed", Error, "Resource did not start", "Resource {name} did not start: {error}").legacy("rc/32")
	ResourceStuck    = define("resource-stop-failed", Error, "Resource did not stop", "Resource {name} did not stop: {error}").legacy("rc/42")
	ProcessDied      = define("process-died", Error, "A managed process ended", "Process {pid} of {name} ended: {status}.")
)

// Recovery.
var (
	RecoveryScript = define("recovery-script", Warning, "Recovery script runs",
		"Recovery script {count} of {limit} for {name} runs.").legacy("rm/170")
	RecoveryScriptFailed = define("recovery-script-failed", Error, "Recovery script did not succeed",
		"Recovery script for {name}: {error}").legacy("rm/171")
	RecoveryRestart = define("recovery-restart", Warning, "Target is restarted",
		"{target} is restarted ({count} of {limit}) because monitor {name} failed.").legacy("rm/13")
	RecoveryFinal = define("recovery-final", Critical, "Final action",
		"Final action {action} for {name}: {reason}")
	RecoveryWithheld = define("recovery-withheld", Warning, "Recovery withheld",
		"Recovery for {name} is withheld: {reason}.").legacy("rm/192")
	RecoveryGaveUp = define("recovery-gave-up", Critical, "Recovery gave up",
		"Recovery for {name} has come to its end and gives up: {reason}.").mend("mend the cause, then: shisa monitor reset {name}")
	WouldHave = define("would-have", Warning, "Would have acted",
		"Observing only: would have taken action {action} for {name}: {reason}").mend(`set mode = "protect" when you trust the decisions`)
	LimitReached = define("reboot-limit", Critical, "Reboot limit reached",
		"{count} machine-level actions without {window} of calm between: no more are taken.").legacy("rm/100").mend("mend the cause, then: shisa limiter reset")
	ActionIntent   = define("action-intent", Critical, "Acting on the machine", "Action {action} on the machine follows: {reason}")
	ActionFailed   = define("action-failed", Error, "Action did not succeed", "Action {action} did not succeed: {error}. Next: {next}.")
	ActionVoided   = define("action-voided", Info, "Action not needed any more", "Action {action} for {name} is not taken: its condition no longer holds.")
	ActionDeferred = define("action-deferred", Warning, "Action waits",
		"Action {action} for {name} waits: {reason}. Its condition is checked again before it is taken.")
	BlockerIgnored = define("blocker-ignored", Warning, "Blocker heeded long enough",
		"Action {action} for {name} is no longer held up after {limit}: {reason}.")
	Maintenance       = define("maintenance", Info, "Maintenance window", "Maintenance window {window} is {state}.")
	TimeoutsStretched = define("timeouts-stretched", Info, "Timeouts are stretched", "Timeouts are multiplied by {ratio} for {for}: {reason}.")
	ScriptRan         = define("script-ran", Info, "Script before the action ran", "Script before {action} for {name} ended: {status}.").legacy("rm/82")
)

// Keepalive and stall.
var (
	KeepaliveArmed = define("keepalive-armed", Info, "Countdown armed",
		"{role} countdown armed: {engine}, timeout {timeout}, action {action}.")
	KeepaliveDisarmed = define("keepalive-disarmed", Info, "Countdown disarmed", "{role} countdown {engine} is disarmed: {reason}.")
	KeepaliveAbsent   = define("keepalive-absent", Error, "No countdown",
		"No countdown guards this machine: {reason}").mend("shisa doctor")
	KeepaliveDegraded = define("keepalive-degraded", Warning, "A lesser countdown is used",
		"{role} countdown: {engine} is used instead of {wanted}: {reason}").mend("shisa doctor")
	KeepaliveRefused = define("keepalive-refused", Error, "Countdown refused", "{role} countdown {engine}: {error}").mend("shisa doctor")
	KeeperLost       = define("keeper-lost", Critical, "The keeper does not answer",
		"shisa-keeper does not answer: {error}. An armed countdown fires unless it comes back.").mend("systemctl restart shisa-keeper")
	KeeperMissing = define("keeper-missing", Warning, "The keeper does not run",
		"shisa-keeper cannot be reached: {error}. Observing only, nothing is armed anyway.").mend("systemctl start shisa-keeper")
	KeeperOutdated = define("keeper-outdated", Warning, "The keeper is of another version",
		"shisa-keeper goes on as version {version} instead of {wanted}: {error}.").mend("systemctl restart shisa-keeper")
	KeeperBack = define("keeper-back", Info, "The keeper answers", "shisa-keeper answers again.")
	StallDelay = define("stall-delay", Warning, "Progress is slow",
		"Beat {beat} is late by {delay_ms} ms of {timeout_ms} ms.").legacy("userw/1")
	StallMissed = define("stall-missed", Critical, "No progress",
		"Beat {beat} is missing for {delay_ms} ms of {timeout_ms} ms: the countdown is no longer pinged.")
	StallCheckFailed = define("stall-check-failed", Error, "A stall check fails",
		"The stall check {check} fails: {error}. It counts as no progress until it succeeds.").mend("free space, or switch the check off: shisa config check")
	StallCheckBack  = define("stall-check-back", Info, "A stall check succeeds again", "The stall check {check} succeeds again.")
	ShutdownGuarded = define("shutdown-guarded", Info, "Shutdown is guarded",
		"Shutdown stall protection is armed: {engine}, timeout {timeout}, action {action}.").legacy("pm/3")
	ShutdownRequested = define("shutdown-requested", Warning, "Shutdown requested", "{action} requested by {who}: {reason}.").legacy("apisv/11")
)

// API.
var (
	OperatorCommand = define("operator-command", Info, "Operator command", "{who}: {command}.")
	OperatorNote    = define("operator-note", Info, "Note by the operator", "{text}")
	ScriptDone      = define("script-done", Info, "A script that was asked for ended", "Script {name}, asked for by {who}, is done: it {outcome}.").legacy("trnsv/30")
	ScriptFailed    = define("script-failed", Warning, "A script that was asked for failed", "Script {name}, asked for by {who}, has failed: it {outcome}.").legacy("trnsv/31")
	TimeoutsNormal  = define("timeouts-normal", Info, "Timeouts are normal again", "Timeouts are as configured again.")
	OperatorRefused = define("operator-refused", Warning, "Operator command refused", "{who}: {command} refused: {error}")
)
