// Command shisa shows and controls what guards this server.
package main

import (
	"os"

	"shisa/ctl/cli"
)

// version is set by the linker.
var version = "devel"

func main() { os.Exit(cli.Main(version, os.Args[1:], os.Stdout, os.Stderr)) }
