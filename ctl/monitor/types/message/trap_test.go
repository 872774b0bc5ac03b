package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"shisa/ctl/monitor"
)

// pet is the variable of a platform event trap.
func pet(sequence uint16, severity byte) gosnmp.SnmpPDU {
	b := make([]byte, petLength+1)
	copy(b, "0123456789abcdef")
	b[petSequence], b[petSequence+1] = byte(sequence>>8), byte(sequence)
	b[petSeverity], b[petSensor], b[petEntity] = severity, 0x30, 7
	b[petLength] = 0xc1
	return gosnmp.SnmpPDU{Name: petEnterprise + ".1", Type: gosnmp.OctetString, Value: b}
}

// petV1 is a platform event trap: temperature, upper critical going high.
func petV1(specific int, variables ...gosnmp.SnmpPDU) gosnmp.SnmpTrap {
	return gosnmp.SnmpTrap{Enterprise: petEnterprise, AgentAddress: "127.0.0.1", GenericTrap: 6, SpecificTrap: specific, Variables: variables}
}

// send sends a trap over the loopback, as a BMC would.
func send(t *testing.T, version gosnmp.SnmpVersion, community, address string, trap gosnmp.SnmpTrap) {
	t.Helper()
	to := netip.MustParseAddrPort(address)
	g := gosnmp.GoSNMP{Target: to.Addr().String(), Port: to.Port(), Version: version, Community: community,
		Timeout: 5 * time.Second, MaxOids: gosnmp.MaxOids, Transport: "udp"}
	if err := g.Connect(); err != nil {
		t.Fatal(err)
	}
	defer g.Conn.Close()
	if _, err := g.SendTrap(trap); err != nil {
		t.Fatal(err)
	}
}

// packet returns what send would send.
func packet(t testing.TB, version gosnmp.SnmpVersion, trap gosnmp.SnmpTrap) []byte {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := conn.LocalAddr().(*net.UDPAddr)
	g := gosnmp.GoSNMP{Target: to.IP.String(), Port: uint16(to.Port), Version: version, Community: "public",
		Timeout: 5 * time.Second, MaxOids: gosnmp.MaxOids, Transport: "udp"}
	if err := g.Connect(); err != nil {
		t.Fatal(err)
	}
	defer g.Conn.Close()
	if _, err := g.SendTrap(trap); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, packetLimit)
	n, _, err := conn.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func v2(oid string, variables ...gosnmp.SnmpPDU) gosnmp.SnmpTrap {
	first := gosnmp.SnmpPDU{Name: snmpTrapOID, Type: gosnmp.ObjectIdentifier, Value: oid}
	return gosnmp.SnmpTrap{Variables: append([]gosnmp.SnmpPDU{first}, variables...)}
}

func TestParse(t *testing.T) {
	const hot = 0x010109
	text := gosnmp.SnmpPDU{Name: "1.3.6.1.4.1.119.1", Type: gosnmp.OctetString, Value: "fan\nstopped"}
	for _, tt := range []struct {
		name    string
		version gosnmp.SnmpVersion
		trap    gosnmp.SnmpTrap
		want    trap
	}{
		{"platform event", gosnmp.Version1, petV1(hot, pet(7, 0x10)), trap{Severity: "critical", Event: "303132333435363738396162636465660007",
			Text: "platform event 0x010109: temperature, offset 9, asserted, sensor 0x30 of entity 7, severity critical"}},
		{"the end of it", gosnmp.Version1, petV1(hot|0x80, pet(0, 0x10)), trap{Severity: "critical", Over: true,
			Text: "platform event 0x010189: temperature, offset 9, deasserted, sensor 0x30 of entity 7, severity critical"}},
		{"information", gosnmp.Version1, petV1(0x1f6f01, pet(0, 0x02)), trap{Severity: "information",
			Text: "platform event 0x1f6f01: OS boot, offset 1, asserted, sensor 0x30 of entity 7, severity information"}},
		{"no variable", gosnmp.Version1, petV1(0xc00000), trap{Text: "platform event 0xc00000: sensor type 0xc0, offset 0, asserted"}},
		{"platform event in version 2", gosnmp.Version2c, v2(petEnterprise+".0.65801", pet(0, 0x20)), trap{Severity: "fatal",
			Text: "platform event 0x010109: temperature, offset 9, asserted, sensor 0x30 of entity 7, severity fatal"}},
		{"somebody else's", gosnmp.Version1, gosnmp.SnmpTrap{Enterprise: "1.3.6.1.4.1.119", AgentAddress: "127.0.0.1", GenericTrap: 6, SpecificTrap: 3, Variables: []gosnmp.SnmpPDU{text}},
			trap{Text: "trap 1.3.6.1.4.1.119.6.3; 1.3.6.1.4.1.119.1 = fan stopped"}},
		{"link down", gosnmp.Version2c, v2("1.3.6.1.6.3.1.1.5.3"), trap{Text: "trap 1.3.6.1.6.3.1.1.5.3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(packet(t, tt.version, tt.trap))
			if err != nil {
				t.Fatal(err)
			}
			if tt.version == gosnmp.Version2c && strings.HasPrefix(tt.want.Text, "trap") {
				got.Text, _, _ = strings.Cut(got.Text, ";") // the time of day, added by the sender
			}
			if tt.want.Community = "public"; got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// Severities that are asked for, and what reaches them.
func TestReaches(t *testing.T) {
	for least, want := range map[string]string{"any": "-iwcf", "warning": "-wcf", "critical": "-cf", "fatal": "-f"} {
		got := ""
		for _, s := range []string{"", "information", "warning", "critical", "fatal"} {
			if (trap{Severity: s}).reaches(least) {
				got += (s + "-")[:1]
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", least, got, want)
		}
	}
}

// listening returns a prober that awaits traps on a free port, and the port.
func listening(t *testing.T, pairs ...any) (*prober, string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := conn.LocalAddr().String()
	conn.Close()
	params := map[string]any{"category": trapCategory, "trap_listen": address, "trap_from": []any{"127.0.0.0/8"}}
	for i := 0; i < len(pairs); i += 2 {
		params[pairs[i].(string)] = pairs[i+1]
	}
	p, err := Type.New(params, monitor.Env{Mail: new(mailbox)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.(monitor.Closer).Close(); err != nil {
			t.Error(err)
		}
	})
	return p.(*prober), address
}

func look(t *testing.T, p *prober, want monitor.Verdict, detail string) monitor.Finding {
	t.Helper()
	f, err := p.Probe(t.Context())
	if err != nil || f.Verdict != want || !strings.Contains(f.Detail, detail) {
		t.Fatalf("got %+v, %v; want %v with %q", f, err, want, detail)
	}
	return f
}

// woken waits until p asks for a probe.
func woken(t *testing.T, p *prober) {
	t.Helper()
	select {
	case <-p.wake:
	case <-time.After(30 * time.Second):
		t.Fatal("no trap has arrived")
	}
}

// Real traps go through a real port and a real receiver.
func TestReceive(t *testing.T) {
	const hot = 0x010109
	p, address := listening(t, "keyword", "127.0.0.1", "trap_community", "secret")
	look(t, p, monitor.OK, "no message of BMCNotice.127.0.0.1")
	send(t, gosnmp.Version1, "wrong", address, petV1(hot, pet(1, 0x10)))
	send(t, gosnmp.Version1, "secret", address, petV1(0x1f6f01, pet(2, 0x02))) // of no weight
	woken(t, p)
	look(t, p, monitor.OK, "")
	send(t, gosnmp.Version1, "secret", address, petV1(hot, pet(3, 0x10)))
	woken(t, p)
	if f := look(t, p, monitor.Failed, "BMCNotice.127.0.0.1 from 127.0.0.1 at"); f.Known || !f.Certain {
		t.Errorf("got %+v", f)
	}
	send(t, gosnmp.Version1, "secret", address, petV1(hot, pet(3, 0x10)))      // repeated
	send(t, gosnmp.Version1, "secret", address, petV1(hot|0x80, pet(4, 0x10))) // over
	woken(t, p)
	id := p.listener.receiver.ID()
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id.PID)); err != nil || strings.TrimSpace(string(comm)) != receiverName {
		t.Errorf("the receiver is called %q, %v", comm, err)
	}
	if f := look(t, p, monitor.Failed, "temperature"); !f.Known {
		t.Errorf("a repetition counts: %+v", f)
	}
}

// Two monitors at one port, one of which looks for a text.
func TestShared(t *testing.T) {
	first, address := listening(t, "trap_match", "FAN")
	look(t, first, monitor.OK, "")
	second, err := Type.New(map[string]any{"category": trapCategory, "trap_listen": address, "trap_from": []any{"127.0.0.1"}},
		monitor.Env{Mail: new(mailbox)})
	if err != nil {
		t.Fatal(err)
	}
	other := second.(*prober)
	look(t, other, monitor.OK, "") // which starts the receiver anew, for the sources of both
	send(t, gosnmp.Version1, "public", address, petV1(0x010109, pet(1, 0x10)))
	woken(t, first)
	woken(t, other)
	look(t, first, monitor.OK, "")
	look(t, other, monitor.Failed, "temperature")
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	send(t, gosnmp.Version1, "public", address, petV1(0x040109, pet(2, 0x10)))
	woken(t, first)
	look(t, first, monitor.Failed, "fan")
}

// A receiver that dies is started again, and the monitor says so meanwhile.
func TestReceiverDies(t *testing.T) {
	p, address := listening(t)
	look(t, p, monitor.OK, "")
	p.listener.receiver.Stop()
	p.listener.receiver.Wait()
	if f, err := p.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "receiver of traps") {
		t.Errorf("got %+v, %v", f, err)
	}
	p.listener.mu.Lock()
	p.listener.started = p.listener.started.Add(-restartGap)
	p.listener.mu.Unlock()
	look(t, p, monitor.OK, "")
	send(t, gosnmp.Version2c, "public", address, v2("1.3.6.1.4.1.119.1"))
	woken(t, p)
	look(t, p, monitor.Failed, "trap 1.3.6.1.4.1.119.1")
}

// Fix 56 of the original: the monitor stayed offline when it started before what
// it depends on. Here the port is somebody else's at first.
func TestFix056LatePort(t *testing.T) {
	p, address := listening(t)
	other, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if f, err := p.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("got %+v, %v", f, err)
		}
	}
	other.Close()
	look(t, p, monitor.OK, "")
	send(t, gosnmp.Version1, "public", address, petV1(0x010109, pet(1, 0x10)))
	woken(t, p)
	look(t, p, monitor.Failed, "temperature")
}

// A flood from one source leaves room for another one, and hostile packets
// leave the receiver alive.
func TestFlood(t *testing.T) {
	good := packet(t, gosnmp.Version1, petV1(0x010109, pet(0, 0x10)))
	r := newReceiver([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, nil)
	now := time.Now()
	count := func(from string, n int) (passed int) {
		for range n {
			if _, ok := r.take(good, netip.MustParseAddr(from), now); ok {
				passed++
			}
		}
		return passed
	}
	for _, step := range []struct {
		from    string
		n, want int
	}{{"192.0.2.1", 100000, 0}, {"10.0.0.1", 100000, burstOfSource}, {"10.0.0.2", 1, 1}} {
		if got := count(step.from, step.n); got != step.want {
			t.Errorf("%d from %s: %d passed, want %d", step.n, step.from, got, step.want)
		}
	}
	all := burstOfSource + 1
	for i := range 1000 {
		all += count(fmt.Sprintf("10.1.%d.%d", i/250, i%250), burstOfSource)
	}
	if all != burstOfAll || len(r.of) > sourcesKept {
		t.Errorf("%d passed, %d sources are kept", all, len(r.of))
	}
	now = now.Add(time.Hour)
	if got := count("10.0.0.1", 1); got != 1 {
		t.Error("the receiver stays deaf after a flood")
	}
}

// What a receiver writes is not trusted.
func TestReports(t *testing.T) {
	p := &prober{params: params{sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, community: "public"}, wake: make(chan struct{}, 1)}
	r := &reports{listener: &listener{takers: map[*prober]bool{p: true}}}
	good, err := json.Marshal(trap{From: netip.MustParseAddr("10.0.0.1"), Community: "public", Text: "a\x1b[2Jb" + strings.Repeat("ä", 1000)})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "\n\n", "{", "null\n", `{"from":"x"}` + "\n", `{"text":"no sender"}` + "\n", strings.Repeat("x", 3*reportLimit), "\n"} {
		if n, err := r.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for _, b := range bytes.SplitAfter(append(good, '\n'), []byte{','}) { // in pieces
		if _, err := r.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.traps) != 1 || !strings.HasPrefix(p.traps[0].Text, "a [2Jb") || len(p.traps[0].Text) > textLimit {
		t.Errorf("got %+v", p.traps)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(packet(f, gosnmp.Version1, petV1(0x010109, pet(1, 0x10))))
	f.Add(packet(f, gosnmp.Version2c, v2(petEnterprise+".0.65801", pet(0, 0x20))))
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	from := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, b []byte) {
		r := receiver{sources: []netip.Prefix{netip.PrefixFrom(from, 32)}, all: bucket{burst: 1, pause: 1}, of: map[netip.Addr]*bucket{}}
		got, ok := r.take(b, from, time.Now())
		if ok && (len(got.Text) > textLimit || strings.ContainsAny(got.Text, "\n\x1b")) {
			t.Errorf("%q", got.Text)
		}
	})
}
