// Package types lists every resource type. Add one by adding a folder and
// running go generate.
package types

//go:generate go run shisa/ctl/monitor/types/internal/genall
