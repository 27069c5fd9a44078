// Package lookup asks the DNS past its caches: the name servers that answer for
// a zone themselves, and those of its parent.
//
// One type, Network; it is domains.Authorities, and what control/domains/watch
// needs besides. Phases of a question: which zone (SOA, through the resolvers,
// climbing) -> its name servers and their addresses (NS, A, AAAA, through the
// resolvers) -> every server itself, without recursion, at the same time.
//
// The servers of a tenant's zone are where the tenant says. Each address is
// checked by netguard before it is asked, so that nobody can look through us into
// the operator's network.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// Bounds of one question to the world.
const (
	exchangeTimeout = 3 * time.Second
	maxServers      = 8  // of one zone
	maxAddresses    = 2  // tried of one server
	maxAnswers      = 64 // kept of one answer
	maxText         = 512
	maxClimb        = 16
)

// Options of a Network.
type Options struct {
	Resolvers []string         // "host:port", asked in this order until one answers
	Policy    *netguard.Policy // which name servers may be asked; nil: public addresses
	Port      string           // of name servers; "": 53
}

// Network asks name servers. Its methods may be called from any goroutine.
type Network struct {
	options Options
}

// New returns a Network. Errors: Invalid without resolvers.
func New(o Options) (*Network, error) {
	if len(o.Resolvers) == 0 {
		return nil, fault.New(fault.Invalid, "no resolver is known to find name servers with")
	}
	if o.Policy == nil {
		o.Policy = &netguard.Policy{}
	}
	if o.Port == "" {
		o.Port = "53"
	}
	return &Network{options: o}, nil
}

var (
	errNoName   = errors.New("NXDOMAIN")
	errTimeout  = errors.New("timeout")
	errNoServer = errors.New("it has no address")
	errLame     = errors.New("it does not answer for this zone")
)

// Zone implements domains.Authorities. Errors: NotFound when no zone above the
// name is served by anybody; Unavailable when no resolver answers.
func (n *Network) Zone(ctx context.Context, name string) (domains.Zone, error) {
	apex, err := n.apex(ctx, name)
	if err != nil {
		return domains.Zone{}, err
	}
	reply, err := n.recurse(ctx, apex, dns.TypeNS)
	if err != nil {
		return domains.Zone{}, err
	}
	z := domains.Zone{Apex: apex}
	for _, rr := range reply.Answer {
		if ns, ok := rr.(*dns.NS); ok && plainName(ns.Hdr.Name) == apex && len(z.Servers) < maxServers {
			z.Servers = append(z.Servers, domains.NameServer{Name: plainName(ns.Ns)})
		}
	}
	n.find(ctx, z.Servers)
	slices.SortFunc(z.Servers, func(a, b domains.NameServer) int { return strings.Compare(a.Name, b.Name) })
	return z, nil
}

// apex climbs to the name that has an SOA.
func (n *Network) apex(ctx context.Context, name string) (string, error) {
	for at, steps := plainName(name), 0; strings.Contains(at, ".") && steps < maxClimb; steps++ {
		reply, err := n.recurse(ctx, at, dns.TypeSOA)
		if err != nil && !errors.Is(err, errNoName) {
			return "", err
		}
		if reply != nil {
			for _, rr := range append(slices.Clone(reply.Answer), reply.Ns...) {
				soa, ok := rr.(*dns.SOA)
				if !ok {
					continue
				}
				// An alias brings the SOA of where it leads.
				if owner := plainName(soa.Hdr.Name); (owner == at || strings.HasSuffix(at, "."+owner)) && strings.Contains(owner, ".") {
					return owner, nil
				}
			}
		}
		_, at, _ = strings.Cut(at, ".")
	}
	return "", fault.New(fault.NotFound, "no zone is served that %s lies in", name)
}

// find looks up the addresses of servers.
func (n *Network) find(ctx context.Context, servers []domains.NameServer) {
	var wait sync.WaitGroup
	for i := range servers {
		wait.Go(func() {
			for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
				reply, err := n.recurse(ctx, servers[i].Name, typ)
				if err != nil {
					continue
				}
				for _, rr := range reply.Answer {
					switch rr := rr.(type) {
					case *dns.A:
						servers[i].Addresses = append(servers[i].Addresses, rr.A.String())
					case *dns.AAAA:
						servers[i].Addresses = append(servers[i].Addresses, rr.AAAA.String())
					}
				}
			}
			slices.Sort(servers[i].Addresses)
		})
	}
	wait.Wait()
}

// Ask implements domains.Authorities.
func (n *Network) Ask(ctx context.Context, zone domains.Zone, name, typ string) []domains.Seen {
	qtype, ok := dns.StringToType[typ]
	if !ok {
		return nil
	}
	replies := n.askAll(ctx, zone.Servers, name, qtype)
	seen := make([]domains.Seen, len(replies))
	for i, r := range replies {
		seen[i] = domains.Seen{Resolver: r.server, Authoritative: true}
		err := r.err
		if err == nil && !r.msg.Authoritative {
			err = errLame
		}
		if err == nil {
			seen[i].Answers, err = data(r.msg, name, qtype)
		}
		if err != nil {
			seen[i].Error = err.Error()
		}
	}
	return seen
}

// reply is what one server said.
type reply struct {
	server string // "ns1.example.com (192.0.2.1)"
	msg    *dns.Msg
	err    error
}

func (n *Network) askAll(ctx context.Context, servers []domains.NameServer, name string, qtype uint16) []reply {
	replies := make([]reply, len(servers))
	var wait sync.WaitGroup
	for i, server := range servers {
		wait.Go(func() { replies[i] = n.askServer(ctx, server, name, qtype) })
	}
	wait.Wait()
	return replies
}

// askServer asks a server at one address after the other.
func (n *Network) askServer(ctx context.Context, server domains.NameServer, name string, qtype uint16) reply {
	r := reply{server: server.Name, err: errNoServer}
	for i, address := range server.Addresses {
		if i == maxAddresses {
			break
		}
		addr, err := netip.ParseAddr(address)
		if err == nil {
			err = n.options.Policy.Check(addr)
		}
		r.server = server.Name + " (" + address + ")"
		if err != nil {
			r.err = errors.New("its address is not public")
			continue
		}
		query := question(name, qtype)
		query.RecursionDesired = false
		if r.msg, r.err = exchange(ctx, net.JoinHostPort(address, n.options.Port), query); r.err == nil {
			return r
		}
	}
	return r
}

// recurse asks the resolvers in order until one answers; NXDOMAIN is an answer,
// and comes back with its message.
func (n *Network) recurse(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	var last error
	for _, resolver := range n.options.Resolvers {
		msg, err := exchange(ctx, resolver, question(name, qtype))
		if err == nil {
			switch msg.Rcode {
			case dns.RcodeSuccess:
				return msg, nil
			case dns.RcodeNameError:
				return msg, errNoName
			}
			err = errors.New(dns.RcodeToString[msg.Rcode])
		}
		last = fmt.Errorf("%s: %w", resolver, err)
	}
	return nil, fault.New(fault.Unavailable, "no resolver answers what the %s of %s is: %w", dns.TypeToString[qtype], name, last)
}

func question(name string, qtype uint16) *dns.Msg {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), qtype)
	query.SetEdns0(1232, false)
	return query
}

// exchange asks by UDP and, when the answer is cut, by TCP (RFC 7766).
func exchange(ctx context.Context, address string, query *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Timeout: exchangeTimeout}
	msg, _, err := client.ExchangeContext(ctx, query, address)
	if err == nil && msg.Truncated {
		client.Net = "tcp"
		msg, _, err = client.ExchangeContext(ctx, query, address)
	}
	if err != nil {
		var network net.Error
		if errors.As(err, &network) && network.Timeout() || ctx.Err() != nil {
			return nil, errTimeout
		}
		return nil, errors.New("no answer: " + fault.Network(err))
	}
	return msg, nil
}

// data returns the records of a type that a message has for a name. A server that
// leads on to another zone says nothing about the type itself.
func data(msg *dns.Msg, name string, qtype uint16) ([]string, error) {
	switch msg.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return nil, errNoName
	default:
		return nil, errors.New(dns.RcodeToString[msg.Rcode])
	}
	var list []string
	alias := ""
	for _, rr := range msg.Answer {
		if c, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME && plainName(c.Hdr.Name) == plainName(name) {
			alias = plainName(c.Target)
		}
		if rr.Header().Rrtype == qtype && len(list) < maxAnswers {
			list = append(list, Value(rr))
		}
	}
	if len(list) == 0 && alias != "" {
		return nil, errors.New("it leads on to " + alias)
	}
	slices.Sort(list)
	return list, nil
}

// Value is the data of a record as people write it, bounded.
func Value(rr dns.RR) string {
	var text string
	switch rr := rr.(type) {
	case *dns.TXT:
		text = strings.Join(rr.Txt, "")
	case *dns.CNAME:
		text = plainName(rr.Target)
	case *dns.NS:
		text = plainName(rr.Ns)
	default:
		text = strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	if len(text) > maxText {
		text = text[:maxText]
	}
	return text
}

// Plain is what Value writes of data that is given as zone files have it.
func Plain(typ, data string) string {
	rr, err := dns.NewRR(". 0 IN " + typ + " " + data)
	if err != nil || rr == nil {
		return data
	}
	return Value(rr)
}

// plainName is a name as it is compared: lower case, no trailing dot.
func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
