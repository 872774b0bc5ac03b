// Command shisad guards this server: it probes, decides, recovers, and takes
// the machine down when nothing softer is left.
package main

import (
	"os"

	"shisa/ctl/service"
)

// version is set by the linker.
var version = "devel"

func main() { os.Exit(service.Main(version, os.Args[1:], os.Stdout, os.Stderr)) }
