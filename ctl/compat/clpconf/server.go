package clpconf

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/param"
)

// extension is the name of elements of ours in a clp.conf.
const extension = "shisa"

// stallAlias is the original's type of the monitor of user space.
const stallAlias = "userw"

// chooseServer finds the server that is imported.
func (i *importer) chooseServer() error {
	all := byNumber(i.root.all("server"), "priority")
	if len(all) == 0 {
		return nil
	}
	i.server = all[0]
	if i.Server != "" {
		at := slices.IndexFunc(all, func(n *Node) bool { return strings.EqualFold(n.Key, i.Server) })
		if at < 0 {
			return fmt.Errorf("there is no server %q in it", clip(i.Server))
		}
		i.server = all[at]
	}
	for _, n := range all {
		if n != i.server {
			n.leaves(func(leaf *Node) {
				i.done(leaf, NotApplicable, "", "it belongs to %s; %s is imported", clip(n.Key), clip(i.server.Key))
			})
		}
	}
	if len(all) > 1 {
		i.note(Attention, i.root, "server.name", "of %d servers %s is imported; choose another with --server", len(all), clip(i.server.Key))
	}
	return nil
}

// globals takes over what concerns the whole server.
func (i *importer) globals() {
	i.doc.comments = append(i.doc.comments, "Imported from "+clip(i.source.Name)+"; import-report.txt says what became of each element.")
	top := i.doc.table("")
	top.set("mode", param.Literal(string(i.Mode)), i.root)
	if i.Mode == config.Observe {
		i.note(Attention, i.root, "mode", `it only observes: set mode = "protect" when you trust the decisions`)
	}
	if i.server != nil && i.server.Key != "" {
		t := i.doc.table("server")
		t.set("name", param.Literal(i.server.Key), i.server)
		i.done(i.server, Mapped, "server.name", "%s", i.server.Key)
	}
	if n := i.root.at("cluster/name"); n != nil {
		i.doc.comments = append(i.doc.comments, "The cluster was called "+clip(n.Text)+".")
		i.done(n, Mapped, "", "a comment: a single server has no other name than its own")
	}
	for _, name := range config.Tables() {
		if name == "stall" || name == "" || slices.Contains(repeated, name) || strings.Contains(name, ".") {
			continue
		}
		t := &table{name: name, label: name, source: i.root}
		if specs := config.Declared(name); specs != nil {
			i.plain(t, i.root, specs)
		}
		for _, k := range t.keys {
			i.doc.table(name).set(k.name, k.literal, k.source)
		}
	}
	i.userSpace()
}

// userSpace takes over the watch over user space, which has tables of its own
// with us.
func (i *importer) userSpace() {
	all := i.root.child("monitor").all(stallAlias)
	stall := i.doc.table("stall")
	stall.source = i.root
	if len(all) == 0 {
		i.imply(stall, "enabled", "false")
		i.note(Attention, i.root, "stall.enabled", "there is no userw in it, so that nothing ends a stall of user space; set it to true for shisa to do so")
		return
	}
	n := all[0]
	stall.set("enabled", "true", n)
	own := i.find(n, "parameters/usehb")
	if own != nil && own.Text == "0" {
		i.plain(stall, n, config.Declared("stall"))
		i.done(own, Mapped, "stall", "its own interval and timeout")
	} else {
		i.plain(stall, n, config.Declared("stall"), "interval", "timeout")
		i.done(own, Mapped, "stall", "those of the heartbeat")
		i.heartbeat(stall, "interval")
		i.heartbeat(stall, "timeout")
	}
	keepalive := i.doc.table("keepalive")
	for _, s := range config.Declared("keepalive") {
		if s.Name != "method" && s.Name != "action" {
			continue
		}
		if leaf := i.find(n, "parameters/"+s.Name); leaf != nil {
			i.convert(keepalive, ofUserSpace(s), leaf)
		}
	}
}

// ofUserSpace is a key of [keepalive] as userw writes its value.
func ofUserSpace(s *param.Spec) *param.Spec {
	as := *s
	as.Alias = stallAlias + "/" + s.Name
	return &as
}

// heartbeat takes an interval or timeout from that between servers, which the
// watch over user space borrows. It is in milliseconds.
func (i *importer) heartbeat(t *table, name string) {
	n := i.root.at("cluster/heartbeat/" + name)
	if n == nil {
		return
	}
	ms, err := whole(n.Text)
	if err != nil {
		i.done(n, Invalid, t.label+"."+name, "%v", err)
		return
	}
	i.take(t, name, param.Literal(param.FormatDuration(time.Duration(ms)*time.Millisecond)), n)
}
