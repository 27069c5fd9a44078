package zones

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

// Asker asks the DNS: recursive resolvers for addresses, and the servers of the
// zone above for what they delegate. It is a Names and a Parent.
type Asker struct {
	Resolvers []string // "192.0.2.53:53"; none: those of the machine
	Timeout   time.Duration
	// Allowed refuses addresses of servers that other people have named; nil: all
	// are asked. The resolvers are the operator's own.
	Allowed func(netip.Addr) error
}

const (
	askTimeout   = 3 * time.Second
	maxServers   = 4 // of a parent, asked
	maxCNAMEs    = 8
	maxAddresses = 64
)

var errNoAnswer = errors.New("no server answered")

// local are names that no registry has a parent for (RFC 6761, RFC 6762, RFC 8375).
var local = []string{"localhost", "test", "invalid", "example", "local", "internal", "home.arpa", "onion", "alt"}

func isLocal(name string) bool {
	return slices.ContainsFunc(local, func(l string) bool { return name == l || strings.HasSuffix(name, "."+l) })
}

// Delegation implements Parent: it finds the zone above and asks its servers
// themselves, so that no cache is in between.
func (a *Asker) Delegation(ctx context.Context, apex string) (servers, ds []string, dsTTL time.Duration, err error) {
	if isLocal(apex) {
		return nil, nil, 0, nil
	}
	above, err := a.zoneAbove(ctx, apex)
	if err != nil {
		return nil, nil, 0, err
	}
	addresses, err := a.serversOf(ctx, above)
	if err != nil {
		return nil, nil, 0, err
	}
	referral, err := a.first(ctx, addresses, apex, dns.TypeNS, false)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("the servers of %s: %w", above, err)
	}
	for _, rr := range slices.Concat(referral.Answer, referral.Ns) {
		if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == apex+"." {
			servers = append(servers, strings.TrimSuffix(dns.CanonicalName(ns.Ns), "."))
		}
	}
	slices.Sort(servers)
	reply, err := a.first(ctx, addresses, apex, dns.TypeDS, false)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("the servers of %s: %w", above, err)
	}
	for _, rr := range reply.Answer {
		if d, ok := rr.(*dns.DS); ok {
			ds = append(ds, dsText(d))
			dsTTL = max(dsTTL, time.Duration(d.Hdr.Ttl)*time.Second)
		}
	}
	slices.Sort(ds)
	return slices.Compact(servers), slices.Compact(ds), dsTTL, nil
}

// zoneAbove finds the zone that delegates a name: whose SOA is the nearest above.
func (a *Asker) zoneAbove(ctx context.Context, apex string) (string, error) {
	for above := parentName(apex); ; above = parentName(above) {
		reply, err := a.recursive(ctx, above, dns.TypeSOA)
		if err != nil {
			return "", err
		}
		for _, rr := range slices.Concat(reply.Answer, reply.Ns) {
			if _, ok := rr.(*dns.SOA); ok {
				return strings.TrimSuffix(dns.CanonicalName(rr.Header().Name), "."), nil
			}
		}
		if above == "" {
			return "", errNoAnswer
		}
	}
}

func (a *Asker) serversOf(ctx context.Context, zone string) ([]string, error) {
	reply, err := a.recursive(ctx, zone, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, rr := range reply.Answer {
		ns, ok := rr.(*dns.NS)
		if !ok || len(out) >= maxServers {
			continue
		}
		v4, v6, _, err := a.Addresses(ctx, strings.TrimSuffix(ns.Ns, "."))
		if err != nil {
			continue
		}
		for _, ip := range slices.Concat(v4, v6) {
			if addr, err := netip.ParseAddr(ip); err == nil && (a.Allowed == nil || a.Allowed(addr) == nil) {
				out = append(out, net.JoinHostPort(ip, "53"))
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the servers of %s. were not found", zone)
	}
	return out, nil
}

// Addresses implements Names.
func (a *Asker) Addresses(ctx context.Context, name string) (v4, v6 []string, ttl time.Duration, err error) {
	ttl = maxAlias
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		reply, err := a.recursive(ctx, name, typ)
		if err != nil {
			return nil, nil, 0, err
		}
		if len(reply.Answer) == 0 {
			ttl = min(ttl, 5*time.Minute)
		}
		for _, rr := range reply.Answer[:min(len(reply.Answer), maxCNAMEs+maxAddresses)] {
			ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
			switch r := rr.(type) {
			case *dns.A:
				v4 = append(v4, r.A.String())
			case *dns.AAAA:
				v6 = append(v6, r.AAAA.String())
			}
		}
	}
	return v4, v6, ttl, nil
}

// recursive asks the resolvers, in their order. That a name is not there is an
// answer.
func (a *Asker) recursive(ctx context.Context, name string, typ uint16) (*dns.Msg, error) {
	resolvers := a.Resolvers
	if len(resolvers) == 0 {
		if conf, err := dns.ClientConfigFromFile("/etc/resolv.conf"); err == nil {
			for _, s := range conf.Servers {
				resolvers = append(resolvers, net.JoinHostPort(s, conf.Port))
			}
		}
	}
	return a.first(ctx, resolvers, name, typ, true)
}

func (a *Asker) first(ctx context.Context, servers []string, name string, typ uint16, recurse bool) (*dns.Msg, error) {
	err := errNoAnswer
	for _, server := range servers {
		var reply *dns.Msg
		if reply, err = a.ask(ctx, server, name, typ, recurse); err == nil {
			return reply, nil
		}
	}
	return nil, err
}

func (a *Asker) ask(ctx context.Context, server, name string, typ uint16, recurse bool) (*dns.Msg, error) {
	timeout := a.Timeout
	if timeout == 0 {
		timeout = askTimeout
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), typ)
	q.RecursionDesired = recurse
	q.SetEdns0(1232, typ == dns.TypeDS)
	for _, network := range []string{"udp", "tcp"} {
		reply, err := a.exchange(ctx, network, server, q, timeout)
		if err != nil {
			return nil, fmt.Errorf("%s was asked for the %s of %s: %s", shortServer(server), dns.TypeToString[typ], cmp.Or(name, "."), fault.Network(err))
		}
		if reply.Truncated && network == "udp" {
			continue
		}
		if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
			return nil, fmt.Errorf("%s answers %s when asked for the %s of %s", shortServer(server), dns.RcodeToString[reply.Rcode], dns.TypeToString[typ], cmp.Or(name, "."))
		}
		return reply, nil
	}
	return nil, errNoAnswer
}

func (a *Asker) exchange(ctx context.Context, network, server string, q *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	client := &dns.Client{Net: network, Timeout: timeout, UDPSize: 1232}
	reply, _, err := client.ExchangeWithConnContext(ctx, q, &dns.Conn{Conn: conn, UDPSize: 1232})
	return reply, err
}

// shortServer leaves out the port that everybody expects.
func shortServer(server string) string {
	if host, port, err := net.SplitHostPort(server); err == nil && port == "53" {
		return host
	}
	return server
}
