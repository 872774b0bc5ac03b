package event

// Witnesses in the kernel.
var (
	WitnessReady = define("witness-ready", Info, "Witnesses are at work", "Witnesses at work after {took}: {report}.")
	WitnessLost  = define("witness-lost", Warning, "A witness lost records",
		"Witness {witness} has lost {count} records for want of room.")
	WitnessSilent = define("witness-silent", Error, "A witness is silent",
		"A witness does not see any more what it is there to see: {error}").mend("systemctl restart shisad")
	TaskStalled = define("task-stalled", Warning, "A task makes no progress, or lets others make none",
		"Task {task} {what} for {for}{where}.")
	TaskGoesOn = define("task-goes-on", Info, "A task goes on", "Task {task} goes on after {for}.")
	Untold     = define("findings-untold", Warning, "More was found than is told of one by one",
		"{count} more {what} within {window}; the flight record has the latest of them.").mend("shisa trace shows who waits for a CPU; bound the processor time of services: CPUQuota= in their units")
	CgroupStalled = define("cgroup-stalled", Warning, "Several tasks of a cgroup make no progress, or let others make none",
		"Tasks of {cgroup} are stalled: {what}; the longest for {for}.")
	CgroupGoesOn = define("cgroup-goes-on", Info, "A cgroup goes on", "Less than {count} tasks of {cgroup} are stalled, after {for}.")
	DiskHung     = define("disk-hung", Error, "A disk hangs",
		"Disk {disk} finishes nothing: a {op} of {bytes} bytes at sector {sector}, issued by {task}, is under way for {for}.").mend("dmesg, smartctl")
	DiskSlow = define("disk-slow", Warning, "A disk is slow",
		"Disk {disk} is slow: a {op} of {bytes} bytes at sector {sector}, issued by {task}, is under way for {for}.").mend("dmesg, smartctl")
	DiskGoesOn = define("disk-goes-on", Info, "A disk goes on", "Disk {disk} has finished what was late.")
	OOMKill    = define("oom-kill", Warning, "A process is killed for want of memory",
		"The kernel kills process {pid} ({comm}) for want of memory.").mend("bound the memory of services: MemoryMax= in their units")
	BeatMissed = define("beat-missed", Warning, "A beat is missed",
		"Beat {beat} did not come within {limit}; that was noticed {late} later.")
	BeatBack = define("beat-back", Info, "A beat is back", "Beat {beat} is back after {for}.")
)
