package clpconf

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/param"
)

// Options of an import.
type Options struct {
	Types  config.Registry
	Server string // which of several servers this one is; empty: the first
	Mode   config.Mode
}

// An importer turns a tree into a document.
type importer struct {
	Options
	source  *Source
	root    *Node
	server  *Node // the one that is imported
	doc     *document
	files   map[string]File
	folders []folder             // of the objects that are imported
	kept    map[string]bool      // files of the source that are in files
	fates   map[*Node]Item       // of nodes that were looked at
	extra   []Item               // without a node of their own
	names   map[string]*register // by kind
}

// Import turns a source into a configuration of ours.
func Import(s *Source, o Options) (*Result, error) {
	tree, err := Read(s.Files[FileName])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	i := &importer{Options: o, source: s, root: tree, doc: &document{}, files: map[string]File{}, kept: map[string]bool{}, fates: map[*Node]Item{},
		names: map[string]*register{}}
	for kind, limit := range map[string]int{groupKind: config.MaxGroups, resourceKind: config.MaxResources, monitorKind: config.MaxMonitors} {
		if n := count(tree, kind); n > limit {
			return nil, fmt.Errorf("%s: there are %d %ss in it; shisa takes at most %d", s.Name, n, kind, limit)
		}
	}
	i.Mode = cmp.Or(i.Mode, config.Observe)
	if err := i.run(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	text, err := i.settle()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return &Result{TOML: text, Files: i.files, Items: i.report()}, nil
}

// count returns how many groups, resources or monitors there are.
func count(tree *Node, kind string) int {
	if kind == groupKind {
		return len(tree.all(kind))
	}
	return len(unlisted(tree.child(kind)))
}

func (i *importer) run() error {
	if err := i.chooseServer(); err != nil {
		return err
	}
	if os := i.root.at("all/serveros"); os != nil && os.Text != "" && os.Text != "linux" {
		i.done(os, NotApplicable, "", "shisa guards Linux")
		i.note(Attention, os, "", "it was made for servers with %s: scripts and programs that it names do not run here", clip(os.Text))
	}
	i.globals()
	i.groups()
	i.resources()
	i.monitors()
	i.otherFiles()
	i.extensions(i.root, func(name string) *table { return i.doc.table(name) })
	slices.SortStableFunc(i.doc.tables, func(a, b *table) int { return cmp.Compare(rank(a), rank(b)) })
	return nil
}

// rank is the place of a table in the file. What stands within a table, or is
// one of many, keeps its place beside the others.
func rank(t *table) int {
	name, _, _ := strings.Cut(t.name, ".")
	return slices.Index(config.Tables(), name)
}

// done notes what became of a node.
func (i *importer) done(n *Node, o Outcome, key, format string, args ...any) {
	if n != nil {
		i.fates[n] = Item{Path: n.Path(), Line: n.Line, Value: n.value(), Outcome: o, Key: key, Text: fmt.Sprintf(format, args...)}
	}
}

// note adds what no single element stands for.
func (i *importer) note(o Outcome, near *Node, key, format string, args ...any) {
	i.extra = append(i.extra, Item{Path: near.Path(), Outcome: o, Key: key, Text: fmt.Sprintf(format, args...)})
}

// take sets a key from a node.
func (i *importer) take(t *table, name, lit string, from *Node) {
	t.set(name, lit, from)
	if from != nil {
		shown := lit
		if from.value() != from.Text {
			shown = "(secret)"
		}
		i.done(from, Mapped, t.label+"."+name, "%s", shown)
	}
}

// imply sets a key that the source does not have, because the original's default
// is another than ours.
func (i *importer) imply(t *table, name, lit string) {
	if t.get(name) == nil {
		t.set(name, lit, nil)
	}
}

// find returns the node for a path below an object. What is set for this server
// alone goes before what is set for all. The original has two names for the
// parameters of some types.
func (i *importer) find(object *Node, path string) *Node {
	for _, p := range []string{path, strings.Replace(path, "agentparam/", "parameters/", 1), strings.Replace(path, "parameters/", "agentparam/", 1)} {
		if i.server != nil {
			if n := object.keyed("server", i.server.Key).at(p); n != nil {
				if all := object.at(p); all != nil && len(all.Children) == 0 {
					i.done(all, NotApplicable, "", "what is set for %s goes before it", clip(i.server.Key))
				}
				return n
			}
		}
		if n := object.at(p); n != nil {
			return n
		}
	}
	return nil
}

// plain takes over every declared key whose path says all there is to say.
func (i *importer) plain(t *table, object *Node, specs []*param.Spec, but ...string) {
	for _, s := range specs {
		if s.Alias == "" || slices.Contains(but, s.Name) {
			continue
		}
		n := i.find(object, s.Alias)
		if n == nil || len(n.Children) > 0 {
			continue
		}
		if _, looked := i.fates[n]; looked {
			continue
		}
		if flag := i.find(object, "parameters/encrypwd"); s.IsSecret && flag != nil && flag.Text == "1" {
			i.done(n, Unsupported, t.label+"."+s.Name, "it is encrypted by the original")
			i.done(flag, Mapped, t.label+"."+s.Name, "the password is encrypted")
			i.note(Attention, n, t.label+"."+s.Name, "the password is encrypted by the original: write it anew")
			continue
		}
		i.convert(t, s, n)
	}
}

// convert takes over one leaf.
func (i *importer) convert(t *table, s *param.Spec, n *Node) {
	if n.Text == "" {
		i.done(n, Mapped, t.label+"."+s.Name, "empty, which is the default")
		return
	}
	lit, err := literal(s, n.Text)
	if err != nil {
		i.done(n, Invalid, t.label+"."+s.Name, "%v", err)
		return
	}
	i.take(t, s.Name, lit, n)
}

// extensions takes back what an export wrote down in our own words.
func (i *importer) extensions(object *Node, to func(name string) *table) {
	own := object.child(extension)
	if own == nil {
		return
	}
	for _, n := range own.Children {
		if len(n.Children) == 0 {
			i.extended(to(""), n)
			continue
		}
		t := to(n.Name)
		for _, leaf := range n.Children {
			i.extended(t, leaf)
		}
	}
}

func (i *importer) extended(t *table, n *Node) {
	v, err := value(n.Text)
	switch {
	case t == nil || !declared(n.Name):
		i.done(n, Invalid, "", "there is no such key")
	case err != nil:
		i.done(n, Invalid, t.label+"."+n.Name, "%v", err)
	default:
		if file, is := v.(string); is && file != "" && !filepath.IsAbs(file) && i.isFile(t, n.Name) {
			if !filepath.IsLocal(file) || !strings.HasPrefix(path.Clean(file), scriptDir+"/") || !plainName(file) {
				i.done(n, Invalid, t.label+"."+n.Name, "this path leaves the folder of the scripts")
				return
			}
			i.keep(t, n, n.Name, file, file)
		}
		i.take(t, n.Name, param.Literal(v), n)
	}
}

// isFile reports whether a key of a table names a file.
func (i *importer) isFile(t *table, name string) bool {
	specs := config.Declared(t.name)
	if k := t.get("type"); k != nil && t.name == resourceKind {
		specs = slices.Concat(specs, i.Types.Resources[bare(k.literal)].Params().Specs())
	} else if k != nil {
		specs = slices.Concat(specs, i.Types.Monitors[bare(k.literal)].Params().Specs())
	}
	return spec(specs, name).IsFile
}

// declared reports whether a name can be that of a key.
func declared(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' })
}

// rounds bounds how often a document is mended. A round takes out everything
// that is wrong; what depended on that is found in the next.
const rounds = 64

// settle checks the document as the daemon will, leaves out what is wrong in
// it, and says so, until it is right.
func (i *importer) settle() (string, error) {
	for range rounds {
		text := i.doc.text()
		m, problems := config.Parse([]byte(text), config.FileName, "", i.Types)
		if m != nil {
			return text, nil
		}
		dropped := false
		for _, p := range problems {
			if !p.Warning && i.doc.drop(p.Line, p.Text) {
				dropped = true
			}
		}
		if !dropped {
			return "", problems.Err()
		}
	}
	return "", errors.New("it does not make a configuration")
}

// report lists what became of every element.
func (i *importer) report() []Item {
	i.account()
	var items []Item
	i.root.leaves(func(n *Node) {
		item, ok := i.fates[n]
		if !ok {
			item = Item{Path: n.Path(), Line: n.Line, Value: n.value()}
			item.Outcome, item.Text = reason(n)
			if first := i.fates[n.parent.keyed(n.Name, n.Key)]; first.Outcome == Mapped {
				item.Outcome, item.Key, item.Text = Invalid, first.Key, "it stands there again; the first counts"
			}
		}
		items = append(items, item)
	})
	return append(items, i.extra...)
}

// account corrects what was noted of keys and tables that had to go.
func (i *importer) account() {
	for _, t := range i.doc.tables {
		why := t.gone
		if why == "" && t.within != nil {
			why = t.within.gone
		}
		if why != "" && t.within == nil {
			i.note(Attention, t.source, "", "%s is not imported: %s", t.label, why)
			below, all := t.source, slices.Contains(repeated, t.name)
			if !all {
				below = i.root
			}
			i.correct(below, func(f Item) bool { return all || strings.HasPrefix(f.Key, t.label+".") }, Unsupported, t.label+" is not imported: "+why)
		}
		for _, k := range t.keys {
			i.accountKey(t, k, why)
		}
	}
}

// accountKey corrects what was noted of a key; why says why its table had to go.
func (i *importer) accountKey(t *table, k *key, why string) {
	label := t.label + "." + k.name
	below := cmp.Or(t.source, i.root)
	for _, lost := range k.lost {
		i.note(Attention, t.source, label, "%s", lost.why)
		i.correct(below, func(f Item) bool { return f.Key == label && f.Text == lost.item }, Invalid, lost.why)
	}
	switch {
	case why != "" && k.source != nil:
		i.done(k.source, Unsupported, "", "%s is not imported: %s", t.label, why)
	case k.gone != "" && k.source != nil:
		i.done(k.source, Invalid, label, "%s", k.gone)
		i.correct(below, func(f Item) bool { return f.Key == label }, Invalid, k.gone)
	case why == "" && k.gone == "" && k.source == nil:
		i.note(Implied, t.source, label, "%s", k.literal)
	}
}

// correct gives the elements below n another outcome that were said to be
// mapped, as far as they match.
func (i *importer) correct(n *Node, match func(Item) bool, o Outcome, why string) {
	n.leaves(func(leaf *Node) {
		if f := i.fates[leaf]; f.Outcome == Mapped && match(f) {
			i.done(leaf, o, f.Key, "%s", why)
		}
	})
}
