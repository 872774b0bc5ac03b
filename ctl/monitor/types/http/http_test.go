package http

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
)

func serve(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	switch r.URL.Path {
	case "/ok":
		fmt.Fprintln(w, "all is well")
	case "/broken":
		http.Error(w, "out of order", http.StatusInternalServerError)
	case "/auth":
		if user != "u" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	case "/header":
		if r.Header.Get("X-Probe") != "yes" || r.Header.Get("User-Agent") != "shisa" {
			w.WriteHeader(http.StatusBadRequest)
		}
	case "/host":
		if r.Host != "www.example.org" {
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
	case "/away":
		http.Redirect(w, r, "/ok", http.StatusFound)
	case "/loop":
		http.Redirect(w, r, "/loop", http.StatusFound)
	case "/method":
		w.Header().Set("X", r.Method)
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	case "/endless":
		for junk := strings.Repeat("x", 4096); r.Context().Err() == nil; {
			if _, err := fmt.Fprint(w, junk); err != nil {
				return
			}
		}
	case "/cut":
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "short")
	case "/silent":
		<-r.Context().Done()
	default:
		http.NotFound(w, r)
	}
}

func TestType(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(serve))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	dir := t.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	for name, text := range map[string][]byte{"ca.pem": cert, "bad.pem": []byte("nothing")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := monitor.Env{Dir: dir}
	at := func(path string, more ...any) map[string]any { return with(plain.URL+path, more...) }
	tls := func(path string, more ...any) map[string]any { return with(secure.URL+path, more...) }

	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "ok", Params: at("/ok"), Detail: "200"},
		{Name: "not found", Params: at("/nowhere"), Want: monitor.Failed, Detail: "404"},
		{Name: "server error", Params: at("/broken", "method", "GET"), Want: monitor.Failed, Detail: "500"},
		{Name: "status list", Params: at("/nowhere", "status", []any{"200", "400-404"}), Detail: "404"},
		{Name: "HEAD by default", Params: at("/method"), Want: monitor.Failed, Detail: "405"},
		{Name: "GET", Params: at("/method", "method", "GET")},
		{Name: "body", Params: at("/ok", "method", "GET", "body", "all .* well")},
		{Name: "other body", Params: at("/ok", "method", "GET", "body", "all .* ill"), Want: monitor.Failed, Detail: "matches"},
		{Name: "endless body", Params: at("/endless", "method", "GET", "body", "y"), Want: monitor.Failed, Detail: "1048576 bytes"},
		{Name: "cut body", Params: at("/cut", "method", "GET", "body", "y"), Want: monitor.Failed, Detail: "read the body"},
		{Name: "password", Params: at("/auth", "user", "u", "password", "secret")},
		{Name: "no password", Params: at("/auth"), Want: monitor.Failed, Detail: "401"},
		{Name: "header", Params: at("/header", "headers", []any{"x-probe: yes"})},
		{Name: "host", Params: at("/host", "host", "www.example.org")},
		{Name: "connect elsewhere", Params: with("http://www.example.org/host", "connect", strings.TrimPrefix(plain.URL, "http://"))},
		{Name: "redirect itself", Params: at("/away"), Detail: "302"},
		{Name: "redirect followed", Params: at("/away", "redirects", 1, "status", []any{"200"})},
		{Name: "redirect loop", Params: at("/loop", "redirects", 3, "status", []any{"200"}), Want: monitor.Failed, Detail: "302"},
		{Name: "nobody there", Params: with("http://127.0.0.1:1/"), Want: monitor.Failed, Detail: "refused"},
		{Name: "silent", Params: at("/silent"), TimedOut: true, Timeout: 100 * time.Millisecond},
		{Name: "unknown authority", Params: tls("/ok"), Want: monitor.Failed, Detail: "certificate"},
		{Name: "not verified", Params: tls("/ok", "verify", false)},
		{Name: "own authority", Params: tls("/ok", "ca", "ca.pem"), Env: env},
		{Name: "name in TLS", Params: tls("/ok", "ca", "ca.pem", "host", "example.com"), Env: env},
		{Name: "wrong name in TLS", Params: tls("/ok", "ca", "ca.pem", "host", "www.example.net"), Env: env, Want: monitor.Failed, Detail: "www.example.net"},
		{Name: "missing authority", Params: tls("/ok", "ca", "missing.pem"), Env: env, NoLook: true, Detail: "missing.pem"},
		{Name: "empty authority", Params: tls("/ok", "ca", "bad.pem"), Env: env, NoLook: true, Detail: "no certificate"},
		{Name: "no URL", Params: map[string]any{}, WantErr: "url: required"},
		{Name: "other scheme", Params: with("ftp://x/"), WantErr: "http://"},
		{Name: "password in URL", Params: with("http://u:p@x/"), WantErr: "parameters of their own"},
		{Name: "bad status", Params: at("/", "status", []any{"2xx"}), WantErr: "100 to 599"},
		{Name: "no status", Params: at("/", "status", []any{}), WantErr: "at least one"},
		{Name: "body without GET", Params: at("/", "body", "x"), WantErr: `method = "GET"`},
		{Name: "bad expression", Params: at("/", "method", "GET", "body", "("), WantErr: "missing closing )"},
		{Name: "bad header", Params: at("/", "headers", []any{"no colon"}), WantErr: "Name: value"},
		{Name: "bad address", Params: at("/", "connect", "somewhere"), WantErr: "an address and a port"},
	})
}

// with returns the parameters with url and the given keys and values.
func with(url string, more ...any) map[string]any {
	m := map[string]any{"url": url}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

// TestOwnConnections: each probe looks at connecting, too, over plain HTTP and
// over HTTP/2.
func TestOwnConnections(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){
		"plain": (*httptest.Server).Start,
		"h2":    func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		t.Run(name, func(t *testing.T) {
			var opened, open atomic.Int32
			s := httptest.NewUnstartedServer(http.HandlerFunc(serve))
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				switch state {
				case http.StateNew:
					opened.Add(1)
					open.Add(1)
				case http.StateClosed:
					open.Add(-1)
				case http.StateActive, http.StateIdle, http.StateHijacked:
				}
			}
			start(s)
			p, err := Type.New(with(s.URL+"/ok", "verify", false), monitor.Env{})
			if err != nil {
				t.Fatal(err)
			}
			const probes = 3
			for range probes {
				if f, err := p.Probe(t.Context()); err != nil || f.Verdict != monitor.OK {
					t.Fatal(f, err)
				}
			}
			s.Close() // waits for connections that are not closed
			if opened.Load() != probes || open.Load() != 0 {
				t.Errorf("%d probes made %d connections, of which %d are open", probes, opened.Load(), open.Load())
			}
		})
	}
}
