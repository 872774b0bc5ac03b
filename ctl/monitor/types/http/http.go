// Package http declares the HTTP monitor.
package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

// Limits on what is read of an answer.
const (
	BodyLimit   = 1 << 20  // bytes of the body in which text is sought
	HeaderLimit = 64 << 10 // bytes of the header
)

// Type asks a web server for a page.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "http",
	Alias: "httpw",
	Title: "HTTP",
	Doc: "Asks a web server for a page and looks at the status, and if wanted at the text, of the answer. " +
		"A connection that is refused, a certificate that does not verify, a status outside `status` or a missing text is a failure.\n\n" +
		"Each probe makes a connection of its own, so that the server's accept queue and TLS are looked at, too. " +
		"How long name resolution, connecting, TLS and the first byte took is noted with each probe.",
	Timing:  monitor.Timing{Interval: 10 * time.Second, Timeout: 30 * time.Second, Retry: 3},
	When:    monitor.WhileActive,
	Params:  declare,
	Example: map[string]any{"url": "http://localhost/health"},
	New:     func(p params, env monitor.Env) (monitor.Prober, error) { return build(p, env) },
})

func declare(p *params, s *param.Set) {
	s.String(&p.url, "url", "", `What to ask for, such as "http://localhost/" or "https://localhost:8443/health".`).Required().As("agentparam/requesturi").
		Check(p.checkURL)
	s.Choice(&p.method, "method", http.MethodHead, []string{http.MethodHead, http.MethodGet}, "HEAD asks for the header only.").As("agentparam/requesttype")
	s.Strings(&p.status, "status", []string{"200-399"}, `Good status codes and ranges of them, such as ["200", "300-399"].`).Check(p.checkStatus)
	s.String(&p.body, "body", "", "Regular expression that the body must match; needs method GET.").Check(p.checkBody)
	s.Strings(&p.headers, "headers", nil, `Further header lines, such as ["X-Probe: shisa"].`).Check(p.checkHeaders)
	s.String(&p.host, "host", "", "Host header, and name in TLS, where they differ from the URL.")
	s.String(&p.connect, "connect", "", `Address and port to connect to in place of the URL's, such as "127.0.0.1:443".`).Check(p.checkConnect)
	s.String(&p.user, "user", "", "User for basic authentication; empty: none.").As("agentparam/username")
	s.String(&p.password, "password", "", "Password of the user.").Secret().As("agentparam/password")
	s.Int(&p.redirects, "redirects", 0, 0, 10, "redirects", "How many redirects are followed; 0 looks at the first answer itself.")
	s.Bool(&p.verify, "verify", true, "Whether the server's certificate must be valid.")
	s.String(&p.ca, "ca", "", "PEM file with the authorities to trust in place of the system's; a relative path starts at the configuration.")
}

type prober struct {
	params
	ca      string                          // whole path; empty: the system's authorities
	carrier func() (*http.Transport, error) // for one probe
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	begin := time.Now()
	transport, err := p.carrier()
	if err != nil {
		return monitor.Finding{}, err
	}
	req, err := p.request(ctx)
	if err != nil {
		return monitor.Finding{}, err
	}
	client := &http.Client{Transport: transport, CheckRedirect: p.redirect}
	resp, err := client.Do(req)
	if err != nil {
		return blame(ctx, err)
	}
	defer resp.Body.Close()
	monitor.Logf(ctx, "%s %s after %v", resp.Proto, resp.Status, time.Since(begin))
	if !p.good(resp.StatusCode) {
		p.quote(ctx, resp.Body)
		return monitor.Finding{Verdict: monitor.Failed, Detail: fmt.Sprintf("status %s", resp.Status)}, nil
	}
	if p.pattern != nil {
		if f, err := p.look(ctx, resp.Body); err != nil || f.Verdict != monitor.OK {
			return f, err
		}
	}
	return monitor.Finding{Detail: fmt.Sprintf("status %s in %v", resp.Status, time.Since(begin).Round(time.Microsecond))}, nil
}

// look seeks the pattern in the body.
func (p *prober) look(ctx context.Context, body io.Reader) (monitor.Finding, error) {
	text, err := io.ReadAll(io.LimitReader(body, BodyLimit))
	if err != nil {
		return blame(ctx, fmt.Errorf("read the body: %w", err))
	}
	if p.pattern.Match(text) {
		return monitor.Finding{}, nil
	}
	monitor.Logf(ctx, "body begins with %.500q", text)
	return monitor.Finding{Verdict: monitor.Failed, Detail: fmt.Sprintf("nothing in the body (%d bytes) matches %q", len(text), p.body)}, nil
}

// quote notes how the answer of a bad status begins.
func (p *prober) quote(ctx context.Context, body io.Reader) {
	text := make([]byte, 500)
	if n, err := io.ReadFull(body, text); n > 0 || err == nil {
		monitor.Logf(ctx, "body begins with %q", text[:n])
	}
}

func (p *prober) redirect(_ *http.Request, via []*http.Request) error {
	if len(via) > p.redirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// transport makes what carries probes: a connection is not kept for the next
// one, which shall look at connecting, too.
func (p *prober) transport() (*http.Transport, error) {
	config, err := p.tls()
	if err != nil {
		return nil, err
	}
	dial := (&net.Dialer{KeepAlive: -1}).DialContext // it is over long before the first sign of life would be due
	t := &http.Transport{
		DialContext: dial, TLSClientConfig: config, DisableKeepAlives: true,
		ForceAttemptHTTP2: true, MaxResponseHeaderBytes: HeaderLimit, WriteBufferSize: 1 << 10, ReadBufferSize: 2 << 10,
	}
	if p.connect != "" {
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, p.connect) }
	}
	return t, nil
}

// blame tells what is wrong with the target from what kept us from looking.
func blame(ctx context.Context, err error) (monitor.Finding, error) {
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		err = fmt.Errorf("certificate: %w", cert.Err)
	}
	return monitor.Blame(ctx, err)
}
