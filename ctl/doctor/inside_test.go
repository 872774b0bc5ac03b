package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"shisa/bpf/trial"
	"shisa/ctl/api"
	"shisa/ctl/config"
)

// What is named is wanted; a backstop that is not may be any.
func TestEngines(t *testing.T) {
	tests := []struct {
		method, backstop string
		engines          []string
		any              bool
	}{
		{"auto", "auto", nil, false}, // whatever there is, so that nothing needs to be added
		{"softdog", "none", []string{"softdog"}, false},
		{"clpka", "auto", []string{"clpka"}, true},
		{"clpka", "ipmi", []string{"clpka", "ipmi"}, false},
	}
	for _, tt := range tests {
		m := config.Default()
		m.Keepalive.Method, m.Keepalive.Backstop = tt.method, tt.backstop
		if n := needs(m, config.Registry{}); !slices.Equal(n.Engines, tt.engines) || n.AnyBackstop != tt.any {
			t.Errorf("%s and %s: %v, any backstop %v", tt.method, tt.backstop, n.Engines, n.AnyBackstop)
		}
	}
}

// What no program does comes with the reasons, and with what helps.
func TestWitness(t *testing.T) {
	refused := func(words string) []trial.Refusal {
		return []trial.Refusal{{Object: "with timer", Program: "device_kprobe", Err: errors.New(words)}}
	}
	tests := []struct {
		name   string
		choice trial.Choice
		level  api.Level
		mend   string // part of it; empty: none
	}{
		{"done", trial.Choice{Job: "process", Part: "exit", Program: "exit_tp_btf", Object: "ring buffer"}, api.LevelOK, ""},
		{"second best", trial.Choice{Job: "beats", Part: "timer", Program: "arm", Refused: refused("tracefs is not mounted")}, api.LevelOK, ""},
		{"refused", trial.Choice{Job: "shutdown", Part: "device", Refused: refused("operation not permitted")}, api.LevelWarning, "start a kernel"},
		{"nothing mounted", trial.Choice{Job: "shutdown", Part: "device", Refused: refused("neither debugfs nor tracefs are mounted")}, api.LevelWarning, "mount -t tracefs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := witness(tt.choice)
			if c.Level != tt.level || len(c.Why) != len(tt.choice.Refused) || !strings.Contains(c.Mend, tt.mend) || (tt.mend == "") != (c.Mend == "") {
				t.Errorf("%+v", c)
			}
		})
	}
}
