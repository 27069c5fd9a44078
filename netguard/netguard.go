// Package netguard keeps what a tenant names (origins, verification files,
// webhooks) from reaching what only the operator may reach: this machine, its
// network, and the cloud's metadata service (server-side request forgery).
//
// One type, Policy. Its phases, for every connection:
//
//	CheckURL   scheme, port, user info, and the host when it is an address (at save time: early, friendly)
//	resolve    the host, once
//	Check      every address the answer holds, not only the first
//	dial       an address that was checked, never the name again
//
// The last three are DialContext, so a redirect or a rebinding name server
// meets the same check: the check is at the socket, not at the URL.
//
// Both towers use it: the control plane when it fetches, the edge when it
// dials origins.
package netguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Policy says which addresses may be dialled: those reachable from the whole
// internet, and what the operator adds. The zero value is the strictest policy
// and is ready to use. A Policy must not be changed once it is in use.
type Policy struct {
	// Ranges are allowed although they are loopback, private, link-local or
	// otherwise special.
	Ranges []netip.Prefix
	// Denied are refused although they are public: the operator's own
	// addresses. Ranges win over Denied.
	Denied []netip.Prefix
	// Ports allowed; empty allows all.
	Ports []uint16
	// Resolver, nil for the system's.
	Resolver Resolver
	// Dial connects to an address that was checked, always "ip:port"; nil for
	// a net.Dialer. Tests lead public addresses to their listeners with it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a policy that allows, besides public addresses, the given ranges
// ("10.0.0.0/8", "fd00::/8", or a single address).
func New(ranges []string) (*Policy, error) {
	p := &Policy{}
	for _, text := range ranges {
		prefix, err := ParseRange(text)
		if err != nil {
			return nil, err
		}
		p.Ranges = append(p.Ranges, prefix)
	}
	return p, nil
}

// AllowAll returns a policy that refuses no address: for `edgewright up`, where
// the machine and its network belong to the user.
func AllowAll() *Policy {
	return &Policy{Ranges: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
}

// ParseRange parses a CIDR range or a single address.
func ParseRange(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fault.New(fault.Invalid, "%q is not an address range: write it as 10.0.0.0/8, fd00::/8 or a single address", text)
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, fault.New(fault.Invalid, "%q is an IPv4 range written as IPv6: write it as IPv4", text)
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fault.New(fault.Invalid, "%q has bits set beyond its length: did you mean %s?", text, masked)
	}
	return prefix, nil
}

// Check reports whether addr may be dialled: nil, or a Forbidden fault that
// says what the address is and how the operator can allow it.
func (p *Policy) Check(addr netip.Addr) error {
	what, refused := p.refuses(addr)
	if !refused {
		return nil
	}
	plain := addr.WithZone("").Unmap()
	return fault.New(fault.Forbidden, "%s is %s and is not reached from here: use a public address, or let the operator allow it with --allow-origin-ranges %s",
		addr, what, netip.PrefixFrom(plain, plain.BitLen()))
}

// refuses returns why an address is refused.
func (p *Policy) refuses(addr netip.Addr) (what string, refused bool) {
	if !addr.IsValid() {
		return "not an address", true
	}
	addr = addr.WithZone("").Unmap()
	if contains(p.Ranges, addr) {
		return "", false
	}
	if contains(p.Denied, addr) {
		return "one of this platform's own addresses", true
	}
	if what := special(addr); what != "" {
		return what, true
	}
	if inner, ok := embedded(addr); ok {
		// A translator would carry the packet to the IPv4 address inside.
		if contains(p.Ranges, inner) {
			return "", false
		}
		if contains(p.Denied, inner) {
			return "a translation of one of this platform's own addresses", true
		}
		if what := special(inner); what != "" {
			return "a NAT64 form of " + inner.String() + ", " + what, true
		}
	}
	return "", false
}

// CheckHost checks a host as it is written in a URL, without resolving it: an
// address is checked, a number that resolvers read as an address is refused,
// and so are names that never leave this machine.
func (p *Policy) CheckHost(host string) error {
	if host == "" {
		return fault.New(fault.Invalid, "there is no host: write one, such as origin.example.com")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return p.Check(addr)
	}
	if looksNumeric(host) {
		return fault.New(fault.Invalid, "%q is an address in an unusual form: write it as four decimal numbers, such as 192.0.2.10", host)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return p.Check(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return nil
}

// CheckURL checks what can be known of a URL before it is fetched. It does not
// resolve names: DialContext does, each time.
func (p *Policy) CheckURL(u *url.URL) error {
	var port uint64
	switch u.Scheme {
	case "http":
		port = 80
	case "https":
		port = 443
	default:
		return fault.New(fault.Invalid, "%q is not a scheme that can be fetched: use http or https", u.Scheme)
	}
	if u.User != nil {
		return fault.New(fault.Invalid, "the URL holds a user name or password: leave it out")
	}
	if text := u.Port(); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return fault.New(fault.Invalid, "%q is not a port: use a number from 1 to 65535", text)
		}
		port = n
	}
	if err := p.checkPort(uint16(port)); err != nil {
		return err
	}
	return p.CheckHost(u.Hostname())
}

func (p *Policy) checkPort(port uint16) error {
	if len(p.Ports) == 0 {
		return nil
	}
	allowed := make([]string, 0, len(p.Ports))
	for _, candidate := range p.Ports {
		if candidate == port {
			return nil
		}
		allowed = append(allowed, strconv.Itoa(int(candidate)))
	}
	return fault.New(fault.Forbidden, "port %d is not reached from here: use %s", port, strings.Join(allowed, " or "))
}

// DialContext connects to host:port when every address of the host may be
// dialled. It has the signature that http.Transport wants.
func (p *Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fault.New(fault.Invalid, "network %q is not dialled", network)
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q is not host:port: %w", address, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fault.New(fault.Invalid, "%q is not a port: use a number from 1 to 65535", portText)
	}
	if err := p.checkPort(uint16(port)); err != nil {
		return nil, err
	}
	addrs, err := p.Resolve(ctx, network, host)
	if err != nil {
		return nil, err
	}
	return p.dialAny(ctx, network, addrs, portText)
}

// Resolve returns the addresses of host that may be dialled, in the order of
// the resolver. One refused address refuses all of them: an answer that mixes
// public and private addresses is how name servers are used to slip past.
func (p *Policy) Resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if err := p.Check(addr); err != nil {
			return nil, err
		}
		return []netip.Addr{addr}, nil
	}
	if looksNumeric(host) {
		return nil, p.CheckHost(host)
	}
	family := "ip"
	switch network {
	case "tcp4":
		family = "ip4"
	case "tcp6":
		family = "ip6"
	}
	var resolver Resolver = net.DefaultResolver
	if p.Resolver != nil {
		resolver = p.Resolver
	}
	addrs, err := resolver.LookupNetIP(ctx, family, host)
	if err != nil {
		var missing *net.DNSError
		if errors.As(err, &missing) && missing.IsNotFound {
			return nil, unresolved(err, host+" has no address: check the name and its DNS records")
		}
		return nil, unresolved(err, host+" cannot be resolved now: its name servers, or the resolver of this machine, do not answer")
	}
	if len(addrs) == 0 {
		return nil, fault.New(fault.Unavailable, "%s has no address: check the name and its DNS records", host)
	}
	for _, addr := range addrs {
		if err := p.Check(addr); err != nil {
			return nil, fault.New(fault.Forbidden, "%s resolves to an address that is refused: %w", host, err)
		}
	}
	return addrs, nil
}

// unresolved keeps the resolver's words for the log: they name our resolver,
// which is no business of a tenant.
func unresolved(cause error, message string) error {
	return &fault.Error{Code: fault.Unavailable, Message: message, Err: cause}
}

// attemptTimeout bounds one address while others remain to be tried.
const attemptTimeout = 3 * time.Second

func (p *Policy) dialAny(ctx context.Context, network string, addrs []netip.Addr, port string) (net.Conn, error) {
	dial := p.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	var failures []error
	for i, addr := range addrs {
		attempt, cancel := ctx, context.CancelFunc(func() {})
		if i < len(addrs)-1 {
			attempt, cancel = context.WithTimeout(ctx, attemptTimeout)
		}
		conn, err := dial(attempt, network, net.JoinHostPort(addr.Unmap().String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range list {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// looksNumeric reports whether a host is what inet_aton(3) takes for an
// address: "2130706433", "0x7f.1", "0177.0.0.1". Some resolvers do too. The
// WHATWG URL standard's test: the last label is a number.
func looksNumeric(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}
