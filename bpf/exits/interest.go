package exits

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ignoredBits is IGNORED_BITS of src/records.h: processes whose numbers are equal
// modulo this share a bit.
const ignoredBits = 1 << 16

// An Interest says which processes are waited for. The death of one of them wakes
// the reader at once; others are handed over with the next one that does, or when
// an eighth of the buffer is full. On a server that starts programs all the time
// that saves most of the reader's work. It may be used by several goroutines.
type Interest struct {
	mu     sync.Mutex
	memory []byte         // the map, shared with the kernel
	count  map[uint16]int // processes that are waited for, by bit
}

// Only has the reader woken for the processes of an Interest alone, of which there
// are none at first. It fails on kernels without the ring buffer, where every death
// wakes the reader.
func (k *Kernel) Only() (*Interest, error) {
	m := k.loaded.Map("ignored")
	if m == nil {
		return nil, errors.New("records come through a perf buffer, which wakes its reader for each")
	}
	memory, err := unix.Mmap(m.FD(), 0, ignoredBits/8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ignored processes: %w", err)
	}
	i := &Interest{memory: memory, count: map[uint16]int{}}
	for n := range ignoredBits / 64 {
		i.word(n).Store(^uint64(0))
	}
	return i, nil
}

// Set says that a process is waited for, or once less.
func (i *Interest) Set(pid int, waited bool) {
	bit := uint16(pid % ignoredBits)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.memory == nil {
		return
	}
	if waited {
		i.count[bit]++
	} else if i.count[bit]--; i.count[bit] <= 0 {
		delete(i.count, bit)
	}
	if mask := uint64(1) << (bit % 64); i.count[bit] > 0 {
		i.word(int(bit) / 64).And(^mask)
	} else {
		i.word(int(bit) / 64).Or(mask)
	}
}

// Close has every death wake the reader again.
func (i *Interest) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.memory == nil {
		return nil
	}
	for n := range ignoredBits / 64 {
		i.word(n).Store(0)
	}
	memory := i.memory
	i.memory = nil
	return unix.Munmap(memory)
}

func (i *Interest) word(n int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&i.memory[8*n]))
}
