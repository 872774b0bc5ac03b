package config

import (
	"strings"
	"testing"
)

// Fix 16 of the original: a timeout of zero was taken, the resource did not
// start, and the server was shut down. Here what is outside of the range is
// refused when it is read, at both ends.
func TestFix016TimeoutsHaveARange(t *testing.T) {
	for value, want := range map[string]string{
		"0s": "outside", "999ms": "outside", "1s": "", "9999s": "", "10000s": "outside", "-1s": "", "30": "",
	} {
		for _, key := range []string{"start_timeout", "stop_timeout", "script_timeout"} {
			src := "[[group]]\nname = \"g\"\n[[resource]]\nname = \"r\"\ntype = \"systemd\"\ngroup = \"g\"\nunit = \"u\"\n" + key + " = \"" + value + "\"\n"
			_, problems := Parse([]byte(src), "f", "", fakes())
			refused := problems.Err() != nil
			valid := value == "1s" || value == "9999s"
			if refused == valid || want != "" && !strings.Contains(problems.String(), want) {
				t.Errorf("%s = %q: %v", key, value, problems)
			}
		}
	}
}
