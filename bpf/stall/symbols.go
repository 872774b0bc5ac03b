package stall

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Symbols names kernel addresses. It reads /proc/kallsyms (200 000 lines, some
// 50 ms) when it meets an address for the first time and keeps only what was
// asked for. The zero value is ready.
type Symbols struct {
	mu    sync.Mutex
	names map[uint64]string
}

// maxNames bounds the memory: kernel stacks of stalled tasks share most of their
// addresses. When it is reached, all are forgotten.
const maxNames = 4096

// Names returns "function+0x1f" for each address, or the bare number where the
// kernel hides its addresses.
func (s *Symbols) Names(stack []uint64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []uint64
	for _, address := range stack {
		if _, ok := s.names[address]; !ok {
			missing = append(missing, address)
		}
	}
	if len(missing) > 0 {
		s.learn(missing)
	}
	names := make([]string, len(stack))
	for i, address := range stack {
		names[i] = s.names[address]
	}
	return names
}

func (s *Symbols) learn(addresses []uint64) {
	if s.names == nil || len(s.names)+len(addresses) > maxNames {
		s.names = make(map[uint64]string)
	}
	var found map[uint64]string
	if f, err := os.Open("/proc/kallsyms"); err == nil {
		found = resolve(f, addresses)
		f.Close()
	}
	for _, address := range addresses {
		s.names[address] = fmt.Sprintf("0x%x", address)
		if name, ok := found[address]; ok {
			s.names[address] = name
		}
	}
}

// resolve finds the nearest function at or below each address in one pass.
func resolve(kallsyms io.Reader, addresses []uint64) map[uint64]string {
	type best struct {
		at   uint64
		name string
	}
	nearest := make([]best, len(addresses))
	lines := bufio.NewScanner(kallsyms)
	for lines.Scan() {
		// "ffffffff81000000 T _stext" and "\t[module]" for a module's.
		number, rest, _ := strings.Cut(lines.Text(), " ")
		at, err := strconv.ParseUint(number, 16, 64)
		if err != nil || at == 0 || len(rest) < 3 || !strings.ContainsRune("tTwW", rune(rest[0])) {
			continue
		}
		for i, address := range addresses {
			if at <= address && at > nearest[i].at {
				nearest[i] = best{at, strings.Clone(rest[2:])}
			}
		}
	}
	const farthest = 1 << 20 // no function is larger: the address is in no known one
	names := make(map[uint64]string)
	for i, address := range addresses {
		if b := nearest[i]; b.at != 0 && address-b.at < farthest {
			name, module, _ := strings.Cut(b.name, "\t")
			names[address] = strings.TrimSpace(fmt.Sprintf("%s+0x%x %s", name, address-b.at, module))
		}
	}
	return names
}
