package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Bounds of looking: what is changed is looked at in the next round, everything
// else within about sweepRounds rounds, and a tenth of it at the peer too.
const (
	maxFresh     = 10_000
	sweepRounds  = 360
	leastARound  = 2
	mostARound   = 300
	peersShare   = 10
	probeTimeout = 5 * time.Second
)

// probes is what Probe keeps between rounds.
type probes struct {
	mu      sync.Mutex
	sweep   []string // keys of certificates not yet looked at in this sweep
	total   int      // of the sweep
	peer    []string // keys that the peer is looked at for
	roots   *x509.CertPool
	clients sync.Map // local addresses of the last connections to ourselves
	used    []string // the same, oldest first
	turn    int      // which of a certificate's further names are looked at
}

// maxOwn is how many connections to ourselves are remembered: the server may
// count one when it is closed already.
const maxOwn = 1024

// mine notes a connection to ourselves, before it has said anything.
func (p *probes) mine(c interface{ LocalAddr() net.Addr }) {
	p.mu.Lock()
	defer p.mu.Unlock()
	local := c.LocalAddr().String()
	p.clients.Store(local, true)
	if p.used = append(p.used, local); len(p.used) > maxOwn {
		for _, old := range p.used[:maxOwn/2] {
			p.clients.Delete(old)
		}
		p.used = append([]string(nil), p.used[maxOwn/2:]...)
	}
}

func (p *probes) own(client net.Addr) bool {
	_, ok := p.clients.Load(client.String())
	return ok
}

// Probe looks at how some certificates are served: by this node, or by a peer.
// Each call goes on where the one before ended; one call looks at a bounded
// number. The caller fills in Edge. It may be called from one goroutine.
func (n *Node) Probe(ctx context.Context, peer *edgeconfig.Peer) edgeconfig.ProbeReport {
	report := edgeconfig.ProbeReport{Target: n.o.EdgeID, At: n.o.Now().UTC()}
	address := reachable(n.HTTPSAddr())
	if peer != nil {
		report.Target, address = peer.Edge, peer.Address
	}
	if n.HTTPSAddr() == "" && peer == nil {
		return report
	}
	for _, key := range n.nextProbes(peer != nil) {
		if ctx.Err() != nil {
			break
		}
		n.mu.Lock()
		h := n.held[key]
		n.mu.Unlock()
		if h == nil || h.cert == nil {
			continue
		}
		hosts, addresses := split(h.cert.Names)
		if len(hosts) == 0 {
			// It is chosen by the address that a client comes to.
			if served, ok := n.lookByAddress(ctx, h.cert.ID, addresses[0], peer == nil); ok {
				report.Served = append(report.Served, served)
			}
			continue
		}
		served := edgeconfig.Served{Certificate: h.cert.ID, Name: hosts[0], MustStaple: h.cert.MustStaple}
		n.look(ctx, address, peer == nil, &served)
		if want := n.current.Load().certs.Find(served.Name, n.o.Now()); want != nil && served.Problem == "" && hex.EncodeToString(want.Fingerprint[:]) != served.Fingerprint {
			served.Problem = "another certificate is served than the one in force"
		}
		if served.Problem == "" {
			served.Problem = n.lookFurther(ctx, address, peer == nil, hosts[1:])
		}
		if served.Problem == "" && peer == nil && !n.o.NoHTTP3 {
			served.Problem = n.lookOverQUIC(ctx, address, &served)
		}
		report.Served = append(report.Served, served)
	}
	return report
}

// nextProbes picks what this round looks at.
func (n *Node) nextProbes(peer bool) []string {
	p := &n.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	if peer {
		list := p.peer
		p.peer = nil
		return list
	}
	n.mu.Lock()
	fresh := n.fresh[:min(len(n.fresh), mostARound)]
	n.fresh = n.fresh[len(fresh):]
	if len(p.sweep) == 0 {
		for key, h := range n.held {
			if h.cert != nil {
				p.sweep = append(p.sweep, key)
			}
		}
		p.total = len(p.sweep)
	}
	n.mu.Unlock()
	round := min(max(p.total/sweepRounds+1, leastARound), mostARound, len(p.sweep))
	list := append(append([]string(nil), fresh...), p.sweep[:round]...)
	p.sweep = p.sweep[round:]
	p.peer = append(append([]string(nil), fresh[:min(len(fresh), mostARound/peersShare)]...), list[len(fresh):][:(round+peersShare-1)/peersShare]...)
	return list
}

// look shakes hands once for each version and fills in what came of it. Only of
// ourselves is it asked what a client may not use at all.
func (n *Node) look(ctx context.Context, address string, self bool, s *edgeconfig.Served) {
	state, err := n.shake(ctx, address, self, &tls.Config{ServerName: s.Name})
	if err != nil {
		s.Problem = "no handshake: " + fault.Network(err)
		return
	}
	n.judge(&state, s)
	s.Offers = append(s.Offers, offer(&state))
	if site := n.current.Load().Site(s.Name); site != nil && site.HSTS != nil {
		s.HSTS = site.HSTS[0]
	}
	if !self {
		return
	}
	weak := []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
	for _, c := range []*tls.Config{
		{MaxVersion: tls.VersionTLS12},
		{MaxVersion: tls.VersionTLS12, CipherSuites: weak},
		{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS11},
		{MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10},
	} {
		if c.ServerName = s.Name; c.MinVersion == 0 {
			c.MinVersion = tls.VersionTLS12
		}
		if state, err := n.shake(ctx, address, self, c); err == nil {
			s.Offers = append(s.Offers, offer(&state))
		}
	}
}

// shake is one handshake that trusts everybody: what comes is looked at after.
func (n *Node) shake(ctx context.Context, address string, self bool, c *tls.Config) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer tcp.Close()
	if self {
		n.probes.mine(tcp)
	}
	c.InsecureSkipVerify, c.NextProtos = true, []string{"http/1.1"}
	conn := tls.Client(tcp, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

func offer(s *tls.ConnectionState) edgeconfig.Offer {
	o := edgeconfig.Offer{Version: tls.VersionName(s.Version)[len("TLS "):], Cipher: tls.CipherSuiteName(s.CipherSuite)}
	if s.CurveID != 0 {
		o.Group = s.CurveID.String()
	}
	return o
}

// judge checks what a client would check.
func (n *Node) judge(state *tls.ConnectionState, s *edgeconfig.Served) {
	leaf := state.PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	s.Fingerprint, s.NotAfter, s.Key, s.Signature = hex.EncodeToString(sum[:]), leaf.NotAfter.Unix(), keyName(leaf), leaf.SignatureAlgorithm.String()
	s.Stapled = len(state.OCSPResponse) > 0
	var err error
	if s.Chain, err = n.chain(state.PeerCertificates); err != nil {
		s.Problem = err.Error()
	}
	s.WrongName = leaf.VerifyHostname(s.Name) != nil
	now := n.o.Now()
	switch {
	case now.After(leaf.NotAfter):
		s.Problem = "the certificate has expired"
	case now.Before(leaf.NotBefore):
		s.Problem = "the certificate is not valid yet"
	case s.WrongName:
		s.Problem = "the certificate is not valid for the name"
	case s.MustStaple && !s.Stapled:
		s.Problem = "the certificate has to be served with an OCSP response and is not"
	}
}

// chain says where a chain leads. Dates are judged apart.
func (n *Node) chain(served []*x509.Certificate) (string, error) {
	n.probes.mu.Lock()
	if n.probes.roots == nil {
		if n.probes.roots, _ = x509.SystemCertPool(); n.probes.roots == nil {
			n.probes.roots = x509.NewCertPool()
		}
	}
	roots := n.probes.roots
	n.probes.mu.Unlock()
	rest := x509.NewCertPool()
	for _, c := range served[1:] {
		rest.AddCert(c)
	}
	at := served[0].NotAfter
	if _, err := served[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		return edgeconfig.ChainTrusted, nil
	} else if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
		return edgeconfig.ChainBroken, fmt.Errorf("the chain does not hold: %w", err)
	}
	if len(served) == 1 && len(served[0].IssuingCertificateURL) > 0 {
		return edgeconfig.ChainBroken, errors.New("the chain lacks the certificate of its issuer")
	}
	for i := 1; i < len(served); i++ {
		if err := served[i-1].CheckSignatureFrom(served[i]); err != nil {
			return edgeconfig.ChainBroken, fmt.Errorf("certificate %d of the chain is not signed by the next: %w", i, err)
		}
	}
	return edgeconfig.ChainPrivate, nil
}

func keyName(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ECDSA %d", key.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}
