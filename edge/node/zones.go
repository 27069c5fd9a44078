package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"os"
	"strconv"

	"github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edge/dns/geo"
	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// SocketDNS is the name of the name server's TCP listener among what a
// successor inherits.
const SocketDNS = "dns-tcp"

const socketDoT = "dns-tls"

func socketDNSUDP(i int) string { return "dns-udp-" + strconv.Itoa(i) }

// openDNS binds the name server, or takes its sockets over. A predecessor that
// had none leaves the address free to bind.
func (n *Node) openDNS(overTLS *tls.Config) (err error) {
	reach := func(a netip.Addr) error { return n.policy.Load().Check(a) }
	o := dns.Options{Reach: reach, Addr: n.o.DNSAddr, TLSAddr: n.o.DoTAddr, NSID: n.o.EdgeID, TLS: overTLS, Checks: n.checks, Logger: n.log, Now: n.o.Now}
	if n.o.GeoDB != "" {
		if n.geo, err = geo.Open(n.o.GeoDB); err != nil {
			return err
		}
		o.Locator = n.geo
		n.log.Info("DNS answers are steered by country", "file", n.o.GeoDB, "networks", n.geo.Len())
	}
	i := n.o.Inherited
	switch {
	case i.Has(SocketDNS):
		o.Inherited = &dns.Inherited{}
		defer func() {
			for _, f := range o.Inherited.UDP {
				_ = f.Close()
			}
		}()
		for w := 0; i.Has(socketDNSUDP(w)); w++ {
			var f *os.File
			if f, err = i.File(socketDNSUDP(w)); err != nil {
				return err
			}
			o.Inherited.UDP = append(o.Inherited.UDP, f)
		}
		if o.Inherited.TCP, err = i.Listener(SocketDNS); err != nil {
			return err
		}
		if i.Has(socketDoT) {
			if o.Inherited.TLS, err = i.Listener(socketDoT); err != nil {
				return errors.Join(err, o.Inherited.TCP.Close())
			}
		}
	case o.Addr == "":
		n.zones = dns.NewZones()
		return nil
	}
	if n.dns, err = dns.New(o); err != nil {
		if o.Inherited != nil {
			err = errors.Join(err, o.Inherited.TCP.Close())
			if o.Inherited.TLS != nil {
				err = errors.Join(err, o.Inherited.TLS.Close())
			}
		}
		return err
	}
	n.zones = n.dns.Zones
	return nil
}

// DNSAddr is the bound address of the name server, UDP and TCP, "" when there
// is none.
func (n *Node) DNSAddr() string {
	if n.dns == nil {
		return ""
	}
	return n.dns.Addr()
}

// DoTAddr is the bound address of DNS over TLS, "" when there is none.
func (n *Node) DoTAddr() string {
	if n.dns == nil {
		return ""
	}
	return n.dns.TLSAddr()
}

// Notices are what primaries say of secondary zones; nil, for ever silent, when
// there is no name server.
func (n *Node) Notices() <-chan edgeconfig.Notice {
	if n.dns == nil {
		return nil
	}
	return n.dns.Notices()
}

// dnsOverHTTPS is what the HTTPS door asks, nil when there is no name server.
func (n *Node) dnsOverHTTPS() httpedge.DNS {
	if n.dns == nil {
		return nil
	}
	return overHTTPS{n}
}

type overHTTPS struct{ n *Node }

func (o overHTTPS) NameServer(host string) bool {
	hosts := o.n.servers.Load()
	return hosts != nil && (*hosts)[host]
}

func (o overHTTPS) Exchange(message []byte, client netip.Addr) ([]byte, uint32) {
	return o.n.dns.Exchange(message, client)
}

// forDNS tells whether a document is the name server's. It keeps those itself:
// a zone of many names is many documents, which no request's runtime needs.
func forDNS(d edgeconfig.Document) bool {
	switch d.Kind() {
	case edgeconfig.KindZone, edgeconfig.KindZonePart:
		return true
	}
	return false
}

// applyWithZones splits a batch between the runtime and the name server.
func (n *Node) applyWithZones(docs []edgeconfig.Document) []edgeconfig.AckItem {
	var batches [2][]edgeconfig.Document // the runtime's, the name server's
	var places [2][]int
	for i, d := range docs {
		b := 0
		if forDNS(d) {
			b = 1
		}
		batches[b], places[b] = append(batches[b], d), append(places[b], i)
	}
	items := make([]edgeconfig.AckItem, len(docs))
	put := func(b int, of []edgeconfig.AckItem) {
		for i, item := range of {
			items[places[b][i]] = item
		}
	}
	if len(batches[0]) > 0 {
		put(0, n.Apply(batches[0]))
	}
	answered := n.zones.Apply(batches[1])
	for _, item := range answered {
		if item.State == edgeconfig.Rejected {
			n.log.Warn("a document was rejected", "document", item.Key, "revision", item.Revision, "error", item.Reason)
		}
	}
	put(1, answered)
	return items
}

// verifyZone asks the name server, as a resolver would. Where there is none,
// what is held is all there can be.
func (n *Node) verifyZone(ctx context.Context, key string, revision int64) error {
	if n.dns == nil {
		return n.zones.Holds(key, revision)
	}
	return n.dns.Verify(ctx, key, revision)
}

// openTSIG opens a key that zones are transferred with.
func openTSIG(d *edgeconfig.Document, groups map[string]*groupKey) (*dns.Key, error) {
	var k edgeconfig.TSIGKey
	if err := decode(d, &k, edgeconfig.ValidateTSIGKey); err != nil {
		return nil, err
	}
	if k.ID != d.Name() {
		return nil, fault.New(fault.Invalid, "the document's key names key %s, its body %s", d.Name(), k.ID)
	}
	group := groups[k.KeyGroup]
	if group == nil {
		return nil, fault.New(fault.Unavailable, "this edge does not hold the key of group %q", k.KeyGroup)
	}
	secret, err := secrets.OpenFor(*group, edgeconfig.TSIGContext(k.ID), k.SecretSealed)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the secret of key %s does not open: %w", k.Name, err)
	}
	return dns.NewKey(&k, secret)
}
