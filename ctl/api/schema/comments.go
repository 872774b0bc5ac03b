package schema

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// Comments are the comments of types ("api.Status") and of their fields
// ("api.Status.Mode"), each on one line.
type Comments map[string]string

// sources are the folders whose types the API sends and takes.
var sources = []string{"ctl/api", "ctl/event", "ctl/why"}

// ReadComments reads them from the sources of this module, whose top folder is
// root. It is for what is written at build time; an installed shisa has no
// sources.
func ReadComments(root string) (Comments, error) {
	all := Comments{}
	for _, dir := range sources {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("read comments of %s below %s: no sources (%v)", dir, root, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			all.add(file)
		}
	}
	return all, nil
}

// add takes in every structure that is declared in file.
func (c Comments) add(file *ast.File) {
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.TypeSpec) // a declaration of types has nothing else
			fields, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			name := file.Name.Name + "." + spec.Name.Name
			c.set(name, decl.Doc)
			for _, f := range fields.Fields.List {
				for _, field := range f.Names {
					c.set(name+"."+field.Name, f.Doc, f.Comment)
				}
			}
		}
	}
}

// set keeps the first comment that says something.
func (c Comments) set(name string, groups ...*ast.CommentGroup) {
	for _, g := range groups {
		if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
			c[name] = text
			return
		}
	}
}
