package service

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/why"
)

const (
	// utmpSize is sizeof(struct utmp) of utmp(5) on 64-bit Linux; ut_user stands
	// at 44, ut_tv at 340.
	utmpSize = 384
	// wtmpBytes is how much is read of wtmp, from its end.
	wtmpBytes = 2048 * utmpSize
	// uncleanFiles bounds the names of files that were left open.
	uncleanFiles = 4
)

// logins reads the last boot and the orderly shutdown before it from wtmp.
func (s scene) logins() why.Logins {
	var l why.Logins
	for b := tail(filepath.Join(s.root, "var/log/wtmp"), wtmpBytes, utmpSize); len(b) >= utmpSize; b = b[utmpSize:] {
		user := unix.ByteSliceToString(b[44:76])
		at := time.Unix(int64(binary.LittleEndian.Uint32(b[340:])), 0)
		switch user {
		case "shutdown":
			l.Shutdown = at
		case "reboot":
			l.Boot = at
		}
	}
	return l
}

// unclean names the files of systemd's journal that were found open at this
// boot. journald puts such a file aside as "system@<time>-<random>.journal~",
// the time in microseconds and hexadecimal (journal-file.c,
// journal_file_dispose).
func (s scene) unclean() []string {
	var all []string
	for _, path := range s.glob("var/log/journal/*/*.journal~") {
		name := filepath.Base(path)
		_, stamp, _ := strings.Cut(name, "@")
		stamp, _, _ = strings.Cut(stamp, "-")
		us, err := strconv.ParseInt(stamp, 16, 64)
		if err == nil && !time.UnixMicro(us).Before(s.now.Booted) && len(all) < uncleanFiles {
			all = append(all, name)
		}
	}
	return all
}

// journals reports whether journald keeps its files on disk and has gone on with
// them in this boot: what it found open it has put aside then.
func (s scene) journals() bool {
	for _, path := range s.glob("var/log/journal/*/system.journal") {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(s.now.Booted) {
			return true
		}
	}
	return false
}
