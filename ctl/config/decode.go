package config

import (
	"fmt"
	"strings"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/resource"
)

// Names of the tables that may occur many times, and of the one inside.
const (
	groupTable    = "group"
	resourceTable = "resource"
	monitorTable  = "monitor"
	recoveryTable = "recovery"
)

// header writes the header of a table.
func header(name string) string {
	if name == groupTable || name == resourceTable || name == monitorTable {
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

// tableNames lists the tables that may stand at the top, in order.
func tableNames() []string {
	var names []string
	for _, sec := range sections {
		names = append(names, sec.name)
	}
	return append(names, groupTable, resourceTable, monitorTable)
}

// read fills the model from what the TOML decoder made of the source.
func (r *reader) read(raw map[string]any) {
	r.decodeRoot(raw)
	for _, sec := range sections {
		r.decodeSection(sec, raw[sec.name])
	}
	r.decodeGroups(r.list(raw, groupTable, MaxGroups))
	resources, shapes := r.list(raw, resourceTable, MaxResources), map[string]*resourceShape{}
	r.m.Resources = make([]Resource, 0, len(resources))
	for i, table := range resources {
		r.decodeResource(table, r.root.child(resourceTable).item(i), i, shapes)
	}
	r.decodeMonitors(r.list(raw, monitorTable, MaxMonitors))
}

func (r *reader) decodeRoot(raw map[string]any) {
	var set param.Set
	root(r.m, &set)
	tables := tableNames()
	for _, mistake := range set.Decode(raw, tables...) {
		text := mistake.Text
		switch {
		case !strings.HasPrefix(text, param.NoSuchKey):
		case !isTable(raw[mistake.Key]):
			text = lost(mistake.Key, text, "", nil)
		default:
			text = "no such table"
			if n := param.Nearest(mistake.Key, tables); n != "" {
				text += fmt.Sprintf("; did you mean %s?", header(n))
			}
		}
		r.add(r.root.at(mistake.Key), mistake.Key, "%s", text)
	}
}

func isTable(v any) bool {
	switch v := v.(type) {
	case map[string]any, []map[string]any:
		return true
	case []any:
		_, ok := tables(v)
		return ok && len(v) > 0
	}
	return false
}

// tables returns the items of a list that holds tables only.
func tables(list []any) ([]map[string]any, bool) {
	all := make([]map[string]any, len(list))
	for i, item := range list {
		t, ok := item.(map[string]any)
		if !ok {
			return nil, false
		}
		all[i] = t
	}
	return all, true
}

func (r *reader) decodeSection(sec section, v any) {
	var set param.Set
	sec.declare(r.m, &set)
	table, ok := v.(map[string]any)
	if v != nil && !ok {
		r.add(r.root.at(sec.name), sec.name, "want a table: write [%s] once, in single brackets", sec.name)
		return
	}
	r.table(r.root.child(sec.name), sec.name, &set, nil, table)
}

// table decodes one table into the variables bound to set. own are those of
// its parameters that belong to its type, if it has one.
func (r *reader) table(where *place, prefix string, set, own *param.Set, raw map[string]any, known ...string) {
	for _, mistake := range set.Decode(raw, known...) {
		text := mistake.Text
		if strings.HasPrefix(text, param.NoSuchKey) {
			text = lost(mistake.Key, text, prefix, own)
		}
		r.add(max(1, where.at(mistake.Key)), prefix+"."+mistake.Key, "%s", text)
	}
}

// list returns the tables of [[name]].
func (r *reader) list(raw map[string]any, name string, limit int) []map[string]any {
	line := r.root.at(name)
	var list []map[string]any
	ok := true
	switch v := raw[name].(type) {
	case nil:
	case []map[string]any:
		list = v
	case []any:
		list, ok = tables(v)
	default:
		ok = false
	}
	if !ok {
		r.add(line, name, "write %s, in double brackets, once for each %s, with its name as a key inside", header(name), name)
		return nil
	}
	if len(list) > limit {
		r.add(r.root.child(name).item(limit).line, name, "more than %d of them; this is number %d of %d", limit, limit+1, len(list))
		return list[:limit]
	}
	return list
}

// label is how problems call item i of a list: by its name, if that is one.
func label(kind, name string, i int) string {
	if !isName(name) {
		name = fmt.Sprintf("#%d", i+1)
	}
	return kind + "." + name
}

// text returns raw as text, and nothing when it is something else.
func text(raw any) string {
	s, _ := raw.(string)
	return s
}

func (r *reader) decodeGroups(all []map[string]any) {
	var g Group
	var set param.Set
	declareGroup(&g, &set)
	for i, raw := range all {
		at := r.root.child(groupTable).item(i)
		set.Reset()
		r.table(at, label(groupTable, text(raw["name"]), i), &set, nil, raw)
		g.Line = at.line
		r.m.Groups, r.groups = append(r.m.Groups, g), append(r.groups, at)
	}
}

// A resourceShape decodes the resources of one type. It is made once a type,
// because declaring parameters costs more than decoding them.
type resourceShape struct {
	set *param.Set // common keys and those of the type
	own *param.Set // those of the type
	r   Resource
}

func newResourceShape(t resource.Type) *resourceShape {
	sh := &resourceShape{own: &param.Set{}, r: Resource{Timing: t.Timing}}
	var common param.Set
	declareResource(&sh.r, &common)
	if t.Name != "" {
		sh.own = t.Params()
	}
	sh.set = param.Join(&common, sh.own)
	return sh
}

func (r *reader) decodeResource(raw map[string]any, at *place, i int, shapes map[string]*resourceShape) {
	name, typeName := label(resourceTable, text(raw["name"]), i), text(raw["type"])
	t, ok := r.reg.Resources[typeName]
	sh := shapes[typeName]
	if sh == nil {
		sh = newResourceShape(t)
		shapes[typeName] = sh
	}
	var known []string
	if !ok {
		r.unknownType(raw, at, name, resourceAliases(r.reg))
		known = keysOfTypes(r.reg.Resources)
	}
	sh.set.Reset()
	resolveTables(sh.own, raw)
	r.table(at, name, sh.set, sh.own, raw, known...)
	res := sh.r
	res.Line, res.Params = at.line, given(sh.own, raw)
	r.m.Resources, r.resources = append(r.m.Resources, res), append(r.resources, at)
}

// A monitorShape decodes the monitors of one type.
type monitorShape struct {
	set *param.Set
	own *param.Set
	m   Monitor
}

func newMonitorShape(t monitor.Type) *monitorShape {
	sh := &monitorShape{own: &param.Set{}, m: Monitor{Timing: t.Timing, When: t.When}}
	var common param.Set
	declareMonitor(&sh.m, &common)
	if t.Name != "" {
		sh.own = t.Params()
	}
	sh.set = param.Join(&common, sh.own)
	return sh
}

// A recoveryShape decodes [monitor.recovery].
type recoveryShape struct {
	set    param.Set
	r      Recovery
	target string
}

func newRecoveryShape() *recoveryShape {
	sh := new(recoveryShape)
	declareRecovery(&sh.r, &sh.target, &sh.set)
	return sh
}

func (r *reader) decodeMonitors(all []map[string]any) {
	shapes, rec := map[string]*monitorShape{}, newRecoveryShape()
	r.m.Monitors = make([]Monitor, 0, len(all))
	for i, raw := range all {
		at := r.root.child(monitorTable).item(i)
		name, typeName := label(monitorTable, text(raw["name"]), i), text(raw["type"])
		t, ok := r.reg.Monitors[typeName]
		sh := shapes[typeName]
		if sh == nil {
			sh = newMonitorShape(t)
			shapes[typeName] = sh
		}
		known := []string{recoveryTable}
		if !ok {
			r.unknownType(raw, at, name, monitorAliases(r.reg))
			known = append(keysOfTypes(r.reg.Monitors), recoveryTable)
		}
		sh.set.Reset()
		resolveTables(sh.own, raw)
		r.table(at, name, sh.set, sh.own, raw, known...)
		m := sh.m
		m.Line, m.Params = at.line, given(sh.own, raw)
		r.decodeRecovery(&m, raw[recoveryTable], at, name, rec)
		r.m.Monitors, r.monitors = append(r.m.Monitors, m), append(r.monitors, at)
	}
}

func (r *reader) decodeRecovery(m *Monitor, v any, at *place, name string, sh *recoveryShape) {
	prefix := name + "." + recoveryTable
	where := at.child(recoveryTable)
	if where == nil {
		where = at
	}
	table, ok := v.(map[string]any)
	if v != nil && !ok {
		r.add(where.line, prefix, "want a table: write [monitor.recovery] once below its [[monitor]], in single brackets")
	}
	sh.set.Reset()
	r.table(where, prefix, &sh.set, nil, table)
	m.Recovery = sh.r
	ref, ok := parseRef(sh.target, m.Target)
	if !ok {
		r.add(where.at("target"), prefix+".target", `%q is no target: want "resource/NAME", "group/NAME", "groups" or "server"%s`, sh.target, r.suggestRef(sh.target))
	}
	m.Recovery.Target = ref
	p := &m.Recovery.Policy
	p.Retry = m.Timing.Retry
	if p.MaxRestart < 0 {
		p.MaxRestart = defaultRestarts(ref)
	}
}

// defaultRestarts is what restarts = -1 stands for.
func defaultRestarts(target Ref) int {
	if target.Kind == serverTarget {
		return 0
	}
	return 3
}

// Kinds of targets of recovery.
const (
	resourceTarget = "resource"
	groupTarget    = "group"
	groupsTarget   = "groups"
	serverTarget   = "server"
)

// parseRef reads a target of recovery; target is the monitor's own.
func parseRef(text, target string) (Ref, bool) {
	switch {
	case text == "" && target != "":
		return Ref{resourceTarget, target}, true
	case text == "" || text == serverTarget:
		return Ref{Kind: serverTarget}, true
	case text == groupsTarget:
		return Ref{Kind: groupsTarget}, true
	}
	kind, name, ok := strings.Cut(text, "/")
	if !ok || name == "" || kind != resourceTarget && kind != groupTarget {
		return Ref{Kind: serverTarget}, false
	}
	return Ref{kind, name}, true
}

// suggestRef guesses what was meant by a target without its kind.
func (r *reader) suggestRef(text string) string {
	for _, res := range r.m.Resources {
		if res.Name == text {
			return fmt.Sprintf("; did you mean %q?", resourceTarget+"/"+text)
		}
	}
	for _, g := range r.m.Groups {
		if g.Name == text {
			return fmt.Sprintf("; did you mean %q?", groupTarget+"/"+text)
		}
	}
	return ""
}

// given returns the parameters of a type that differ from their defaults, each
// in one canonical form: what is equal means the same.
func given(own *param.Set, raw map[string]any) map[string]any {
	var params map[string]any
	for _, sp := range own.Specs() {
		if _, ok := raw[sp.Name]; !ok || !sp.IsRequired && sp.IsDefault() {
			continue
		}
		if params == nil {
			params = make(map[string]any, len(raw))
		}
		params[sp.Name] = sp.Value()
	}
	return params
}
