package process

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzGlob: a glob says what the regular expression for it says.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", ""}, {"", ""}, {"a*a", "a"}, {"a*a", "aa"}, {"*a*", "bab"}, {"/usr/sbin/httpd*", "/usr/sbin/httpd -k start"},
		{"*ab*ab", "abab"}, {"*ab*ab", "ab"}, {"a**b", "a\nb"}, {"a.c", "abc"}, {"*x*y*z", "xyxz"}, {"[kthreadd]", "[kthreadd]"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, line string) {
		parts := strings.Split(text, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		same, err := regexp.Compile("(?s)^" + strings.Join(parts, ".*") + "$")
		if err != nil {
			t.Skip("no regular expression can say this")
		}
		if got, want := newGlob(text).MatchString(line), same.MatchString(line); got != want {
			t.Errorf("%q, %q: %v, want %v", text, line, got, want)
		}
	})
}
