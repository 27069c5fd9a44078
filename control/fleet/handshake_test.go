package fleet_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// sharedBy is what an edge holds of the fleet's handshake secrets, opened.
func sharedBy(t *testing.T, f *fleettest.Fleet, n *fleettest.Node) (chain edgeconfig.TicketChain, group string, ech []tls.EncryptedClientHelloKey) {
	t.Helper()
	d, ok := n.Document(edgeconfig.KindHandshake + "/fleet")
	if !ok {
		return chain, "", nil
	}
	var h edgeconfig.Handshake
	if err := json.Unmarshal(d.Body, &h); err != nil || edgeconfig.ValidateHandshake(&h) != nil {
		t.Fatalf("%v: %s", err, d.Body)
	}
	name, key := f.GroupKey()
	if h.KeyGroup != name {
		return chain, "", nil // on its way
	}
	secret, err := secrets.OpenFor(key, edgeconfig.HandshakeContext, h.Tickets)
	if err != nil {
		t.Fatal(err)
	}
	chain.Hour = h.Hour
	copy(chain.Secret[:], secret)
	for _, k := range h.ECH {
		private, err := secrets.OpenFor(key, edgeconfig.HandshakeContext, k.KeySealed)
		if err != nil {
			t.Fatal(err)
		}
		ech = append(ech, tls.EncryptedClientHelloKey{Config: k.Config, PrivateKey: private, SendAsRetry: true})
	}
	return chain, h.KeyGroup, ech
}

// TestHandshakeSecretsAreShared: all edges hold the same, a restart of the
// control plane keeps them, and an edge that is revoked leaves with what it
// knew.
func TestHandshakeSecretsAreShared(t *testing.T) {
	f := start(t, fleettest.Options{Change: func(o *fleet.Options) {
		listening(o)
		o.ECHName = "edge.example"
	}})
	one, two := &fleettest.Node{}, &fleettest.Node{}
	run(t, f, join(t, f, "one"), one, nil)
	run(t, f, join(t, f, "two"), two, nil)
	var before edgeconfig.TicketChain
	eventually(t, "both edges hold the secrets", func() bool {
		a, groupA, ech := sharedBy(t, f, one)
		b, _, _ := sharedBy(t, f, two)
		before = a
		return groupA != "" && a == b && len(ech) == 1
	})
	if now := edgeconfig.HourOf(time.Now()); before.Hour < now-edgeconfig.TicketWindow || before.Hour > now {
		t.Errorf("the chain begins in hour %d of %d", before.Hour, now)
	}
	_ = f.Resign()
	f.Lead()
	put(t, f, "later", "http://later")
	eventually(t, "after a restart", func() bool { return one.Origin("later") != "" })
	if after, _, _ := sharedBy(t, f, one); after.At(after.Hour+1) != before.At(after.Hour+1) {
		t.Error("a restart changed the chain")
	}
	if err := f.Revoke(t.Context(), "two", testCause); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a chain that the revoked edge does not know", func() bool {
		after, group, ech := sharedBy(t, f, one)
		return group != "" && after.At(before.Hour+100) != before.At(before.Hour+100) && len(ech) == 1
	})
	if still, _, _ := sharedBy(t, f, two); still != (edgeconfig.TicketChain{}) && still != before {
		t.Error("the revoked edge got the new chain")
	}
}

// TestEncryptedClientHello: what is published for HTTPS records opens with what
// the edges hold, as crypto/tls sees both.
func TestEncryptedClientHello(t *testing.T) {
	f := start(t, fleettest.Options{Change: func(o *fleet.Options) {
		quick(o)
		o.ECHName = "edge.example"
	}})
	n := &fleettest.Node{}
	run(t, f, join(t, f, "one"), n, nil)
	var ech []tls.EncryptedClientHelloKey
	eventually(t, "the edge holds a key", func() bool {
		_, _, ech = sharedBy(t, f, n)
		return len(ech) == 1
	})
	if _, err := ecdh.X25519().NewPrivateKey(ech[0].PrivateKey); err != nil {
		t.Fatal(err)
	}
	certificate, pool := selfSigned(t, "hidden.example", "edge.example")
	server := &tls.Config{Certificates: []tls.Certificate{certificate}, GetEncryptedClientHelloKeys: func(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) { return ech, nil }}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan tls.ConnectionState, 1)
	go func() {
		s := tls.Server(a, server)
		_ = s.Handshake()
		done <- s.ConnectionState()
	}()
	client := tls.Client(b, &tls.Config{ServerName: "hidden.example", RootCAs: pool, EncryptedClientHelloConfigList: f.ECHConfigList()})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if state := <-done; !client.ConnectionState().ECHAccepted || state.ServerName != "hidden.example" {
		t.Errorf("accepted %v, for %q", client.ConnectionState().ECHAccepted, state.ServerName)
	}
}

func selfSigned(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: names, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
