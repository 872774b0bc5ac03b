package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/api/schema"
	"shisa/ctl/event"
)

var outputs = map[string]any{"status": api.Status{}, "why": api.Why{}, "events": []event.Event{}, "doctor": api.Doctor{}}

// TestFiles keeps the files equal to the types; UPDATE=1 writes them.
func TestFiles(t *testing.T) {
	comments, err := schema.ReadComments("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range schema.Names() {
		want, err := json.MarshalIndent(schema.Of(name, outputs[name], comments), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(name+".json", want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := schema.Read(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.json does not follow the types (%v): run UPDATE=1 go test ./ctl/api/schema", name, err)
		}
	}
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	b, err := schema.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON returns v as a validator sees it.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOutputsFollow(t *testing.T) {
	for name, samples := range apitest.Samples() {
		s := compile(t, name)
		for i, v := range samples {
			if err := s.Validate(asJSON(t, v)); err != nil {
				t.Errorf("%s %d: %v", name, i, err)
			}
		}
	}
}

func TestSchemaCanFail(t *testing.T) {
	for name, harm := range map[string]func(map[string]any){
		"unknown key":    func(m map[string]any) { m["surprise"] = 1 },
		"missing key":    func(m map[string]any) { delete(m, "mode") },
		"unknown level":  func(m map[string]any) { m["level"] = "fine" },
		"null for list":  func(m map[string]any) { m["monitors"] = nil },
		"text as number": func(m map[string]any) { m["uptime_ms"] = "3s" },
	} {
		doc := asJSON(t, apitest.Status()).(map[string]any)
		harm(doc)
		if compile(t, "status").Validate(doc) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The reference has every request, and says what it takes and answers.
func TestMarkdown(t *testing.T) {
	comments, err := schema.ReadComments("../../..")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	schema.Markdown(&b, comments)
	for _, r := range api.Routes() {
		if !strings.Contains(b.String(), r.Method+" "+r.Path) || !strings.HasSuffix(r.Doc, ".") {
			t.Errorf("%s %s: not documented: %q", r.Method, r.Path, r.Doc)
		}
	}
	for _, want := range []string{
		"| `POST /v1/stretch` | control | Give all probes more time for a while. | StretchCommand | Result |",
		"| `ratio` | integer | 1 to MaxStretch; 1 is back to normal |", "| `for_ms`° | milliseconds |",
		"| `primary` | Engine or null | null: none |", "\n### FollowItem\n", "| `code` | text |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if _, err := schema.ReadComments(t.TempDir()); err == nil {
		t.Error("comments were read where no sources are")
	}
}
