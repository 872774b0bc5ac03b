package clpconf

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// charsets are the character sets by the names that occur in declarations, in
// lower case; nil is UTF-8, of which ASCII is a part. GB 18030 holds GB 2312.
var charsets = map[string]encoding.Encoding{
	"ascii": nil, "us-ascii": nil, "utf-8": nil, "utf8": nil,
	"euc-jp": japanese.EUCJP, "euc_jp": japanese.EUCJP, "eucjp": japanese.EUCJP, "x-euc-jp": japanese.EUCJP, "eucjp-ms": japanese.EUCJP,
	"shift_jis": japanese.ShiftJIS, "shift-jis": japanese.ShiftJIS, "sjis": japanese.ShiftJIS, "x-sjis": japanese.ShiftJIS,
	"windows-31j": japanese.ShiftJIS, "cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS,
	"gb2312": simplifiedchinese.GB18030, "euc-cn": simplifiedchinese.GB18030, "gbk": simplifiedchinese.GB18030, "x-gbk": simplifiedchinese.GB18030,
	"gb18030": simplifiedchinese.GB18030,
}

// declaration finds the encoding that an XML declaration names.
var declaration = regexp.MustCompile(`^\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([^"']{0,40})["']`)

// decode returns data as UTF-8. The declaration is believed; where the bytes
// cannot be what it says, but are UTF-8, they are taken as that, because editors
// convert files and leave the declaration alone.
func decode(data []byte) (text, charset string, err error) {
	if bytes.HasPrefix(data, []byte{0xfe, 0xff}) || bytes.HasPrefix(data, []byte{0xff, 0xfe}) {
		b, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(data)
		return string(b), "UTF-16", err
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	name := "UTF-8"
	if m := declaration.FindSubmatch(data[:min(len(data), 512)]); m != nil {
		name = string(m[1])
	}
	set, known := charsets[strings.ToLower(name)]
	switch {
	case !known:
		return "", "", fmt.Errorf("the character set %q is not known; there are ASCII, EUC-JP, Shift_JIS, GB2312 and UTF-8", name)
	case set != nil:
		if text, err = decodeAs(data, set, name); err == nil {
			return text, name, nil
		}
	}
	if utf8.Valid(data) {
		if set != nil {
			name = "UTF-8"
		}
		return string(data), name, nil
	}
	for _, m := range mentioned.FindAllSubmatch(data, 2) {
		if other := charsets[strings.ToLower(string(m[1]))]; other != nil && set == nil {
			if text, err := decodeAs(data, other, string(m[1])); err == nil {
				return text, string(m[1]), nil
			}
		}
	}
	if err == nil {
		err = errCharset(data[:invalid(data)], name)
	}
	return "", "", err
}

// mentioned finds the character sets that the content of a clp.conf names, which
// tell more than a declaration that says ASCII.
var mentioned = regexp.MustCompile(`<(?:charset|encode)>\s*([A-Za-z0-9_-]{1,40})\s*<`)

func decodeAs(data []byte, set encoding.Encoding, name string) (string, error) {
	b, err := set.NewDecoder().Bytes(data)
	if err != nil {
		return "", err
	}
	if i := bytes.IndexRune(b, utf8.RuneError); i >= 0 {
		return "", errCharset(b[:i], name)
	}
	return string(b), nil
}

// errCharset tells where what is not in a character set stands, behind good.
func errCharset(good []byte, name string) error {
	return fmt.Errorf("line %d is not %s, as the file says it is; correct the encoding in its first line", 1+bytes.Count(good, []byte("\n")), name)
}

// invalid returns the offset of the first byte that is not UTF-8.
func invalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}

// encode returns text in the first of the original's character sets that has
// all its letters, and the name of that set.
func encode(text string) (data []byte, charset string) {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return []byte(text), "ASCII"
	}
	for _, name := range []string{"EUC-JP", "GB2312"} {
		set := charsets[strings.ToLower(name)]
		if name == "GB2312" {
			set = simplifiedchinese.GBK
		}
		if b, err := set.NewEncoder().String(text); err == nil {
			if back, err := set.NewDecoder().String(b); err == nil && back == text {
				return []byte(b), name
			}
		}
	}
	return []byte(text), "UTF-8"
}
