// Command gen turns the user interface header of clpka into Go.
//
//	gen HEADER.h OUT.go
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gen HEADER.h OUT.go")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(header, out string) error {
	text, err := os.ReadFile(header)
	if err != nil {
		return err
	}
	code, err := translate(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", header, err)
	}
	return os.WriteFile(out, code, 0o644)
}
