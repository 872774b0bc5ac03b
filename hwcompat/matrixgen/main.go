// Command matrixgen writes MATRIX.md from the data beside it.
package main

import (
	"fmt"
	"os"

	"shisa/hwcompat"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "matrixgen:", err)
		os.Exit(1)
	}
}

func write() error {
	m, err := hwcompat.Load()
	if err != nil {
		return err
	}
	return os.WriteFile("MATRIX.md", []byte(m.Markdown()), 0o644)
}
