package kofind

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// maxModule bounds a module file, in bytes: clpka has some 20 KB, with debug
// information a few hundred.
const maxModule = 16 << 20

// signatureMark ends a signed module (include/linux/module_signature.h).
const signatureMark = "~Module signature appended~\n"

// A Signature says whether a module file carries a signature. Whether the
// kernel trusts it is the kernel's to say.
type Signature string

// The answers. Unread is said of files compressed in a way that only the
// kernel's tools read here (xz, zstd).
const (
	Signed   Signature = "signed"
	Unsigned Signature = "unsigned"
	Unread   Signature = "unread"
)

type info struct {
	vermagic  string
	signature Signature
}

var errTooLarge = fmt.Errorf("larger than %d MB", maxModule>>20)

// readInfo reads the strings of section .modinfo and looks for a signature.
func readInfo(fsys fs.FS, file string) (info, error) {
	if ext := path.Ext(file); ext == ".xz" || ext == ".zst" {
		return info{signature: Unread}, nil
	}
	b, err := readModule(fsys, file)
	if err != nil {
		return info{}, err
	}
	x, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return info{}, err
	}
	sec := x.Section(".modinfo")
	if sec == nil {
		return info{}, errors.New("no section .modinfo")
	}
	if sec.Size > uint64(len(b)) {
		return info{}, errors.New("section .modinfo is larger than the file")
	}
	text, err := sec.Data()
	if err != nil {
		return info{}, err
	}
	i := info{signature: Unsigned}
	if bytes.HasSuffix(b, []byte(signatureMark)) {
		i.signature = Signed
	}
	for entry := range strings.SplitSeq(string(text), "\x00") {
		if v, ok := strings.CutPrefix(entry, "vermagic="); ok {
			i.vermagic = strings.TrimSpace(v)
		}
	}
	return i, nil
}

func readModule(fsys fs.FS, file string) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	var r io.Reader = f
	if path.Ext(file) == ".gz" {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		r = z
	}
	b, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(b) > maxModule {
		err = errTooLarge
	}
	return b, err
}
