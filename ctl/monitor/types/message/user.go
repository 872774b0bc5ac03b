package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gosnmp/gosnmp"
)

// A user is somebody whose SNMPv3 traps are believed (RFC 3414). The zero value
// is nobody.
type user struct {
	Name            string
	Auth            string // one of authProtocols
	AuthPassword    string
	Privacy         string // one of privacyProtocols
	PrivacyPassword string // empty without privacy
}

var authProtocols = map[string]gosnmp.SnmpV3AuthProtocol{
	"md5": gosnmp.MD5, "sha1": gosnmp.SHA, "sha224": gosnmp.SHA224, "sha256": gosnmp.SHA256, "sha384": gosnmp.SHA384, "sha512": gosnmp.SHA512,
}

// noPrivacy is the value of user.Privacy for traps that anybody may read.
const noPrivacy = "none"

// The keys of AES of more than 128 bits are made in two ways: that of Blumenthal,
// which net-snmp takes, and that of Reeder, which Cisco does.
var privacyProtocols = map[string]gosnmp.SnmpV3PrivProtocol{
	noPrivacy: gosnmp.NoPriv, "des": gosnmp.DES, "aes": gosnmp.AES, "aes192": gosnmp.AES192, "aes256": gosnmp.AES256,
	"aes192-reeder": gosnmp.AES192C, "aes256-reeder": gosnmp.AES256C,
}

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// id tells users apart, also those of one name, without telling passwords.
func (u user) id() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", u))
	return hex.EncodeToString(sum[:16])
}

// level is what each trap of u must be: authenticated, and encrypted if there is
// privacy.
func (u user) level() gosnmp.SnmpV3MsgFlags {
	if u.Privacy == noPrivacy {
		return gosnmp.AuthNoPriv
	}
	return gosnmp.AuthPriv
}

// passwordLeast is the least length of a password in bytes: RFC 3414, 11.2.
const passwordLeast = 8

func (u user) check() error {
	for what, text := range map[string]string{"trap_auth_password": u.AuthPassword, "trap_privacy_password": u.PrivacyPassword} {
		if len(text) < passwordLeast && (what == "trap_auth_password" || u.Privacy != noPrivacy) {
			return fmt.Errorf("%s has %d bytes, and needs at least %d", what, len(text), passwordLeast)
		}
	}
	return nil
}

// errNotUser says that a packet is not from this user.
var errNotUser = errors.New("it is no trap of this user")

// open takes a packet apart that u has sent, and returns by whose clock it was
// sent. What is not signed, or not encrypted although it is to be, is not from u.
func (u user) open(packet []byte) (*gosnmp.SnmpPacket, stamp, error) {
	g := gosnmp.GoSNMP{Version: gosnmp.Version3, SecurityModel: gosnmp.UserSecurityModel, MsgFlags: u.level(), MaxOids: gosnmp.MaxOids,
		SecurityParameters: &gosnmp.UsmSecurityParameters{UserName: u.Name,
			AuthenticationProtocol: authProtocols[u.Auth], AuthenticationPassphrase: u.AuthPassword,
			PrivacyProtocol: privacyProtocols[u.Privacy], PrivacyPassphrase: u.PrivacyPassword}}
	p, err := g.UnmarshalTrap(bytes.Clone(packet), true) // which decrypts in place
	if err != nil {
		return nil, stamp{}, err
	}
	usm, ok := p.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	if !ok || p.Version != gosnmp.Version3 || p.PDUType != gosnmp.SNMPv2Trap || usm.UserName != u.Name || p.MsgFlags&gosnmp.AuthPriv != u.level() {
		return nil, stamp{}, errNotUser
	}
	return p, stamp{usm.AuthoritativeEngineID, usm.AuthoritativeEngineBoots, usm.AuthoritativeEngineTime}, nil
}

// A stamp is the time of a sender's clock.
type stamp struct {
	engine string
	boots  uint32 // starts of the sender
	time   uint32 // seconds since the last
}

// Limits of RFC 3414, 3.2.7.
const (
	stampWindow = 150 * time.Second
	bootsEnd    = 1<<31 - 1 // the sender's count has run out
	clocksKept  = 256       // senders that are told apart
)

// clocks are those of the senders that were heard of, by engine.
type clocks map[string]clock

type clock struct {
	stamp
	at time.Time // by ours
}

// timely reports whether a trap is no older than the latest of its sender by
// more than the window: what somebody recorded and plays again later is.
func (c clocks) timely(s stamp, now time.Time) bool {
	last, known := c[s.engine]
	age := last.time + uint32(now.Sub(last.at)/time.Second)
	switch {
	case s.boots == bootsEnd:
		return false
	case known && s.boots < last.boots, known && s.boots == last.boots && time.Duration(age)*time.Second > time.Duration(s.time)*time.Second+stampWindow:
		return false
	case known && s.boots == last.boots && s.time <= last.time:
		return true
	}
	if !known && len(c) >= clocksKept {
		oldest := slices.MinFunc(slices.Collect(maps.Values(c)), func(a, b clock) int { return a.at.Compare(b.at) })
		delete(c, oldest.engine)
	}
	c[s.engine] = clock{s, now}
	return true
}
