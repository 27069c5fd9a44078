package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// publicUp starts the whole of it with Pebble as its CA.
func publicUp(t *testing.T, more ...string) (*system, *acmeServer) {
	t.Helper()
	httpAddress := freeAddress(t)
	_, port, _ := net.SplitHostPort(httpAddress)
	httpPort, _ := strconv.Atoi(port)
	acme := startACME(t, httpPort)
	args := []string{"--listen-http", httpAddress, "--issuer", "acme", "--acme-directory", acme.Directory, "--acme-root", acme.RootFile, "--resolvers", acme.DNS}
	return up(t, t.TempDir(), append(args, more...)...), acme
}

// transports are clients of each HTTP version that reach every name at one edge.
func transports(address string, config *tls.Config) map[string]func() http.RoundTripper {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	h1, h2 := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2.SetHTTP2(true)
	return map[string]func() http.RoundTripper{
		"HTTP/1.1": func() http.RoundTripper {
			return &http.Transport{DialContext: dial, TLSClientConfig: config.Clone(), Protocols: h1}
		},
		"HTTP/2": func() http.RoundTripper {
			return &http.Transport{DialContext: dial, TLSClientConfig: config.Clone(), Protocols: h2}
		},
		"HTTP/3": func() http.RoundTripper {
			return &http3.Transport{TLSClientConfig: config.Clone(), Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddr(ctx, address, c, q)
			}}
		},
	}
}

// load asks one site over one HTTP version without a pause, each second
// connection kept and the others made anew for some requests each.
type load struct {
	version string
	asked   atomic.Int64

	mu     sync.Mutex
	prints []string // fingerprints in the order in which they were first seen
	failed []string
}

func (l *load) saw(response *http.Response, body []byte, err error, want string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failed = append(l.failed, err.Error())
		return
	case response.StatusCode != http.StatusOK || string(body) != want:
		l.failed = append(l.failed, fmt.Sprintf("status %d: %.100s", response.StatusCode, body))
	case response.Proto != l.version && response.Proto != l.version+".0":
		l.failed = append(l.failed, "answered over "+response.Proto)
	}
	sum := sha256.Sum256(response.TLS.PeerCertificates[0].Raw)
	if print := hex.EncodeToString(sum[:]); !slices.Contains(l.prints, print) {
		l.prints = append(l.prints, print)
	}
	l.asked.Add(1)
}

func (l *load) run(ctx context.Context, open func() http.RoundTripper, url, want string, each int) {
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		transport := open()
		for i := 0; ctx.Err() == nil && (each == 0 || i < each); i++ {
			<-pace.C
			request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, nil)
			if err != nil {
				l.saw(nil, nil, err, want)
				return
			}
			response, err := transport.RoundTrip(request)
			var body []byte
			if err == nil {
				body, err = io.ReadAll(response.Body)
				response.Body.Close()
			}
			l.saw(response, body, err, want)
			if err != nil {
				break
			}
		}
		switch c := transport.(type) {
		case io.Closer:
			_ = c.Close()
		case interface{ CloseIdleConnections() }:
			c.CloseIdleConnections()
		}
	}
}

// A certificate is renewed again and again at a real CA while clients of HTTP/1.1,
// 2 and 3 ask the site without a pause, some over connections that stay, some over
// new ones: no request fails, and each has seen every certificate.
func TestRenewalUnderLoad(t *testing.T) {
	const name, want, renewals = "busy.localhost", "served", 3
	s, acme := publicUp(t)
	o := startOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, want)
	})
	s.must(201, "POST", "/domains", map[string]any{"domain": name, "auto_configure": true, "origin": o.URL})
	roots := acme.roots()
	served(t, s, roots, name)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	var loads []*load
	for version, transport := range transports(s.Ready.HTTPS, &tls.Config{RootCAs: roots}) {
		l := &load{version: version}
		loads = append(loads, l)
		for _, each := range []int{0, 3} {
			clients.Go(func() { l.run(ctx, transport, "https://"+name+"/", want, each) })
		}
	}
	all := func(n int) func() error {
		return func() error {
			for _, l := range loads {
				l.mu.Lock()
				seen, failed := len(l.prints), slices.Clone(l.failed)
				l.mu.Unlock()
				if len(failed) > 0 {
					t.Fatalf("%s: %d requests failed: %.500s", l.version, len(failed), failed)
				}
				if seen < n {
					return fmt.Errorf("%s has seen %d certificates of %d", l.version, seen, n)
				}
			}
			return nil
		}
	}
	eventually(t, time.Minute, all(1))
	for i := range renewals {
		if a, err := s.call("POST", "/ssl/"+name+"/renew", nil); err != nil || a.Status != 200 && a.Status != 202 {
			t.Fatalf("renewing: %d: %s, %v", a.Status, a.Body, err)
		}
		eventually(t, time.Minute, all(i+2))
	}
	stop()
	clients.Wait()
	if err := all(renewals + 1)(); err != nil {
		t.Error(err)
	}
	for _, l := range loads {
		t.Logf("%-8s %5d requests, none failed, %d certificates seen", l.version, l.asked.Load(), len(l.prints))
	}
}

// served waits until every edge serves a name with a certificate of the CA's, and
// returns how long it took.
func served(t *testing.T, s *system, roots *x509.CertPool, name string) time.Duration {
	t.Helper()
	begin := time.Now()
	for _, edge := range s.Ready.Edges {
		eventually(t, time.Minute, func() error {
			c, err := tls.Dial("tcp", edge.HTTPS, &tls.Config{ServerName: name, RootCAs: roots})
			if err != nil {
				return err
			}
			return c.Close()
		})
	}
	return time.Since(begin)
}

// From the request that adds a name to its certificate at every edge: how long it
// takes is told, not judged; that it comes everywhere is.
func TestServedByEveryEdge(t *testing.T) {
	names := number(t, "EDGEWRIGHT_SERVED_NAMES", 8)
	s, acme := publicUp(t, "--regions", "fra,iad,sin")
	if len(s.Ready.Edges) < 2 {
		t.Fatalf("%d edges: this is about several", len(s.Ready.Edges))
	}
	o := startOrigin(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	roots := acme.roots()
	var took []time.Duration
	for i := range names {
		name := fmt.Sprintf("n%d.localhost", i)
		begin := time.Now()
		s.must(201, "POST", "/domains", map[string]any{"domain": name, "auto_configure": true, "origin": o.URL})
		served(t, s, roots, name)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	at := func(p int) time.Duration { return took[(len(took)-1)*p/100].Round(time.Millisecond) }
	t.Logf("%d names at %d edges, from the request to the last edge: p50 %v, p95 %v, most %v", names, len(s.Ready.Edges), at(50), at(95), took[len(took)-1].Round(time.Millisecond))
	if bytes.Equal(leafOf(t, s.Ready.Edges[0].HTTPS, "n0.localhost"), leafOf(t, s.Ready.Edges[0].HTTPS, "n1.localhost")) {
		t.Error("two names have the same certificate")
	}
}
