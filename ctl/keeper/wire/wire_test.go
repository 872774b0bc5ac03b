package wire_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"shisa/ctl/keepalive"
	"shisa/ctl/keeper/wire"
)

// fill sets every field below v to something that is not zero, so that a field
// that is forgotten in the codec comes back different.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat("x", int(*n%7)+1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(*n - 3*(*n%2))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("no value for " + v.Kind().String())
	}
}

type message interface {
	Encode() ([]byte, error)
	Decode([]byte) error
}

func messages() map[string]func() message {
	return map[string]func() message{
		"request":  func() message { return new(wire.Request) },
		"reply":    func() message { return new(wire.Reply) },
		"handover": func() message { return new(wire.Handover) },
	}
}

func TestEveryFieldSurvives(t *testing.T) {
	for name, fresh := range messages() {
		t.Run(name, func(t *testing.T) {
			in, out := fresh(), fresh()
			var n int64
			fill(reflect.ValueOf(in).Elem(), &n)
			b, err := in.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := out.Decode(b); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(in, out) {
				t.Errorf("sent %+v\n got %+v", in, out)
			}
			for cut := range b {
				if err := fresh().Decode(b[:cut]); err == nil {
					t.Errorf("cut at %d of %d it is still decoded", cut, len(b))
				}
			}
			if err := fresh().Decode(append(bytes.Clone(b), 0)); err == nil {
				t.Error("a byte too many is not noticed")
			}
		})
	}
}

func TestOtherVersionIsNamed(t *testing.T) {
	b, err := (&wire.Request{Verb: wire.Hello}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 2 * (wire.Version + 1) // varint of the next version
	if err := new(wire.Request).Decode(b); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("%v, want a word on the version", err)
	}
}

func FuzzDecode(f *testing.F) {
	r := wire.Request{Verb: wire.Arm, Orders: wire.Orders{Page: "/run/shisa/beats", Guards: []wire.Guard{{
		Role: keepalive.Primary, Driver: "wdt", Device: "/dev/watchdog0", Request: keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset},
	}}}}
	b, err := r.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, fresh := range messages() {
			m := fresh()
			if m.Decode(b) != nil {
				continue
			}
			again, err := m.Encode()
			if err != nil {
				t.Fatalf("%+v was decoded but cannot be encoded: %v", m, err)
			}
			if err := fresh().Decode(again); err != nil {
				t.Fatalf("%+v does not survive: %v", m, err)
			}
		}
	})
}
