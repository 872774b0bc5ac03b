package vm

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"log"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"shisa/ctl/resource"
	"shisa/ctl/resource/resourcetest"
)

// startVCenter starts the simulated vCenter of govmomi with two virtual machines
// and returns how to reach it.
func startVCenter(t *testing.T) (address, caFile string) {
	t.Helper()
	log.SetOutput(t.Output())
	model := simulator.VPX()
	model.Host, model.Cluster, model.Machine = 1, 0, 2
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(model.Remove)
	model.Service.TLS = new(tls.Config)
	server := model.Service.NewServer()
	t.Cleanup(server.Close)
	server.URL.User = url.UserPassword("operator", "secret <&> word")
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL.Host, caFile
}

// simulated returns the two virtual machines.
func simulated(t *testing.T) (one, other *simulator.VirtualMachine) {
	t.Helper()
	names := []string{"/DC0/vm/DC0_H0_VM0", "/DC0/vm/DC0_H0_VM1"}
	var found [2]*simulator.VirtualMachine
	for i, name := range names {
		index := simulator.Map.SearchIndex()
		body := index.FindByInventoryPath(&types.FindByInventoryPath{InventoryPath: name}).(*methods.FindByInventoryPathBody)
		if body.Res == nil || body.Res.Returnval == nil {
			t.Fatalf("the simulator has no %s", name)
		}
		found[i] = simulator.Map.Get(*body.Res.Returnval).(*simulator.VirtualMachine)
	}
	return found[0], found[1]
}

func vsphereParams(address, caFile, vm string, pairs ...any) map[string]any {
	m := map[string]any{"hypervisor": vsphere, "address": address, "ca_file": caFile, "user": "operator", "password": "secret <&> word", "vm": vm}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func TestVSphere(t *testing.T) {
	address, ca := startVCenter(t)
	one, _ := simulated(t)
	on := func(vm string, pairs ...any) map[string]any { return vsphereParams(address, ca, vm, pairs...) }
	resourcetest.Run(t, Type, []resourcetest.Case{
		{Name: "by name", Params: on(one.Name)},
		{Name: "by path", Params: on("/DC0/vm/" + one.Name)},
		{Name: "by uuid", Params: on("", "uuid", one.Config.Uuid)},
		{Name: "certificate not checked", Params: on(one.Name, "ca_file", "", "verify_tls", false)},
		{Name: "unknown name", Params: on("nobody"), StartErr: "start nobody on vsphere: the host knows no such virtual machine"},
		{Name: "unknown path", Params: on("/DC0/vm/nobody"), StartErr: "no such virtual machine"},
		{Name: "no machine", Params: on("/DC0/vm"), StartErr: "no such virtual machine"},
		{Name: "unknown uuid", Params: on("", "uuid", "6695eb01-f6a4-8304-79aa-97f2502e193f"), StartErr: "no such virtual machine"},
		{Name: "strange certificate", Params: on(one.Name, "ca_file", ""), StartErr: "name the host's certificate with ca_file", StopErr: "certificate"},
		{Name: "no certificate", Params: on(one.Name, "ca_file", "/dev/null"), StartErr: "no certificate in PEM", StopErr: "ca_file"},
		{Name: "nobody there", Params: on(one.Name, "address", "127.0.0.1:1"), StartErr: "connection refused", StopErr: "connection refused"},
		{Name: "no user", Params: on(one.Name, "user", ""), StartErr: "Login", StopErr: "Login"},
		{Name: "no address", Params: on(one.Name, "address", ""), WantErr: "is no host"},
		{Name: "a url", Params: on(one.Name, "address", "https://host/sdk"), WantErr: "without https://"},
	})
}

// What a machine does is seen in the simulator, not only asked for through our
// own client.
func TestVSphereStates(t *testing.T) {
	address, ca := startVCenter(t)
	one, other := simulated(t)
	r, err := Type.New(vsphereParams(address, ca, one.Name), resource.Env{})
	if err != nil {
		t.Fatal(err)
	}
	power := func(want types.VirtualMachinePowerState) {
		t.Helper()
		if one.Runtime.PowerState != want || other.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			t.Errorf("they are %s and %s; want %s, and the other untouched", one.Runtime.PowerState, other.Runtime.PowerState, want)
		}
	}
	for range 2 {
		if err := r.Stop(t.Context(), resource.Request{}); err != nil {
			t.Fatal(err)
		}
		power(types.VirtualMachinePowerStatePoweredOff)
	}
	for range 2 {
		if err := r.Start(t.Context(), resource.Request{}); err != nil {
			t.Fatal(err)
		}
		power(types.VirtualMachinePowerStatePoweredOn)
	}
	one.Config.Template = true // which cannot be powered on
	one.Runtime.PowerState = types.VirtualMachinePowerStatePoweredOff
	if err := r.Start(t.Context(), resource.Request{}); err == nil || !strings.Contains(err.Error(), "template") {
		t.Errorf("a template was started: %v", err)
	}
	one.Config.Template, one.Runtime.PowerState = false, "suspended"
	if err := r.Start(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	power(types.VirtualMachinePowerStatePoweredOn)
}

// Fix 118 of the original: a machine that was named by its UUID could not be
// stopped. Each way of naming starts and stops the same one.
func TestFix118EveryWayOfNaming(t *testing.T) {
	address, ca := startVCenter(t)
	one, other := simulated(t)
	for _, params := range []map[string]any{
		vsphereParams(address, ca, one.Name), vsphereParams(address, ca, "/DC0/vm/"+one.Name),
		vsphereParams(address, ca, "", "uuid", one.Config.Uuid), vsphereParams(address, ca, "", "uuid", strings.ToUpper(one.Config.Uuid)),
	} {
		r, err := Type.New(params, resource.Env{})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			do   func(context.Context, resource.Request) error
			want types.VirtualMachinePowerState
		}{{r.Stop, types.VirtualMachinePowerStatePoweredOff}, {r.Start, types.VirtualMachinePowerStatePoweredOn}} {
			if err := step.do(t.Context(), resource.Request{}); err != nil {
				t.Errorf("%v: %v", params, err)
			}
			if one.Runtime.PowerState != step.want || other.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
				t.Errorf("%v: they are %s and %s", params, one.Runtime.PowerState, other.Runtime.PowerState)
			}
		}
	}
}

// A host that is slow costs the time of one request, and the deadline holds.
func TestVSphereSlow(t *testing.T) {
	address, ca := startVCenter(t)
	one, _ := simulated(t)
	r, err := Type.New(vsphereParams(address, ca, one.Name), resource.Env{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if err := r.Stop(ctx, resource.Request{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
