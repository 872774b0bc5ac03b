// Command shisa-keeper holds the countdowns that reset this machine, and pings
// them only while every loop of shisad proves that it makes progress.
package main

import (
	"os"

	"shisa/ctl/keepalive/drivers"
	"shisa/ctl/keeper/guard"
)

// version is set by the linker.
var version = "devel"

func main() { os.Exit(guard.Main(version, os.Args[1:], drivers.Open)) }
