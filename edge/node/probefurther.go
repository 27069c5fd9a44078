package node

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"

	"github.com/quic-go/quic-go"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// maxFurther bounds how many further names of a certificate one round looks at;
// the next round goes on with others.
const maxFurther = 4

// split tells host names, wildcards by one name below them, from addresses.
func split(names []string) (hosts, addresses []string) {
	for _, name := range names {
		if net.ParseIP(name) != nil {
			addresses = append(addresses, name)
		} else {
			hosts = append(hosts, sample(name))
		}
	}
	return hosts, addresses
}

// lookFurther shakes hands for some of the further names of a certificate and
// says what is wrong with one of them: a client of each has to get what is in
// force for it.
func (n *Node) lookFurther(ctx context.Context, address string, self bool, hosts []string) (problem string) {
	if len(hosts) == 0 {
		return ""
	}
	n.probes.mu.Lock()
	n.probes.turn++
	turn := n.probes.turn
	n.probes.mu.Unlock()
	for i := range min(len(hosts), maxFurther) {
		name := hosts[(turn*maxFurther+i)%len(hosts)]
		want := n.current.Load().certs.Find(name, n.o.Now())
		if want == nil {
			continue
		}
		state, err := n.shake(ctx, address, self, &tls.Config{ServerName: name})
		if err != nil {
			return fmt.Sprintf("for %s, no handshake: %v", name, err)
		}
		if problem := compare(&state, name, want.Fingerprint); problem != "" {
			return problem
		}
	}
	return ""
}

// compare says how what is served for a name differs from what should be.
func compare(state *tls.ConnectionState, name string, want [32]byte) string {
	leaf := state.PeerCertificates[0]
	if sha256.Sum256(leaf.Raw) != want {
		return fmt.Sprintf("for %s, another certificate is served than the one in force", name)
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return fmt.Sprintf("for %s, the certificate is not valid for the name", name)
	}
	return ""
}

// lookByAddress looks at a certificate for an address, at that address. One that
// cannot be reached from here, as behind a translation of addresses, or that is
// another edge's, is not told of.
func (n *Node) lookByAddress(ctx context.Context, certificate, host string, self bool) (edgeconfig.Served, bool) {
	s := edgeconfig.Served{Certificate: certificate, Name: host}
	if !self {
		return s, false
	}
	_, port, err := net.SplitHostPort(n.HTTPSAddr())
	if err != nil {
		return s, false
	}
	at := net.JoinHostPort(host, port)
	if !local(ctx, at) {
		return s, false
	}
	state, err := n.shake(ctx, at, true, &tls.Config{})
	if opError := (*net.OpError)(nil); errors.As(err, &opError) && opError.Op == "dial" {
		return s, false
	}
	if err != nil {
		s.Problem = "no handshake: " + fault.Network(err)
		return s, true
	}
	n.judge(&state, &s)
	s.Offers = append(s.Offers, offer(&state))
	return s, true
}

// local reports whether an address is one of this machine's: packets to it leave
// from itself.
func local(ctx context.Context, address string) bool {
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", address) // sends nothing
	if err != nil {
		return false
	}
	defer c.Close()
	from, ok := c.LocalAddr().(*net.UDPAddr)
	to, _ := c.RemoteAddr().(*net.UDPAddr)
	return ok && to != nil && from.IP.Equal(to.IP)
}

// lookOverQUIC shakes hands as a client of HTTP/3 does, for which there has to be
// the same certificate.
func (n *Node) lookOverQUIC(ctx context.Context, address string, s *edgeconfig.Served) (problem string) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	probe, err := (&net.Dialer{}).DialContext(ctx, "udp", address)
	if err != nil {
		return "no handshake over HTTP/3: " + fault.Network(err)
	}
	from, _ := probe.LocalAddr().(*net.UDPAddr)
	_ = probe.Close()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.IP, Zone: from.Zone})
	if err != nil {
		return "no handshake over HTTP/3: " + fault.Network(err)
	}
	defer socket.Close()
	n.probes.mine(socket)
	to, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return "no handshake over HTTP/3: " + fault.Network(err)
	}
	conn, err := quic.Dial(ctx, socket, to, &tls.Config{ServerName: s.Name, InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil) //nolint:gosec // what comes is looked at after
	if err != nil {
		return "no handshake over HTTP/3: " + fault.Network(err)
	}
	defer func() { _ = conn.CloseWithError(0x100, "") }() // H3_NO_ERROR
	sum := sha256.Sum256(conn.ConnectionState().TLS.PeerCertificates[0].Raw)
	if hex.EncodeToString(sum[:]) != s.Fingerprint {
		return "over HTTP/3, another certificate is served"
	}
	return ""
}
