// Command gen writes the chapters of the manual that are made from the code. It
// runs in docs.
package main

import (
	"log"
	"os"
	"path/filepath"

	"shisa/ctl/doc"
)

func main() {
	log.SetFlags(0)
	chapters, err := doc.Generated("..")
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range chapters {
		path := filepath.Join("manual", name+".md")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
