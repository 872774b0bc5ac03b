package decide

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// groupStates lists the states of a group in the order of its life, with what
// they mean.
var groupStates = []struct {
	state   GroupState
	meaning string
}{
	{GroupOffline, "nothing of it runs"},
	{GroupStarting, "waits for the groups of start_after, then starts its resources, those side by side that do not need each other"},
	{GroupOnline, "it runs; single resources may be stopped or restarted meanwhile"},
	{GroupStopping, "waits for the groups of stop_after, then stops its resources, in reverse"},
	{GroupStartFailed, "a resource did not start; what did start runs on; final actions follow, the strongest last"},
	{GroupStopFailed, "a resource did not stop; what is left of it is unknown; nothing is recovered"},
}

// Drawing draws the life of a group from the table that the machine works by,
// as Markdown: a diagram in Mermaid, the table, and what the states mean. It is the
// chapter "groups" of the manual.
func Drawing() string {
	var b strings.Builder
	b.WriteString("# The life of a group\n\nDrawn from the table that the code works by. `shisa status` and the API say stopped for offline and started for online,\n" +
		"and write the rest with a hyphen: start-failed.\n\n")
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> offline\n")
	for _, s := range groupStates {
		next := transitions[s.state]
		for _, ev := range slices.Sorted(maps.Keys(next)) {
			fmt.Fprintf(&b, "    %s --> %s : %s\n", s.state, next[ev], ev)
		}
	}
	b.WriteString("```\n\n| state | what happens | then |\n| --- | --- | --- |\n")
	for _, s := range groupStates {
		next := transitions[s.state]
		for _, ev := range slices.Sorted(maps.Keys(next)) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.state, ev, next[ev])
		}
	}
	b.WriteString("\nWhat does not stand in the table leaves the group as it is.\n\n")
	for _, s := range groupStates {
		fmt.Fprintf(&b, "- **%s**: %s.\n", s.state, s.meaning)
	}
	return b.String()
}
