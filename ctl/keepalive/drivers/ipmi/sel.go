package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Types of records in the system event log, IPMI 2.0 table 32-1 and 42-3.
const (
	recordSystem   = 0x02
	recordOurs     = 0xda // an OEM record with a time stamp: 6 bytes are ours
	sensorWatchdog = 0x23 // "Watchdog 2"

	ccAbsent = 0xcb // requested record not present: the log is empty
)

var mark = [5]byte{'s', 'h', 'i', 's', 'a'}

// A Record is an entry of the system event log.
type Record struct {
	ID   uint16
	Type byte
	Time time.Time // zero when the record has none, or the BMC did not know the time
	Raw  [16]byte

	Ours bool // written by AddRecord
	Code byte // that AddRecord was given

	Watchdog bool // the watchdog timer ran out, or warned
	Expiry   byte // of Watchdog: 0 expired, 1 hard reset, 2 power down, 3 power cycle, 8 pretimeout
}

// AddRecord writes an entry of ours with code into the system event log, where
// it outlives the machine's disks, and returns its number.
func (b *BMC) AddRecord(code byte) (uint16, error) {
	record := make([]byte, 16) // number and time are the BMC's to fill in
	record[2] = recordOurs
	copy(record[10:], mark[:])
	record[15] = code
	r, err := b.command("add event log record", netStorage, cmdAddSEL, record, 2)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(r), nil
}

// Records returns the newest entries of the system event log, at most limit,
// oldest first. The log is read from its beginning, some milliseconds an
// entry; when ctx ends before, what was read until then is returned with its
// error.
func (b *BMC) Records(ctx context.Context, limit int) ([]Record, error) {
	const first, last = 0x0000, 0xffff
	var records []Record
	for id, n := uint16(first), 0; id != last; n++ {
		if err := ctx.Err(); err != nil {
			return records, fmt.Errorf("read event log: %w", err)
		}
		if n > last {
			return records, errors.New("read event log: it has no end")
		}
		// No reservation is needed to read a whole record.
		data := []byte{0, 0, byte(id), byte(id >> 8), 0, 0xff}
		r, err := b.command("get event log record", netStorage, cmdGetSEL, data, 18)
		if completion(err, ccAbsent) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		if len(records) == limit {
			records = append(records[:0], records[1:]...)
		}
		records = append(records, parseRecord([16]byte(r[2:18])))
		id = binary.LittleEndian.Uint16(r)
	}
	return records, nil
}

func parseRecord(raw [16]byte) Record {
	rec := Record{ID: binary.LittleEndian.Uint16(raw[:]), Type: raw[2], Raw: raw}
	if rec.Type < 0xe0 { // those from e0 on have no time
		// Below 0x20000000 it counts from the BMC's own start (37.1).
		if s := binary.LittleEndian.Uint32(raw[3:]); s >= 0x20000000 && s != 0xffffffff {
			rec.Time = time.Unix(int64(s), 0).UTC()
		}
	}
	switch {
	case rec.Type == recordOurs && [5]byte(raw[10:15]) == mark:
		rec.Ours, rec.Code = true, raw[15]
	case rec.Type == recordSystem && raw[10] == sensorWatchdog:
		rec.Watchdog, rec.Expiry = true, raw[13]&0x0f
	}
	return rec
}
