package param

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// A Mistake is one thing that is wrong with a configuration.
type Mistake struct {
	Key  string // of the parameter; empty when the whole object is meant
	Text string // what is wrong and what to write instead
}

// Error returns "key: text".
func (m Mistake) Error() string {
	if m.Key == "" {
		return m.Text
	}
	return m.Key + ": " + m.Text
}

// Decode stores raw into the bound variables and returns every mistake at
// once, in order of declaration, unknown keys last. Variables without a
// mistake of their own are stored all the same, so that later checks can look
// at them; the caller must not use them when there is any mistake.
//
// raw holds what a TOML or JSON decoder yields: string, bool, int64, float64,
// []any. known lists further keys that the caller takes care of itself.
func (s *Set) Decode(raw map[string]any, known ...string) []Mistake {
	var all []Mistake
	seen := 0
	for _, sp := range s.specs {
		v, given := raw[sp.Name]
		if given {
			seen++
		}
		if err := sp.decode(v, given); err != nil {
			all = append(all, Mistake{sp.Name, err.Error()})
		}
	}
	for _, k := range known {
		if _, given := raw[k]; given && s.spec(k) == nil {
			seen++
		}
	}
	if seen == len(raw) { // every key is known, as it nearly always is
		return all
	}
	names := slices.Concat(s.Names(), known)
	for _, k := range slices.Sorted(maps.Keys(raw)) {
		if !slices.Contains(names, k) {
			all = append(all, Mistake{k, NoSuchKey + suggest(k, names)})
		}
	}
	return all
}

// NoSuchKey is how the text of a Mistake begins that is about an unknown key.
const NoSuchKey = "no such key"

func (s *Spec) decode(v any, given bool) error {
	if s.IsRequired && (!given || isEmpty(v)) {
		return fmt.Errorf("required. %s", s.Help)
	}
	if given {
		if err := s.set(v); err != nil {
			return err
		}
	}
	for _, check := range s.check {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func isEmpty(v any) bool {
	items, isList := v.([]any)
	return v == nil || v == any("") || isList && len(items) == 0
}

func as[T any](raw any, p *T, want string) error {
	v, ok := raw.(T)
	if !ok {
		return fmt.Errorf("want %s, got %s", want, describe(raw))
	}
	*p = v
	return nil
}

func wholeNumber(raw any) (int64, error) {
	switch v := raw.(type) {
	case int64:
		return v, nil
	case int:
		return int64(v), nil
	case float64: // JSON has no whole numbers
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
	}
	return 0, fmt.Errorf("want a whole number, got %s", describe(raw))
}

func parseUnit[T any](raw any, want string, parse func(string) (T, error)) (T, error) {
	text, ok := raw.(string)
	if !ok {
		var zero T
		return zero, fmt.Errorf("want %s, got %s", want, describe(raw))
	}
	return parse(text)
}

// describe names a decoded value the way an operator wrote it.
func describe(raw any) string {
	switch v := raw.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("text %q", v)
	case bool:
		return fmt.Sprint(v)
	case int, int64, float64:
		return fmt.Sprintf("the number %v", v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("a %T", raw)
}

// suggest returns `; did you mean "x"?` for the candidate nearest to word, or
// nothing when none is near enough to be a slip of the keyboard.
func suggest(word string, candidates []string) string {
	if n := Nearest(word, candidates); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// Nearest returns the candidate with the smallest edit distance from word, or
// "" when even that one differs in more than a third of its letters (at least
// two edits are always allowed).
func Nearest(word string, candidates []string) string {
	best, bestDist := "", math.MaxInt
	for _, c := range candidates {
		if d := distance(word, c); d < bestDist {
			best, bestDist = c, d
		}
	}
	if bestDist > max(2, len(best)/3) || bestDist >= len(word) {
		return ""
	}
	return best
}

// distance is the number of inserted, deleted, replaced or swapped bytes that
// turn a into b (optimal string alignment).
func distance(a, b string) int {
	const limit = 64 // longer words are not keys of ours
	if len(a) > limit || len(b) > limit {
		return math.MaxInt
	}
	var prev2 []int
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev = prev, cur
	}
	return prev[len(b)]
}
