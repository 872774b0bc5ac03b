package compat

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"shisa/ctl/api"
	"shisa/ctl/client"
	"shisa/ctl/compat/clpconf"
	"shisa/ctl/config"
	"shisa/ctl/monitor/types"
	restypes "shisa/ctl/resource/types"
)

var clpcfctrl = command{
	name: "clpcfctrl", twin: "shisa config import, shisa config apply, shisa config export",
	usage: `--push [-l] -x directory [-h host_name] [-p port] [--force] [--nocheck]
		--push [-w] -x directory [-h host_name] [-p port] [--force] [--nocheck]
		--pull [-l] -x directory [-h host_name] [-p port]
		--pull [-w] -x directory [-h host_name] [-p port]
		--compcheck [-l] -x directory [-h host_name] [-p port]
		--compcheck [-w] -x directory [-h host_name] [-p port]`,
	options: []option{{"--push", alone}, {"--pull", alone}, {"--compcheck", alone}, {"-l", alone}, {"-w", alone}, {"-x", with},
		hostOption, {"-p", with}, {"--force", alone}, {"--nocheck", alone}},
	run: runConfig,
}

func runConfig(c *call) error {
	verb, err := c.given.which("--push", "--pull", "--compcheck")
	if err != nil {
		return err
	}
	if _, err := c.given.number("-p", 1, 65535, 29002); err != nil {
		return err
	}
	dir := c.given.text("-x")
	if dir == "" {
		return badOption.say("-x is missing: in which directory is clp.conf?")
	}
	s, err := c.overview()
	if err != nil {
		return err
	}
	if verb == "--pull" {
		err = c.pull(s, dir)
	} else {
		err = c.push(s, dir, verb == "--compcheck")
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "Command succeeded.(code:0)")
	return nil
}

func registry() config.Registry { return config.NewRegistry(types.All(), restypes.All()) }

// configFile is where the daemon has its configuration.
func configFile(s api.Status) string {
	if !filepath.IsAbs(s.Config.Source) {
		return client.DefaultConfig
	}
	return s.Config.Source
}

// mode is that of the configuration in force. The one that the daemon tells may
// be forced upon it for a while.
func mode(s api.Status) config.Mode {
	if filepath.IsAbs(s.Config.Source) {
		if m, _ := config.Load(s.Config.Source, registry()); m != nil {
			return m.Mode
		}
	}
	return config.Mode(s.Mode)
}

// push turns a clp.conf into our configuration and puts it into force, unless
// it is only to be checked.
func (c *call) push(s api.Status, dir string, check bool) error {
	temp, err := os.MkdirTemp("", c.name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := c.translate(dir, temp, mode(s)); err != nil || check {
		return err
	}
	file := configFile(s)
	if filepath.Base(file) != config.FileName {
		return badConfig.say(fmt.Sprintf("The daemon reads %s; only a file called %s can be replaced.", file, config.FileName))
	}
	if err := config.Install(temp, filepath.Dir(file)); err != nil {
		return &failure{unsuccessful, "The configuration could not be written: " + err.Error(), err}
	}
	fmt.Fprintln(c.out, "file delivery to server 127.0.0.1 success.")
	plan, err := c.client.ApplyConfig(c.ctx, api.ConfigSource{Path: file})
	switch {
	case err != nil:
		return err
	case len(plan.Mistakes) > 0:
		m := plan.Mistakes[0]
		return badConfig.say(fmt.Sprintf("%s:%d: %s: %s", m.File, m.Line, m.Key, m.Text))
	}
	fmt.Fprintln(c.out, "The upload is completed successfully.(cfmgr:0)")
	return nil
}

// translate writes into a folder what becomes of the clp.conf in another, says
// what is to be looked at, and checks it. The mode stays what it is: no file of
// the original can say whether shisa is trusted to act.
func (c *call) translate(from, to string, mode config.Mode) error {
	source, err := clpconf.Open(from)
	if err != nil {
		return &failure{badConfig, err.Error(), err}
	}
	r, err := clpconf.Import(source, clpconf.Options{Types: registry(), Mode: mode})
	if err != nil {
		return &failure{badConfig, err.Error(), err}
	}
	for _, i := range r.Items {
		switch i.Outcome {
		case clpconf.Invalid:
			fmt.Fprintf(c.err, "%s: %s\n", inert(strings.TrimSuffix(i.Path+" = "+i.Value, " = ")), inert(i.Text))
		case clpconf.Attention:
			fmt.Fprintf(c.err, "%s: %s\n", cmp.Or(i.Key, i.Path), inert(i.Text))
		case clpconf.Mapped, clpconf.Implied, clpconf.NotApplicable, clpconf.Unsupported:
		}
	}
	if err := r.Write(to); err != nil {
		return err
	}
	if _, problems := config.Load(to, registry()); problems.Err() != nil {
		return &failure{badConfig, problems.Err().Error(), problems.Err()}
	}
	return nil
}

// pull writes the configuration of the daemon as a clp.conf.
func (c *call) pull(s api.Status, dir string) error {
	m := config.Default()
	if filepath.IsAbs(s.Config.Source) {
		var problems config.Problems
		if m, problems = config.Load(s.Config.Source, registry()); m == nil {
			return &failure{badConfig, problems.Err().Error(), problems.Err()}
		}
	}
	out, err := clpconf.Export(m, registry(), s.Server, clpconf.Beside(m.Dir))
	if err != nil {
		return &failure{unsuccessful, err.Error(), err}
	}
	return out.Write(dir)
}
