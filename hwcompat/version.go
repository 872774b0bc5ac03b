package hwcompat

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// CompareVersions orders two dotted versions with an optional release part:
// "3.1.8-1" < "3.1.8-2" < "3.1.10-1". Runs of digits compare as numbers, all
// else as text, and a missing part comes first. It serves the original's
// internal versions (whose release part counts: note K14) and kernel releases.
func CompareVersions(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = cutPart(a)
		y, b = cutPart(b)
		if c := comparePart(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// cutPart splits the leading run of digits or of other bytes from s;
// separators are dropped.
func cutPart(s string) (part, rest string) {
	s = strings.TrimLeft(s, ".-_+~")
	if s == "" {
		return "", ""
	}
	number := isDigit(s[0])
	i := strings.IndexFunc(s, func(r rune) bool {
		return strings.ContainsRune(".-_+~", r) || isDigit(byte(r)) != number
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

func comparePart(x, y string) int {
	m, errM := strconv.ParseUint(x, 10, 64)
	n, errN := strconv.ParseUint(y, 10, 64)
	if errM == nil && errN == nil {
		return cmp.Compare(m, n)
	}
	return cmp.Compare(x, y)
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// Contains reports whether r covers the internal version v of the original.
func (r Range) Contains(v string) bool {
	return CompareVersions(r.From, v) <= 0 && (r.To == "" || CompareVersions(v, r.To) <= 0)
}

// String writes r as a sentence would: "3.0.1-1 to 3.0.3-1", "3.1.0-1 and later".
func (r Range) String() string {
	if r.To == "" {
		return r.From + " and later"
	}
	return r.From + " to " + r.To
}

// releaseMax is the longest release that a kernel can have, in bytes
// (__NEW_UTS_LEN, include/uapi/linux/utsname.h).
const releaseMax = 64

var releaseForm = regexp.MustCompile(`^\d+\.\d+[-.+~_0-9A-Za-z]*$`)

// IsRelease reports whether s could be the release of a kernel, as uname -r
// prints it.
func IsRelease(s string) bool { return len(s) <= releaseMax && releaseForm.MatchString(s) }

// Series returns the leading "major.minor" of a kernel release: "6.1" of
// "6.1.0-50-amd64". It returns "" for a text that does not begin like one.
func Series(release string) string {
	major, rest, ok := strings.Cut(release, ".")
	if !ok || !isNumber(major) {
		return ""
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		return ""
	}
	return major + "." + rest[:n]
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
