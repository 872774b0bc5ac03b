package nextboot

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds how deep menus may lie in menus.
const maxDepth = 8

// grub reads grub.cfg and grubenv.
func (b boot) grub() (Kernel, bool) {
	names := []string{"boot/grub/grub.cfg", "boot/grub2/grub.cfg"}
	vendor, err := fs.Glob(b.fsys, "boot/efi/EFI/*/grub.cfg")
	if err == nil {
		names = append(names, vendor...)
	}
	text, ok := b.readFirst(names...)
	if !ok {
		return Kernel{}, false
	}
	env := b.grubenv()
	want, once := defaultEntry(text, env)
	menu := parseMenu(text)
	if usesBLS(text) {
		if all := b.entries(entryFolders...); len(all) > 0 {
			k := pickEntry(all, want).kernel("grub-bls")
			k.Once = once
			return k, true
		}
	}
	item := menu.pick(want)
	if item == nil {
		return Kernel{}, false
	}
	return Kernel{Release: release(item.image, ""), Image: item.image, Loader: "grub", Entry: item.title, Once: once}, true
}

// grubenv is a block of lines "key=value", filled up with '#'.
func (b boot) grubenv() map[string]string {
	env := map[string]string{}
	text, _ := b.readFirst("boot/grub/grubenv", "boot/grub2/grubenv")
	for line := range strings.Lines(text) {
		if key, val, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			env[key] = val
		}
	}
	return env
}

// defaultEntry returns what the configuration chooses, and whether for the next
// start only. grub-mkconfig writes
//
//	if [ "${next_entry}" ] ; then set default="${next_entry}" … else set default="0" fi
//
// so next_entry wins while it is set, and else the last assignment counts.
func defaultEntry(text string, env map[string]string) (want string, once bool) {
	if next := env["next_entry"]; next != "" {
		return next, true
	}
	want = "0"
	for line := range strings.Lines(text) {
		val, ok := strings.CutPrefix(strings.TrimSpace(line), "set default=")
		if !ok {
			continue
		}
		switch val = strings.Trim(val, `"'`); val {
		case "${next_entry}":
		case "${saved_entry}", "$saved_entry":
			want = env["saved_entry"]
		default:
			want = val
		}
	}
	if want == "" {
		want = "0"
	}
	return want, false
}

// usesBLS reports whether the configuration runs blscfg, on a line of its own.
func usesBLS(text string) bool {
	for line := range strings.Lines(text) {
		if w := strings.Fields(line); len(w) > 0 && w[0] == "blscfg" {
			return true
		}
	}
	return false
}

func pickEntry(all []entry, want string) entry {
	if n, err := strconv.Atoi(want); err == nil && 0 <= n && n < len(all) {
		return all[n]
	}
	i := slices.IndexFunc(all, func(e entry) bool { return e.id == want || e.title == want })
	return all[max(i, 0)]
}

// A menuItem is an entry, or a menu with items below it.
type menuItem struct {
	title, id, image string
	menu             bool
	items            []*menuItem
}

// parseMenu reads the blocks "menuentry … {", "submenu … {" and the line
// "linux IMAGE …" in them. Other blocks are functions; they nest and are
// skipped.
func parseMenu(text string) *menuItem {
	root := &menuItem{menu: true}
	stack := []*menuItem{root}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		w := shellWords(line)
		if len(w) == 0 {
			continue
		}
		top := stack[len(stack)-1]
		switch {
		case w[0] == "}":
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case strings.HasSuffix(line, "{"):
			item := newItem(w)
			if item != nil && top != nil && len(stack) <= maxDepth {
				top.items = append(top.items, item)
			}
			stack = append(stack, item)
		case len(w) > 1 && top != nil && top.image == "" && slices.Contains([]string{"linux", "linux16", "linuxefi"}, w[0]):
			top.image = w[1]
		}
	}
	return root
}

// newItem returns nil for a block that is not part of the menu.
func newItem(w []string) *menuItem {
	if w[0] != "menuentry" && w[0] != "submenu" || len(w) < 2 {
		return nil
	}
	item := &menuItem{title: w[1], menu: w[0] == "submenu"}
	for i, word := range w[:len(w)-1] {
		if word == "--id" || word == "$menuentry_id_option" {
			item.id = w[i+1]
		}
	}
	return item
}

// pick follows "1>2", "Advanced options>Linux 6.1" or identifiers. What fits
// nothing falls back to the first entry, as GRUB does.
func (m *menuItem) pick(want string) *menuItem {
	at := m
	for part := range strings.SplitSeq(want, ">") {
		next := at.child(part)
		if next == nil {
			break
		}
		at = next
	}
	for at.menu {
		if len(at.items) == 0 {
			return nil
		}
		at = at.items[0]
	}
	return at
}

func (m *menuItem) child(want string) *menuItem {
	if n, err := strconv.Atoi(want); err == nil {
		if 0 <= n && n < len(m.items) {
			return m.items[n]
		}
		return nil
	}
	i := slices.IndexFunc(m.items, func(c *menuItem) bool { return c.title == want || c.id == want && want != "" })
	if i < 0 {
		return nil
	}
	return m.items[i]
}

// shellWords splits a line as GRUB's shell does, as far as menu lines go:
// blanks separate, quotes of both kinds hold together.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == '#' && !inWord:
			return words
		case r == ' ' || r == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
