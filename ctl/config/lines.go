package config

// A place is where a value stands in the source. The decoder keeps the
// positions of keys to itself, so this index is built beside it. There are as
// many places as keys, hence no map and no slice in a place that needs none.
type place struct {
	name  string // its key, in a table
	line  int
	items []*place // of a list, tables of a [[…]] among them

	first  *place            // the latest key of a table
	next   *place            // the key of the same table before this one
	count  int               // of keys
	byName map[string]*place // the same keys, when they are many

	implicit bool // mentioned as part of a longer key only
}

// fewKeys is up to how many keys are searched one by one.
const fewKeys = 24

// at returns the line of key in the table p, or that of the table itself when
// it does not hold the key. It works on a nil place.
func (p *place) at(key string) int {
	if c := p.child(key); c != nil {
		return c.line
	}
	if p == nil {
		return 0
	}
	return p.line
}

// child returns the place of key in the table p, or nil.
func (p *place) child(key string) *place {
	if p == nil {
		return nil
	}
	if p.byName != nil {
		return p.byName[key]
	}
	for c := p.first; c != nil; c = c.next {
		if c.name == key {
			return c
		}
	}
	return nil
}

// item returns the place of item i of the list p, or nil.
func (p *place) item(i int) *place {
	if p == nil || i >= len(p.items) {
		return nil
	}
	return p.items[i]
}

// last returns the table that [p.x] continues: p, or its last item.
func (p *place) last() *place {
	if n := len(p.items); n > 0 {
		return p.items[n-1]
	}
	return p
}

// adopt makes c a key of the table p.
func (p *place) adopt(c *place) {
	c.next, p.first = p.first, c
	p.count++
	switch {
	case p.byName != nil:
		p.byName[c.name] = c
	case p.count > fewKeys:
		p.byName = make(map[string]*place, 2*fewKeys)
		for k := p.first; k != nil; k = k.next {
			p.byName[k.name] = k
		}
	}
}

// A repeat is a key that is defined twice, which the decoder refuses without
// saying where the first one is.
type repeat struct{ line, first int }
