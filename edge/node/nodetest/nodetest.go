// Package nodetest runs an edge node for tests: documents made and sealed as the
// control plane would, a certificate authority, and clients of all three HTTP
// versions that resolve every name to the node.
package nodetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// EdgeID is the node's.
const EdgeID = "edge_test"

// Group is the group whose key seals certificates.
const Group = "all"

// CA issues certificates.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	Pool *x509.CertPool
}

// NewCA makes a certificate authority.
func NewCA(t testing.TB) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodetest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	ca := &CA{cert: cert, key: key, Pool: x509.NewCertPool()}
	ca.Pool.AddCert(cert)
	return ca
}

// Issue makes a certificate and its key.
func (ca *CA) Issue(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour)}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	check(t, err)
	return tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key}
}

// RootPEM is the authority's own certificate.
func (ca *CA) RootPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
}

// Edge is a running node.
type Edge struct {
	*node.Node
	CA       *CA
	GroupKey [secrets.KeyBytes]byte
	t        testing.TB
	revision int64
}

// Identity is the edge's sealing identity and the Keys document that goes with it.
func Keys(t testing.TB, groupKey [secrets.KeyBytes]byte) (*secrets.Identity, edgeconfig.Keys) {
	t.Helper()
	identity, err := secrets.GenerateIdentity()
	check(t, err)
	box, err := secrets.SealTo(identity.Public(), edgeconfig.KeyContext(EdgeID, Group), groupKey[:])
	check(t, err)
	return identity, edgeconfig.Keys{Edge: EdgeID, Groups: map[string][]byte{Group: box}}
}

// Start runs a node on loopback ports, with group keys and, as in `edgewright
// up`, every origin address allowed. It ends with the test.
func Start(t testing.TB, change ...func(*node.Options)) *Edge {
	t.Helper()
	e := &Edge{CA: NewCA(t), GroupKey: secrets.NewGroupKey(), t: t}
	identity, keys := Keys(t, e.GroupKey)
	o := node.Options{
		HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", Identity: identity, EdgeID: EdgeID, Region: "test",
		OriginRanges: []string{"0.0.0.0/0", "::/0"}, CacheBytes: 64 << 20,
		Limits: httpedge.Limits{DrainGrace: 200 * time.Millisecond},
	}
	for _, f := range change {
		f(&o)
	}
	n, err := node.New(o)
	check(t, err)
	e.Node = n
	check(t, n.Start())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = n.Shutdown(ctx)
	})
	e.MustApply(e.Document("keys/"+EdgeID, keys))
	return e
}

// Document makes the next revision of a document.
func (e *Edge) Document(key string, body any) edgeconfig.Document {
	e.t.Helper()
	e.revision++
	return Document(e.t, key, e.revision, body)
}

// Document makes a document.
func Document(t testing.TB, key string, revision int64, body any) edgeconfig.Document {
	t.Helper()
	d := edgeconfig.Document{Key: key, Scope: edgeconfig.ScopeAll, Revision: revision}
	if body == nil {
		d.Deleted = true
	} else {
		b, err := json.Marshal(body)
		check(t, err)
		d.Body = b
	}
	d.Hash = edgeconfig.HashBody(d.Body)
	return d
}

// MustApply applies documents and fails the test when one is rejected.
func (e *Edge) MustApply(docs ...edgeconfig.Document) {
	e.t.Helper()
	for _, item := range e.Apply(docs) {
		if item.State != edgeconfig.Applied {
			e.t.Fatalf("document %s was %s: %s", item.Key, item.State, item.Reason)
		}
	}
}

// Site makes a site of a host with origins.
func Site(id, host string, origins ...string) *edgeconfig.Site {
	s := &edgeconfig.Site{
		ID: id, Project: "prj_1", Environment: "production", Hosts: []string{host},
		Pool: edgeconfig.Pool{ID: "pool_" + id, ConnectTimeoutMS: 5000, ResponseTimeoutMS: 20_000},
	}
	for i, u := range origins {
		s.Pool.Origins = append(s.Pool.Origins, edgeconfig.Origin{ID: id + "_o" + string(rune('a'+i)), Name: "o", URL: u})
	}
	return s
}

// Zone makes the documents of a zone whose serial is its revision, with names
// that all have one address.
func Zone(t testing.TB, id, apex string, revision int64, address string, names ...string) []edgeconfig.Document {
	t.Helper()
	head := &edgeconfig.Zone{
		ID: id, Project: "prj_1", Environment: "production", Name: apex,
		SOA: edgeconfig.SOA{TTL: 300, MName: "ns1.test", RName: "hostmaster.test", Serial: uint32(revision), Refresh: 7200, Retry: 900, Expire: 1209600, Minimum: 60},
	}
	ip, err := netip.ParseAddr(address)
	check(t, err)
	all := []edgeconfig.ZoneName{{Name: "@", Sets: []edgeconfig.RRset{{Type: 2, TTL: 300, Data: [][]byte{[]byte("\x03ns1\x04test\x00")}}}}}
	for _, n := range names {
		all = append(all, edgeconfig.ZoneName{Name: n, Sets: []edgeconfig.RRset{{Type: 1, TTL: 60, Data: [][]byte{ip.AsSlice()}}}})
	}
	parts, err := edgeconfig.SplitZone(head, all, nil, 0)
	check(t, err)
	docs := []edgeconfig.Document{Document(t, edgeconfig.ZoneKey(id), revision, head)}
	for i, body := range parts {
		docs = append(docs, Document(t, edgeconfig.ZonePartKey(id, i), revision, json.RawMessage(body)))
	}
	return docs
}

// Serve puts a site in force, with a certificate for its hosts.
func (e *Edge) Serve(s *edgeconfig.Site) {
	e.t.Helper()
	e.MustApply(e.Document("site/"+s.ID, s), e.Document("certificate/crt_"+s.ID, e.Certificate("crt_"+s.ID, s.Hosts...)))
}

// Certificate makes a Certificate document's body.
func (e *Edge) Certificate(id string, names ...string) *edgeconfig.Certificate {
	e.t.Helper()
	return Sealed(e.t, e.CA.Issue(e.t, names...), e.GroupKey, id, names...)
}

// Sealed makes a Certificate document's body of a certificate.
func Sealed(t testing.TB, c tls.Certificate, groupKey [secrets.KeyBytes]byte, id string, names ...string) *edgeconfig.Certificate {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	check(t, err)
	sum := sha256.Sum256(c.Certificate[0])
	out := &edgeconfig.Certificate{
		ID: id, Names: names, KeyGroup: Group, KeySealed: secrets.SealFor(groupKey, id, der),
		Fingerprint: hex.EncodeToString(sum[:]), NotAfter: time.Now().Add(12 * time.Hour).Unix(),
	}
	for _, b := range c.Certificate {
		out.ChainPEM += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}))
	}
	return out
}

// TLS is the settings of a client that trusts the edge's authority.
func (e *Edge) TLS(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: e.CA.Pool, NextProtos: protocols}
}

// Client returns a client of HTTP version 1, 2 or 3. Requests to http URLs go to
// the node's HTTP address, those to https URLs to its HTTPS address, whatever
// their host.
func (e *Edge) Client(version int) *http.Client {
	return Client(e.t, version, e.TLS(), func() string { return e.HTTPAddr() }, func() string { return e.HTTPSAddr() })
}

// Client is Edge.Client for any addresses.
func Client(t testing.TB, version int, config *tls.Config, plain, secure func() string) *http.Client {
	t.Helper()
	if version == 3 {
		tr := &http3.Transport{
			TLSClientConfig: config,
			Dial: func(ctx context.Context, address string, config *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddrEarly(ctx, secure(), config, q)
			},
		}
		t.Cleanup(func() { _ = tr.Close() })
		return noRedirects(tr)
	}
	tr := &http.Transport{
		TLSClientConfig: config,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			if port == "443" {
				address = secure()
			} else {
				address = plain()
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		Protocols:           new(http.Protocols),
		MaxIdleConnsPerHost: 64,
		DisableCompression:  true,
	}
	tr.Protocols.SetHTTP1(version == 1)
	tr.Protocols.SetHTTP2(version == 2)
	t.Cleanup(tr.CloseIdleConnections)
	return noRedirects(tr)
}

func noRedirects(tr http.RoundTripper) *http.Client {
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
