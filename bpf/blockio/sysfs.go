package blockio

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"shisa/bpf/internal/obj"
)

// diskName finds the name of a disk.
func diskName(major, minor uint32) string {
	number := fmt.Sprintf("%d:%d", major, minor)
	if target, err := os.Readlink("/sys/dev/block/" + number); err == nil {
		return filepath.Base(target)
	}
	return number
}

// finished asks the kernel's own account whether a request that we believe to
// be in flight can be: not if the disk has none. Only plain reads and writes
// are accounted for, and only while the queue's iostats is on.
func finished(r *obj.IOIoRecord) bool {
	if op := Op(r.Op); op != Read && op != Write || r.Bytes == 0 {
		return false
	}
	dir := fmt.Sprintf("/sys/dev/block/%d:%d", r.Major, r.Minor)
	if stats, err := os.ReadFile(dir + "/queue/iostats"); err != nil || strings.TrimSpace(string(stats)) != "1" {
		return false
	}
	text, err := os.ReadFile(dir + "/inflight")
	return err == nil && idle(string(text))
}

// idle reads "reads writes", both in flight.
func idle(inflight string) bool {
	fields := strings.Fields(inflight)
	return len(fields) == 2 && fields[0] == "0" && fields[1] == "0"
}

// completions sums the requests finished by all disks that have a request
// queue; others (device mapper, zram) pass through no tracepoint of ours.
func completions() (total uint64) {
	queues, _ := filepath.Glob("/sys/block/*/mq")
	for _, queue := range queues {
		total += finishedIn(line(filepath.Join(filepath.Dir(queue), "stat")))
	}
	return total
}

// line reads a short file; os.ReadFile makes room for a page, as sysfs says it has. An
// error is an empty line: the disk was taken away.
func line(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var text [512]byte // 17 numbers at most
	n, _ := f.Read(text[:])
	return string(text[:n])
}

// finishedIn adds the reads and the writes of a line of /sys/block/*/stat.
func finishedIn(stat string) (total uint64) {
	fields := strings.Fields(stat)
	const reads, writes = 0, 4
	if len(fields) <= writes {
		return 0
	}
	for _, field := range []string{fields[reads], fields[writes]} {
		n, _ := strconv.ParseUint(field, 10, 64)
		total += n
	}
	return total
}
