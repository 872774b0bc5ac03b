package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// FIFREEZE is _IOWR('X', 119, int) (include/uapi/linux/fs.h).
const fiFreeze = 0xc0045877

// freeze freezes the file system that a folder is on: "freeze /var/lib/shisa". Who
// writes to it sleeps uninterruptibly from then on.
func freeze(args []string) (func() error, error) {
	flags := flag.NewFlagSet("freeze", flag.ContinueOnError)
	if err := parse(flags, args, 1); err != nil {
		return nil, err
	}
	dir, err := os.Open(flags.Arg(0))
	if err != nil {
		return nil, err
	}
	return func() error {
		defer dir.Close()
		if err := unix.IoctlSetInt(int(dir.Fd()), fiFreeze, 0); err != nil {
			return fmt.Errorf("freeze %s: %w", dir.Name(), err)
		}
		return nil
	}, nil
}

// stuck freezes a file system and then writes to it: a process that sleeps
// uninterruptibly and cannot be killed.
func stuck(args []string) (func() error, error) {
	strike, err := freeze(args)
	if err != nil {
		return nil, err
	}
	return func() error {
		if err := strike(); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(args[0], "stuck"), []byte("x"), 0o644)
	}, nil
}

// load works the guest hard, at ordinary priority and within its limits: every CPU
// twice over, memory allocated and freed, files written and synced. It stops by
// itself.
func load(args []string) (func() error, error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	seconds := flags.Duration("for", time.Minute, "how long")
	dir := flags.String("dir", "/tmp", "where to write")
	if err := parse(flags, args, 0); err != nil {
		return nil, err
	}
	return func() error {
		end := time.Now().Add(*seconds)
		for range 2 * runtime.NumCPU() {
			go func() {
				for time.Now().Before(end) { // burns CPU
				}
			}()
		}
		go func() {
			for time.Now().Before(end) {
				block := bytes.Repeat([]byte{1}, 64<<20)
				runtime.KeepAlive(block)
			}
		}()
		file := filepath.Join(*dir, "load")
		defer os.Remove(file)
		for time.Now().Before(end) {
			if err := writeSynced(file, make([]byte, 4<<20)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}
