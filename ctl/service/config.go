package service

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"shisa/ctl/config"
	"shisa/ctl/monitor/types"
	restypes "shisa/ctl/resource/types"
	"shisa/ctl/store"
)

// registry returns all monitor and resource types of this build.
func registry() config.Registry { return config.NewRegistry(types.All(), restypes.All()) }

// goodName is the copy of the configuration that was in force last, in the
// state directory.
const goodName = "config.good.toml"

// A rejection is why the service does not run with what its file says.
type rejection struct{ why, instead string }

// configuration returns what to run with, and why it is not what the file says;
// nil: it is.
func (p *process) configuration() (*config.Model, *rejection) {
	model, problems := config.Load(p.flags.config, p.types)
	if model != nil {
		p.incomplete = problems.Errors().Err() // a script or secret that is missing
		return model, nil
	}
	if _, err := os.Stat(p.flags.config); errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	if good := p.lastGood(); good != nil {
		return good, &rejection{problems.Brief(), "the one that was in force last holds"}
	}
	return config.Default(), &rejection{problems.Brief(), "the embedded default holds, which observes"}
}

// path is the file that the service begins with, and that a reload reads.
func (p *process) path() string {
	path, err := filepath.Abs(p.flags.config)
	if err != nil {
		return p.flags.config
	}
	return path
}

func (p *process) stateDir() string {
	if p.flags.state != "" {
		return p.flags.state
	}
	return config.Default().Store.Dir
}

func (p *process) lastGood() *config.Model {
	text, err := os.ReadFile(filepath.Join(p.stateDir(), goodName))
	if err != nil {
		return nil
	}
	model, _ := config.Parse(text, p.flags.config, filepath.Dir(p.flags.config), p.types)
	return model
}

// keepGood copies the file that m was read from, for a start at which it cannot
// be read any more.
func (p *process) keepGood(m *config.Model) {
	if m.Source == config.DefaultSource {
		return
	}
	text, err := os.ReadFile(m.Source)
	if err == nil {
		err = store.Replace(filepath.Join(p.stateDir(), goodName), text)
	}
	if err != nil {
		p.log.Error("the configuration is not kept for a later start", err, nil)
	}
}
