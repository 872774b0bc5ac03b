// Package types lists every monitor type. Add one by adding a folder and
// running go generate.
package types

//go:generate go run ./internal/genall
