package api

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// Millis is a time span that JSON carries as a number of milliseconds, to the
// microsecond; its keys end in _ms.
type Millis time.Duration

// D returns m as a time.Duration.
func (m Millis) D() time.Duration { return time.Duration(m) }

// String returns m as time.Duration does.
func (m Millis) String() string { return time.Duration(m).String() }

// MarshalJSON writes a number.
func (m Millis) MarshalJSON() ([]byte, error) {
	us := time.Duration(m).Microseconds()
	if us%1000 == 0 {
		return strconv.AppendInt(nil, us/1000, 10), nil
	}
	return strconv.AppendFloat(nil, float64(us)/1000, 'f', -1, 64), nil
}

// maxMillis is the longest span that a time.Duration holds, about 292 years.
const maxMillis = float64(1<<63-1) / float64(time.Millisecond)

// UnmarshalJSON reads a number.
func (m *Millis) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(b)), 64)
	if err != nil || !(f > -maxMillis && f < maxMillis) {
		return fmt.Errorf("%s is not a number of milliseconds", b)
	}
	*m = Millis(f * float64(time.Millisecond))
	return nil
}
