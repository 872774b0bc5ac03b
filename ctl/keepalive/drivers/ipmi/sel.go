package ipmi

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Types of records in the system event log, IPMI 2.0 table 32-1 and 42-3.
const (
	recordSystem   = 0x02
	recordOurs     = 0xda // an OEM record with a time stamp: 6 bytes are ours
	sensorWatchdog = 0x23 // "Watchdog 2"

	ccAbsent = 0xcb // requested record not present: a gap, or the log is empty

	lastEntry = 0xffff     // asks for the newest record
	timeKnown = 0x20000000 // times below count from the BMC's own start (37.1)
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
	record := ownRecord(code)
	r, err := b.command("add event log record", netStorage, cmdAddSEL, record[:], 2)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(r), nil
}

// LogTime is what the clock of the system event log shows, in seconds; zero
// when nobody has told the BMC the time.
func (b *BMC) LogTime() (time.Time, error) {
	r, err := b.command("get event log time", netStorage, cmdSELTime, nil, 4)
	if err != nil {
		return time.Time{}, err
	}
	return logTime(r), nil
}

// logTime reads a time of the log.
func logTime(b []byte) time.Time {
	s := binary.LittleEndian.Uint32(b)
	if s < timeKnown || s == 0xffffffff {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// Newest yields the entries of the system event log, newest first. The log is
// linked forwards only, so the way back goes by number: gaps are passed over,
// and after tries commands it ends, some milliseconds each. Nothing is reserved
// or cleared: whoever else reads the log is not disturbed.
func (b *BMC) Newest(ctx context.Context, tries int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		id := uint16(lastEntry)
		for range tries {
			if err := ctx.Err(); err != nil {
				yield(Record{}, fmt.Errorf("read event log: %w", err))
				return
			}
			rec, err := b.record(id)
			switch {
			case completion(err, ccAbsent) && id == lastEntry:
				return // empty
			case completion(err, ccAbsent):
			case err != nil:
				yield(Record{}, err)
				return
			case id == 0 && rec.ID != 0:
				return // 0 is another name of the first one, which was met before
			case !yield(rec, nil):
				return
			default:
				id = rec.ID
			}
			if id == 0 {
				return
			}
			id--
		}
	}
}

// record reads one entry.
func (b *BMC) record(id uint16) (Record, error) {
	data := []byte{0, 0, byte(id), byte(id >> 8), 0, 0xff} // no reservation is needed to read a whole record
	r, err := b.command("get event log record", netStorage, cmdGetSEL, data, 18)
	if err != nil {
		return Record{}, err
	}
	return parseRecord([16]byte(r[2:18])), nil
}

// ioctlSend is IPMICTL_SEND_COMMAND, _IOR('i', 13, struct ipmi_req)
// (include/uapi/linux/ipmi.h).
const ioctlSend = 2<<30 | unsafe.Sizeof(request{})<<16 | 'i'<<8 | 13

// request is struct ipmi_req with its struct ipmi_msg, and address struct
// ipmi_system_interface_addr.
type request struct {
	addr    *address
	addrLen uint32
	id      int64
	netfn   byte
	cmd     byte
	size    uint16
	data    *byte
}

type address struct {
	kind    int32
	channel int16
	_       [2]byte // logical unit 0, and padding
}

// Post hands an entry like that of [BMC.AddRecord] to the kernel for the BMC
// behind fd, an open /dev/ipmi0, and does not wait for what comes of it: for who
// has no time left.
func Post(fd int, code byte) error {
	record := ownRecord(code)
	var to address
	to.kind, to.channel = 0x0c, 0x0f // IPMI_SYSTEM_INTERFACE_ADDR_TYPE, IPMI_BMC_CHANNEL
	r := request{addr: &to, addrLen: uint32(unsafe.Sizeof(to)), netfn: netStorage, cmd: cmdAddSEL, size: uint16(len(record)), data: &record[0]}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlSend, uintptr(unsafe.Pointer(&r)))
	if errno != 0 {
		return fmt.Errorf("post an event log record: %w", errno)
	}
	return nil
}

// ownRecord is an entry of ours; number and time are the BMC's to fill in.
func ownRecord(code byte) [16]byte {
	var record [16]byte
	record[2] = recordOurs
	copy(record[10:], mark[:])
	record[15] = code
	return record
}

func parseRecord(raw [16]byte) Record {
	rec := Record{ID: binary.LittleEndian.Uint16(raw[:]), Type: raw[2], Raw: raw}
	if rec.Type < 0xe0 { // those from e0 on have no time
		rec.Time = logTime(raw[3:])
	}
	switch {
	case rec.Type == recordOurs && [5]byte(raw[10:15]) == mark:
		rec.Ours, rec.Code = true, raw[15]
	case rec.Type == recordSystem && raw[10] == sensorWatchdog:
		rec.Watchdog, rec.Expiry = true, raw[13]&0x0f
	}
	return rec
}
