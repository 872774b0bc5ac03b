// Package clpconf reads and writes the original's configuration: clp.conf, an
// XML file in one of several character sets, with scripts in folders beside it.
//
//	source, err := clpconf.Open(path)              // a folder, clp.conf alone, or a zip
//	result, err := clpconf.Import(source, options) // our TOML, and what became of each element
//	files, err := clpconf.Export(model)            // the way back
//
// Which element belongs to which key is said where the key is declared
// ([shisa/ctl/param.Spec.As]); this package knows only what a path cannot say.
// Nothing is dropped silently: each element of a clp.conf is in the report of
// its import, with our key or with the reason why there is none. What is
// imported always passes `shisa config check`: a value that does not is left
// out, and the report says so.
//
// What the original has no words for is exported as elements named "shisa",
// which it does not know and which a later import takes back.
//
// Sources are files of an operator, but not trusted: sizes, depth and counts are
// bounded, there are no entities, and no name leaves its folder.
package clpconf

import (
	"cmp"
	"slices"
	"strings"
)

// A Node is one element. Order among siblings means nothing but among equals.
type Node struct {
	Name     string // "monitor"
	Attr     string // which attribute identifies it, "name" or "id"; empty: none
	Key      string // its value
	Text     string // without blanks around it
	Children []*Node
	Line     int // in the source; 0: it has none
	parent   *Node
}

// Path names the node as the original's tools do: /root/group@failover1/comment.
func (n *Node) Path() string {
	if n == nil {
		return ""
	}
	text := "/" + n.Name
	if n.Attr != "" {
		text += "@" + n.Key
	}
	return n.parent.Path() + text
}

// words are the names of the nodes from below the root to n, without keys.
func (n *Node) words() []string {
	if n == nil || n.parent == nil {
		return nil
	}
	return append(n.parent.words(), n.Name)
}

// child returns the first child of that name and without key, or nil.
func (n *Node) child(name string) *Node {
	return n.keyed(name, "")
}

// keyed returns the first child of that name and key, or nil.
func (n *Node) keyed(name, key string) *Node {
	if n == nil {
		return nil
	}
	i := slices.IndexFunc(n.Children, func(c *Node) bool { return c.Name == name && c.Key == key })
	if i < 0 {
		return nil
	}
	return n.Children[i]
}

// at returns the node at a path of names such as "polling/interval", or nil.
func (n *Node) at(path string) *Node {
	for name := range strings.SplitSeq(path, "/") {
		n = n.child(name)
	}
	return n
}

// all returns the children of that name, in order.
func (n *Node) all(name string) []*Node {
	var found []*Node
	if n != nil {
		for _, c := range n.Children {
			if c.Name == name {
				found = append(found, c)
			}
		}
	}
	return found
}

// gather makes one of what is only written apart: sections of one name, and what
// stands within the announcement of a type instead of beside it.
func (n *Node) gather() {
	sections := make(map[string]*Node)
	all := n.Children
	n.Children = nil
	for _, c := range all {
		n.gatherOne(c, sections)
	}
	for _, c := range n.Children {
		c.gather()
	}
}

func (n *Node) gatherOne(c *Node, sections map[string]*Node) {
	within := c.Children
	if c.Name == "types" {
		c.Children = nil
	}
	isSection := c.Attr == "" && c.Text == "" && len(c.Children) > 0
	first := sections[c.Name]
	switch {
	case isSection && first != nil:
		for _, below := range c.Children {
			first.add(below)
		}
	case isSection:
		sections[c.Name] = n.add(c)
	default:
		n.add(c)
	}
	if c.Name == "types" {
		for _, below := range within {
			n.gatherOne(below, sections)
		}
	}
}

// add appends a child.
func (n *Node) add(c *Node) *Node {
	c.parent = n
	n.Children = append(n.Children, c)
	return c
}

// make returns the node at path, which it creates where it is missing.
func (n *Node) make(path string) *Node {
	for name := range strings.SplitSeq(path, "/") {
		c := n.child(name)
		if c == nil {
			c = n.add(&Node{Name: name})
		}
		n = c
	}
	return n
}

// set creates the leaf at path with a text.
func (n *Node) set(path, text string) { n.make(path).Text = text }

// object adds an element with a name, after one that announces its type.
func (n *Node) object(kind, name string) *Node {
	if n.keyed("types", kind) == nil {
		n.add(&Node{Name: "types", Attr: "name", Key: kind})
	}
	return n.add(&Node{Name: kind, Attr: "name", Key: name})
}

// leaves calls f with each node that says something of its own: a text, a key,
// or that it is there.
func (n *Node) leaves(f func(*Node)) {
	if len(n.Children) == 0 || n.Attr != "" || n.Text != "" {
		f(n)
	}
	for _, c := range n.Children {
		c.leaves(f)
	}
}

// identifier returns the attribute that identifies elements of a name below
// parent: the rule of the original's own tools.
func identifier(name string, parent *Node) string {
	if slices.Contains([]string{"device", "list", "hba", "grp", "servers", "netdev", "smtpsrv", "snmpsrv"}, name) {
		return "id"
	}
	for p := parent; p != nil; p = p.parent {
		if p.Name == "messages" && name != "types" {
			return "id"
		}
	}
	return "name"
}

// byNumber sorts nodes by the number in a child, such as their priority.
func byNumber(nodes []*Node, child string) []*Node {
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b *Node) int { return cmp.Compare(number(a.child(child)), number(b.child(child))) })
	return sorted
}
