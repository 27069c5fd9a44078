package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

const exchangeTimeout = 3 * time.Second

// Resolver asks recursive resolvers, one after another until one answers. Its
// methods may be called from any goroutine.
type Resolver struct {
	addresses []string
}

// NewResolver returns one for addresses ("host:port"); none means those of
// /etc/resolv.conf. Errors: Invalid.
func NewResolver(addresses []string) (*Resolver, error) {
	r := &Resolver{}
	for _, a := range addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			a = net.JoinHostPort(strings.Trim(a, "[]"), "53")
		}
		r.addresses = append(r.addresses, a)
	}
	if len(r.addresses) > 0 {
		return r, nil
	}
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil || len(config.Servers) == 0 {
		return nil, fault.New(fault.Invalid, "this machine has no resolver configured: name some with --resolvers, such as --resolvers 9.9.9.9,1.1.1.1")
	}
	for _, server := range config.Servers {
		r.addresses = append(r.addresses, net.JoinHostPort(server, config.Port))
	}
	return r, nil
}

// ask returns the first answer; unchecked sets the CD bit (RFC 4035 section
// 3.2.2), with which a resolver does not validate.
func (r *Resolver) ask(ctx context.Context, name string, typ uint16, unchecked bool) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), typ)
	query.SetEdns0(1232, false)
	query.CheckingDisabled = unchecked
	last := errors.New("none is set")
	for _, address := range r.addresses {
		client := &dns.Client{Timeout: exchangeTimeout}
		reply, _, err := client.ExchangeContext(ctx, query, address)
		if err == nil && reply.Truncated {
			client.Net = "tcp"
			reply, _, err = client.ExchangeContext(ctx, query, address)
		}
		if err == nil {
			return reply, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		last = fmt.Errorf("%s was asked for the %s of %s: %s", address, dns.TypeToString[typ], name, fault.Network(err))
	}
	return nil, fault.New(fault.Unavailable, "%w", last)
}

// found returns the records of a type in an answer, whatever CNAMEs led there.
func found[T dns.RR](reply *dns.Msg) []T {
	var list []T
	for _, rr := range reply.Answer {
		if one, ok := rr.(T); ok {
			list = append(list, one)
		}
	}
	return list
}

// settled returns an error for an answer that says neither yes nor no.
func settled(reply *dns.Msg, name string) error {
	if reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError {
		return nil
	}
	return fmt.Errorf("%s: %s", name, dns.RcodeToString[reply.Rcode])
}

// CNAME returns where a name points, "" when it has no CNAME.
func (r *Resolver) CNAME(ctx context.Context, name string) (string, error) {
	reply, err := r.ask(ctx, name, dns.TypeCNAME, false)
	if err == nil {
		err = settled(reply, name)
	}
	if err != nil {
		return "", err
	}
	for _, rr := range found[*dns.CNAME](reply) {
		if strings.EqualFold(rr.Hdr.Name, dns.Fqdn(name)) {
			return strings.TrimSuffix(strings.ToLower(rr.Target), "."), nil
		}
	}
	return "", nil
}

// TXT returns the texts at a name.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	reply, err := r.ask(ctx, name, dns.TypeTXT, false)
	if err == nil {
		err = settled(reply, name)
	}
	if err != nil {
		return nil, err
	}
	var list []string
	for _, rr := range found[*dns.TXT](reply) {
		list = append(list, strings.Join(rr.Txt, ""))
	}
	return list, nil
}
