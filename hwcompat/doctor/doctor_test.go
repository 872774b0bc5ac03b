package doctor_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"shisa/hwcompat"
	"shisa/hwcompat/doctor"
	"shisa/hwcompat/host"
	"shisa/hwcompat/kofind"
	"shisa/hwcompat/nextboot"
)

const rel = "6.1.0-50-amd64"

func matrix(t *testing.T) *hwcompat.Matrix {
	t.Helper()
	m, err := hwcompat.Load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// healthy is a server on which doctor has nothing to say, whatever is wanted.
func healthy(t *testing.T) doctor.Input {
	return doctor.Input{
		Matrix: matrix(t),
		Facts: host.Facts{
			Root:   true,
			Kernel: host.Kernel{Release: rel, Arch: "x86_64", BTF: true, Lockdown: "none", PanicSecs: 10, Pstore: "efi_pstore", RTRuntime: 950000},
			OS:     host.OS{ID: "debian", VersionID: "12"},
			Modules: host.Modules{Release: rel, Tree: "lib/modules/" + rel, States: map[string]host.ModuleState{
				"clpka": host.Loaded, "softdog": host.Loadable, "iTCO_wdt": host.Loaded,
			}},
			BMC:       host.BMC{Devices: []string{"/dev/ipmi0"}, Firmware: true, Vendor: "NEC", Product: "Express5800/120Rg-1"},
			Watchdogs: []host.Watchdog{{Name: "watchdog0", Identity: "iTCO_wdt", Driver: "iTCO_wdt", Holders: []host.Process{{PID: 9, Comm: "shisa-keeper"}}}},
			Systemd:   host.Systemd{Running: true},
			Services:  host.Services{"ssh": true},
			Network:   host.Network{HostName: "a", HostKnown: true, Interfaces: []string{"eth0"}, RangeLow: 32768, RangeHigh: 60999},
			Firewall:  host.Firewall{Name: "firewalld", Zone: "public", Spans: []host.OpenSpan{{PortSpan: host.PortSpan{Low: 29003, High: 29003}, Proto: "tcp"}}},
			Mounts:    []host.Mount{{Point: "/", Source: "/dev/sda1", Type: "ext4", Journal: host.Kept}},
			Clock:     host.Clock{Source: "tsc", Daemon: "chronyd"},
			SNMP:      host.SNMP{Installed: true, AgentX: true, Views: []host.View{{Name: "all", OID: "1", Included: true}}},
			Programs:  map[string]string{"ipmitool": "/usr/bin/ipmitool", "nsupdate": "/usr/bin/nsupdate"},
			Libraries: map[string]string{"libdb2.so.1": "/opt/libdb2.so.1"},
		},
		Needs: doctor.Needs{
			Protect: true, Witnesses: true, Panic: true, SNMPAgent: true,
			Ports:     []doctor.Port{{Proto: "tcp", Number: 29003, Purpose: "the web manager", Outside: true}},
			Programs:  []doctor.Program{{Name: "nsupdate", For: "monitor dns1", Package: "dnsutils"}},
			Libraries: []doctor.Program{{Name: "libdb2.so.1", For: "monitor db1"}},
		},
		Next: &doctor.Next{
			Kernel:  nextboot.Kernel{Release: rel, Loader: "grub", Entry: "Debian"},
			Modules: host.Modules{States: map[string]host.ModuleState{"clpka": host.Loadable}},
		},
	}
}

// next makes a kernel that starts next, with these loadable modules.
func next(release string, tree string, loadable ...string) *doctor.Next {
	n := &doctor.Next{Kernel: nextboot.Kernel{Release: release, Loader: "grub", Entry: "Debian"}}
	n.Modules = host.Modules{Release: release, Tree: tree, States: map[string]host.ModuleState{}}
	for _, m := range loadable {
		n.Modules.States[m] = host.Loadable
	}
	n.Found.Mend = "dkms install clpka/0.1.0 -k " + release
	return n
}

func process(comm, exe string) func(*doctor.Input) {
	return func(in *doctor.Input) {
		in.Facts.Processes = append(in.Facts.Processes, host.Process{PID: 77, Comm: comm, Exe: exe})
	}
}

type diagnosis struct {
	name     string
	spoil    func(*doctor.Input)
	id       string
	severity doctor.Severity
	reason   string // part of it
	mend     string // part of it
}

func TestHealthyMachineHasNoFindings(t *testing.T) {
	for _, f := range doctor.Diagnose(healthy(t)) {
		t.Errorf("%+v", f)
	}
}

// TestFindings spoils the healthy machine in one place and wants exactly one
// finding, with the right reason and the right command.
func TestFindings(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range slices.Concat(placeCases, kernelCases, countdownCases, bmcCases, networkCases, nextCases) {
		seen[tt.id] = true
		t.Run(tt.id+"/"+tt.name, func(t *testing.T) {
			in := healthy(t)
			tt.spoil(&in)
			all := doctor.Diagnose(in)
			if len(all) != 1 {
				t.Fatalf("%d findings, want one: %+v", len(all), all)
			}
			f := all[0]
			if f.ID != tt.id || f.Severity != tt.severity {
				t.Errorf("%s %s, want %s %s", f.Severity, f.ID, tt.severity, tt.id)
			}
			if !strings.Contains(f.Reason, tt.reason) {
				t.Errorf("reason %q, want %q", f.Reason, tt.reason)
			}
			if !strings.Contains(f.Mend, tt.mend) || f.Mend == "" {
				t.Errorf("mend %q, want %q", f.Mend, tt.mend)
			}
			if want := in.Matrix.RestrictionsOf(f.ID); !slices.Equal(f.Restrictions, want) {
				t.Errorf("restrictions %v, want %v", f.Restrictions, want)
			}
		})
	}
	for _, id := range doctor.IDs() {
		if !seen[id] {
			t.Errorf("finding %s has no case", id)
		}
	}
}

// TestEveryRestrictionHasAMeaning holds the table of meanings complete: each
// restriction of the guide is a finding that exists, hence has a case above, or
// has a reason why it means nothing any more.
func TestEveryRestrictionHasAMeaning(t *testing.T) {
	for _, mistake := range hwcompat.Lint(matrix(t), os.DirFS("../.."), doctor.IDs()) {
		t.Error(mistake)
	}
}

func TestWorstFirst(t *testing.T) {
	in := healthy(t)
	in.Facts.Kernel.Pstore = ""                                    // info
	in.Facts.Clock.Daemon = ""                                     // warning
	in.Needs.Programs = []doctor.Program{{Name: "x", For: "test"}} // error
	var got []doctor.Severity
	for _, f := range doctor.Diagnose(in) {
		got = append(got, f.Severity)
	}
	if want := []doctor.Severity{doctor.Error, doctor.Warning, doctor.Info}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A guess at the kernel that starts next is no reason for an error.
func TestGuessIsNoError(t *testing.T) {
	in := healthy(t)
	in.Next = next("6.1.0-51-amd64", "")
	in.Next.Kernel.Loader = "guess"
	var got []string
	for _, f := range doctor.Diagnose(in) {
		got = append(got, string(f.Severity)+" "+f.ID)
	}
	if want := []string{"warning next-boot-unprotected", "info next-boot-unknown"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNothingWantedFindsLess(t *testing.T) {
	in := healthy(t)
	in.Needs = doctor.Needs{}
	in.Next = nil
	in.Facts.Watchdogs, in.Facts.BMC = nil, host.BMC{}
	in.Facts.SNMP, in.Facts.Firewall = host.SNMP{}, host.Firewall{Name: "ufw"}
	in.Facts.Kernel.BTF, in.Facts.Kernel.PanicSecs, in.Facts.Kernel.Pstore = false, 0, ""
	for _, f := range doctor.Diagnose(in) {
		t.Errorf("%+v", f)
	}
}

var placeCases = []diagnosis{
	{"plain user", func(in *doctor.Input) {
		in.Facts.Root = false
		in.Facts.Unread = []host.Unread{{Path: "/proc/*/fd", Reason: "permission denied"}}
	}, "not-root", doctor.Warning, "stays unknown", "sudo shisa doctor"},
	{"as root", func(in *doctor.Input) {
		in.Facts.Unread = []host.Unread{{Path: "/sys/kernel/security/lockdown", Reason: "permission denied"}}
	}, "unread", doctor.Info, "/sys/kernel/security/lockdown: permission denied", "sudo shisa doctor"},
	{"docker", func(in *doctor.Input) { in.Facts.Virtual.Container = "docker" }, "container", doctor.Warning, "running in docker", "on the host"},
	{"switched on", func(in *doctor.Input) {
		in.Facts.Services = host.Services{"clusterpro": true, "clusterpro_evt": true, "clusterpro_webmgr": false}
	}, "original-installed", doctor.Error, "clusterpro, clusterpro_evt", "for s in clusterpro clusterpro_evt; do chkconfig --del $s"},
	{"switched off", func(in *doctor.Input) {
		in.Facts.Services = host.Services{"clusterpro": false}
	}, "original-installed", doctor.Info, "switched off", "rpm -e clusterprosss"},
	{"enforcing", func(in *doctor.Input) { in.Facts.Security.SELinux = "enforcing" }, "selinux-policy", doctor.Warning, "is not loaded", "semodule -i"},
	{"ext2", func(in *doctor.Input) {
		in.Facts.Mounts = []host.Mount{{Point: "/", Source: "/dev/sda1", Type: "ext2", Journal: host.Missing}, {Point: "/var", Type: "xfs", Journal: host.Kept}}
	}, "root-no-journal", doctor.Warning, "/ is ext2 without a journal", "tune2fs -j /dev/sda1"},
	{"vfat", func(in *doctor.Input) {
		in.Facts.Mounts = append(in.Facts.Mounts, host.Mount{Point: "/var/lib", Type: "vfat", Journal: host.Missing})
	}, "state-no-journal", doctor.Warning, "/var/lib/shisa lies on /var/lib (vfat)", "move it to ext4 or xfs"},
	{"in memory", func(in *doctor.Input) {
		in.Needs.StateDir = "/run/shisa"
		in.Facts.Mounts = append(in.Facts.Mounts, host.Mount{Point: "/run", Type: "tmpfs", Journal: host.Volatile})
	}, "state-no-journal", doctor.Warning, "lost at every start", "mount a local disk at /run/shisa"},
	{"NFS", func(in *doctor.Input) {
		in.Facts.Mounts = append(in.Facts.Mounts, host.Mount{Point: "/var", Type: "nfs4", Journal: host.Remote})
	}, "state-no-journal", doctor.Warning, "must not wait for a network", "mount a local disk"},
	{"no daemon", func(in *doctor.Input) { in.Facts.Clock.Daemon = "" }, "time-unsynced", doctor.Warning, "no time daemon", "systemctl enable --now chronyd"},
	{"jiffies", func(in *doctor.Input) {
		in.Facts.Clock.Source, in.Facts.Clock.Available = "jiffies", []string{"jiffies", "hpet"}
	}, "clock-source", doctor.Warning, "jiffies", "echo hpet >"},
	{"nsupdate", func(in *doctor.Input) { delete(in.Facts.Programs, "nsupdate") }, "program-missing", doctor.Error, "monitor dns1 needs it", "dnsutils"},
	{"library", func(in *doctor.Input) { in.Facts.Libraries = nil }, "library-missing", doctor.Error, "monitor db1 needs it", "install libdb2.so.1"},
	{"WebOTX V9.2", func(in *doctor.Input) {
		in.Needs.Applications = []doctor.Application{{Monitor: "jraw", Product: "webotx", Version: "V9.2"}, {Monitor: "jraw", Product: "WebLogic Server"}}
	}, "app-condition", doctor.Info, "WebOTX V9.2: WebOTX update required", "vendor of WebOTX"},
	{"load balancer", func(in *doctor.Input) { in.Needs.LoadBalancer = "InterSecVM/LB V1.0" }, "app-condition", doctor.Info, "only when Rel1.0", "vendor of InterSecVM"},
}

var kernelCases = []diagnosis{
	{"RHEL 6", func(in *doctor.Input) {
		in.Facts.Kernel.Release = "2.6.32-358.2.1.el6.x86_64"
		in.Next = nil
	}, "kernel-below-floor", doctor.Error, "older than 3.2", "Linux 3.2 or later"},
	{"unknown distribution", func(in *doctor.Input) { in.Facts.OS.ID = "gentoo" }, "kernel-untried", doctor.Info, "in no row of the matrix", "kill -STOP"},
	{"other architecture", func(in *doctor.Input) {
		in.Facts.Kernel.Release, in.Facts.Kernel.Arch = "6.1.0-50-arm64", "aarch64"
		in.Next = nil
	}, "kernel-untried", doctor.Info, "only for another architecture than aarch64", "kill -STOP"},
	{"own build", func(in *doctor.Input) {
		in.Facts.Kernel.Release = "6.1.99-mine"
		in.Next = nil
	}, "kernel-untried", doctor.Info, "another build of the same series is", "kill -STOP"},
	{"RHEL 7 with witnesses", func(in *doctor.Input) {
		in.Facts.Kernel.Release, in.Facts.OS = "3.10.0-1160.el7.x86_64", host.OS{ID: "rhel", VersionID: "7.9"}
		in.Next = nil
	}, "kernel-unsupported", doctor.Warning, "ebpf/exit, ebpf/stall, ebpf/block, ebpf/shutdown: no bpf(2)", "newer kernel"},
	{"none", func(in *doctor.Input) {
		delete(in.Facts.Modules.States, "clpka")
		in.Found = kofind.Result{Rejected: []kofind.Rejected{{Path: "/lib/modules/x/clpka.ko", Why: "built for x"}}, Mend: "dkms install clpka/0.1.0 -k " + rel}
	}, "module-missing", doctor.Warning, "not taken were /lib/modules/x/clpka.ko (built for x)", "dkms install"},
	{"Secure Boot", func(in *doctor.Input) {
		in.Facts.Modules.States["clpka"] = host.Loadable
		in.Facts.Kernel.Lockdown, in.Facts.Kernel.SecureBoot = "integrity", "on"
		in.Found.Candidates = []kofind.Candidate{{Path: "/lib/modules/clpka.ko", Signature: kofind.Unsigned}}
	}, "module-refused", doctor.Warning, "lockdown integrity (Secure Boot)", "mokutil --import"},
	{"sig_enforce", func(in *doctor.Input) {
		in.Facts.Modules.States["clpka"] = host.Loadable
		in.Facts.Kernel.SigEnforce = true
		in.Found.Candidates = []kofind.Candidate{{Path: "/lib/modules/clpka.ko", Signature: kofind.Unsigned}}
	}, "module-refused", doctor.Warning, "module.sig_enforce", "mokutil --import"},
	{"sysctl", func(in *doctor.Input) {
		in.Facts.Modules.States["clpka"] = host.Loadable
		in.Facts.Kernel.NoModules = true
	}, "modules-disabled", doctor.Warning, "modules_disabled", "/etc/modules-load.d"},
	{"no BTF", func(in *doctor.Input) { in.Facts.Kernel.BTF = false }, "btf-missing", doctor.Warning, "/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"},
	{"confidentiality", func(in *doctor.Input) { in.Facts.Kernel.Lockdown = "confidentiality" }, "lockdown-bpf", doctor.Warning, "fall back to /proc", "lockdown=integrity"},
	{"kernel.panic 0", func(in *doctor.Input) { in.Facts.Kernel.PanicSecs = 0 }, "panic-hangs", doctor.Warning, "kernel.panic is 0", "kernel.panic=10"},
	{"no back end", func(in *doctor.Input) { in.Facts.Kernel.Pstore = "" }, "pstore-none", doctor.Info, "no back end", "modprobe"},
	{"version 1 groups", func(in *doctor.Input) { in.Facts.Kernel.RTBudget = true }, "rt-budget", doctor.Warning, "SCHED_FIFO", "unified_cgroup_hierarchy"},
}

func holder(pid int, comm string) func(*doctor.Input) {
	return func(in *doctor.Input) {
		in.Facts.Watchdogs[0].Holders = []host.Process{{PID: pid, Comm: comm}}
	}
}

var countdownCases = []diagnosis{
	{"systemd", holder(1, "systemd"), "watchdog-held", doctor.Warning, "/dev/watchdog0 (iTCO_wdt) is open in systemd, pid 1", "RuntimeWatchdogSec=0"},
	{"known daemon", holder(5, "sbd"), "watchdog-held", doctor.Warning, "sbd, pid 5", "systemctl disable --now sbd.service"},
	{"unknown program", holder(5, "mydog"), "watchdog-held", doctor.Warning, "mydog, pid 5", "stop mydog (pid 5)"},
	{"configured", func(in *doctor.Input) {
		in.Facts.Systemd.RuntimeWatchdog, in.Facts.Systemd.From = "30s", "/etc/systemd/system.conf"
	}, "systemd-watchdog", doctor.Warning, "RuntimeWatchdogSec=30s in /etc/systemd/system.conf", "daemon-reexec"},
	{"watchdog", process("watchdog", "/usr/sbin/watchdog"), "watchdog-daemon", doctor.Warning, "is running", "disable --now watchdog.service"},
	{"enabled", func(in *doctor.Input) { in.Facts.Services["heartbeat"] = true }, "heartbeat-package", doctor.Warning, "starts at boot", "disable --now heartbeat"},
	{"installed", func(in *doctor.Input) { in.Facts.Services["heartbeat"] = false }, "heartbeat-package", doctor.Info, "switched off", "disable --now heartbeat"},
	{"running", process("heartbeat", "/usr/lib/heartbeat/heartbeat"), "heartbeat-package", doctor.Warning, "is running", "disable --now heartbeat"},
	{"real time", func(in *doctor.Input) {
		in.Facts.Kernel.RealTime = true
		in.Needs.Engines = []string{"softdog", "wdt"}
	}, "softdog-starved", doctor.Warning, "keeps it from ever firing", "install the clpka module"},
	{"static", func(in *doctor.Input) { in.Facts.Modules.States["softdog"] = host.Static }, "softdog-builtin", doctor.Info, "kernel command line", "softdog.soft_panic=1"},
	{"no module at all", func(in *doctor.Input) {
		in.Facts.Modules.States = nil
		in.Needs.Engines = []string{"softdog", "wdt"}
	}, "softdog-missing", doctor.Warning, "neither clpka nor softdog", "kernel-modules-extra"},
	{"blocked", func(in *doctor.Input) {
		in.Facts.Modules.Blocked = map[string]string{"softdog": "/etc/modprobe.d/no.conf"}
	}, "softdog-missing", doctor.Warning, "/etc/modprobe.d/no.conf keeps softdog", "remove the line"},
	{"i8xx_tco", func(in *doctor.Input) {
		in.Facts.Watchdogs = append(in.Facts.Watchdogs, host.Watchdog{Name: "watchdog", Driver: "i8xx_tco", Legacy: true})
	}, "tco-driver", doctor.Warning, "belongs to driver i8xx_tco", "modprobe -r i8xx_tco"},
	{"physical", func(in *doctor.Input) {
		in.Facts.BMC = host.BMC{}
		in.Facts.Watchdogs = []host.Watchdog{{Name: "watchdog0", Identity: "Software Watchdog"}}
	}, "backstop-missing", doctor.Warning, "nothing acts", "modprobe iTCO_wdt"},
	{"guest", func(in *doctor.Input) {
		in.Facts.BMC, in.Facts.Watchdogs = host.BMC{}, nil
		in.Facts.Virtual.VM = "vmware"
	}, "backstop-missing", doctor.Warning, "nothing acts", "i6300esb"},
	{"set", func(in *doctor.Input) { in.Facts.Watchdogs[0].NoWayOut = true }, "nowayout", doctor.Info, "to stop shisa is to restart", "nowayout=0"},
	{"kvm", func(in *doctor.Input) { in.Facts.Virtual.VM = "kvm" }, "pvpanic-missing", doctor.Info, "no pvpanic driver", "modprobe pvpanic"},
}

var bmcCases = []diagnosis{
	{"module not loaded", func(in *doctor.Input) { in.Facts.BMC.Devices = nil }, "bmc-no-driver", doctor.Warning, "no /dev/ipmi0", "modprobe -a ipmi_si ipmi_devintf"},
	{"no driver for what stands behind", func(in *doctor.Input) {
		in.Facts.BMC.Devices, in.Needs.Engines, in.Needs.AnyBackstop = nil, []string{"clpka"}, true
	}, "bmc-no-driver", doctor.Warning, "no /dev/ipmi0", "modprobe -a ipmi_si ipmi_devintf"},
	{"server in no list", func(in *doctor.Input) { in.Facts.BMC.Product = "R650" }, "bmc-untried", doctor.Info, "NEC R650", "maintenance window"},
	{"vendor agent, BMC not wanted by name", process("ESMntserver", "/opt/nec/esmpro_sa/bin/ESMntserver"), "bmc-shared", doctor.Warning, "ESMPRO", "ESMagntconf"},
	{"vendor agent known by its folder", process("other", "/opt/nec/esmpro_sa/bin/other"), "bmc-shared", doctor.Warning, "ESMPRO", "ESMagntconf"},
	{"vendor agent, BMC wanted", func(in *doctor.Input) {
		in.Needs.Engines = []string{"clpka", "ipmi"}
		process("dsm_sa_datamgrd", "")(in)
	}, "bmc-shared", doctor.Error, "two owners", "omconfig"},
	{"reader of the event log", process("ipmievd", "/usr/sbin/ipmievd"), "bmc-shared", doctor.Info, "left alone", "ipmievd.service"},
	{"no program", func(in *doctor.Input) {
		in.Needs.Engines = []string{"ipmiutil"}
		delete(in.Facts.Programs, "ipmitool")
	}, "ipmi-program", doctor.Error, "neither ipmiutil nor ipmitool", "engine ipmi"},
}

var networkCases = []diagnosis{
	{"not in hosts", func(in *doctor.Input) { in.Facts.Network.HostKnown = false }, "host-name", doctor.Warning, "a is in no line", "/etc/hosts"},
	{"all down", func(in *doctor.Input) { in.Facts.Network.Interfaces = nil }, "no-network", doctor.Warning, "no interface but lo", "ip link"},
	{"known owner", func(in *doctor.Input) {
		in.Facts.Network.Listeners = []host.Listener{{Proto: "udp", Port: 29003}, {Proto: "tcp", Port: 29003, Owner: host.Process{PID: 3, Comm: "nginx"}}}
	}, "port-taken", doctor.Error, "nginx (pid 3) listens on 29003/tcp", "another port"},
	{"unknown owner", func(in *doctor.Input) {
		in.Facts.Network.Listeners = []host.Listener{{Proto: "tcp", Port: 29003}}
	}, "port-taken", doctor.Error, "an unknown program", "another port"},
	{"range of the guide", func(in *doctor.Input) {
		in.Facts.Network.RangeLow, in.Facts.Network.RangeHigh = 1024, 65000
		in.Facts.Network.Reserved = []host.PortSpan{{Low: 8080, High: 8080}, {Low: 9000, High: 9100}}
	}, "port-range", doctor.Warning, "29003 lie in net.ipv4.ip_local_port_range (1024 to 65000)", "ip_local_reserved_ports=8080,9000-9100,29003 >"},
	{"firewalld", func(in *doctor.Input) { in.Facts.Firewall.Spans = nil }, "firewall-closed", doctor.Warning, "29003/tcp (the web manager)", "firewall-cmd --permanent --zone=public --add-port=29003/tcp"},
	{"ufw", func(in *doctor.Input) { in.Facts.Firewall = host.Firewall{Name: "ufw"} }, "firewall-closed", doctor.Warning, "ufw does not let in", "ufw allow 29003/tcp"},
	{"no master", func(in *doctor.Input) { in.Facts.SNMP.AgentX = false }, "snmp-agentx", doctor.Warning, "master agentx", "systemctl restart snmpd"},
	{"narrow view", func(in *doctor.Input) {
		in.Facts.SNMP.Views = []host.View{{Name: "systemview", OID: "1.3.6.1.2.1.1", Included: true}, {Name: "x", OID: "1", Included: false}}
	}, "snmp-view", doctor.Warning, "1.3.6.1.4.1.119.2.3.207", "view systemview included .1.3.6.1.4.1.119.2.3.207"},
	{"library gone", func(in *doctor.Input) {
		in.Facts.SNMP.Dlmods = []host.Dlmod{{Name: "clusterManagementMIB", Path: "/opt/nec/clusterpro/lib/libclpmgmtmib.so"}, {Name: "other", Path: "/x", Exists: true}}
	}, "snmp-dlmod-left", doctor.Warning, "libclpmgmtmib.so, which is gone", "sed -i '/^dlmod clusterManagementMIB /d'"},
}

var nextCases = []diagnosis{
	{"softdog stands in", func(in *doctor.Input) { in.Next = next("6.1.0-51-amd64", "lib/modules/x", "softdog", "iTCO_wdt") }, "next-boot-unprotected", doctor.Warning, "softdog would stand in", "dkms install clpka/0.1.0 -k 6.1.0-51-amd64"},
	{"nothing stands in", func(in *doctor.Input) { in.Next = next("6.1.0-51-amd64", "lib/modules/x", "iTCO_wdt") }, "next-boot-unprotected", doctor.Error, "no softdog either", "dkms install"},
	{"no modules installed", func(in *doctor.Input) { in.Next = next("6.1.0-51-amd64", "") }, "next-boot-unprotected", doctor.Error, "none of its modules", "dkms install"},
	{"the chip loses its driver", func(in *doctor.Input) { in.Next = next("6.1.0-51-amd64", "lib/modules/x", "clpka") }, "next-boot-unprotected", doctor.Warning, "6.1.0-51-amd64 starts next (grub: Debian) and has no iTCO_wdt for the engine wdt", "all modules of 6.1.0-51-amd64"},
	{"one that only stands behind loses its driver", func(in *doctor.Input) {
		in.Next, in.Needs.Engines, in.Needs.AnyBackstop = next("6.1.0-51-amd64", "lib/modules/x", "clpka"), []string{"clpka"}, true
	}, "next-boot-unprotected", doctor.Warning, "has no iTCO_wdt for the engine wdt", "all modules of"},
	{"the only engine goes", func(in *doctor.Input) {
		in.Next, in.Needs.Engines = next("6.1.0-51-amd64", "lib/modules/x", "clpka"), []string{"softdog"}
	}, "next-boot-unprotected", doctor.Error, "has no softdog for the engine softdog", "all modules of"},
	{"one of two goes", func(in *doctor.Input) {
		in.Facts.Modules.States["ipmi_si"], in.Facts.Modules.States["ipmi_devintf"] = host.Loaded, host.Loaded
		in.Next, in.Needs.Engines = next("6.1.0-51-amd64", "lib/modules/x", "clpka", "ipmi_si"), []string{"clpka", "ipmi"}
	}, "next-boot-unprotected", doctor.Warning, "has no ipmi_devintf for the engine ipmi", "all modules of"},
	{"an old kernel", func(in *doctor.Input) { in.Next = next("2.6.32-358.el6", "lib/modules/x", "clpka", "iTCO_wdt") }, "next-boot-below-floor", doctor.Error, "starts next", "boot loader"},
	{"no loader", func(in *doctor.Input) { in.Next = &doctor.Next{Err: errors.New("no boot loader")} }, "next-boot-unknown", doctor.Info, "no boot loader", "--kernel RELEASE"},
	{"another system", func(in *doctor.Input) {
		in.Next = &doctor.Next{Kernel: nextboot.Kernel{Loader: "grub", Entry: "Windows"}}
	}, "next-boot-unknown", doctor.Info, "\"Windows\" of grub", "--kernel RELEASE"},
	{"a guess", func(in *doctor.Input) {
		in.Next.Kernel.Loader, in.Next.Kernel.Entry = "guess", "newest of /lib/modules"
	}, "next-boot-unknown", doctor.Info, "is a guess", "--kernel RELEASE"},
}
