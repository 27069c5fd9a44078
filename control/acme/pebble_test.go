package acme_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/mholt/acmez/v3"
	protocol "github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/acme"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// pebble is a real ACME server in this process. It validates against edge, and
// resolves names at a DNS server of its own.
type pebble struct {
	directory, rootPEM string
	chainRoot          *x509.Certificate
	db                 *db.MemoryStore
	management         http.Handler
	edge               *edge
	zone               *zone
	requests           *recorder
}

// edge answers challenges as the edges do.
type edge struct {
	mu      sync.Mutex
	answers map[string]edgeconfig.Challenge // by token
	removed int
	shaken  int // TLS-ALPN-01 answers given
	refuse  error
	spoil   bool // answer something else
}

func (e *edge) Present(_ context.Context, c edgeconfig.Challenge) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse != nil {
		return e.refuse
	}
	e.answers[c.Token] = c
	return nil
}

func (e *edge) Remove(_ context.Context, c edgeconfig.Challenge) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.answers, c.Token)
	e.removed++
	return nil
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	c, ok := e.answers[strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/")]
	switch {
	case e.spoil:
		io.WriteString(w, "another server's page")
	case !ok || c.Host != host:
		http.NotFound(w, r)
	default:
		io.WriteString(w, c.KeyAuthorization)
	}
}

// certificate answers TLS-ALPN-01 (RFC 8737) from the same challenges.
func (e *edge) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.answers {
		name := c.Host
		if ip, err := netip.ParseAddr(c.Host); err == nil {
			reversed, err := dns.ReverseAddr(ip.String())
			if err != nil {
				return nil, err
			}
			name = strings.TrimSuffix(reversed, ".")
		}
		if name != hello.ServerName || e.spoil {
			continue
		}
		e.shaken++
		return acmez.TLSALPN01ChallengeCert(protocol.Challenge{
			Type: protocol.ChallengeTypeTLSALPN01, Token: c.Token, KeyAuthorization: c.KeyAuthorization,
			Identifier: protocol.Identifier{Type: map[bool]string{true: "ip", false: "dns"}[name != c.Host], Value: c.Host},
		})
	}
	return nil, fmt.Errorf("no challenge for %s", hello.ServerName)
}

// shake does handshakes until its listener ends.
func (e *edge) shake(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.(*tls.Conn).HandshakeContext(context.Background())
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}

// zone answers A 127.0.0.1 for every name that it does not know otherwise.
type zone struct {
	mu      sync.Mutex
	missing map[string]bool
	txt     map[string][]string
	cname   map[string]string
	stuck   bool // no record can be removed
}

// PresentTXT writes into the zone.
func (z *zone) PresentTXT(_ context.Context, fqdn, value string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if !slices.Contains(z.txt[fqdn], value) {
		z.txt[fqdn] = append(z.txt[fqdn], value)
	}
	return nil
}

func (z *zone) RemoveTXT(_ context.Context, fqdn, value string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stuck {
		return fault.New(fault.Unavailable, "the provider does not answer")
	}
	z.txt[fqdn] = slices.DeleteFunc(z.txt[fqdn], func(v string) bool { return v == value })
	if len(z.txt[fqdn]) == 0 {
		delete(z.txt, fqdn)
	}
	return nil
}

// texts counts what stands in the zone; with drop it is gone then, as with a
// control plane that has made it.
func (z *zone) texts(drop bool) (n int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, list := range z.txt {
		n += len(list)
	}
	if drop {
		clear(z.txt)
	}
	return n
}

func (z *zone) stick(stuck bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.stuck = stuck
}

// ChooseTXT takes all names, as the owner of every zone.
func (z *zone) ChooseTXT(context.Context, string, string, string, string) (acme.TXTPresenter, error) {
	return z, nil
}

func (z *zone) CNAME(_ context.Context, name string) (string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.cname[name], nil
}

func (z *zone) TXT(_ context.Context, name string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.txt[name], nil
}

func (z *zone) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(query)
	q := query.Question[0]
	name := strings.TrimSuffix(strings.ToLower(q.Name), ".")
	z.mu.Lock()
	defer z.mu.Unlock()
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 1}
	for range 8 {
		target, is := z.cname[name]
		if !is {
			break
		}
		reply.Answer = append(reply.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 1}, Target: dns.Fqdn(target)})
		name, header.Name = target, dns.Fqdn(target)
	}
	if q.Qtype == dns.TypeTXT {
		for _, v := range z.txt[name] {
			reply.Answer = append(reply.Answer, &dns.TXT{Hdr: header, Txt: []string{v}})
		}
	}
	switch {
	case z.missing[name]:
		reply.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA:
		reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)})
	}
	_ = w.WriteMsg(reply)
}

// recorder keeps what clients ask of the CA.
type recorder struct {
	next http.Handler
	mu   sync.Mutex
	seen []string // method and path
	// account is the ID of the last account that was made.
	account string
	// answer, when set, may take a request over.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec.mu.Lock()
	rec.seen = append(rec.seen, r.Method+" "+r.URL.Path)
	answer := rec.answer
	rec.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	rec.next.ServeHTTP(w, r)
	if at := w.Header().Get("Location"); strings.Contains(at, "/my-account/") {
		rec.mu.Lock()
		rec.account = at[strings.LastIndex(at, "/")+1:]
		rec.mu.Unlock()
	}
}

func (rec *recorder) count(prefix string) int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	n := 0
	for _, line := range rec.seen {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func (rec *recorder) take(answer func(w http.ResponseWriter, r *http.Request) bool) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.answer = answer
}

// startPebble starts the CA. nonces is the share of good nonces that it
// refuses, in percent.
func startPebble(t *testing.T, nonces string) *pebble { return startPebbleWith(t, nonces, false) }

func startPebbleWith(t *testing.T, nonces string, requireEAB bool) *pebble {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", nonces)
	t.Setenv("PEBBLE_AUTHZREUSE", "0")

	p := &pebble{
		edge: &edge{answers: map[string]edgeconfig.Challenge{}},
		zone: &zone{missing: map[string]bool{}, txt: map[string][]string{}, cname: map[string]string{}},
	}
	web := httptest.NewServer(p.edge)
	t.Cleanup(web.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	resolver := &dns.Server{Listener: listener, Handler: p.zone} // Pebble asks over TCP
	served := make(chan error, 1)
	go func() { served <- resolver.ActivateAndServe() }()
	t.Cleanup(func() { _ = resolver.Shutdown(); <-served })

	quiet := log.New(io.Discard, "", 0)
	p.db = db.NewMemoryStore()
	authority := ca.New(quiet, p.db, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default":    {Description: "90 days", ValidityPeriod: 7776000},
		"shortlived": {Description: "6 days", ValidityPeriod: 518400},
	})
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: p.edge.certificate, NextProtos: []string{"acme-tls/1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { secure.Close() })
	go p.edge.shake(secure)
	validator := va.New(quiet, web.Listener.Addr().(*net.TCPAddr).Port, secure.Addr().(*net.TCPAddr).Port, false, listener.Addr().String(), p.db)
	front := wfe.New(quiet, p.db, validator, authority, []string{"pebble.letsencrypt.org"}, false, requireEAB, 0, 0)
	p.requests = &recorder{next: front.Handler()}
	p.management = front.ManagementHandler()
	server := httptest.NewUnstartedServer(p.requests)
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	p.directory = server.URL + wfe.DirectoryPath
	p.rootPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	p.chainRoot = authority.GetRootCert(0).Cert
	return p
}

func (p *pebble) client(t *testing.T, db *store.DB, change func(*acme.Options)) *acme.Client {
	t.Helper()
	o := acme.Options{Directory: p.directory, RootPEM: p.rootPEM, Vault: db, Presenter: p.edge}
	if change != nil {
		change(&o)
	}
	c, err := acme.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newOrder(t *testing.T, names ...string) (certificates.Order, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var steps []string
	o := certificates.Order{ID: "crt_1", Names: names, Key: newKey(t), Progress: func(step string) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, step)
	}}
	return o, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return steps
	}
}

func parseChain(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	var list []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		t.Fatalf("no certificate in %q", text)
	}
	return list
}
