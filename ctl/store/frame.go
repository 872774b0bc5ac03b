package store

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A frame on disk is
//
//	mark "SHJ1" · length uint32 · CRC-32C of length and payload uint32 · payload
//
// in little-endian order. Every frame starts with the mark, so that reading
// goes on behind a damaged one.
var mark = []byte("SHJ1")

const (
	headerSize = 12
	// payloadLimit bounds one record in bytes. The largest is the one that a
	// compacted journal starts with: all cells and the intents of two boots.
	payloadLimit = 8 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends payload as one frame to b.
func appendFrame(b, payload []byte) []byte {
	start := len(b)
	b = append(b, mark...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, checksum(b[start+4:start+8], payload))
	return append(b, payload...)
}

func checksum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}

// Damage says what could not be read of a journal.
type Damage struct {
	Bytes int  // that belong to no valid record
	Spots int  // separate places
	Torn  bool // the only spot is the end: a write was cut off by a crash
}

// Any reports whether there is damage.
func (d Damage) Any() bool { return d.Spots > 0 }

// scan calls each for every whole frame in b, and skips what is none. A frame
// that each refuses counts as damage.
func scan(b []byte, each func(payload []byte) bool) Damage {
	var d Damage
	intact := true // what precedes is
	for rest := b; len(rest) > 0; {
		payload, size := frame(rest)
		if size > 0 && each(payload) {
			rest, intact = rest[size:], true
			continue
		}
		if intact {
			d.Spots++
			intact = false
		}
		next := bytes.Index(rest[1:], mark)
		if next < 0 {
			d.Bytes += len(rest)
			d.Torn = d.Spots == 1
			return d
		}
		d.Bytes += next + 1
		rest = rest[next+1:]
	}
	return d
}

// frame returns the payload and the size of the frame at the start of b; size
// is 0 when there is none.
func frame(b []byte) (payload []byte, size int) {
	if len(b) < headerSize || !bytes.HasPrefix(b, mark) {
		return nil, 0
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n > payloadLimit || int(n) > len(b)-headerSize {
		return nil, 0
	}
	payload = b[headerSize : headerSize+int(n)]
	if checksum(b[4:8], payload) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, 0
	}
	return payload, headerSize + int(n)
}
