package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// The edges that serve what benchCerts has certified, and how often each is asked:
// the times are no finer than that.
const (
	certsEdges = 4
	certsAsk   = 10 * time.Millisecond
)

// certsZone is the zone of a round's names, one for each way to prove them: a CA
// gives a registered domain no more than some dozen certificates a week.
func certsZone(round int) string { return fmt.Sprintf("bench-%d.test", round) }

// certSorts are how names are proved.
var certSorts = []struct{ what, challenge, name string }{
	{"HTTP-01", "http-01", "h."},
	{"TLS-ALPN-01", "tls-alpn-01", "t."},
	{"DNS-01", "dns-01", "d."},
	{"DNS-01, wildcard", "dns-01", "*.w."},
}

// benchCerts adds names one after another, in turn by each way to prove them,
// and asks every edge until all serve the certificate that a real ACME server has
// given after it has looked itself: over HTTP, over TLS, and in the DNS that the
// edges answer.
func benchCerts(ctx context.Context, s settings) (string, error) {
	dir, err := os.MkdirTemp("", "edgewright-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	rounds := 3*s.rounds + 1
	p, roots, stop, err := startCertified(ctx, s, dir, rounds)
	if err != nil {
		return "", err
	}
	defer stop()
	took := map[string][]time.Duration{}
	var all []time.Duration
	for i := range rounds {
		for _, sort := range certSorts {
			name := sort.name + certsZone(i)
			d, err := certified(ctx, p, roots, name, sort.challenge)
			if err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
			if i > 0 { // the first meets an account that is being made
				took[sort.what], all = append(took[sort.what], d), append(all, d)
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# From a declared name to its certificate at %d edges\n\n", len(p.ready.Edges))
	fmt.Fprintf(&b, "One process on one core (`up`), managed zones; Pebble on the other, its artificial waits off, each name looked at anew. From the request that declares domain and certificate to the last edge's handshake with it, asked every %s: records, proof of the domain, order, challenge, certificate, edges. %s.\n\n",
		certsAsk, time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&b, "| challenge | names | median | 95th percentile | most |\n|---|---:|---:|---:|---:|\n")
	row := func(what string, list []time.Duration) {
		slices.Sort(list)
		at := func(q int) time.Duration {
			return list[(len(list)*q+99)/100-1].Round(time.Millisecond)
		}
		fmt.Fprintf(&b, "| %s | %d | %v | %v | %v |\n", what, len(list), at(50), at(95), at(100))
	}
	for _, sort := range certSorts {
		row(sort.what, took[sort.what])
	}
	row("all", all)
	return b.String(), nil
}

// startCertified starts a control plane with edges, managed zones, and a CA that
// resolves names at the first edge.
func startCertified(ctx context.Context, s settings, dir string, zones int) (*product, *x509.CertPool, func(), error) {
	var addresses [3]string
	var ports [3]int
	for i := range addresses {
		address, err := freeAddress()
		if err != nil {
			return nil, nil, nil, err
		}
		addresses[i], ports[i] = address.String(), address.Port
	}
	// Its nonces are refused and its orders sorted as ever; only what sleeps does not.
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil {
			return nil, nil, nil, err
		}
	}
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "90 days", ValidityPeriod: 90 * 24 * 3600}})
	front := wfe.New(quiet, store, va.New(quiet, ports[0], ports[1], false, addresses[2], store), authority, []string{"pebble.letsencrypt.org"}, false, false, 0, 0)
	server := httptest.NewTLSServer(front.Handler())
	root := filepath.Join(dir, "acme-root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		server.Close()
		return nil, nil, nil, err
	}
	regions := make([]string, certsEdges)
	for i := range regions {
		regions[i] = fmt.Sprintf("r%d", i)
	}
	p, err := startProduct(ctx, s, filepath.Join(dir, "data"), "--regions", strings.Join(regions, ","),
		"--listen-http", addresses[0], "--listen-https", addresses[1], "--listen-dns", addresses[2], "--resolvers", addresses[2],
		"--issuer", "acme", "--acme-directory", server.URL+wfe.DirectoryPath, "--acme-root", root)
	if err != nil {
		server.Close()
		return nil, nil, nil, err
	}
	stop := func() {
		p.stop()
		server.Close()
	}
	if len(p.ready.Edges) != certsEdges {
		stop()
		return nil, nil, nil, fmt.Errorf("%d edges are ready, not %d", len(p.ready.Edges), certsEdges)
	}
	for i := range zones {
		err = errors.Join(err, p.call(ctx, "POST", "/domains/"+certsZone(i)+"/zone", map[string]any{}, nil))
	}
	if err == nil {
		err = p.apply(ctx, []map[string]any{{"kind": "cdn", "name": "bench", "spec": map[string]any{"origins": []map[string]any{{"name": "origin", "url": "http://127.0.0.1:9"}}}}})
	}
	if err != nil {
		stop()
		return nil, nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.GetRootCert(0).PEM())
	return p, roots, stop, nil
}

// freeAddress is a loopback address whose port is free for TCP and UDP.
func freeAddress() (*net.TCPAddr, error) {
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		u, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return l.Addr().(*net.TCPAddr), nil
		}
	}
	return nil, errors.New("no port is free for both TCP and UDP")
}

// certified declares a name with its certificate and waits until every edge
// serves it.
func certified(ctx context.Context, p *product, roots *x509.CertPool, name, challenge string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	begin := time.Now()
	err := p.apply(ctx, []map[string]any{
		{"kind": "domain", "name": name, "spec": map[string]any{"domain": name, "cdn": "bench", "auto_configure": true, "dns": "managed"}},
		{"kind": "certificate", "name": name, "spec": map[string]any{"domains": []string{name}, "type": "lets_encrypt", "challenge": challenge}},
	})
	if err != nil {
		return 0, err
	}
	config := &tls.Config{ServerName: strings.Replace(name, "*", "any", 1), RootCAs: roots}
	served := make(chan error, len(p.ready.Edges))
	for _, e := range p.ready.Edges {
		go func() { served <- shakesHands(ctx, e.HTTPS, config) }()
	}
	for range p.ready.Edges {
		err = errors.Join(err, <-served)
	}
	took := time.Since(begin)
	if err != nil {
		var why struct {
			Certificate json.RawMessage `json:"certificate"`
		}
		asked := p.call(context.WithoutCancel(ctx), "GET", "/ssl/"+name, nil, &why)
		err = errors.Join(err, asked, fmt.Errorf("its certificate: %s", why.Certificate))
	}
	return took, err
}

// shakesHands asks one edge until it has a certificate that is right.
func shakesHands(ctx context.Context, address string, config *tls.Config) error {
	pace := time.NewTicker(certsAsk)
	defer pace.Stop()
	for {
		c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-pace.C:
		}
	}
}
