// Package docs holds the chapters of the manual, so that a server without a
// network has them: `shisa help` prints them. Some are written from the code by
// go generate in ctl/doc.
package docs

import "embed"

// Manual has the chapters in the folder "manual", in Markdown.
//
//go:embed manual/*.md
var Manual embed.FS
