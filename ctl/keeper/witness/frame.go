package witness

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"iter"
	"slices"
)

// The file of last words is a ring of slots, each written as a whole in one
// direct write to blocks that were allocated beforehand:
//
//	0  8 magic "SHISALW1" · u64 number, counting up · u32 length · u32 CRC32C of the number and the text
//	24 text: one line of JSON
//
// Numbers are little-endian. A slot that is torn fails its checksum and is
// passed over.
const (
	SlotSize = 4096
	Slots    = 8
	FileSize = Slots * SlotSize

	header    = 24
	TextLimit = SlotSize - header // bytes of one text

	magic = "SHISALW1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal fills slot with text, which must have at most TextLimit bytes.
func seal(slot []byte, number uint64, text []byte) {
	clear(slot)
	copy(slot, magic)
	binary.LittleEndian.PutUint64(slot[8:], number)
	binary.LittleEndian.PutUint32(slot[16:], uint32(len(text)))
	copy(slot[header:], text)
	binary.LittleEndian.PutUint32(slot[20:], sum(slot, len(text)))
}

func sum(slot []byte, n int) uint32 {
	return crc32.Update(crc32.Checksum(slot[8:16], castagnoli), castagnoli, slot[header:header+n])
}

// A frame is one whole slot.
type frame struct {
	number uint64
	text   []byte
}

// frames returns the whole slots of a file, oldest first.
func frames(file []byte) []frame {
	var all []frame
	for len(file) >= SlotSize {
		slot := file[:SlotSize]
		file = file[SlotSize:]
		n := binary.LittleEndian.Uint32(slot[16:])
		if string(slot[:8]) != magic || n > TextLimit || binary.LittleEndian.Uint32(slot[20:]) != sum(slot, int(n)) {
			continue
		}
		all = append(all, frame{binary.LittleEndian.Uint64(slot[8:]), bytes.Clone(slot[header : header+n])})
	}
	slices.SortStableFunc(all, func(a, b frame) int { return cmp.Compare(a.number, b.number) })
	return all
}

// Texts yields the texts of all whole slots of a file, oldest first, with their
// numbers.
func Texts(file []byte) iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		for _, f := range frames(file) {
			if !yield(f.number, f.text) {
				return
			}
		}
	}
}
