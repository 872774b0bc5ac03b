// Package docs holds the chapters of the manual, so that a server without a
// network has them: `shisa help` prints them. Some are written from the code by
// go generate.
package docs

import "embed"

// This package stands last in the order of go generate, so that types that are
// new are in the lists already.
//go:generate go run ../ctl/doc/gen

// Manual has the chapters in the folder "manual", in Markdown.
//
//go:embed manual/*.md
var Manual embed.FS
