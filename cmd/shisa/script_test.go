package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"shisa/ctl/compat"
	"shisa/ctl/keepalive/drivers"
	"shisa/ctl/keeper/guard"
	"shisa/ctl/service"
)

// The scripts run the real programs: shisad with its keeper, which only
// measures, in a folder of their own.
func TestMain(m *testing.M) {
	programs := map[string]func(){
		"shisa":        main,
		"shisad":       func() { os.Exit(service.Main("test", os.Args[1:], os.Stdout, os.Stderr)) },
		"shisa-keeper": func() { os.Exit(guard.Main("test", os.Args[1:], drivers.Open)) },
	}
	for _, name := range compat.Names() {
		programs[name] = main
	}
	testscript.Main(m, programs)
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			keeper, err := exec.LookPath("shisa-keeper")
			if err != nil {
				return err
			}
			e.Setenv("KEEPER", keeper)
			e.Setenv("NO_COLOR", "1")
			// Socket paths are short (unix(7): 108 bytes); the work folder may not be.
			dir, err := os.MkdirTemp("", "shisa")
			if err != nil {
				return err
			}
			e.Defer(func() { _ = os.RemoveAll(dir) })
			e.Setenv("RUN", dir)
			e.Setenv("SHISA_SOCKET", filepath.Join(dir, "api.sock"))
			return nil
		},
	})
}
