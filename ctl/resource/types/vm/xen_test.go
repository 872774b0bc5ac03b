package vm

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"shisa/ctl/resource"
)

// A tape is a peer that answers what was recorded, and only to what was recorded.
type tape struct {
	t  *testing.T
	mu sync.Mutex
	// exchanges that are still to come: a request, and the answer to it
	exchanges []txtar.File
}

func (p *tape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.exchanges) < 2 {
		p.t.Errorf("one request too many:\n%s", body)
		http.Error(w, "the tape is at its end", http.StatusTeapot)
		return
	}
	request, answer := p.exchanges[0], p.exchanges[1]
	p.exchanges = p.exchanges[2:]
	if want := strings.TrimSpace(string(request.Data)); string(body) != want {
		p.t.Errorf("got request\n%s\nwant %s\n%s", body, request.Name, want)
	}
	var status int
	if _, err := fmt.Sscanf(answer.Name, "%d", &status); err != nil {
		p.t.Errorf("answer %q has no status", answer.Name)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	w.Write(answer.Data) //nolint:errcheck // the client sees it
}

// Each recording begins with what is done: "start" or "stop", the parameters in
// JSON, and the error that follows, if any.
func TestXen(t *testing.T) {
	files, err := filepath.Glob("testdata/xen/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { replay(t, path) })
	}
}

func replay(t *testing.T, path string) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	verb, want, _ := strings.Cut(strings.TrimSpace(string(a.Comment)), "\n")
	verb, text, _ := strings.Cut(verb, " ")
	p := &tape{t: t, exchanges: a.Files}
	server := httptest.NewTLSServer(p)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	params := map[string]any{"hypervisor": xenserver, "address": server.Listener.Addr().String(), "ca_file": ca, "user": "root", "password": "p<&>w"}
	if err := json.Unmarshal([]byte(text), &params); err != nil {
		t.Fatalf("parameters %q: %v", text, err)
	}
	r, err := Type.New(params, resource.Env{Name: "guest"})
	if err != nil {
		t.Fatal(err)
	}
	do := r.Start
	if verb == "stop" {
		do = r.Stop
	}
	switch err := do(t.Context(), resource.Request{}); {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q", err, want)
	}
	if len(p.exchanges) > 0 {
		t.Errorf("%d exchanges were not asked for, first %s", len(p.exchanges)/2, p.exchanges[0].Name)
	}
}

// Fix 40 of the original: with a host that is no XenServer, or none
// at all, the resource crashed.
func TestFix040NoXenServer(t *testing.T) {
	for _, answer := range []string{"", "<html>", "<methodResponse/>", "<methodResponse><params><param><value/></param></params></methodResponse>",
		"<methodResponse><fault><value><struct/></value></fault></methodResponse>", strings.Repeat("<value>", 20000),
		`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "y">]><methodResponse>&e;</methodResponse>`} {
		if v, err := result([]byte(answer)); err == nil {
			t.Errorf("%.60q: taken as %+v", answer, v)
		}
	}
	r, err := Type.New(map[string]any{"hypervisor": xenserver, "address": "127.0.0.1:1", "vm": "guest"}, resource.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), resource.Request{}); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
}

func FuzzResult(f *testing.F) {
	files, err := filepath.Glob("testdata/xen/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for i := 1; i < len(a.Files); i += 2 {
			f.Add(a.Files[i].Data)
		}
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		v, err := result(b)
		if err == nil {
			_ = v.text()
		}
	})
}

// What a host says of a machine, for the monitor.
func TestLook(t *testing.T) {
	for _, tt := range []struct {
		state state
		err   error
		want  resource.Condition
		what  string
	}{
		{running, nil, resource.Works, "running"},
		{changing, nil, resource.Passing, "changing"},
		{stopped, nil, resource.Down, "stopped"},
		{halted, nil, resource.Down, "paused or suspended"},
		{"", errAbsent, resource.Down, "unknown to its host"},
	} {
		m := &machine{params: params{request: time.Second}, connect: func(context.Context) (host, error) { return fixed{s: tt.state, err: tt.err}, nil }}
		got, what, err := m.Look(t.Context())
		if got != tt.want || what != tt.what || err != nil {
			t.Errorf("%s, %v: got %v, %q, %v", tt.state, tt.err, got, what, err)
		}
	}
}

// fixed is a host whose machine never changes.
type fixed struct {
	host
	s   state
	err error
}

func (f fixed) state(context.Context) (state, error) { return f.s, f.err }
func (fixed) close(context.Context)                  {}
