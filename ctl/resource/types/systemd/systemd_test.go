package systemd

import (
	"os"
	"testing"
	"time"

	"shisa/ctl/proc"
	"shisa/ctl/resource"
	"shisa/ctl/resource/resourcetest"
)

func TestType(t *testing.T) {
	s := resourcetest.StartSystemd(t)
	for name, u := range map[string]resourcetest.Unit{
		"good.service":    {Active: "inactive", Sub: "dead"},
		"broken.service":  {Active: "inactive", Sub: "dead", Start: "failed", Result: "exit-code"},
		"needy.service":   {Active: "inactive", Sub: "dead", Start: "dependency"},
		"endless.service": {Active: "inactive", Sub: "dead", Start: "never"},
		"sticky.service":  {Active: "inactive", Sub: "dead", Stop: "timeout"},
	} {
		s.Set(name, u)
	}
	unit := func(name string) map[string]any { return map[string]any{"unit": name} }
	resourcetest.Run(t, Type, []resourcetest.Case{
		{Name: "good", Params: unit("good.service")},
		{Name: "fails", Params: unit("broken.service"), StartErr: `start broken.service: the job ended with "failed" (exit-code)`},
		{Name: "needs another", Params: unit("needy.service"), StartErr: `"dependency"`},
		{Name: "never ready", Params: unit("endless.service"), StartErr: "still at it", Timeout: 500 * time.Millisecond},
		{Name: "does not stop", Params: unit("sticky.service"), StopErr: `stop sticky.service: the job ended with "timeout"`},
		{Name: "unknown", Params: unit("nobody.service"), StartErr: "not found"},
		{Name: "no unit", Params: map[string]any{}, WantErr: "unit: required"},
		{Name: "half a name", Params: unit("httpd"), WantErr: "whole name"},
	})
}

func TestProcess(t *testing.T) {
	s := resourcetest.StartSystemd(t)
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s.Set("self.service", resourcetest.Unit{Active: "inactive", Sub: "dead", PID: uint32(self.PID)})
	r, err := Type.New(map[string]any{"unit": "self.service"}, resource.Env{})
	if err != nil {
		t.Fatal(err)
	}
	p := r.(resource.Processer)
	if _, _, ok := p.Process(); ok {
		t.Error("an inactive unit has a process")
	}
	if err := r.Start(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	if pid, start, ok := p.Process(); !ok || pid != self.PID || start != self.Start {
		t.Errorf("got %d, %d, %t; want %v", pid, start, ok, self)
	}
	s.Set("self.service", resourcetest.Unit{Active: "active", PID: 1 << 30})
	if _, _, ok := p.Process(); ok {
		t.Error("a process that does not exist counts")
	}
}

func TestNoBus(t *testing.T) {
	if _, err := os.Stat("/run/systemd/private"); err == nil {
		t.Skip("this machine's own systemd would answer")
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+t.TempDir()+"/nothing")
	resourcetest.Run(t, Type, []resourcetest.Case{
		{Name: "no bus", Params: map[string]any{"unit": "a.service"}, StartErr: "connect to systemd", StopErr: "connect to systemd"},
	})
}
