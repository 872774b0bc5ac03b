// Command shisa shows and controls what guards this server. Under the name of
// one of the original's commands it behaves like that command.
package main

import (
	"os"
	"runtime/debug"

	"shisa/ctl/cli"
	"shisa/ctl/compat"
)

// version is set by the linker.
var version = "devel"

// memory is what a command may take before it begins to collect garbage: most are
// over sooner.
const memory = 128 << 20

func main() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memory)
	if compat.Answers(os.Args[0]) {
		os.Exit(compat.Main(os.Args[0], os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(cli.Main(version, os.Args[1:], os.Stdout, os.Stderr))
}
