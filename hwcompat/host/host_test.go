package host_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"shisa/hwcompat/host"
)

// tree reads an archive of files; "-> target" as the only line makes a link.
func tree(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	a, err := txtar.ParseFile("testdata/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	m := fstest.MapFS{}
	for _, f := range a.Files {
		if to, ok := strings.CutPrefix(string(f.Data), "-> "); ok {
			m[f.Name] = &fstest.MapFile{Data: []byte(strings.TrimSpace(to)), Mode: fs.ModeSymlink | 0o777}
		} else {
			m[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return m
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestServer(t *testing.T) {
	fsys := tree(t, "server")
	// One byte beyond the attributes says that Secure Boot is on.
	fsys["sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"] = &fstest.MapFile{Data: []byte{6, 0, 0, 0, 1}}
	f := host.Inspect(fsys)

	equal(t, "root", f.Root, true)
	equal(t, "kernel", f.Kernel, host.Kernel{
		Release: "5.14.0-427.el9.x86_64", Version: "#1 SMP PREEMPT_DYNAMIC Fri Feb 23 01:51:18 EST 2024", Arch: "x86_64",
		CommandLine: "BOOT_IMAGE=(hd0,gpt2)/vmlinuz-5.14.0-427.el9.x86_64 root=/dev/mapper/rhel-root ro crashkernel=1G",
		BTF:         true, ModuleBTF: true, Lockdown: "integrity", EFI: true, SecureBoot: "on", SigEnforce: true,
		Kdump: true, Pstore: "efi_pstore", RTRuntime: 950000,
	})
	equal(t, "os", f.OS, host.OS{ID: "rhel", VersionID: "9.4", PrettyName: "Red Hat Enterprise Linux 9.4 (Plow)", Like: []string{"fedora"}})
	equal(t, "security", f.Security, host.Security{
		Modules: []string{"lockdown", "capability", "yama", "selinux", "bpf"}, SELinux: "enforcing", SELinuxType: "targeted", SELinuxPolicy: true,
	})
	equal(t, "virtual", f.Virtual, host.Virtual{})
	equal(t, "bmc", f.BMC, host.BMC{Devices: []string{"/dev/ipmi0"}, Firmware: true, Vendor: "NEC", Product: "Express5800/120Rg-1"})
	equal(t, "systemd", f.Systemd, host.Systemd{
		Running: true, RuntimeWatchdog: "30s", RebootWatchdog: "10min", WatchdogDevice: "/dev/watchdog0",
		From: "/usr/lib/systemd/system.conf.d/10-vendor.conf",
	})
	equal(t, "clock", f.Clock, host.Clock{Source: "tsc", Available: []string{"tsc", "hpet", "acpi_pm"}, Daemon: "chronyd"})
	equal(t, "snmp", f.SNMP, host.SNMP{
		Installed: true, AgentX: true,
		Views:  []host.View{{Name: "systemview", OID: "1.3.6.1.2.1", Included: true}},
		Dlmods: []host.Dlmod{{Name: "clusterManagementMIB", Path: "/opt/nec/clusterpro/lib/libclpmgmtmib.so"}},
	})
	equal(t, "services", f.Services, host.Services{"clusterpro": true, "chronyd": true, "heartbeat": false})
	equal(t, "unread", f.Unread, nil)
	if f.Programs["ipmitool"] != "/usr/bin/ipmitool" || f.Libraries["libclntsh.so.19.1"] != "/opt/oracle/lib/libclntsh.so.19.1" || f.Libraries["libxml2.so.2"] == "" {
		t.Errorf("programs %v, libraries %v", f.Programs, f.Libraries)
	}
}

func TestServerProcessesAndWatchdogs(t *testing.T) {
	f := host.Inspect(tree(t, "server"))
	var names []string
	for _, p := range f.Processes {
		names = append(names, p.Comm+" "+p.Exe)
	}
	// The kernel's own thread watchdogd (33) is no daemon.
	equal(t, "processes", names, []string{"systemd /usr/lib/systemd/systemd", "firewalld /usr/bin/python3.9", "chronyd "})

	if len(f.Watchdogs) != 1 {
		t.Fatalf("watchdogs: %+v", f.Watchdogs)
	}
	w := f.Watchdogs[0]
	if len(w.Holders) != 1 || w.Holders[0].PID != 1 {
		t.Errorf("holders: %+v", w.Holders)
	}
	w.Holders = nil
	equal(t, "watchdog", w, host.Watchdog{Name: "watchdog0", Identity: "iTCO_wdt", Driver: "iTCO_wdt", State: "active", Timeout: 30, NoWayOut: true, BootStatus: 32})
	equal(t, "software", w.Software(), false)
	equal(t, "drives a watchdog", f.Systemd.HoldsWatchdog(), true)
}

func TestServerModules(t *testing.T) {
	m := host.Inspect(tree(t, "server")).Modules
	for name, want := range map[string]host.ModuleState{
		"softdog": host.Loadable, "clpka": host.Loadable, "ipmi-si": host.Loaded, "iTCO_wdt": host.Loaded, "watchdog": host.Static, "wdat_wdt": host.Absent,
	} {
		if got := m.State(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	equal(t, "blocked", m.Blocked, map[string]string{"i6300esb": "/etc/modprobe.d/no.conf"})
	equal(t, "autoload", m.Autoload, map[string]string{"ipmi_devintf": "/etc/modules-load.d/ipmi.conf"})
	other := host.ModulesOf(tree(t, "server"), "5.14.0-427.el9.x86_64")
	equal(t, "of a kernel that does not run", other.State("ipmi_si"), host.Loadable)
	equal(t, "of a kernel that is not there", host.ModulesOf(tree(t, "server"), "6.1").Tree, "")
}

func TestServerNetwork(t *testing.T) {
	f := host.Inspect(tree(t, "server"))
	n := f.Network
	equal(t, "host name", n.HostName, "db1")
	equal(t, "known", n.HostKnown, true)
	equal(t, "interfaces", n.Interfaces, []string{"eno1"})
	equal(t, "range", [2]int{n.RangeLow, n.RangeHigh}, [2]int{32768, 60999})
	equal(t, "reserved", n.Reserved, []host.PortSpan{{Low: 8080, High: 8080}, {Low: 9000, High: 9100}})
	var listeners []string
	for _, l := range n.Listeners {
		listeners = append(listeners, strings.TrimSpace(l.Proto+" "+string(rune('0'+l.Port%10))+" "+l.Owner.Comm))
	}
	equal(t, "listeners, last digit of the port", listeners, []string{"tcp 3 systemd", "udp 3"})

	for _, p := range []struct {
		proto string
		port  int
		want  bool
	}{{"tcp", 29003, true}, {"tcp", 22, true}, {"tcp", 80, false}, {"udp", 29003, false}} {
		if got := f.Firewall.Lets(p.proto, p.port); got != p.want {
			t.Errorf("firewall lets %d/%s in: %v", p.port, p.proto, got)
		}
	}
}

func TestServerMounts(t *testing.T) {
	f := host.Inspect(tree(t, "server"))
	for path, want := range map[string]host.Mount{
		"/var/lib/shisa":   {Point: "/", Source: "/dev/mapper/rhel-root", Type: "xfs", Journal: host.Kept},
		"/boot":            {Point: "/boot", Source: "/dev/sda2", Type: "ext4", Journal: host.Kept},
		"/boot/efi/EFI":    {Point: "/boot/efi", Source: "/dev/sda1", Type: "vfat", Journal: host.Missing},
		"/mnt/my disk/x":   {Point: "/mnt/my disk", Source: "/dev/sda3", Type: "ext2", ReadOnly: true, Journal: host.Missing},
		"/var/lib/nfs":     {Point: "/var/lib/nfs", Source: "filer:/x", Type: "nfs4", Journal: host.Remote},
		"/var/lib/nfsdata": {Point: "/", Source: "/dev/mapper/rhel-root", Type: "xfs", Journal: host.Kept},
	} {
		got, ok := f.MountOf(path)
		if !ok || got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

func TestGuest(t *testing.T) {
	f := host.Inspect(tree(t, "guest"))
	equal(t, "root", f.Root, false)
	equal(t, "kernel", f.Kernel, host.Kernel{Release: "6.1.0-50-amd64", Version: "#1 SMP PREEMPT_RT Debian 6.1.170-1", Arch: "x86_64", RealTime: true, NoModules: true})
	equal(t, "os", f.OS, host.OS{ID: "debian", VersionID: "12"})
	equal(t, "virtual", f.Virtual, host.Virtual{VM: "kvm"}) // a left-over /.dockerenv is no container
	equal(t, "known host", f.Network.HostKnown, true)
	equal(t, "software", f.Watchdogs[0].Software(), true)
	equal(t, "holder by the old name", f.Watchdogs[0].Holders[0].Comm, "mydog")
	equal(t, "drives a watchdog", f.Systemd.HoldsWatchdog(), false)
	m, _ := f.MountOf("/")
	equal(t, "ext4 without a journal", m.Journal, host.Missing)
	for port, want := range map[int]bool{29003: true, 80: false, 1005: true} {
		equal(t, "ufw", f.Firewall.Lets("tcp", port), want)
	}
}

// TestPlaces tells containers and hypervisors apart.
func TestPlaces(t *testing.T) {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, tt := range map[string]struct {
		files fstest.MapFS
		want  host.Virtual
	}{
		"nothing":          {fstest.MapFS{}, host.Virtual{}},
		"docker":           {fstest.MapFS{".dockerenv": text("")}, host.Virtual{Container: "docker"}},
		"podman":           {fstest.MapFS{"run/.containerenv": text("")}, host.Virtual{Container: "podman"}},
		"nspawn":           {fstest.MapFS{"run/systemd/container": text("systemd-nspawn\n")}, host.Virtual{Container: "systemd-nspawn"}},
		"lxc":              {fstest.MapFS{"proc/1/environ": text("TERM=linux\x00container=lxc\x00")}, host.Virtual{Container: "lxc"}},
		"vmware":           {fstest.MapFS{"sys/class/dmi/id/sys_vendor": text("VMware, Inc.\n")}, host.Virtual{VM: "vmware"}},
		"hyperv":           {fstest.MapFS{"sys/class/dmi/id/sys_vendor": text("Microsoft Corporation\n"), "sys/class/dmi/id/product_name": text("Virtual Machine\n")}, host.Virtual{VM: "hyperv"}},
		"Microsoft laptop": {fstest.MapFS{"sys/class/dmi/id/sys_vendor": text("Microsoft Corporation\n"), "sys/class/dmi/id/product_name": text("Surface\n")}, host.Virtual{}},
		"EC2":              {fstest.MapFS{"sys/class/dmi/id/sys_vendor": text("Amazon EC2\n"), "sys/class/dmi/id/product_name": text("m5.large\n")}, host.Virtual{VM: "amazon"}},
		"EC2 metal":        {fstest.MapFS{"sys/class/dmi/id/sys_vendor": text("Amazon EC2\n"), "sys/class/dmi/id/product_name": text("m5.metal\n")}, host.Virtual{}},
		"Xen without DMI":  {fstest.MapFS{"sys/hypervisor/type": text("xen\n")}, host.Virtual{VM: "xen"}},
		"unnamed":          {fstest.MapFS{"proc/cpuinfo": text("flags\t\t: fpu lm hypervisor\n")}, host.Virtual{VM: "unnamed hypervisor"}},
		"bare":             {fstest.MapFS{"proc/cpuinfo": text("flags\t\t: fpu lm\n")}, host.Virtual{}},
	} {
		t.Run(name, func(t *testing.T) { equal(t, "virtual", host.Inspect(tt.files).Virtual, tt.want) })
	}
}

// TestWatchdogModule: the driver of a chip and its module need not share a name, and a
// driver that is built in has none.
func TestWatchdogModule(t *testing.T) {
	root := t.TempDir()
	for name, driver := range map[string]string{"watchdog0": "i6300ESB timer", "watchdog1": "built in"} {
		for _, dir := range []string{"sys/class/watchdog/" + name + "/device", "sys/bus/pci/drivers/" + driver} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("../../../../bus/pci/drivers/"+driver, filepath.Join(root, "sys/class/watchdog", name, "device/driver")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../../../module/i6300esb", filepath.Join(root, "sys/bus/pci/drivers/i6300ESB timer/module")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range host.Inspect(os.DirFS(root)).Watchdogs {
		got = append(got, w.Driver+": "+w.Module)
	}
	if want := []string{"i6300ESB timer: i6300esb", "built in: "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLegacyWatchdog: drivers outside the watchdog core.
func TestLegacyWatchdog(t *testing.T) {
	file := &fstest.MapFile{}
	for name, tt := range map[string]struct {
		files fstest.MapFS
		want  []host.Watchdog
	}{
		"ipmi_watchdog": {fstest.MapFS{"proc/modules": {Data: []byte("ipmi_watchdog 1 0 - Live 0\n")}, "sys/class/misc/watchdog/dev": file}, []host.Watchdog{{Name: "watchdog", Driver: "ipmi_watchdog", Legacy: true}}},
		"i8xx_tco":      {fstest.MapFS{"proc/modules": {Data: []byte("i8xx_tco 1 0 - Live 0\n")}}, []host.Watchdog{{Name: "watchdog", Driver: "i8xx_tco", Legacy: true}}},
		"unknown":       {fstest.MapFS{"sys/class/misc/watchdog/dev": file}, []host.Watchdog{{Name: "watchdog", Driver: "unknown", Legacy: true}}},
		"none":          {fstest.MapFS{}, nil},
	} {
		t.Run(name, func(t *testing.T) { equal(t, "watchdogs", host.Inspect(tt.files).Watchdogs, tt.want) })
	}
}

// denied is a file system in which one path may not be read.
type denied struct {
	fstest.MapFS
	path string
}

func (d denied) Open(name string) (fs.File, error) {
	if name == d.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.MapFS.Open(name)
}

func TestUnreadIsNotAbsent(t *testing.T) {
	f := host.Inspect(denied{tree(t, "guest"), "sys/kernel/security/lockdown"})
	equal(t, "unread", f.Unread, []host.Unread{{Path: "/sys/kernel/security/lockdown", Reason: "permission denied"}})
}

func TestEmptyTree(t *testing.T) {
	f := host.Inspect(fstest.MapFS{})
	if f.Unread != nil || f.Watchdogs != nil || f.Kernel != (host.Kernel{}) {
		t.Errorf("%+v", f)
	}
}

// FuzzInspect puts the same bytes into every file that is parsed.
func FuzzInspect(f *testing.F) {
	names := []string{
		"proc/self/status", "proc/self/mountinfo", "proc/net/tcp", "proc/modules", "proc/cpuinfo", "etc/os-release", "etc/hosts", "etc/nsswitch.conf",
		"etc/systemd/system.conf", "etc/snmp/snmpd.conf", "etc/ufw/ufw.conf", "etc/ufw/user.rules", "etc/firewalld/firewalld.conf", "etc/firewalld/zones/public.xml",
		"proc/sys/net/ipv4/ip_local_port_range", "proc/sys/net/ipv4/ip_local_reserved_ports", "sys/kernel/security/lockdown", "etc/modprobe.d/a.conf", "etc/modules", "etc/ld.so.conf.d/a.conf",
	}
	f.Add([]byte("22 1 8:1 / / rw - ext4 /dev/sda1 rw"))
	f.Add([]byte("ENABLED=yes\n### tuple ### allow tcp 1:2"))
	f.Add([]byte("<zone><port port=\"1-2\"/></zone>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := fstest.MapFS{
			"proc/7/comm":    {Data: []byte("firewalld")},
			"proc/7/cmdline": {Data: []byte("x")},
		}
		for _, n := range names {
			fsys[n] = &fstest.MapFile{Data: b}
		}
		host.Inspect(fsys)
	})
}
