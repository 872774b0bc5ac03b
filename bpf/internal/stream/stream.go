// Package stream reads records that programs send, from a ring buffer or from
// a perf buffer alike, without allocating per record.
package stream

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
)

// ErrInterrupted is what Next returns after Interrupt.
var ErrInterrupted = errors.New("reading was interrupted")

// perfBytes is the perf buffer of one CPU: room for some 700 records.
const perfBytes = 64 << 10

// Reader is one map's stream of records. It is not safe for concurrent use,
// except for Interrupt.
type Reader struct {
	ring   *ring
	perf   *perf.Reader
	record perf.Record
}

// Open reads from a map of either kind.
func Open(m *ebpf.Map) (r *Reader, err error) {
	r = new(Reader)
	switch m.Type() {
	case ebpf.RingBuf:
		r.ring, err = openRing(m)
	case ebpf.PerfEventArray:
		r.perf, err = perf.NewReader(m, perfBytes)
	default:
		err = fmt.Errorf("map is a %s, neither a ring buffer nor a perf buffer", m.Type())
	}
	return r, err
}

// Next waits for a record. The bytes are valid until the next call. A perf
// buffer may report lost records and no bytes.
func (r *Reader) Next() (raw []byte, lost uint64, err error) {
	if r.ring != nil {
		raw, err = r.ring.next()
		return raw, 0, err
	}
	err = r.perf.ReadInto(&r.record)
	switch {
	case errors.Is(err, perf.ErrFlushed):
		return nil, 0, ErrInterrupted
	case err != nil:
		return nil, 0, err
	case r.record.LostSamples > 0:
		return nil, r.record.LostSamples, nil
	}
	return r.record.RawSample, 0, nil
}

// Interrupt makes a waiting Next, and every later one that would wait, return
// ErrInterrupted; what had arrived before is still handed out.
func (r *Reader) Interrupt() {
	if r.ring != nil {
		r.ring.interrupt()
		return
	}
	r.perf.Flush() // fails only when the reader is closed, which ends Next too
}

// Close gives the buffer back.
func (r *Reader) Close() error {
	if r.ring != nil {
		return r.ring.close()
	}
	return r.perf.Close()
}

// Decode looks at bytes from this machine's kernel as a record. A perf buffer
// pads records, so there may be more bytes than the record has. A perf sample
// follows its 4-byte size and may lie unaligned: then it is copied.
func Decode[T any](raw []byte) (*T, error) {
	if size := unsafe.Sizeof(*new(T)); uintptr(len(raw)) < size {
		return nil, fmt.Errorf("decode a record of %d bytes: %d expected", len(raw), size)
	}
	at := unsafe.Pointer(unsafe.SliceData(raw))
	if uintptr(at)%unsafe.Alignof(*new(T)) == 0 {
		return (*T)(at), nil
	}
	record := new(T)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(record)), unsafe.Sizeof(*record)), raw)
	return record, nil
}
