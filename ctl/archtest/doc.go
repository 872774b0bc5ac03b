// Package archtest checks what the tree promises: imports follow layers.txt,
// every package says what it is, files and functions stay small, and calls
// that would break the safety rules stand only where they belong.
package archtest
