package beat

import (
	"sync/atomic"
	"unsafe"
)

// The layout, in bytes from the start of the file. All numbers are in the
// machine's byte order, all times are nanoseconds of CLOCK_MONOTONIC. It may be
// mapped by anything on this machine, an eBPF array of 64 values of 64 bytes
// included: value 0 is the header, 1 the keeper, 2 and 3 the engines, 4 and up
// the slots.
//
//	   0  header       8 magic "SHISABT1" · u32 version · u32 slot size · u32 slots · u32 0
//	                   i64 progress · i64 daemon pid · u64 epoch · 16 reserved
//	  64  keeper       i64 pid · i64 state · i64 last round · i64 largest delay · i64 its slot+1
//	                   i64 stale slot+1 · i64 stale since · i64 period
//	 128  engine 0     i64 state · i64 timeout · i64 last ping · i64 its duration · i64 pings
//	                   i64 errors · i64 ping begun (0: none under way) · i64 longest ping
//	 192  engine 1     the same
//	 256  slot 0       i64 last beat · i64 count · i64 limit · i64 flags · i64 largest delay · 24 name
//	 320  slot 1       …
//	4096  end
const (
	Size      = 4096 // of the file
	SlotSize  = 64
	MaxSlots  = 60 // that one page holds
	NameLimit = 24 // bytes of a slot's name
	Version   = 1

	magic = "SHISABT1"

	flagUsed int64 = 1 << 0 // the slot counts; without it all else in it is void
)

// Names of the slots of the optional checks of package stall. What does not go
// on there is not the daemon, and the witness says so.
const (
	FileCheck   = "stall/file"
	ThreadCheck = "stall/thread"
)

type page struct {
	magic    [8]byte
	version  uint32
	slotSize uint32
	slots    uint32
	_        uint32
	progress atomic.Int64
	pid      atomic.Int64
	epoch    atomic.Uint64
	_        [2]uint64
	keeper   Keeper
	engines  [2]Engine
	slot     [MaxSlots]slot
}

// Keeper is the part of the page that the keeper writes about itself.
type Keeper struct {
	PID       atomic.Int64
	State     atomic.Int64 // a State of ctl/keeper/wire
	Round     atomic.Int64 // Time of the last round of judgement
	MaxDelay  atomic.Int64 // ns, the oldest that any beat ever was
	MaxSlot   atomic.Int64 // index+1 of the slot that was it
	StaleSlot atomic.Int64 // index+1 of the beat for which pings are withheld; 0: none
	StaleFrom atomic.Int64 // Time of its last beat
	Period    atomic.Int64 // ns between two rounds
}

// Engine is the part of the page that the keeper writes about one engine.
type Engine struct {
	State    atomic.Int64 // 0: none, 1: armed, 2: counting down, not pinged
	Timeout  atomic.Int64 // ns granted
	LastPing atomic.Int64 // Time at which the last successful ping returned
	Took     atomic.Int64 // ns that it took
	Pings    atomic.Int64
	Errors   atomic.Int64
	Begun    atomic.Int64 // Time at which the ping under way began; 0: none
	MaxTook  atomic.Int64 // ns of the longest ping
}

type slot struct {
	last     atomic.Int64
	count    atomic.Int64
	limit    atomic.Int64
	flags    atomic.Int64
	maxDelay atomic.Int64
	name     [NameLimit]byte
}

// The sizes are part of the format.
var (
	_ [Size]byte     = [unsafe.Sizeof(page{})]byte{}
	_ [SlotSize]byte = [unsafe.Sizeof(slot{})]byte{}
	_ [SlotSize]byte = [unsafe.Sizeof(Keeper{})]byte{}
	_ [SlotSize]byte = [unsafe.Sizeof(Engine{})]byte{}
)
