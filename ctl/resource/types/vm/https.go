package vm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// answerLimit bounds an answer of a host in bytes: the names of 100 000 virtual
// machines, and room.
const answerLimit = 64 << 20

var hostRx = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)

// checkAddress looks at address, which depends on the hypervisor.
func (p *params) checkAddress() error {
	if p.hypervisor == kvm {
		if p.address != "" && !filepath.IsAbs(p.address) {
			return fmt.Errorf("%q is no absolute path of a socket: only the local libvirt is asked", p.address)
		}
		return nil
	}
	name := p.address
	if h, port, err := net.SplitHostPort(name); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			name = "" // a URL, more likely
		} else {
			name = h
		}
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err != nil && !hostRx.MatchString(name) {
		return fmt.Errorf("%q is no host: write its name or address, without https://", p.address)
	}
	return nil
}

// connector returns how to connect.
func (p params) connector() connector {
	switch p.hypervisor {
	case vsphere:
		return p.connectVSphere
	case xenserver:
		return p.connectXen
	}
	return p.connectLibvirt
}

// An https is a client of one host.
type https struct {
	url    string
	client *http.Client
}

func (p params) https(path string) (*https, error) {
	roots, err := p.roots()
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{ // no proxy: what it is given here are passwords
		TLSClientConfig:     &tls.Config{RootCAs: roots, InsecureSkipVerify: !p.verify, MinVersion: tls.VersionTLS12}, //nolint:gosec // the operator's choice
		MaxIdleConnsPerHost: 1,
	}
	return &https{url: "https://" + p.address + path, client: &http.Client{Transport: transport, Jar: jar, Timeout: p.request,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the host points elsewhere") }}}, nil
}

// roots are the certificates that the host's must be signed by; nil: those of
// the system.
func (p params) roots() (*x509.CertPool, error) {
	if p.caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(p.caFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file: %s holds no certificate in PEM", p.caFile)
	}
	return pool, nil
}

// post sends body and returns the answer with its status.
func (c *https) post(ctx context.Context, body []byte, header map[string]string) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			err = fmt.Errorf("%w; name the host's certificate with ca_file", err)
		}
		return nil, 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit+1))
	if err == nil && len(answer) > answerLimit {
		err = fmt.Errorf("the answer is larger than %d bytes", answerLimit)
	}
	return answer, resp.StatusCode, err
}

func (c *https) close() { c.client.CloseIdleConnections() }
