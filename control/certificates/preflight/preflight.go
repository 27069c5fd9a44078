// Package preflight looks, before an order is made, whether a CA could find what
// it will look for: what it knows would fail is not ordered.
//
// Types: Checker (certificates.Preflight), Resolver (which DNS-01 uses too).
// Interfaces needed: Targets (where the edges are), a dialer.
//
// Phases for each name: addresses (DNSSEC bogus? none? elsewhere?) -> ports 80
// and 443 of those that are our own -> CAA, up the tree (RFC 8659), with
// accounturi and validationmethods (RFC 8657). Each takes away the challenges
// that cannot work; a name with none left fails. What could not be looked at
// stops nothing.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/certificates"
)

// Targets tells where names are to lead: a host name, addresses, or nothing when
// that is not known here.
type Targets interface {
	Targets(ctx context.Context) (hostname string, addresses []string, err error)
}

const (
	dialTimeout = 5 * time.Second
	atOnce      = 8 // names that are looked at
)

// Checker is a certificates.Preflight. Its methods may be called from any
// goroutine.
type Checker struct {
	Resolver *Resolver
	Targets  Targets                                                              // nil: not known
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer's
	// HTTPPort and TLSPort are where CAs look; 0: 80 and 443.
	HTTPPort, TLSPort uint16
}

var _ certificates.Preflight = (*Checker)(nil)

// Check implements certificates.Preflight.
func (c *Checker) Check(ctx context.Context, r *certificates.PreflightRequest) []certificates.Check {
	var hostname string
	var targets []netip.Addr
	if c.Targets != nil {
		var addresses []string
		var err error
		if hostname, addresses, err = c.Targets.Targets(ctx); err != nil {
			hostname, addresses = "", nil
		}
		targets = parse(addresses)
		if hostname != "" && len(targets) == 0 {
			targets, _, _ = c.addresses(ctx, hostname)
		}
	}
	found := make([][]certificates.Check, len(r.Names))
	left := make([][]certificates.Challenge, len(r.Names))
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, name := range r.Names {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			look := &look{Checker: c, request: r, name: name, targets: targets, challenges: slices.Clone(r.Challenges[name])}
			look.all(ctx)
			found[i], left[i] = look.checks, look.challenges
		})
	}
	wait.Wait()
	var checks []certificates.Check
	for i, name := range r.Names {
		r.Challenges[name] = left[i]
		checks = append(checks, found[i]...)
	}
	return checks
}

func parse(texts []string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			list = append(list, addr.Unmap())
		}
	}
	return list
}

// look is what is found out about one name.
type look struct {
	*Checker
	request    *certificates.PreflightRequest
	name       string
	targets    []netip.Addr
	challenges []certificates.Challenge
	checks     []certificates.Check
}

func (l *look) add(check string, state certificates.CheckState, reason, detail, fix string) {
	l.checks = append(l.checks, certificates.Check{Name: check, Subject: l.name, State: state, Reason: reason, Detail: detail, Fix: fix})
}

// without takes challenges away. When none is left, that is a failure, else a
// warning.
func (l *look) without(check, reason, detail, fix string, gone ...certificates.Challenge) {
	before := len(l.challenges)
	l.challenges = slices.DeleteFunc(l.challenges, func(ch certificates.Challenge) bool { return slices.Contains(gone, ch) })
	state := certificates.CheckWarning
	if len(l.challenges) == 0 && before > 0 {
		state = certificates.CheckFailed
	}
	l.add(check, state, reason, detail, fix)
}

func (l *look) needsAddress() bool {
	return slices.Contains(l.challenges, certificates.ChallengeHTTP01) || slices.Contains(l.challenges, certificates.ChallengeTLSALPN)
}

var byAddress = []certificates.Challenge{certificates.ChallengeHTTP01, certificates.ChallengeTLSALPN}

func (l *look) all(ctx context.Context) {
	if certificates.Address(l.name) {
		l.ports(ctx, parse([]string{l.name}))
		return // no DNS, no CAA (RFC 8738 section 6)
	}
	base := strings.TrimPrefix(l.name, "*.")
	addresses, reply, err := l.addresses(ctx, base)
	switch {
	case err != nil:
		l.add(certificates.CheckAddress, certificates.CheckUnknown, "", "the resolvers gave no answer: "+err.Error(), "")
	case reply == dns.RcodeServerFailure && l.bogus(ctx, base):
		l.challenges = nil
		l.add(certificates.CheckDNSSEC, certificates.CheckFailed, "DNSSECBogus", fmt.Sprintf("the DNSSEC signatures of %s do not hold, so resolvers refuse its records", base),
			"make the DS record at the registrar match the zone's keys and sign the zone anew, or take the DS record away")
		return
	case reply != dns.RcodeSuccess && reply != dns.RcodeNameError:
		l.challenges = nil
		l.add(certificates.CheckAddress, certificates.CheckFailed, "DNSFailed", fmt.Sprintf("the name servers of %s fail: %s", base, dns.RcodeToString[reply]), "look at the zone's name servers and its delegation")
		return
	default:
		l.add(certificates.CheckDNSSEC, certificates.CheckPassed, "", "resolvers accept its records", "")
		if l.needsAddress() {
			l.leads(ctx, base, addresses)
		}
	}
	l.caa(ctx, base)
}

// addresses returns those of a name, and the answer's code when there is none.
func (c *Checker) addresses(ctx context.Context, name string) (list []netip.Addr, rcode int, err error) {
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		reply, err := c.Resolver.ask(ctx, name, typ, false)
		if err != nil {
			return nil, 0, err
		}
		if reply.Rcode != dns.RcodeSuccess {
			return nil, reply.Rcode, nil
		}
		for _, rr := range found[*dns.A](reply) {
			if addr, ok := netip.AddrFromSlice(rr.A); ok {
				list = append(list, addr.Unmap())
			}
		}
		for _, rr := range found[*dns.AAAA](reply) {
			if addr, ok := netip.AddrFromSlice(rr.AAAA); ok {
				list = append(list, addr.Unmap())
			}
		}
	}
	return list, dns.RcodeSuccess, nil
}

// bogus reports that a resolver refuses a name and answers when it does not
// validate.
func (c *Checker) bogus(ctx context.Context, name string) bool {
	reply, err := c.Resolver.ask(ctx, name, dns.TypeA, true)
	return err == nil && (reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError)
}

// leads compares where the name leads with where the edges are.
func (l *look) leads(ctx context.Context, base string, addresses []netip.Addr) {
	var ours, elsewhere []netip.Addr
	for _, a := range addresses {
		if slices.Contains(l.targets, a) {
			ours = append(ours, a)
		} else {
			elsewhere = append(elsewhere, a)
		}
	}
	point := fmt.Sprintf("set the A and AAAA records of %s to the edges' addresses%s", base, listed(l.targets))
	switch {
	case len(addresses) == 0:
		l.without(certificates.CheckAddress, "NoAddress", base+" has no address, so the CA finds nobody there", point, byAddress...)
	case len(l.targets) == 0:
		l.add(certificates.CheckAddress, certificates.CheckUnknown, "", "the edges' public addresses are not known here, so it cannot be checked where the name leads", "")
	case len(ours) == 0:
		l.without(certificates.CheckAddress, "PointsElsewhere", fmt.Sprintf("%s leads to %s, not to the edges", base, words(elsewhere)), point+", and switch off a proxy in front", byAddress...)
	case len(elsewhere) > 0:
		l.add(certificates.CheckAddress, certificates.CheckWarning, "PointsElsewhereToo", fmt.Sprintf("%s leads to the edges, and also to %s, where the CA may look", base, words(elsewhere)), "remove those records")
		l.ports(ctx, ours)
	default:
		l.add(certificates.CheckAddress, certificates.CheckPassed, "", base+" leads to the edges", "")
		l.ports(ctx, ours)
	}
}

func words(list []netip.Addr) string {
	texts := make([]string, 0, len(list))
	for _, a := range list {
		texts = append(texts, a.String())
	}
	if len(texts) > 4 {
		texts = append(texts[:4], "others")
	}
	return strings.Join(texts, ", ")
}

func listed(targets []netip.Addr) string {
	if len(targets) == 0 {
		return ""
	}
	return ": " + words(targets)
}

// ports connects to addresses of our own only, so that no tenant can have others
// probed. A refused connection is sure; a timeout may be only ours.
func (l *look) ports(ctx context.Context, addresses []netip.Addr) {
	for _, p := range []struct {
		challenge certificates.Challenge
		port      uint16
		standard  uint16
	}{{certificates.ChallengeHTTP01, l.HTTPPort, 80}, {certificates.ChallengeTLSALPN, l.TLSPort, 443}} {
		if !slices.Contains(l.challenges, p.challenge) {
			continue
		}
		port := p.port
		if port == 0 {
			port = p.standard
		}
		for _, address := range addresses {
			if !slices.Contains(l.targets, address) {
				continue
			}
			target := netip.AddrPortFrom(address, port).String()
			switch refused, err := l.dial(ctx, target); {
			case err == nil:
			case refused:
				l.without(certificates.CheckPort, "PortClosed", fmt.Sprintf("%s refuses connections on port %d", address, p.standard),
					fmt.Sprintf("let the edge listen there and let port %d through from everywhere", p.standard), p.challenge)
				continue
			default:
				l.add(certificates.CheckPort, certificates.CheckUnknown, "", fmt.Sprintf("port %d of %s could not be reached from here, which may be otherwise elsewhere", p.standard, address), "")
				continue
			}
			l.add(certificates.CheckPort, certificates.CheckPassed, "", fmt.Sprintf("port %d of %s answers", p.standard, address), "")
		}
	}
}

func (l *look) dial(ctx context.Context, target string) (refused bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dial := l.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", target)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED), err
	}
	return false, conn.Close()
}
