// Package claims holds the compatibility matrix against real kernels, both ways: in
// a guest with each kernel of ci/kernels.txt everything that can be tried is tried,
// and a claimed support that fails is as much a mistake of the data as a claimed
// non-support that works.
package claims

import (
	"fmt"

	"shisa/hwcompat"
)

// Tried is what became of one subject when it was tried: empty, it works, else why
// it does not.
type Tried map[hwcompat.Subject]string

// Contradictions returns where a platform claims something else than was seen. What
// was not tried here contradicts nothing.
func Contradictions(p *hwcompat.Platform, tried Tried) []string {
	var list []string
	for _, s := range hwcompat.Subjects() {
		why, ok := tried[s]
		if !ok {
			continue
		}
		switch c := p.Claim(s); {
		case c.State == hwcompat.Works && why != "":
			list = append(list, fmt.Sprintf("%s: %s is said to work (%s), and does not: %s", p.ID, s, c.Evidence, why))
		case c.State == hwcompat.Unsupported && why == "":
			list = append(list, fmt.Sprintf("%s: %s is said not to work (%s), and works", p.ID, s, c.Evidence))
		}
	}
	return list
}

// Unclaimed returns what works here and nobody claims yet.
func Unclaimed(p *hwcompat.Platform, tried Tried) []hwcompat.Subject {
	var list []hwcompat.Subject
	for _, s := range hwcompat.Subjects() {
		if why, ok := tried[s]; ok && why == "" && p.Claim(s).State == hwcompat.NotTried {
			list = append(list, s)
		}
	}
	return list
}
