package service

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/keepalive/drivers/ipmi/ipmitest"
	"shisa/ctl/keeper"
	"shisa/ctl/keeper/witness"
	"shisa/ctl/store"
	"shisa/ctl/why"
)

// The story of all cases: the service of boot "old" ran from noon on, its last
// record is of 12:59, the machine went down a minute later, and boot "new"
// began two minutes after that.
var (
	noon   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	last   = noon.Add(59 * time.Minute)
	end    = noon.Add(time.Hour)
	booted = end.Add(2 * time.Minute)
)

// oldRun is what the journal says, with a countdown of softdog and of a BMC.
func oldRun() *store.Run {
	return &store.Run{Boot: "old", First: store.Stamp{Time: noon, Uptime: time.Minute}, Last: store.Stamp{Time: last, Uptime: time.Hour},
		Armed: &store.Armed{Engines: []store.ArmedEngine{
			{Role: "primary", Driver: "wdt", Device: "/dev/watchdog0", Timeout: time.Minute, Action: "reset"},
			{Role: "backstop", Driver: "ipmi", Device: "/dev/ipmi0", Timeout: 2 * time.Minute, Action: "reset", Hardware: true},
		}}}
}

// fixtureScene is a scene without anything in it.
func fixtureScene(t *testing.T) scene {
	t.Helper()
	root := t.TempDir()
	return scene{root: root, state: filepath.Join(root, "var/lib/shisa"), now: why.Boot{ID: "new", Booted: booted},
		bmc:   func() (*ipmi.BMC, error) { return nil, fs.ErrNotExist },
		fails: func(what string, err error) { t.Errorf("%s: %v", what, err) }}
}

// put writes a file of the fixture, as of a time.
func (s scene) put(t *testing.T, name string, at time.Time, text []byte) {
	t.Helper()
	path := filepath.Join(s.root, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644), os.Chtimes(path, at, at))
	if err != nil {
		t.Fatal(err)
	}
}

func lastWord(boot, phase, cause string, at time.Time) keeper.LastWords {
	return keeper.LastWords{Boot: boot, Time: at, Phase: phase, Cause: cause, Text: "as it is", Beat: "decisions", Age: 50_000, Limit: 60_000}
}

// jsonLine is a record as the witness writes it.
func jsonLine(t *testing.T, w keeper.LastWords) []byte {
	t.Helper()
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// ring is a file of last words (the format is in ctl/keeper/witness/file.go).
func ring(t *testing.T, words ...keeper.LastWords) []byte {
	t.Helper()
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	file := make([]byte, witness.FileSize)
	for i, w := range words {
		slot, text := file[i*witness.SlotSize:], jsonLine(t, w)
		copy(slot, "SHISALW1")
		binary.LittleEndian.PutUint64(slot[8:], uint64(i+1))
		binary.LittleEndian.PutUint32(slot[16:], uint32(len(text)))
		copy(slot[24:], text)
		binary.LittleEndian.PutUint32(slot[20:], crc32.Update(crc32.Checksum(slot[8:16], castagnoli), castagnoli, text))
	}
	return file
}

// utmp is a record of wtmp.
func utmp(user string, at time.Time) []byte {
	b := make([]byte, utmpSize)
	copy(b[44:], user)
	binary.LittleEndian.PutUint32(b[340:], uint32(at.Unix()))
	return b
}

// logged is an entry of a BMC's log.
func logged(sensor, event, offset, data byte) [16]byte {
	return [16]byte{2: standardRecord, 10: sensor, 12: event, 13: offset, 14: data}
}

// withBMC gives the scene a BMC that made the entries at a time by its own
// clock, which is ahead of ours.
func (s *scene) withBMC(at time.Time, ahead time.Duration, restart byte, entries ...[16]byte) {
	clock := at.Add(ahead)
	b := &ipmitest.BMC{Clock: func() time.Time { return clock }, Restart: restart}
	for _, e := range entries {
		b.Log(e)
	}
	clock = time.Now().Add(ahead)
	s.bmc = func() (*ipmi.BMC, error) { return ipmi.NewBMC(b.Send, nil), nil }
}

const kernelText = "shisa: last words (final, file_system): beat file check is 55000 ms old, limit 60000 ms: the file system does not answer\n"

// What is there in each case, and what shisa makes of it.
var scenes = map[string]struct {
	make  func(*testing.T, *scene)
	cause why.Cause
	stall string
	text  string // part of a line of evidence
}{
	"nothing": {func(*testing.T, *scene) {}, why.Unknown, "", "no orderly end"},
	"last words on the disk": {func(t *testing.T, s *scene) {
		s.put(t, "var/lib/shisa/last-words", end, ring(t, lastWord("older", "final", "overload", noon.Add(-time.Hour)),
			lastWord("old", "warning", "unknown", end.Add(-9*time.Second)), lastWord("old", "final", "daemon_stopped", end)))
	}, why.UserStall, "daemon_stopped", "beat decisions was 50 s old, limit 60 s; as it is"},
	"last words of another boot": {func(t *testing.T, s *scene) {
		s.put(t, "var/lib/shisa/last-words", end, ring(t, lastWord("older", "final", "overload", end)))
	}, why.Unknown, "", ""},
	"last words in pstore, the first one torn": {func(t *testing.T, s *scene) {
		text := slices.Concat([]byte(`"phase":"warn`+"\n"), jsonLine(t, lastWord("old", "warning", "file_system", end.Add(-time.Second))), jsonLine(t, lastWord("old", "final", "file_system", end)))
		s.put(t, "sys/fs/pstore/pmsg-ramoops-0", booted, text)
		s.put(t, "var/lib/shisa/last-words", end, ring(t))
	}, why.UserStall, "file_system", "its last words (pstore)"},
	"pstore of another boot": {func(t *testing.T, s *scene) {
		s.put(t, "var/lib/systemd/pstore/pmsg-ramoops-0", booted, jsonLine(t, lastWord("older", "final", "file_system", end)))
	}, why.Unknown, "", ""},
	"last words in the kernel's log": {func(t *testing.T, s *scene) {
		s.put(t, "sys/fs/pstore/console-ramoops-0", booted, []byte("[    1.0] hello\n[ 3655.250000] "+kernelText))
		s.put(t, "var/lib/shisa/last-words", end, ring(t, lastWord("old", "warning", "overload", noon.Add(time.Minute)), lastWord("old", "recovered", "", noon.Add(2*time.Minute))))
	}, why.UserStall, "file_system", "(kernel log in pstore), at 2026-11-23 12:59:55: beat file check was 55 s old, limit 60 s; the file system does not answer"},
	"the kernel's log of an earlier boot": {func(t *testing.T, s *scene) {
		s.put(t, "sys/fs/pstore/dmesg-ramoops-0", noon.Add(-time.Second), []byte("Emergency#1 Part1\n<2>[   55.0] "+kernelText))
	}, why.Unknown, "", ""},
	"the word on the disk is taken back, the log of the kernel does not say so": {func(t *testing.T, s *scene) {
		s.put(t, "sys/fs/pstore/console-ramoops-0", booted, []byte("[ 3600.5] "+kernelText))
		s.put(t, "var/lib/shisa/last-words", end, ring(t, lastWord("old", "final", "file_system", last.Add(time.Second/2)), lastWord("old", "recovered", "", last.Add(time.Second))))
	}, why.Unknown, "", ""},
	"a word in the log of the BMC": {func(t *testing.T, s *scene) {
		s.withBMC(end, 9*time.Hour, 0, [16]byte{2: 0xda, 10: 's', 11: 'h', 12: 'i', 13: 's', 14: 'a', 15: witness.Code("warning", witness.FileSystem)})
	}, why.UserStall, "file_system", "its last words (event log of the BMC), at 2026-11-23 13:00:"},

	"panic in pstore": {func(t *testing.T, s *scene) {
		s.put(t, "sys/fs/pstore/dmesg-efi-177", end, []byte("Panic#1 Part1\n<0>[ 3660.1] Kernel panic - not syncing: oh dear\n<4>[ 3660.2] noise\n"))
	}, why.KernelPanic, "", "/sys/fs/pstore/dmesg-efi-177: <0>[ 3660.1] Kernel panic"},
	"panic that systemd-pstore put away": {func(t *testing.T, s *scene) {
		s.put(t, "var/lib/systemd/pstore/1700/001/dmesg.txt", booted.Add(time.Second), []byte("Panic#1 Part1\nKernel panic - not syncing\n"))
	}, why.KernelPanic, "", "/var/lib/systemd/pstore/1700/001/dmesg.txt"},
	"panic of the boot before": {func(t *testing.T, s *scene) {
		s.put(t, "sys/fs/pstore/dmesg-ramoops-0", noon.Add(-time.Minute), []byte("Panic#1 Part1\nKernel panic - not syncing\n"))
	}, why.Unknown, "", ""},
	"our module fired": {func(t *testing.T, s *scene) {
		s.put(t, "sys/fs/pstore/dmesg-ramoops-0", end, []byte("Emergency#1 Part1\nclpka: FIRED countdown=main action=reset reason=timeout\n"))
	}, why.UserStall, "", "clpka: FIRED"},

	"a watchdog chip": {func(t *testing.T, s *scene) {
		for name, text := range map[string]string{"identity": "iTCO_wdt", "bootstatus": "32", "state": "inactive"} {
			s.put(t, "sys/class/watchdog/watchdog0/"+name, booted, []byte(text+"\n"))
		}
	}, why.KernelHang, "", "watchdog0 (iTCO_wdt) says that it caused this boot"},
	"an orderly shutdown by the system": {func(t *testing.T, s *scene) {
		s.put(t, "var/log/wtmp", end, slices.Concat([]byte("torn"), make([]byte, utmpSize-4), utmp("reboot", noon), utmp("root", noon), utmp("shutdown", end), utmp("reboot", booted), []byte("torn")))
	}, why.Ordered, "", "an orderly shutdown at 2026-11-23 13:00:00"},
	"systemd's journal was left open": {func(t *testing.T, s *scene) {
		for _, at := range []time.Time{noon.Add(-time.Hour), booted.Add(3 * time.Second)} {
			s.put(t, fmt.Sprintf("var/log/journal/1234/system@%016x-00ff.journal~", at.UnixMicro()), end, nil)
		}
		s.put(t, "var/log/journal/1234/odd.journal~", end, nil)
	}, why.Unknown, "", fmt.Sprintf("was not closed at the end of the last boot: system@%016x-00ff.journal~", booted.Add(3*time.Second).UnixMicro())},

	"the power button":         {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x14, 0x6f, 0, 0)) }, why.BMCAction, "", "event log: power button pressed at 2026-11-23 13:00:"},
	"a clock of another zone":  {func(_ *testing.T, s *scene) { s.withBMC(end, -9*time.Hour, 0, logged(0x14, 0x6f, 2, 0)) }, why.BMCAction, "", "reset button pressed at 2026-11-23 13:00:"},
	"AC lost":                  {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x09, 0x6f, 4, 0)) }, why.PowerLoss, "", "power unit: AC lost"},
	"AC came back, it says":    {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x09, 0xef, 4, 0)) }, why.Unknown, "", ""},
	"a restart with its cause": {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x1d, 0x6f, 7, 1)) }, why.BMCAction, "", "system restart: chassis control command"},
	"cause of the restart":     {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 6) }, why.PowerLoss, "", "cause of the last restart: AC power came back"},
	"switched on, that is all": {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 3) }, why.Unknown, "", ""},
	"the BMC's timer":          {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x23, 0x6f, 1, 0x14)) }, why.KernelHang, "", "watchdog: hard reset"},
	"the BMC's timer warned":   {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x23, 0x6f, 8, 0x14)) }, why.Unknown, "", ""},
	"told of a panic":          {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x20, 0x6f, 1, 0)) }, why.KernelPanic, "", "operating system stopped: panic"},
	"a hot processor":          {func(_ *testing.T, s *scene) { s.withBMC(end, 0, 0, logged(0x01, 0x01, 9, 0)) }, why.Unknown, "", ""},
	"a button of the boot before": {func(_ *testing.T, s *scene) {
		s.withBMC(noon.Add(-time.Minute), 0, 0, logged(0x14, 0x6f, 0, 0))
	}, why.Unknown, "", ""},
}

func TestEvidence(t *testing.T) {
	before := time.Local
	time.Local = time.UTC // texts hold local times
	defer func() { time.Local = before }()
	for name, c := range scenes {
		t.Run(name, func(t *testing.T) {
			s := fixtureScene(t)
			c.make(t, &s)
			e, _ := s.gather(oldRun(), nil)
			v := why.Analyse(e)
			if v.Cause != c.cause || v.Stall != c.stall {
				t.Errorf("got %s %q, want %s %q\n%+v", v.Cause, v.Stall, c.cause, c.stall, e)
			}
			if !slices.ContainsFunc(v.Evidence, func(l why.Line) bool { return strings.Contains(l.Text, c.text) }) {
				t.Errorf("no evidence has %q: %q", c.text, v.Evidence)
			}
		})
	}
}

// Entries without a time count when they came after the last boot's newest.
func TestBMCWithoutClock(t *testing.T) {
	s := fixtureScene(t)
	long := time.Unix(100, 0) // seconds since the BMC's own start
	button, lost := logged(0x14, 0x6f, 0, 0), logged(0x09, 0x6f, 4, 0)
	s.withBMC(long, 0, 0, button)
	e, seen := s.gather(oldRun(), nil)
	if len(e.BMC.Entries) != 0 || len(seen) != 16 {
		t.Fatalf("at first: %+v, seen % x", e.BMC.Entries, seen)
	}
	s.withBMC(long, 0, 0, button, lost)
	e, seen = s.gather(oldRun(), seen)
	if len(e.BMC.Entries) != 1 || e.BMC.Entries[0].By != why.ByPower || why.Analyse(e).Cause != why.PowerLoss {
		t.Fatalf("then: %+v", e.BMC.Entries)
	}
	if e, again := s.gather(oldRun(), seen); len(e.BMC.Entries) != 0 || !bytes.Equal(again, seen) {
		t.Errorf("at last: %+v, seen % x", e.BMC.Entries, again)
	}
}

// Nothing is asked when the machine did not go down, and nothing breaks when
// nothing can be read.
func TestEvidenceThatIsNotThere(t *testing.T) {
	s := fixtureScene(t)
	s.bmc = func() (*ipmi.BMC, error) { t.Error("the BMC was asked"); return nil, fs.ErrNotExist }
	seen := []byte("seen")
	for _, run := range []*store.Run{nil, {Boot: "new"}} {
		if e, got := s.gather(run, seen); e.BMC != nil || !bytes.Equal(got, seen) {
			t.Errorf("%+v: %+v", run, e)
		}
	}
	var failed []string
	s = fixtureScene(t)
	s.fails = func(what string, _ error) { failed = append(failed, what) }
	s.put(t, "sys/class/watchdog", booted, []byte("no folder"))
	s.put(t, "sys/fs/pstore/dmesg-dir/file", booted, nil)
	if err := os.MkdirAll(filepath.Join(s.state, lastWordsName), 0o755); err != nil {
		t.Fatal(err)
	}
	s.bmc = func() (*ipmi.BMC, error) {
		return ipmi.NewBMC(func(byte, byte, []byte) ([]byte, error) { return nil, errors.New("dead") }, nil), nil
	}
	if e, _ := s.gather(oldRun(), seen); e.BMC != nil || len(e.Words) != 0 || len(e.Crashes) != 0 {
		t.Errorf("%+v", e)
	}
	if len(failed) != 3 {
		t.Errorf("told of %q", failed)
	}
}

// A BMC that never answers does not keep the service from starting.
func TestBMCThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fixtureScene(t)
		hang, closed := make(chan struct{}), false
		s.bmc = func() (*ipmi.BMC, error) {
			return ipmi.NewBMC(func(byte, byte, []byte) ([]byte, error) { <-hang; return nil, errors.New("too late") },
				func() error { closed = true; return nil }), nil
		}
		var failed []string
		s.fails = func(what string, err error) { failed = append(failed, what+": "+err.Error()) }
		begun := time.Now()
		e, _ := s.gather(oldRun(), nil)
		if e.BMC != nil || len(failed) != 1 || !strings.Contains(failed[0], "no answer within 2s") || time.Since(begun) != bmcTime {
			t.Errorf("after %v: %+v, told of %q", time.Since(begun), e.BMC, failed)
		}
		close(hang)
		synctest.Wait()
		if !closed {
			t.Error("the BMC is not closed in the end")
		}
	})
}

// Whatever a BMC or pstore hold, it is read without harm.
func FuzzEvidence(f *testing.F) {
	f.Add([]byte(kernelText), byte(0x14), byte(0x6f), byte(0))
	f.Add([]byte("[ 1e300] shisa: last words (a): beat  is 9 ms old, limit 9 ms:"), byte(0x1d), byte(0x6f), byte(7))
	f.Fuzz(func(t *testing.T, text []byte, sensor, event, offset byte) {
		for _, kind := range []string{"dmesg", "console", "pmsg"} {
			r := record{name: kind, kind: kind, at: end, text: text}
			r.crash()
			r.messages()
			kernelWords(oldRun(), []record{r})
		}
		entry(ipmi.Record{Type: standardRecord, Raw: logged(sensor, event, offset, offset)})
	})
}

// A journal that goes on in this boot was closed in the last one; one of another
// machine, or one that nobody writes any more, says nothing.
func TestJournals(t *testing.T) {
	for name, tt := range map[string]struct {
		at   time.Time
		want bool
	}{"goes on": {booted.Add(time.Minute), true}, "left alone": {end, false}} {
		t.Run(name, func(t *testing.T) {
			s := &scene{root: t.TempDir()}
			s.now.Booted = booted
			if s.journals() {
				t.Error("there is no journal")
			}
			s.put(t, "var/log/journal/1234/system.journal", tt.at, nil)
			if got := s.journals(); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
