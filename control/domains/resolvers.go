package domains

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

const (
	resolverTimeout = 3 * time.Second // of one exchange
	resolverTries   = 2
	maxResolvers    = 8
	maxAnswers      = 32 // kept of one answer
	maxAnswerLength = 512
)

// ResolverSet asks several recursive resolvers. Each is asked by UDP and, when
// the answer is cut, by TCP (RFC 7766).
type ResolverSet struct {
	addresses []string
}

// NewResolvers returns a set for addresses ("host" or "host:port"); none means
// those of /etc/resolv.conf. Errors: Invalid.
func NewResolvers(addresses []string) (*ResolverSet, error) {
	if len(addresses) == 0 {
		config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil || len(config.Servers) == 0 {
			return nil, fault.New(fault.Invalid, "this machine has no resolver configured: name some with --resolvers, such as --resolvers 9.9.9.9,1.1.1.1")
		}
		for _, server := range config.Servers {
			addresses = append(addresses, net.JoinHostPort(server, config.Port))
		}
	}
	if len(addresses) > maxResolvers {
		return nil, fault.New(fault.Invalid, "%d resolvers are more than %d: name fewer", len(addresses), maxResolvers)
	}
	set := &ResolverSet{}
	for _, address := range addresses {
		complete, err := withPort(strings.TrimSpace(address))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(set.addresses, complete) {
			set.addresses = append(set.addresses, complete)
		}
	}
	return set, nil
}

// Addresses returns the resolvers as "host:port", in the order they were named.
func (s *ResolverSet) Addresses() []string { return slices.Clone(s.addresses) }

func withPort(address string) (string, error) {
	if addr, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		return net.JoinHostPort(addr.String(), "53"), nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "53"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, " /:") && net.ParseIP(host) == nil {
		return "", fault.New(fault.Invalid, "%q is not a resolver: write an address, or host:port", address)
	}
	return net.JoinHostPort(host, port), nil
}

// Lookup asks every resolver at the same time.
func (s *ResolverSet) Lookup(ctx context.Context, name, typ string) []Seen {
	seen := make([]Seen, len(s.addresses))
	var wait sync.WaitGroup
	for i, address := range s.addresses {
		wait.Go(func() {
			answers, err := ask(ctx, address, name, dns.StringToType[typ])
			seen[i] = Seen{Resolver: address, Answers: answers}
			if err != nil {
				seen[i].Error = err.Error()
			}
		})
	}
	wait.Wait()
	return seen
}

// LookupNetIP returns the addresses of a host as the first resolver says that has
// any, so that a netguard.Policy finds hosts by the resolvers that the operator
// has named and no others.
func (s *ResolverSet) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	types := map[string][]string{"ip": {"A", "AAAA"}, "ip4": {"A"}, "ip6": {"AAAA"}}[network]
	var found []netip.Addr
	answered := false
	for _, typ := range types {
		var first []netip.Addr
		for _, seen := range s.Lookup(ctx, host, typ) {
			answered = answered || seen.Error == "" || seen.Error == errNoName.Error()
			for _, text := range seen.Answers {
				if a, err := netip.ParseAddr(text); err == nil {
					first = append(first, a)
				}
			}
			if len(first) > 0 {
				break
			}
		}
		found = append(found, first...)
	}
	switch {
	case len(found) > 0:
		return found, nil
	case answered:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return nil, &net.DNSError{Err: "no resolver answers", Name: host, IsTemporary: true}
}

var (
	errNoName  = errors.New("NXDOMAIN")
	errTimeout = errors.New("timeout")
)

// ask returns the records of a type at the end of the CNAME chain.
func ask(ctx context.Context, address, name string, typ uint16) ([]string, error) {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), typ)
	query.SetEdns0(1232, false)
	var reply *dns.Msg
	var err error
	for range resolverTries {
		client := &dns.Client{Timeout: resolverTimeout}
		reply, _, err = client.ExchangeContext(ctx, query, address)
		if err == nil && reply.Truncated {
			client.Net = "tcp"
			reply, _, err = client.ExchangeContext(ctx, query, address)
		}
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		var network net.Error
		if errors.As(err, &network) && network.Timeout() || ctx.Err() != nil {
			return nil, errTimeout
		}
		return nil, errors.New("no answer: " + fault.Network(err))
	}
	switch reply.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return nil, errNoName
	default:
		return nil, errors.New(dns.RcodeToString[reply.Rcode])
	}
	var answers []string
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype != typ || len(answers) == maxAnswers {
			continue
		}
		text := value(rr)
		if len(text) > maxAnswerLength {
			text = text[:maxAnswerLength]
		}
		answers = append(answers, text)
	}
	slices.Sort(answers)
	return answers, nil
}

// value is the data of a record as people write it.
func value(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.TXT:
		return strings.Join(rr.Txt, "")
	case *dns.A:
		return rr.A.String()
	case *dns.AAAA:
		return rr.AAAA.String()
	case *dns.CNAME:
		return strings.ToLower(strings.TrimSuffix(rr.Target, "."))
	default:
		return strings.TrimPrefix(rr.String(), rr.Header().String())
	}
}
