package clpconf

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Limits on a clp.conf. One with as many groups, resources and monitors as shisa
// allows is a tenth of the size.
const (
	SizeLimit = 16 << 20 // bytes
	depth     = 32       // nested elements
	nodes     = 1 << 20  // elements
	textLimit = 64 << 10 // bytes in one element
)

// A mistake is what is wrong with a clp.conf, and where.
type mistake struct {
	line int
	text string
}

func (m *mistake) Error() string { return fmt.Sprintf("line %d: %s", m.line, m.text) }

// Read parses a clp.conf.
func Read(data []byte) (*Node, error) {
	if len(data) > SizeLimit {
		return nil, fmt.Errorf("it is larger than %d MiB", SizeLimit>>20)
	}
	text, _, err := decode(data)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it is UTF-8 by now
	r := &reader{d: d}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.token(t)
		}
		if err != nil {
			return nil, r.explain(err)
		}
	}
	if r.root == nil {
		return nil, errors.New("there is no element in it")
	}
	if r.root.Name != "root" {
		return nil, fmt.Errorf("its outermost element is <%s>, that of a clp.conf is <root>", clip(r.root.Name))
	}
	r.root.gather()
	return r.root, nil
}

type reader struct {
	d     *xml.Decoder
	root  *Node
	top   *Node // that is open; nil: none
	open  int
	count int
}

func (r *reader) fault(format string, args ...any) error {
	line, _ := r.d.InputPos()
	return &mistake{line, fmt.Sprintf(format, args...)}
}

func (r *reader) explain(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return &mistake{syntax.Line, "not XML: " + clip(syntax.Msg)}
	}
	return err
}

func (r *reader) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		return r.begin(t)
	case xml.EndElement:
		r.open--
		r.top.Text = strings.TrimSpace(r.top.Text)
		r.top = r.top.parent
	case xml.CharData:
		if r.top == nil || r.top.Text == "" && strings.TrimSpace(string(t)) == "" {
			return nil // the blanks between elements
		}
		if len(r.top.Text)+len(t) > textLimit {
			return r.fault("the text of <%s> is longer than %d bytes", clip(r.top.Name), textLimit)
		}
		r.top.Text += string(t)
	case xml.Directive:
		return r.fault("a clp.conf has no <!%s …>", clip(string(t)))
	}
	return nil
}

func (r *reader) begin(t xml.StartElement) error {
	line, _ := r.d.InputPos()
	n := &Node{Name: t.Name.Local, Line: line}
	if r.open++; r.open > depth {
		return r.fault("nested deeper than %d", depth)
	}
	if r.count++; r.count > nodes {
		return r.fault("more than %d elements", nodes)
	}
	if r.top == nil {
		if r.root != nil {
			return r.fault("a second outermost element <%s>", clip(n.Name))
		}
		r.root = n
	} else {
		r.top.add(n)
	}
	for _, a := range t.Attr {
		if a.Name.Local != identifier(n.Name, n.parent) || n.Attr != "" {
			// As an element of its own it gets into the report like any other.
			n.add(&Node{Name: a.Name.Local, Text: a.Value, Line: line})
			continue
		}
		n.Attr, n.Key = a.Name.Local, strings.TrimSpace(a.Value)
	}
	r.top = n
	return nil
}

// clip makes a text from the file fit for a message.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

// write writes the element as UTF-8, without a declaration.
func (n *Node) write(b *strings.Builder, indent int) {
	pad := strings.Repeat("  ", indent)
	b.WriteString(pad + "<" + n.Name)
	if n.Attr != "" {
		b.WriteString(" " + n.Attr + `="` + escape(n.Key) + `"`)
	}
	switch {
	case len(n.Children) > 0:
		b.WriteString(">\n")
		for _, c := range n.Children {
			c.write(b, indent+1)
		}
		b.WriteString(pad + "</" + n.Name + ">\n")
	case n.Text != "":
		b.WriteString(">" + escape(n.Text) + "</" + n.Name + ">\n")
	default:
		b.WriteString("/>\n")
	}
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder never fails
	return b.String()
}

// Bytes writes the tree as a clp.conf in the smallest character set that does.
func (n *Node) Bytes() []byte {
	var b strings.Builder
	n.write(&b, 0)
	_, charset := encode(b.String())
	if set := n.at("all/charset"); set != nil && set.Text == "" {
		set.Text = charset
		n.set("all/encode", charset)
	}
	b.Reset()
	n.write(&b, 0)
	data, charset := encode(b.String())
	return append([]byte(`<?xml version="1.0" encoding="`+charset+`"?>`+"\n"), data...)
}
