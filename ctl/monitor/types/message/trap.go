package message

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"
)

// textLimit bounds the description of a trap in bytes.
const textLimit = 512

// A trap is what is left of an SNMP trap when it has been taken apart. It is
// what the receiver writes, one JSON object a line.
type trap struct {
	From      netip.Addr `json:"from"`
	Community string     `json:"community,omitempty"`
	User      string     `json:"user,omitempty"`     // [user.id] of whoever has signed it; empty: version 1 or 2c
	Severity  string     `json:"severity,omitempty"` // of a platform event: one of severities, "information", or empty
	Event     string     `json:"event,omitempty"`    // identity of a platform event, the same in each repetition
	Over      bool       `json:"over,omitempty"`     // the condition has ended
	Text      string     `json:"text"`               // description

	At time.Time `json:"-"` // arrival
}

// reaches reports whether t is as severe as least says. What has no severity is.
func (t trap) reaches(least string) bool {
	return t.Severity == "" || least == severities[0] || slices.Index(severities, t.Severity) >= slices.Index(severities, least)
}

// OIDs, without the leading dot that gosnmp writes before some.
const (
	petEnterprise = "1.3.6.1.4.1.3183.1.1" // IPMI Platform Event Trap Format v1.0, 3
	snmpTrapOID   = "1.3.6.1.6.3.1.1.4.1.0"
)

// parse takes an SNMP message of version 1 or 2c apart.
func parse(packet []byte) (trap, error) {
	g := gosnmp.GoSNMP{Version: gosnmp.Version2c, Logger: gosnmp.Logger{}, MaxOids: gosnmp.MaxOids}
	p, err := g.UnmarshalTrap(packet, false)
	if err != nil {
		return trap{}, err
	}
	if p.Version != gosnmp.Version1 && p.Version != gosnmp.Version2c {
		return trap{}, errors.New("it is no message of version 1 or 2c")
	}
	return decode(trap{Community: p.Community}, p)
}

// decode puts into t what a trap says.
func decode(t trap, p *gosnmp.SnmpPacket) (trap, error) {
	switch {
	case p.Version == gosnmp.Version1 && p.PDUType == gosnmp.Trap:
		enterprise := strings.TrimPrefix(p.Enterprise, ".")
		if enterprise == petEnterprise && p.GenericTrap == 6 {
			return petTrap(t, uint32(p.SpecificTrap), p.Variables), nil
		}
		t.Text = fmt.Sprintf("trap %s.%d.%d", enterprise, p.GenericTrap, p.SpecificTrap)
	case p.Version != gosnmp.Version1 && p.PDUType == gosnmp.SNMPv2Trap:
		oid := "without identity"
		for _, v := range p.Variables {
			if name, ok := v.Value.(string); ok && strings.TrimPrefix(v.Name, ".") == snmpTrapOID {
				oid = strings.TrimPrefix(name, ".")
			}
		}
		if specific, ok := strings.CutPrefix(oid, petEnterprise+".0."); ok {
			if n, err := strconv.ParseUint(specific, 10, 32); err == nil {
				return petTrap(t, uint32(n), p.Variables), nil
			}
		}
		t.Text = "trap " + oid
	default:
		return trap{}, errors.New("it is no trap")
	}
	for _, v := range p.Variables {
		if name := strings.TrimPrefix(v.Name, "."); name != snmpTrapOID {
			t.Text += "; " + value(name, v.Value)
		}
	}
	t.Text = oneLine(t.Text)
	return t, nil
}

// value describes a variable.
func value(name string, v any) string {
	const limit = 128 // bytes
	if b, ok := v.([]byte); ok {
		return fmt.Sprintf("%s = %s", name, oneLine(string(b[:min(len(b), limit)])))
	}
	return fmt.Sprintf("%s = %.*s", name, limit, fmt.Sprint(v))
}

// Offsets in the variable of a platform event trap: Platform Event Trap Format
// v1.0, table 3.
const (
	petSequence = 16 // after the GUID; 2 bytes, 0: unspecified
	petSeverity = 26
	petSensor   = 28
	petEntity   = 29
	petLength   = 46 // without the variable part
)

var petSeverities = map[byte]string{0x01: "information", 0x02: "information", 0x04: "information", 0x08: "warning", 0x10: "critical", 0x20: "fatal"}

// petTrap decodes a platform event.
func petTrap(t trap, specific uint32, variables []gosnmp.SnmpPDU) trap {
	sensorType, offset := byte(specific>>16), byte(specific)
	t.Over = offset&0x80 != 0
	state := "asserted"
	if t.Over {
		state = "deasserted"
	}
	t.Text = fmt.Sprintf("platform event %#06x: %s, offset %d, %s", specific, sensorName(sensorType), offset&0x0f, state)
	for _, v := range variables {
		b, ok := v.Value.([]byte)
		if !ok || len(b) < petLength || !strings.HasPrefix(strings.TrimPrefix(v.Name, "."), petEnterprise+".1") {
			continue
		}
		t.Severity = petSeverities[b[petSeverity]]
		if seq := binary.BigEndian.Uint16(b[petSequence:]); seq != 0 {
			t.Event = hex.EncodeToString(b[:petSequence+2])
		}
		t.Text += fmt.Sprintf(", sensor %#02x of entity %d, severity %s", b[petSensor], b[petEntity], orUnspecified(t.Severity))
		break
	}
	return t
}

func orUnspecified(severity string) string {
	if severity == "" {
		return "unspecified"
	}
	return severity
}

// sensorNames are sensor types: IPMI 2.0, table 42-3.
var sensorNames = map[byte]string{
	0x01: "temperature", 0x02: "voltage", 0x03: "current", 0x04: "fan", 0x05: "intrusion", 0x07: "processor", 0x08: "power supply",
	0x09: "power unit", 0x0c: "memory", 0x0d: "drive bay", 0x0f: "firmware progress", 0x10: "event log", 0x11: "watchdog", 0x12: "system event",
	0x13: "critical interrupt", 0x14: "button", 0x19: "chip set", 0x1b: "cable", 0x1d: "system boot", 0x1f: "OS boot", 0x20: "OS stop",
	0x21: "slot", 0x23: "watchdog", 0x24: "platform alert", 0x28: "management subsystem", 0x29: "battery",
}

func sensorName(t byte) string {
	if name := sensorNames[t]; name != "" {
		return name
	}
	return fmt.Sprintf("sensor type %#02x", t)
}
