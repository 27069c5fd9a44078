package httpedge_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// TestEncryptedClientHello: the edge chooses site, policy and certificate by the
// name that is hidden; a client with an old key is sent the new one.
func TestEncryptedClientHello(t *testing.T) {
	e := edgeWith(t, named("origin"), func(s *edgeconfig.Site) { s.TLS = &edgeconfig.TLS{Policy: edgeconfig.PolicyModern} })
	e.Serve(nodetest.Site("dom_front", "front.test", originServer(t, named("front"))))
	config := func(id uint8) (edgeconfig.ECHKey, []byte) {
		private, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var b cryptobyte.Builder
		b.AddUint16(0xfe0d)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(id)
			b.AddUint16(0x0020)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(private.PublicKey().Bytes()) })
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(1); b.AddUint16(1) })
			b.AddUint8(32)
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte("front.test")) })
			b.AddUint16LengthPrefixed(func(*cryptobyte.Builder) {})
		})
		one := b.BytesOrPanic()
		var list cryptobyte.Builder
		list.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(one) })
		return edgeconfig.ECHKey{Config: one, KeySealed: secrets.SealFor(e.GroupKey, edgeconfig.HandshakeContext, private.Bytes())}, list.BytesOrPanic()
	}
	key, published := config(1)
	_, unknown := config(2)
	e.MustApply(e.Document("handshake/fleet", edgeconfig.Handshake{
		KeyGroup: nodetest.Group, Hour: edgeconfig.HourOf(time.Now()),
		Tickets: secrets.SealFor(e.GroupKey, edgeconfig.HandshakeContext, make([]byte, 32)), ECH: []edgeconfig.ECHKey{key},
	}))
	dial := func(list []byte) (*tls.Conn, error) {
		c := e.TLS("http/1.1")
		c.ServerName, c.EncryptedClientHelloConfigList = "shop.test", list
		return tls.Dial("tcp", e.HTTPSAddr(), c)
	}
	conn, err := dial(published)
	if err != nil {
		t.Fatal(err)
	}
	if state := conn.ConnectionState(); !state.ECHAccepted || state.PeerCertificates[0].VerifyHostname("shop.test") != nil {
		t.Errorf("accepted %v, certificate of %v", state.ECHAccepted, state.PeerCertificates[0].DNSNames)
	}
	conn.Close()
	_, err = dial(unknown)
	rejected, ok := err.(*tls.ECHRejectionError)
	if !ok || string(rejected.RetryConfigList) != string(published) {
		t.Fatalf("with a key that the edge does not know: %v", err)
	}
	c := e.TLS("h3")
	c.EncryptedClientHelloConfigList = published
	client := nodetest.Client(t, 3, c, e.HTTPAddr, e.HTTPSAddr)
	if a := get(t, client, "https://shop.test/"); a.body != "origin" || !a.resp.TLS.ECHAccepted {
		t.Errorf("HTTP/3: %q, accepted %v", a.body, a.resp.TLS.ECHAccepted)
	}
}
