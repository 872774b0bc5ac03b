package message

import (
	"bytes"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"shisa/ctl/monitor"
)

var (
	here = netip.MustParseAddr("127.0.0.1")
	bmc  = user{Name: "bmc", Auth: "sha256", AuthPassword: "authentic!", Privacy: "aes", PrivacyPassword: "private!!"}
)

// signed returns a trap that u sends, at a time of its clock.
func signed(t testing.TB, u user, boots, seconds uint32) []byte {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := conn.LocalAddr().(*net.UDPAddr)
	g := gosnmp.GoSNMP{Target: to.IP.String(), Port: uint16(to.Port), Version: gosnmp.Version3, Timeout: 5 * time.Second, MaxOids: gosnmp.MaxOids,
		Transport: "udp", SecurityModel: gosnmp.UserSecurityModel, MsgFlags: u.level(),
		SecurityParameters: &gosnmp.UsmSecurityParameters{UserName: u.Name, AuthoritativeEngineID: "\x80\x00\x1f\x88\x04shisa",
			AuthoritativeEngineBoots: boots, AuthoritativeEngineTime: seconds,
			AuthenticationProtocol: authProtocols[u.Auth], AuthenticationPassphrase: u.AuthPassword,
			PrivacyProtocol: privacyProtocols[u.Privacy], PrivacyPassphrase: u.PrivacyPassword}}
	if u.Auth == "" {
		g.MsgFlags = gosnmp.NoAuthNoPriv
	}
	if err := g.Connect(); err != nil {
		t.Fatal(err)
	}
	defer g.Conn.Close()
	if _, err := g.SendTrap(v2("1.3.6.1.4.1.119.1")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, packetLimit)
	n, _, err := conn.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func hears(packet []byte, users ...user) (trap, bool) {
	r := newReceiver([]netip.Prefix{netip.PrefixFrom(here, 32)}, users)
	return r.take(packet, here, time.Now())
}

// TestProtocols: every way to sign and to encrypt is understood.
func TestProtocols(t *testing.T) {
	for _, auth := range names(authProtocols) {
		for _, privacy := range names(privacyProtocols) {
			u := bmc
			if u.Auth, u.Privacy = auth, privacy; privacy == noPrivacy {
				u.PrivacyPassword = ""
			}
			got, ok := hears(signed(t, u, 1, 1), u)
			if !ok || got.User != u.id() || got.Community != "" || !strings.HasPrefix(got.Text, "trap 1.3.6.1.4.1.119.1") {
				t.Errorf("%s, %s: %v, %+v", auth, privacy, ok, got)
			}
		}
	}
}

// TestForged: what the user has not signed, or not as is asked of him, is not
// believed.
func TestForged(t *testing.T) {
	with := func(change func(*user)) user { u := bmc; change(&u); return u }
	open := with(func(u *user) { u.Privacy, u.PrivacyPassword = noPrivacy, "" })
	for name, packet := range map[string][]byte{
		"other password":         signed(t, with(func(u *user) { u.AuthPassword = "guessed it" }), 1, 1),
		"other privacy password": signed(t, with(func(u *user) { u.PrivacyPassword = "guessed it" }), 1, 1),
		"other name":             signed(t, with(func(u *user) { u.Name = "somebody" }), 1, 1),
		"other protocol":         signed(t, with(func(u *user) { u.Auth = "sha512" }), 1, 1),
		"not encrypted":          signed(t, open, 1, 1),
		"not signed":             signed(t, user{Name: bmc.Name, Privacy: noPrivacy}, 1, 1),
		"tampered with":          tampered(signed(t, bmc, 1, 1)),
		"empty":                  {},
	} {
		if got, ok := hears(packet, bmc); ok {
			t.Errorf("%s: believed: %+v", name, got)
		}
	}
	if _, ok := hears(signed(t, bmc, 1, 1), open, bmc); !ok {
		t.Error("the second of two users is not believed")
	}
	if got, ok := hears(packet(t, gosnmp.Version2c, v2("1.3.6.1.4.1.119.1")), bmc); !ok || got.User != "" || got.Community != "public" {
		t.Errorf("a trap with community beside users: %v, %+v", ok, got)
	}
}

func tampered(packet []byte) []byte {
	packet = bytes.Clone(packet)
	packet[len(packet)-1] ^= 1
	return packet
}

// TestPermits: a monitor with a user takes his traps only, one without takes none
// that are signed.
func TestPermits(t *testing.T) {
	source := []netip.Prefix{netip.PrefixFrom(here, 32)}
	signed, plain := trap{From: here, User: bmc.id()}, trap{From: here, Community: "public"}
	namesake := bmc
	namesake.AuthPassword = "another one"
	for name, tt := range map[string]struct {
		p             params
		signed, plain bool
	}{
		"community":      {params{community: "public", sources: source}, false, true},
		"no community":   {params{sources: source}, false, false},
		"user":           {params{community: "public", user: bmc, sources: source}, true, false},
		"namesake":       {params{community: "public", user: namesake, sources: source}, false, false},
		"from elsewhere": {params{user: bmc, sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, false, false},
	} {
		p := &prober{params: tt.p}
		if p.permits(signed) != tt.signed || p.permits(plain) != tt.plain {
			t.Errorf("%s: signed %v, plain %v", name, p.permits(signed), p.permits(plain))
		}
	}
}

// TestReplay: a trap that somebody recorded does not count again later.
func TestReplay(t *testing.T) {
	start := time.Now()
	c := clocks{}
	for i, step := range []struct {
		after  time.Duration
		s      stamp
		timely bool
	}{
		{0, stamp{"a", 3, 1000}, true},
		{0, stamp{"a", 3, 1000}, true}, // sent twice
		{time.Second, stamp{"a", 3, 900}, true},
		{time.Second, stamp{"a", 3, 850}, false},
		{200 * time.Second, stamp{"a", 3, 1000}, false},
		{200 * time.Second, stamp{"a", 3, 1190}, true},
		{200 * time.Second, stamp{"a", 2, 5000}, false}, // before its last start
		{200 * time.Second, stamp{"a", 4, 1}, true},
		{200 * time.Second, stamp{"a", 3, 1190}, false},
		{200 * time.Second, stamp{"b", 1, 1}, true},
		{200 * time.Second, stamp{"c", bootsEnd, 1}, false},
	} {
		if got := c.timely(step.s, start.Add(step.after)); got != step.timely {
			t.Errorf("step %d: %v is timely: %v", i, step.s, got)
		}
	}
	for i := range 2 * clocksKept {
		c.timely(stamp{engine: string(rune(i)), boots: 1}, start)
	}
	if len(c) > clocksKept {
		t.Errorf("%d clocks are kept", len(c))
	}
}

// TestSNMPTrap: traps of net-snmp go through a real port and a real receiver to
// a monitor that wants them signed and encrypted.
func TestSNMPTrap(t *testing.T) {
	program, err := exec.LookPath("snmptrap")
	if err != nil {
		t.Skip("snmptrap is not installed: ci/deps does")
	}
	p, address := listening(t, "trap_user", bmc.Name, "trap_auth", "sha1", "trap_auth_password", bmc.AuthPassword,
		"trap_privacy", "aes", "trap_privacy_password", bmc.PrivacyPassword)
	look(t, p, monitor.OK, "")
	send := func(args ...string) {
		t.Helper()
		cmd := exec.Command(program, append(args, address, "", "1.3.6.1.4.1.119.2")...)
		cmd.Env = append(cmd.Environ(), "SNMP_PERSISTENT_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	secure := []string{"-v", "3", "-u", bmc.Name, "-l", "authPriv", "-a", "SHA", "-A", bmc.AuthPassword, "-x", "AES", "-X", bmc.PrivacyPassword, "-e", "0x8000000001020304"}
	send("-v", "2c", "-c", "public")
	send("-v", "3", "-u", bmc.Name, "-l", "authNoPriv", "-a", "SHA", "-A", bmc.AuthPassword, "-e", "0x8000000001020304")
	send("-v", "3", "-u", bmc.Name, "-l", "noAuthNoPriv", "-e", "0x8000000001020304")
	send(secure...)
	woken(t, p)
	if f := look(t, p, monitor.Failed, "trap 1.3.6.1.4.1.119.2"); strings.Contains(f.Detail, "messages") {
		t.Errorf("others were believed, too: %s", f.Detail)
	}
}

func TestUserParameters(t *testing.T) {
	base := map[string]any{"category": trapCategory, "trap_listen": "127.0.0.1:1162", "trap_from": []any{"127.0.0.1"}}
	for name, tt := range map[string]struct {
		more map[string]any
		want string
	}{
		"no password":         {map[string]any{"trap_user": "bmc"}, "trap_auth_password: trap_user needs it"},
		"no user":             {map[string]any{"trap_auth_password": "authentic!"}, "trap_auth_password: without trap_user"},
		"no privacy password": {map[string]any{"trap_user": "bmc", "trap_auth_password": "authentic!", "trap_privacy": "aes"}, "trap_privacy_password: trap_privacy needs it"},
		"no privacy":          {map[string]any{"trap_user": "bmc", "trap_auth_password": "authentic!", "trap_privacy_password": "private!!"}, "without trap_privacy"},
		"short password":      {map[string]any{"trap_user": "bmc", "trap_auth_password": "short"}, "trap_auth_password has 5 bytes"},
		"unknown protocol":    {map[string]any{"trap_user": "bmc", "trap_auth": "rot13"}, "rot13"},
		"good":                {map[string]any{"trap_user": "bmc", "trap_auth_password": "authentic!"}, ""},
	} {
		all := map[string]any{}
		for _, m := range []map[string]any{base, tt.more} {
			for k, v := range m {
				all[k] = v
			}
		}
		_, err := Type.New(all, monitor.Env{Mail: new(mailbox)})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
