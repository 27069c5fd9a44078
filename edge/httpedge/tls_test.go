package httpedge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// ask shakes hands as a client of TLS-ALPN-01 does.
func askALPN(e *nodetest.Edge, name string, protocols ...string) (tls.ConnectionState, error) {
	conn, err := tls.Dial("tcp", e.HTTPSAddr(), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols})
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

var oidACMEIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// checkProof does what a CA does with the certificate it gets (RFC 8737 section
// 3).
func checkProof(t *testing.T, state tls.ConnectionState, name, ip, authorization string) {
	t.Helper()
	if state.NegotiatedProtocol != "acme-tls/1" || len(state.PeerCertificates) != 1 {
		t.Fatalf("protocol %q, %d certificates", state.NegotiatedProtocol, len(state.PeerCertificates))
	}
	c := state.PeerCertificates[0]
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Errorf("it does not sign itself: %v", err)
	}
	if ip == "" && (len(c.DNSNames) != 1 || c.DNSNames[0] != name || len(c.IPAddresses) != 0) {
		t.Errorf("it names %v %v", c.DNSNames, c.IPAddresses)
	}
	if ip != "" && (len(c.IPAddresses) != 1 || c.IPAddresses[0].String() != ip || len(c.DNSNames) != 0) {
		t.Errorf("it names %v %v", c.DNSNames, c.IPAddresses)
	}
	sum := sha256.Sum256([]byte(authorization))
	want, _ := asn1.Marshal(sum[:])
	for _, x := range c.Extensions {
		if x.Id.Equal(oidACMEIdentifier) {
			if !x.Critical || !bytes.Equal(x.Value, want) {
				t.Errorf("the proof is critical %v and % x", x.Critical, x.Value)
			}
			return
		}
	}
	t.Error("it proves nothing")
}

func TestTLSALPN(t *testing.T) {
	at := atomic.Int64{}
	at.Store(time.Now().Unix())
	e := nodetest.Start(t, func(o *node.Options) { o.Now = func() time.Time { return time.Unix(at.Load(), 0) } })
	e.Serve(nodetest.Site("dom_shop", "shop.test", originServer(t, named("origin"))))
	document := func(key, host, token string) edgeconfig.Document {
		return e.Document("challenge/"+key, edgeconfig.Challenge{Host: host, Token: token, KeyAuthorization: token + ".thumb", ExpiresAt: at.Load() + 60})
	}
	e.MustApply(document("1", "shop.test", "old"), document("2", "new.test", "tok"), document("3", "192.0.2.1", "ip"))
	e.MustApply(document("4", "shop.test", "latest"))
	for _, c := range []struct{ name, ip, authorization string }{
		{"shop.test", "", "latest.thumb"}, {"new.test", "", "tok.thumb"}, {"1.2.0.192.in-addr.arpa", "192.0.2.1", "ip.thumb"},
	} {
		state, err := askALPN(e, c.name, "acme-tls/1")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		checkProof(t, state, c.name, c.ip, c.authorization)
	}
	// Never for others: not beside other protocols, not for other names, and
	// nobody else sees such a certificate.
	for _, c := range []struct {
		name      string
		protocols []string
	}{{"other.test", []string{"acme-tls/1"}}, {"", []string{"acme-tls/1"}}, {"new.test", []string{"h2"}}} {
		if state, err := askALPN(e, c.name, c.protocols...); err == nil {
			t.Errorf("%q with %v is answered with %q", c.name, c.protocols, state.NegotiatedProtocol)
		}
	}
	for _, protocols := range [][]string{{"acme-tls/1", "h2"}, {"h2"}, nil} {
		state, err := askALPN(e, "shop.test", protocols...)
		if err != nil || state.NegotiatedProtocol == "acme-tls/1" || len(state.PeerCertificates) != 2 {
			t.Errorf("a client with %v: %v, %q", protocols, err, state.NegotiatedProtocol)
		}
	}
	// Another challenge of the host stands in for one that goes.
	e.MustApply(e.Document("challenge/4", nil))
	state, err := askALPN(e, "shop.test", "acme-tls/1")
	if err != nil {
		t.Fatal(err)
	}
	checkProof(t, state, "shop.test", "", "old.thumb")
	e.MustApply(e.Document("challenge/1", nil))
	if _, err := askALPN(e, "shop.test", "acme-tls/1"); err == nil {
		t.Error("a challenge that was removed is answered")
	}
	at.Add(61)
	if _, err := askALPN(e, "new.test", "acme-tls/1"); err == nil {
		t.Error("a challenge is answered after its time")
	}
}

// TestRefusals: each way a handshake can fail is counted under its reason and
// where it belongs.
func TestRefusals(t *testing.T) {
	e := nodetest.Start(t)
	impatient := nodetest.Start(t, func(o *node.Options) { o.Limits = httpedge.Limits{HandshakeTimeout: 100 * time.Millisecond} })
	origin := originServer(t, named("origin"))
	e.Serve(nodetest.Site("dom_shop", "shop.test", origin))
	strict := nodetest.Site("dom_strict", "strict.test", origin)
	strict.TLS = &edgeconfig.TLS{Policy: edgeconfig.PolicyModern}
	e.Serve(strict)
	dial := func(change func(*tls.Config)) func() {
		return func() {
			c := &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
			change(c)
			if conn, err := tls.Dial("tcp", e.HTTPSAddr(), c); err == nil {
				_, _ = conn.Read(make([]byte, 1)) // in TLS 1.3 the client is done first
				conn.Close()
			}
		}
	}
	plain := func(to *nodetest.Edge, input string, wait bool) func() {
		return func() {
			conn, err := net.Dial("tcp", to.HTTPSAddr())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, input)
			if wait {
				_, _ = io.Copy(io.Discard, conn)
			}
		}
	}
	overQUIC := func(change func(*tls.Config)) func() {
		return func() {
			c := &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true, NextProtos: []string{"h3"}}
			change(c)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if conn, err := quic.DialAddr(ctx, e.HTTPSAddr(), c, nil); err == nil {
				_ = conn.CloseWithError(0, "")
				t.Error("a QUIC handshake that must fail did not")
			}
		}
	}
	for _, c := range []struct {
		site, reason string
		try          func()
	}{
		{"", "timeout", plain(impatient, "", true)},
		{"", "no_certificate", dial(func(c *tls.Config) { c.ServerName = "unknown.test" })},
		{"dom_shop", "version", dial(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 })},
		{"dom_strict", "version", dial(func(c *tls.Config) { c.ServerName, c.MaxVersion = "strict.test", tls.VersionTLS12 })},
		{"dom_shop", "cipher", dial(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		})},
		{"dom_shop", "cipher", dial(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} })},
		{"dom_shop", "alpn", dial(func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} })},
		{"dom_shop", "no_challenge", dial(func(c *tls.Config) { c.NextProtos = []string{"acme-tls/1"} })},
		{"dom_shop", "client_refused", dial(func(c *tls.Config) { c.InsecureSkipVerify, c.RootCAs = false, x509.NewCertPool() })},
		{"", "client_left", plain(e, "", false)},
		{"", "not_tls", plain(e, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", true)},
		{"", "no_certificate", overQUIC(func(c *tls.Config) { c.ServerName = "unknown.test" })},
		{"dom_shop", "alpn", overQUIC(func(c *tls.Config) { c.NextProtos = []string{"hq-interop"} })},
		{"dom_shop", "client_refused", overQUIC(func(c *tls.Config) { c.InsecureSkipVerify, c.RootCAs = false, x509.NewCertPool() })},
	} {
		at := e
		if c.reason == "timeout" {
			at = impatient
		}
		at.Take(time.Minute)
		c.try()
		var got map[string]edgeconfig.Counters
		poll(t, "counting "+c.reason, func() bool {
			got = at.Take(time.Minute).Sites
			return len(got) > 0
		})
		if len(got) != 1 || got[c.site].HandshakeErr != 1 || got[c.site].Refusals[c.reason] != 1 {
			t.Errorf("%s of %q: counted %+v", c.reason, c.site, got)
		}
	}
	e.Take(time.Minute)
	for version := range 3 {
		get(t, e.Client(version+1), "https://shop.test/")
	}
	if got := e.Take(time.Minute).Sites["dom_shop"]; got.Handshakes != 3 || got.HandshakeErr != 0 {
		t.Errorf("three good handshakes: %+v", got)
	}
}

// TestCertificateChangesUnderLoad changes a site's certificate while clients of
// all versions ask over connections old and new: no request fails, and both
// certificates are seen with each version.
func TestCertificateChangesUnderLoad(t *testing.T) {
	e := edgeWith(t, named("origin"))
	first, second := e.Certificate("crt_dom_shop", "shop.test"), e.Certificate("crt_dom_shop", "shop.test")
	e.MustApply(e.Document("certificate/crt_dom_shop", first))
	stop := make(chan struct{})
	type seen struct{ first, second atomic.Int64 }
	counts := map[int]*seen{}
	var requests atomic.Int64
	var wg sync.WaitGroup
	for version := 1; version <= 3; version++ {
		counts[version] = &seen{}
		for _, reuse := range []bool{true, false} {
			wg.Go(func() {
				kept := e.Client(version)
				for {
					select {
					case <-stop:
						return
					default:
					}
					c := kept
					if !reuse {
						c = e.Client(version)
					}
					resp, err := c.Get("https://shop.test/")
					if err != nil {
						t.Errorf("HTTP/%d: %v", version, err)
						return
					}
					b, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != http.StatusOK || string(b) != "origin" {
						t.Errorf("HTTP/%d: %d %q %v", version, resp.StatusCode, b, err)
						return
					}
					requests.Add(1)
					switch sum := sha256.Sum256(resp.TLS.PeerCertificates[0].Raw); hexOf(sum) {
					case first.Fingerprint:
						counts[version].first.Add(1)
					case second.Fingerprint:
						counts[version].second.Add(1)
					default:
						t.Errorf("HTTP/%d: a certificate that is neither", version)
					}
					if !reuse {
						c.CloseIdleConnections()
					}
				}
			})
		}
	}
	all := func(of func(*seen) *atomic.Int64) func() bool {
		return func() bool {
			for _, s := range counts {
				if of(s).Load() == 0 {
					return false
				}
			}
			return true
		}
	}
	for range 10 {
		for _, s := range counts {
			s.first.Store(0)
			s.second.Store(0)
		}
		poll(t, "the first certificate with every version", all(func(s *seen) *atomic.Int64 { return &s.first }))
		e.MustApply(e.Document("certificate/crt_dom_shop", second))
		poll(t, "the second with every version", all(func(s *seen) *atomic.Int64 { return &s.second }))
		e.MustApply(e.Document("certificate/crt_dom_shop", first))
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests", requests.Load())
}

// TestResumptionAcrossEdges: a session begun with one edge goes on with another
// of the same fleet and after a restart, over TCP and QUIC, and no more when the
// fleet's secrets were changed.
func TestResumptionAcrossEdges(t *testing.T) {
	ca := nodetest.NewCA(t)
	issued := ca.Issue(t, "shop.test")
	start := func(secret byte) *nodetest.Edge {
		e := nodetest.Start(t)
		e.MustApply(
			e.Document("certificate/crt_1", nodetest.Sealed(t, issued, e.GroupKey, "crt_1", "shop.test")),
			e.Document("handshake/fleet", edgeconfig.Handshake{
				KeyGroup: nodetest.Group, Hour: edgeconfig.HourOf(time.Now()) - edgeconfig.TicketWindow,
				Tickets: secrets.SealFor(e.GroupKey, edgeconfig.HandshakeContext, bytes.Repeat([]byte{secret}, 32)),
			}),
		)
		return e
	}
	a, b, stranger := start(1), start(1), start(2)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{ServerName: "shop.test", RootCAs: ca.Pool, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4), NextProtos: []string{"http/1.1"}}
		for i, c := range []struct {
			e    *nodetest.Edge
			want bool
		}{{a, false}, {a, true}, {b, true}, {stranger, false}, {b, false}} {
			conn, err := tls.Dial("tcp", c.e.HTTPSAddr(), config)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn) // tickets come after the handshake
			if got := conn.ConnectionState().DidResume; got != c.want {
				t.Errorf("version %x, connection %d: resumed %v", version, i, got)
			}
			conn.Close()
		}
	}
	config := &tls.Config{ServerName: "shop.test", RootCAs: ca.Pool, NextProtos: []string{"h3"}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	for i, c := range []struct {
		e    *nodetest.Edge
		want bool
	}{{a, false}, {b, true}, {stranger, false}} {
		puts := &countedCache{ClientSessionCache: config.ClientSessionCache, put: make(chan struct{}, 8)}
		own := config.Clone()
		own.ClientSessionCache = puts
		conn, err := quic.DialAddr(t.Context(), c.e.HTTPSAddr(), own, nil)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-puts.put:
		case <-time.After(5 * time.Second):
			t.Error("no ticket comes over QUIC")
		}
		state := conn.ConnectionState()
		if state.TLS.DidResume != c.want || state.Used0RTT {
			t.Errorf("QUIC connection %d: resumed %v, 0-RTT %v", i, state.TLS.DidResume, state.Used0RTT)
		}
		_ = conn.CloseWithError(0, "")
	}
}

// countedCache tells when a ticket has come.
type countedCache struct {
	tls.ClientSessionCache
	put chan struct{}
}

func (c *countedCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s != nil {
		c.put <- struct{}{}
	}
}

func hexOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }
