package service

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/keepalive/drivers/wdt"
	"shisa/ctl/keeper"
	"shisa/ctl/store"
	"shisa/ctl/why"
)

// Limits of what is read as evidence.
const (
	crashFiles = 32        // of pstore
	crashBytes = 256 << 10 // of one file
	crashLines = 12        // kept of one file
	wtmpBytes  = 1 << 20   // from its end
)

// evidence gathers what survived the last time that the machine went down. What
// cannot be read is left out.
func (p *process) evidence(dir string, run *store.Run) why.Evidence {
	e := why.Evidence{
		Now:      why.Boot{ID: bootID(), Booted: time.Now().Add(-uptime())},
		Run:      journal(run),
		Watchdog: watchdogs(),
		BMC:      bmcEvidence(),
		Crashes:  slices.Concat(crashes("/sys/fs/pstore"), crashes("/var/lib/systemd/pstore/*")),
		Logins:   logins("/var/log/wtmp"),
	}
	if run == nil {
		return e
	}
	words, err := keeper.ReadLastWords(filepath.Join(dir, lastWordsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Error("the keeper's last words cannot be read", err, nil)
	}
	for _, w := range words {
		if w.Boot == run.Boot {
			e.Words = append(e.Words, why.Words{At: w.Time, Phase: w.Phase, Stall: w.Cause, Text: w.Text, Beat: w.Beat,
				Age: time.Duration(w.Age) * time.Millisecond, Limit: time.Duration(w.Limit) * time.Millisecond})
		}
	}
	return e
}

// lastWordsName is the keeper's file in the state directory.
const lastWordsName = "last-words"

// journal translates what our journal says of the boot that ended.
func journal(r *store.Run) *why.Run {
	if r == nil {
		return nil
	}
	w := &why.Run{Boot: r.Boot, Last: r.Last.Time}
	if r.Armed != nil {
		for _, a := range r.Armed.Engines {
			w.Armed = append(w.Armed, why.Countdown{Role: a.Role, Driver: a.Driver, Device: a.Device, Identity: a.Identity,
				Timeout: a.Timeout, Action: a.Action, Hardware: a.Hardware, Shutdown: a.Guards == "shutdown"})
		}
	}
	if l := r.Leaving; l != nil {
		w.Leaving = &why.Leaving{At: r.LeftAt.Time, How: l.How, By: l.By, Reason: l.Reason, Phase: l.Phase}
	}
	for _, i := range r.Intents {
		w.Intents = append(w.Intents, why.Intent{At: i.At.Time, Action: i.Action, Reason: i.Reason, Subject: i.Subject, By: i.By, Outcome: i.Outcome})
	}
	return w
}

func watchdogs() []why.Watchdog {
	var all []why.Watchdog
	devices, err := wdt.List("/")
	if err != nil {
		return nil
	}
	for _, d := range devices {
		w := why.Watchdog{Device: d.Name, Identity: d.Identity, Hardware: d.Hardware(), Fired: d.BootStatus&unix.WDIOF_CARDRESET != 0}
		switch {
		case d.BootStatus&unix.WDIOF_OVERHEAT != 0:
			w.Other = "overheated"
		case d.BootStatus&(unix.WDIOF_POWERUNDER|unix.WDIOF_POWEROVER) != 0:
			w.Other = "power"
		}
		all = append(all, w)
	}
	return all
}

// bmcEvidence asks the BMC, where there is one; it changes nothing.
func bmcEvidence() *why.BMC {
	if _, err := os.Stat(bmcDevice); err != nil {
		return nil
	}
	b, err := ipmi.OpenBMC(bmcDevice)
	if err != nil {
		return nil
	}
	defer b.Close() //nolint:errcheck // only read from
	t, err := b.Timer()
	if err != nil {
		return nil
	}
	return &why.BMC{Expired: t.Expired}
}

// crashes reads what the kernel left in pstore (Documentation/ABI/testing/pstore),
// there or where systemd-pstore(8) has moved it to.
func crashes(dir string) []why.Crash {
	names, err := filepath.Glob(filepath.Join(dir, "dmesg-*"))
	if err != nil {
		return nil
	}
	var all []why.Crash
	for _, name := range names[:min(len(names), crashFiles)] {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		all = append(all, crash(name, info.ModTime(), text[:min(len(text), crashBytes)]))
	}
	return all
}

// telling are parts of kernel lines that say what happened.
var telling = []string{"Kernel panic", "BUG:", "Oops", "Call Trace", "RIP:", "hung_task", "blocked for more than", "soft lockup",
	"hard LOCKUP", "Out of memory", "clpka:", "softdog:", "sysrq:", "watchdog:", "shisa-keeper"}

// crash takes the kind from the first line, "Panic#1 Part1", and the lines that
// say what happened from the rest.
func crash(name string, at time.Time, text []byte) why.Crash {
	c := why.Crash{File: name, At: at}
	s := bufio.NewScanner(bytes.NewReader(text))
	for first := true; s.Scan(); first = false {
		line := s.Text()
		if kind, _, ok := strings.Cut(line, "#"); first && ok {
			c.Kind = kind
			continue
		}
		for _, part := range telling {
			if strings.Contains(line, part) && len(c.Lines) < crashLines {
				c.Lines = append(c.Lines, line)
				break
			}
		}
		c.Fired = c.Fired || strings.Contains(line, "clpka: FIRED") || strings.Contains(line, "softdog: Initiating")
	}
	return c
}

// utmpSize is sizeof(struct utmp) of utmp(5) on 64-bit Linux; ut_type stands at
// 0, ut_user at 44, ut_tv at 340.
const utmpSize = 384

// logins reads the last boot and the orderly shutdown before it from wtmp.
func logins(name string) why.Logins {
	var l why.Logins
	b, err := os.ReadFile(name)
	if err != nil {
		return l
	}
	if len(b) > wtmpBytes {
		b = b[len(b)-wtmpBytes/utmpSize*utmpSize:]
	}
	for ; len(b) >= utmpSize; b = b[utmpSize:] {
		user := unix.ByteSliceToString(b[44:76])
		at := time.Unix(int64(binary.LittleEndian.Uint32(b[340:])), 0)
		switch user {
		case "shutdown":
			l.Shutdown = at
		case "reboot":
			l.Boot = at
		}
	}
	return l
}
