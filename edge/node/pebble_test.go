package node_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// solver puts challenges into force on the edge.
type solver struct {
	e       *nodetest.Edge
	present atomic.Int64
}

func (s *solver) Present(_ context.Context, c acme.Challenge) error {
	s.present.Add(1)
	s.e.MustApply(s.e.Document("challenge/"+c.Token, edgeconfig.Challenge{
		Host: c.Identifier.Value, Token: c.Token, KeyAuthorization: c.KeyAuthorization, ExpiresAt: time.Now().Add(time.Hour).Unix(),
	}))
	return nil
}

func (s *solver) CleanUp(_ context.Context, c acme.Challenge) error {
	s.e.MustApply(s.e.Document("challenge/"+c.Token, nil))
	return nil
}

// pebbleFor starts a CA that validates at the edge and resolves every name to
// loopback.
func pebbleFor(t *testing.T, e *nodetest.Edge) (directory string, client *http.Client) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	resolver := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(query)
		if q := query.Question[0]; q.Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(reply)
	})}
	served := make(chan error, 1)
	go func() { served <- resolver.ActivateAndServe() }()
	t.Cleanup(func() { _ = resolver.Shutdown(); <-served })
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "90 days", ValidityPeriod: 7776000}})
	port := func(address string) int {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return a.Port
	}
	validator := va.New(quiet, port(e.HTTPAddr()), port(e.HTTPSAddr()), false, listener.Addr().String(), store)
	front := wfe.New(quiet, store, validator, authority, nil, false, false, 0, 0)
	server := httptest.NewUnstartedServer(front.Handler())
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL + wfe.DirectoryPath, server.Client()
}

// TestTLSALPNAgainstPebble: a real CA validates names and an address at the edge
// by TLS-ALPN-01, and the certificate that it gives is served.
func TestTLSALPNAgainstPebble(t *testing.T) {
	e := nodetest.Start(t)
	directory, httpClient := pebbleFor(t, e)
	s := &solver{e: e}
	client := acmez.Client{
		Client:           &acme.Client{Directory: directory, HTTPClient: httpClient, PollInterval: 20 * time.Millisecond},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeTLSALPN01: s},
	}
	accountKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	account, err := client.NewAccount(ctx, acme.Account{TermsOfServiceAgreed: true, PrivateKey: accountKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"shop.test", "www.shop.test"}, {"127.0.0.1"}} {
		before := s.present.Load()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := client.ObtainCertificateForSANs(ctx, account, key, names)
		if err != nil {
			t.Fatalf("%v: %v", names, err)
		}
		if n := s.present.Load() - before; n != int64(len(names)) {
			t.Errorf("%v: %d challenges", names, n)
		}
		chain, err := tls.X509KeyPair(issued[0].ChainPEM, mustPEM(t, key))
		if err != nil {
			t.Fatal(err)
		}
		e.MustApply(e.Document("certificate/crt_"+names[0], nodetest.Sealed(t, chain, e.GroupKey, "crt_"+names[0], names...)))
		config := &tls.Config{ServerName: names[0], InsecureSkipVerify: true}
		if net.ParseIP(names[0]) != nil {
			config.ServerName = "" // by the address it is dialled at
		}
		conn, err := tls.Dial("tcp", e.HTTPSAddr(), config)
		if err != nil {
			t.Fatalf("%v: %v", names, err)
		}
		if err := conn.ConnectionState().PeerCertificates[0].VerifyHostname(names[0]); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}

func mustPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
