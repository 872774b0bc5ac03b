package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"shisa/ctl/monitor"
)

type params struct {
	url       string
	method    string
	status    []string
	body      string
	headers   []string
	host      string
	connect   string
	user      string
	password  string
	redirects int
	verify    bool
	ca        string

	ranges  [][2]int       // of status
	pattern *regexp.Regexp // of body; nil: none
	header  http.Header    // of headers
}

func build(p params, env monitor.Env) (monitor.Prober, error) {
	ca := p.ca
	if ca != "" && !filepath.IsAbs(ca) {
		ca = filepath.Join(env.Dir, ca)
	}
	one := &prober{params: p, ca: ca}
	one.carrier = one.transport // a file is read anew by each probe, since certificates are renewed
	if ca == "" {
		one.carrier = sync.OnceValues(one.transport)
	}
	return one, nil
}

func (p *params) checkURL() error {
	u, err := url.Parse(p.url)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("%q must begin with http:// or https:// and a host", p.url)
	case u.User != nil:
		return errors.New("write user and password as parameters of their own")
	}
	return nil
}

func (p *params) checkStatus() error {
	p.ranges = nil
	for _, text := range p.status {
		low, high, isRange := strings.Cut(text, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to {
			return fmt.Errorf("%q is no status or range of them: write 100 to 599, such as \"200\" or \"200-299\"", text)
		}
		p.ranges = append(p.ranges, [2]int{from, to})
	}
	if len(p.ranges) == 0 {
		return errors.New("name at least one good status")
	}
	return nil
}

func (p *params) good(status int) bool {
	for _, r := range p.ranges {
		if status >= r[0] && status <= r[1] {
			return true
		}
	}
	return false
}

func (p *params) checkBody() (err error) {
	p.pattern = nil
	if p.body == "" {
		return nil
	}
	if p.method != http.MethodGet {
		return errors.New(`needs method = "GET"`)
	}
	p.pattern, err = regexp.Compile(p.body)
	return err
}

func (p *params) checkHeaders() error {
	p.header = http.Header{}
	for _, line := range p.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(name, " \t\r\n") || strings.ContainsAny(value, "\r\n") || name == "" {
			return fmt.Errorf("%q is no header line: write \"Name: value\"", line)
		}
		p.header.Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
	}
	return nil
}

func (p *params) checkConnect() error {
	if p.connect == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(p.connect); err != nil {
		return fmt.Errorf("%q must be an address and a port, such as \"127.0.0.1:443\"", p.connect)
	}
	return nil
}

func (p *params) request(ctx context.Context) (*http.Request, error) {
	ctx = httptrace.WithClientTrace(ctx, timings(ctx))
	req, err := http.NewRequestWithContext(ctx, p.method, p.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = p.header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "shisa")
	}
	if p.host != "" {
		req.Host = p.host
	}
	if p.user != "" {
		req.SetBasicAuth(p.user, p.password)
	}
	return req, nil
}

// tls returns how the server is to prove itself.
func (p *prober) tls() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: !p.verify} // the operator may switch it off
	if p.host != "" {
		config.ServerName = p.host
		if name, _, err := net.SplitHostPort(p.host); err == nil {
			config.ServerName = name
		}
	}
	if p.ca == "" {
		return config, nil
	}
	pem, err := os.ReadFile(p.ca)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authorities: %s holds no certificate", p.ca)
	}
	return config, nil
}

// timings notes when each stage of a request was over.
func timings(ctx context.Context) *httptrace.ClientTrace {
	begin := time.Now()
	note := func(what string) { monitor.Logf(ctx, "%s after %v", what, time.Since(begin)) }
	return &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if i.Err == nil {
				note("name resolved")
			}
		},
		ConnectDone: func(_, addr string, err error) {
			if err == nil {
				note("connected to " + addr)
			}
		},
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if err == nil {
				note("TLS " + tls.VersionName(s.Version) + " agreed")
			}
		},
		GotFirstResponseByte: func() { note("first byte") },
	}
}
