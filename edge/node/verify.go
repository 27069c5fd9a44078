package node

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// verifier asks the node over its own listeners, as a client would.
type verifier struct {
	n      *Node
	client *http.Client
	slots  chan struct{} // bounds what verification costs beside traffic
}

func newVerifier(n *Node) *verifier {
	v := &verifier{n: n, slots: make(chan struct{}, 2)}
	transport := &http.Transport{
		MaxIdleConns: cap(v.slots),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if n.HTTPAddr() != "" {
				return (&net.Dialer{}).DialContext(ctx, "tcp", reachable(n.HTTPAddr()))
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", reachable(n.HTTPSAddr()))
		},
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			return v.dialTLS(ctx, host)
		},
		DisableCompression: true,
	}
	v.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return v
}

func (v *verifier) close() { v.client.CloseIdleConnections() }

// reachable is a listener's address as this machine can dial it.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if ip.To4() != nil {
			host = "127.0.0.1"
		} else {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// dialTLS shakes hands with the node's HTTPS listener. What the certificate is,
// not whether it is trusted, is the question.
func (v *verifier) dialTLS(ctx context.Context, serverName string) (*tls.Conn, error) {
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", reachable(v.n.HTTPSAddr()))
	if err != nil {
		return nil, err
	}
	v.n.probes.mine(tcp)
	conn := tls.Client(tcp, &tls.Config{ServerName: serverName, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = tcp.Close()
		return nil, err
	}
	return conn, nil
}

// Verify asks the node itself, over its own listener, whether the document is
// in force in that revision (or a later one): nil when it is. For a site the
// answer is that of the site's own host; for a certificate it is the one of a
// TLS handshake; for a challenge the challenge's; for a zone that of the name
// server.
func (n *Node) Verify(ctx context.Context, key string, revision int64) error {
	select {
	case n.verifier.slots <- struct{}{}:
		defer func() { <-n.verifier.slots }()
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "document %s was not verified in time: %w", key, ctx.Err())
	}
	if d := (edgeconfig.Document{Key: key}); forDNS(d) {
		return n.verifyZone(ctx, key, revision)
	}
	n.mu.Lock()
	h := n.held[key]
	n.mu.Unlock()
	if h == nil {
		return fault.New(fault.NotFound, "document %s is not in force on this edge", key)
	}
	var host, siteID string
	if h.site != nil {
		host, siteID = sample(h.site.hosts[0]), h.site.compiled.ID
	}
	header, err := n.verifier.ask(ctx, host, httpedge.VerifyPath+"?key="+url.QueryEscape(key), nil)
	if err != nil {
		return err
	}
	if got, _ := strconv.ParseInt(header.Get(httpedge.RevisionHeader), 10, 64); got < revision {
		return fault.New(fault.Unavailable, "the edge answers with revision %d of document %s, not %d", got, key, revision)
	}
	switch {
	case h.site != nil && header.Get(httpedge.SiteHeader) != siteID:
		return fault.New(fault.Unavailable, "the host %s is answered by site %q, not %s", host, header.Get(httpedge.SiteHeader), siteID)
	case h.cert != nil && n.HTTPSAddr() != "":
		return n.verifier.handshake(ctx, sample(h.cert.Names[0]))
	case h.challenge != nil:
		return n.verifier.challenge(ctx, *h.challenge)
	}
	return nil
}

// sample is a host that a pattern covers.
func sample(pattern string) string {
	if strings.HasPrefix(pattern, "*.") {
		return "edgewright-verify" + pattern[1:]
	}
	return pattern
}

// ask sends one request to the node. host "" asks without a site.
func (v *verifier) ask(ctx context.Context, host, path string, body *string) (http.Header, error) {
	scheme := "http"
	if v.n.HTTPAddr() == "" {
		scheme = "https"
	}
	const anyone = "edgewright.invalid"
	if host == "" {
		host = anyone
	}
	// Plain connections are all to one name, so that ten thousand sites share
	// two of them; over TLS the name decides the handshake.
	to := anyone
	if scheme == "https" {
		to = host
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+to+path, nil)
	if err != nil {
		return nil, fault.New(fault.Internal, "the edge cannot ask itself about %s: %w", host, err)
	}
	r.Host = host
	r.Header.Set(httpedge.VerifyHeader, v.n.secret)
	resp, err := v.client.Do(r)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the edge does not answer itself: %w", err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "the edge answers itself with status %d", resp.StatusCode)
	}
	if body != nil {
		*body = string(content)
	}
	return resp.Header, nil
}

func (v *verifier) challenge(ctx context.Context, name challengeName) error {
	c, ok := v.n.current.Load().challenges[name]
	if !ok || v.n.o.Now().Unix() >= c.expires {
		return nil // its time is over: not answering is right
	}
	var got string
	if _, err := v.ask(ctx, name.host, "/.well-known/acme-challenge/"+name.token, &got); err != nil {
		return err
	}
	if got != c.answer {
		return fault.New(fault.Unavailable, "the challenge of %s is answered with something else", name.host)
	}
	return nil
}

// handshake compares the certificate that a client gets for a name with the one
// that the tables hold for it. That may be another than the document's, when
// two cover the name; the document is in force all the same.
func (v *verifier) handshake(ctx context.Context, name string) error {
	if net.ParseIP(name) != nil {
		return nil // chosen by the address that a client comes to
	}
	conn, err := v.dialTLS(ctx, name)
	if err != nil {
		return fault.New(fault.Unavailable, "the edge does not shake hands with itself for %s: %w", name, err)
	}
	defer conn.Close()
	want := v.n.current.Load().certs.Find(name, v.n.o.Now())
	if want == nil || sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw) != want.Fingerprint {
		return fault.New(fault.Unavailable, "the edge answers for %s with another certificate", name)
	}
	return nil
}
