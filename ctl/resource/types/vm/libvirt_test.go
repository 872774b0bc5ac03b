package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/resource"
	"shisa/ctl/resource/resourcetest"
)

// startLibvirt starts the distribution's libvirt daemon in session mode, without
// rights and with everything that it keeps in a folder of its own, and returns
// its socket and the folder.
func startLibvirt(t *testing.T) (socket, dir string) {
	t.Helper()
	program, err := exec.LookPath("libvirtd")
	if err != nil {
		t.Skip("libvirtd is not installed: ci/deps does")
	}
	if dir, err = os.MkdirTemp("", "lv"); err != nil { // short: a socket's path has 108 bytes
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := exec.Command(program)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_CACHE_HOME=" + dir, "XDG_DATA_HOME=" + dir}
	c.Dir, c.Stdout, c.Stderr = dir, log, log
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Setpgid: true}
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = c.Wait()
	})
	socket = filepath.Join(dir, "libvirt", "libvirt-sock")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return socket, dir
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("libvirtd does not listen: %v\n%s", err, text)
		}
	}
}

// domain is a machine that finds nothing to boot from: it runs, and does not
// hear a request to shut down.
func domain(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".xml")
	text := fmt.Sprintf(`<domain type="qemu"><name>%s</name><memory unit="MiB">16</memory><vcpu>1</vcpu>
<os><type arch="x86_64" machine="pc">hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<memballoon model="none"/><controller type="usb" model="none"/></devices></domain>`, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLibvirt(t *testing.T) {
	socket, dir := startLibvirt(t)
	on := func(uri, vm string, pairs ...any) map[string]any {
		m := map[string]any{"address": socket, "libvirt_uri": uri, "vm": vm}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	const simulated = "test:///default" // libvirt's own simulation: a domain called test, which does what it is asked
	uuid := map[string]any{"address": socket, "libvirt_uri": simulated, "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f"}
	cases := []resourcetest.Case{
		{Name: "simulated", Params: on(simulated, "test")},
		{Name: "by uuid", Params: uuid},
		{Name: "unknown", Params: on(simulated, "nobody"), StartErr: "start nobody on kvm: the host knows no such virtual machine"},
		{Name: "unknown driver", Params: on("nonsense:///", "test"), StartErr: "open nonsense:///", StopErr: "open nonsense:///"},
		{Name: "no daemon", Params: on(simulated, "test", "address", filepath.Join(dir, "nothing")), StartErr: "is it installed and running?", StopErr: "reach the libvirt daemon"},
		{Name: "wrong definition", Params: on("qemu:///session", "absent", "definition", domain(t, dir, "present")), StartErr: `defines "present" with UUID "", not absent`},
		{Name: "no vm", Params: map[string]any{}, WantErr: "name the virtual machine"},
		{Name: "no uuid", Params: map[string]any{"uuid": "4711"}, WantErr: "no UUID"},
		{Name: "remote socket", Params: on(simulated, "test", "address", "otherhost"), WantErr: "only the local libvirt"},
	}
	if _, err := os.Stat("/usr/bin/qemu-system-x86_64"); err == nil {
		cases = append(cases, resourcetest.Case{Name: "a real one", Timeout: 2 * time.Minute,
			Params: on("qemu:///session", "tiny", "definition", domain(t, dir, "tiny"), "shutdown_wait", "1s")})
	}
	resourcetest.Run(t, Type, cases)
}

// A real guest that does not hear is left alone when that is wanted, goes on
// when it was paused, and is found running by a later daemon.
func TestLibvirtStates(t *testing.T) {
	if _, err := os.Stat("/usr/bin/qemu-system-x86_64"); err != nil {
		t.Skip("QEMU is not installed: ci/deps does")
	}
	socket, dir := startLibvirt(t)
	build := func(force bool) *machine {
		r, err := Type.New(map[string]any{"address": socket, "libvirt_uri": "qemu:///session", "vm": "tiny", "definition": domain(t, dir, "tiny"),
			"shutdown_wait": "1s", "force": force}, resource.Env{Name: "tiny"})
		if err != nil {
			t.Fatal(err)
		}
		return r.(*machine)
	}
	m := build(false)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(want state) {
		t.Helper()
		must(m.with(ctx, "look at", func(h host) error {
			if s, err := h.state(ctx); err != nil || s != want {
				t.Errorf("it is %s, %v; want %s", s, err, want)
			}
			return nil
		}))
	}
	must(m.Start(ctx, resource.Request{}))
	defer func() { must(build(true).Stop(ctx, resource.Request{})) }()
	must(build(false).Start(ctx, resource.Request{Event: resource.Recover})) // taken over
	if err := m.Stop(ctx, resource.Request{}); err == nil || !strings.Contains(err.Error(), "does not shut down") {
		t.Errorf("stopped: %v", err)
	}
	look(running)
	must(m.with(ctx, "pause", func(h host) error {
		d, err := h.(*libvirtHost).domain(ctx)
		if err != nil {
			return err
		}
		return h.(*libvirtHost).rpc.DomainSuspend(d)
	}))
	look(halted)
	must(m.Start(ctx, resource.Request{}))
	look(running)
}

// A daemon that does not answer costs the time of one request, and no more.
func TestLibvirtSilent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := Type.New(map[string]any{"address": socket, "vm": "guest", "request_timeout": "1s"}, resource.Env{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := r.Start(t.Context(), resource.Request{}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 1s") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took < time.Second || took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
