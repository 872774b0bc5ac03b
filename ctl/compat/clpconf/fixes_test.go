package clpconf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"shisa/ctl/config"
	"shisa/ctl/param"
	"shisa/ctl/recovery"
)

// TestFix002OneWordForEachAction: an action has one name with us and one number
// at each place of the original, and each leads back to the other.
func TestFix002OneWordForEachAction(t *testing.T) {
	for _, at := range []string{"emergency/action", "act/action", "deact/action"} {
		s := &param.Spec{Alias: at}
		for _, a := range recovery.FinalActions() {
			number, ok := original(s, param.Literal(string(a)))
			if !ok {
				if a == recovery.Command || a == recovery.Reset || a == recovery.StopResource && at != "emergency/action" {
					continue // which the original has not
				}
				t.Errorf("%s: %q has no number", at, a)
				continue
			}
			if back, err := literal(s, number); err != nil || back != param.Literal(string(a)) {
				t.Errorf("%s: %q is %s, which is %s (%v)", at, a, number, back, err)
			}
		}
	}
}

// sample returns the configuration of our own sample with one element changed.
func sample(t *testing.T, old, now string) *Source {
	t.Helper()
	s, err := Open("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := decode(s.Files[FileName])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, old) {
		t.Fatalf("the sample has no %s", old)
	}
	s.Files[FileName] = []byte(strings.Replace(strings.Replace(text, `encoding="EUC-JP"`, `encoding="UTF-8"`, 1), old, now, 1))
	return s
}

// TestFix015NumbersOnly: letters, symbols, signs and overflows are no numbers,
// wherever one stands. The value is named, the default holds.
func TestFix015NumbersOnly(t *testing.T) {
	for _, element := range []string{"<reconfirmation>2</reconfirmation>", "<interval>10</interval>", "<processnum>2</processnum>", "<writesize>5000</writesize>",
		"<start>300</start>", "<retry>2</retry>", "<size>2000000</size>", "<firstmonwait>30</firstmonwait>", "<port>3307</port>", "<restart>2</restart>"} {
		for _, bad := range []string{"abc", "1x", "-1", "1.5", "0x10", "99999999999999999999", "１０", "$(reboot)", "1 2"} {
			head, rest, _ := strings.Cut(element, ">")
			_, tail, _ := strings.Cut(rest, "<")
			r := mustImport(t, sample(t, element, head+">"+bad+"<"+tail), Options{})
			load(t, r)
			found := false
			for _, i := range r.Items {
				found = found || i.Outcome == Invalid && i.Value == bad
			}
			if !found {
				t.Errorf("%s = %q is not called invalid", element, bad)
			}
		}
	}
}

// TestFix045DependenciesGone: to take away all dependencies is a change like any
// other, and an empty list is not the same as none given.
func TestFix045DependenciesGone(t *testing.T) {
	text := func(needs string) string {
		return `<root><group name="g"><resource name="exec@a"/><resource name="exec@b"/></group><resource>
			<exec name="a"><parameters><act><path>/bin/true</path></act></parameters></exec>
			<exec name="b">` + needs + `<parameters><act><path>/bin/true</path></act></parameters></exec></resource></root>`
	}
	with := load(t, mustImport(t, conf(text(`<depend name="a"/>`)), Options{}))
	none := load(t, mustImport(t, conf(text(`<depend name=""/>`)), Options{}))
	if len(with.Resources[1].DependsOn) != 1 || none.Resources[1].DependsOn == nil || len(none.Resources[1].DependsOn) != 0 {
		t.Fatalf("%v and %v", with.Resources[1].DependsOn, none.Resources[1].DependsOn)
	}
	for _, plan := range []config.Plan{config.Diff(with, none), config.Diff(none, with)} {
		step, ok := plan.Step(config.ResourceKind, "b")
		if !ok || step.Op != config.OpChange || len(plan.Steps) != 1 {
			t.Errorf("%+v", plan.Steps)
		}
	}
}

// TestFix048NewResourceAlone: a resource that is added starts, and nothing else
// is touched.
func TestFix048NewResourceAlone(t *testing.T) {
	text := func(more string) string {
		resource := func(name string) string {
			return `<exec name="` + name + `"><parameters><act><path>/bin/true</path></act></parameters></exec>`
		}
		refs, all := `<resource name="exec@a"/>`, resource("a")
		if more != "" {
			refs, all = refs+`<resource name="exec@`+more+`"/>`, all+resource(more)
		}
		return `<root><server name="s"/><group name="g">` + refs + `</group><resource>` + all + `</resource>
			<monitor><pidw name="p"><target>a</target></pidw></monitor></root>`
	}
	plan := config.Diff(load(t, mustImport(t, conf(text("")), Options{})), load(t, mustImport(t, conf(text("b")), Options{})))
	if len(plan.Steps) != 1 || plan.Steps[0].Op != config.OpStart || plan.Steps[0].Name != "b" || plan.Rearm {
		t.Errorf("%+v", plan)
	}
}

// TestFix103OtherFileSystem: a result can be written to any file system.
func TestFix103OtherFileSystem(t *testing.T) {
	const other = "/dev/shm"
	device := func(path string) uint64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Sys().(*syscall.Stat_t).Dev
	}
	if d := device(other); d == 0 || d == device(os.TempDir()) {
		t.Skip("there is no other file system to write to")
	}
	dir, err := os.MkdirTemp(other, "shisa")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := Open("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	r := mustImport(t, s, Options{})
	if err := r.Write(filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	if m, problems := config.Load(filepath.Join(dir, "new"), registry); m == nil {
		t.Error(problems.Err())
	}
	if err := r.Write("/proc/nowhere"); err == nil {
		t.Error("a folder that cannot be written is no error")
	}
}

// TestFix104NoFailover: nothing that fails over comes in, and none of our keys
// or actions speaks of it.
func TestFix104NoFailover(t *testing.T) {
	r := mustImport(t, conf(`<root><group name="g"><failover>1</failover><failback>1</failback><exclusive>2</exclusive><resource name="exec@a"/></group>
		<resource><exec name="a"><parameters><act><path>/bin/true</path></act></parameters><act><fo>3</fo></act></exec></resource>
		<monitor><mrw name="m"><parameters><category>x</category></parameters><emergency><threshold><fo>1</fo></threshold>
		<preaction><usefailover>1</usefailover></preaction></emergency></mrw></monitor></root>`), Options{})
	m := load(t, r)
	for _, i := range r.Items {
		last := i.Path[strings.LastIndexByte(i.Path, '/')+1:]
		switch last {
		case "failover", "failback", "exclusive", "fo", "usefailover":
			if i.Outcome != NotApplicable {
				t.Errorf("%s is %s: %s", i.Path, i.Outcome, i.Text)
			}
		}
	}
	for _, table := range m.Effective() {
		for _, k := range table.Entries {
			if strings.Contains(k.Key, "fail_over") || strings.Contains(k.Key, "failover") || strings.Contains(k.Text, "failover") {
				t.Errorf("[%s] %s = %s", table.Name, k.Key, k.Text)
			}
		}
	}
	for _, a := range recovery.FinalActions() {
		if strings.Contains(fmt.Sprint(a), "failover") {
			t.Errorf("action %s", a)
		}
	}
}

// TestFix105OneEditOneChange: an edit of one element changes the keys that it
// stands for, and no other.
func TestFix105OneEditOneChange(t *testing.T) {
	before := load(t, mustImport(t, sample(t, "<gid>0</gid>", "<gid>0</gid>"), Options{}))
	for _, c := range []struct{ old, now, subject, key string }{
		{"<name>exec-apache</name></relation>", "<name>exec-batch</name></relation>", "psw1", "recovery.target"},
		{"<action>8</action>", "<action>5</action>", "genw1", "recovery.final_action"},
		{"<reconfirmation>2</reconfirmation>", "<reconfirmation>1</reconfirmation>", "psw1", "retry"},
		{"<comment>Apache</comment>", "<comment>Apache 2</comment>", "exec-apache", "comment"},
	} {
		plan := config.Diff(before, load(t, mustImport(t, sample(t, c.old, c.now), Options{})))
		if len(plan.Steps) != 1 || plan.Steps[0].Name != c.subject || len(plan.Steps[0].Fields) != 1 || plan.Steps[0].Fields[0].Key != c.key {
			t.Errorf("%s → %s: %+v", c.old, c.now, plan.Steps)
		}
	}
}
