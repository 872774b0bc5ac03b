// Package witness writes down why the machine is about to be reset.
package witness

// Main is the program of the witness.
func Main(args []string) error { return nil }
