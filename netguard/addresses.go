package netguard

import "net/netip"

// A block is a range that is not the public internet.
type block struct {
	prefix netip.Prefix
	what   string
}

func blocks(pairs ...string) []block {
	list := make([]block, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, block{netip.MustParsePrefix(pairs[i]), pairs[i+1]})
	}
	return list
}

// The IANA special-purpose address registries (RFC 6890) as far as they are
// not globally reachable, multicast, and the metadata addresses of clouds that
// lie outside of them. The narrower range comes first, so that the reason is
// the telling one.
var (
	blocks4 = blocks(
		"169.254.169.254/32", "the cloud's metadata service",
		"168.63.129.16/32", "the cloud's metadata service",
		"100.100.100.200/32", "the cloud's metadata service",
		"192.0.0.192/32", "the cloud's metadata service",
		"0.0.0.0/32", "the unspecified address",
		"0.0.0.0/8", "an address of this network (0.0.0.0/8)",
		"10.0.0.0/8", "a private address (10.0.0.0/8)",
		"100.64.0.0/10", "a carrier-grade NAT address (100.64.0.0/10)",
		"127.0.0.0/8", "a loopback address (127.0.0.0/8)",
		"169.254.0.0/16", "a link-local address (169.254.0.0/16)",
		"172.16.0.0/12", "a private address (172.16.0.0/12)",
		"192.0.0.0/24", "a protocol assignment (192.0.0.0/24)",
		"192.0.2.0/24", "a documentation address (192.0.2.0/24)",
		"192.88.99.0/24", "a 6to4 relay address (192.88.99.0/24)",
		"192.168.0.0/16", "a private address (192.168.0.0/16)",
		"198.18.0.0/15", "a benchmarking address (198.18.0.0/15)",
		"198.51.100.0/24", "a documentation address (198.51.100.0/24)",
		"203.0.113.0/24", "a documentation address (203.0.113.0/24)",
		"224.0.0.0/4", "a multicast address (224.0.0.0/4)",
		"255.255.255.255/32", "the broadcast address",
		"240.0.0.0/4", "a reserved address (240.0.0.0/4)",
	)
	blocks6 = blocks(
		"fd00:ec2::254/128", "the cloud's metadata service",
		"fd20:ce::254/128", "the cloud's metadata service",
		"::/128", "the unspecified address",
		"::1/128", "the loopback address",
		"::/96", "a deprecated IPv4-compatible address (::/96)",
		"::ffff:0:0:0/96", "an IPv4-translated address (::ffff:0:0:0/96)",
		"64:ff9b:1::/48", "a local NAT64 address (64:ff9b:1::/48)",
		"100::/64", "a discard address (100::/64)",
		"2001::/32", "a Teredo address (2001::/32)",
		"2001::/23", "a protocol assignment (2001::/23)",
		"2001:db8::/32", "a documentation address (2001:db8::/32)",
		"2002::/16", "a 6to4 address (2002::/16)",
		"3fff::/20", "a documentation address (3fff::/20)",
		"5f00::/16", "a segment routing address (5f00::/16)",
		"fc00::/7", "a private address (fc00::/7)",
		"fe80::/10", "a link-local address (fe80::/10)",
		"fec0::/10", "a deprecated site-local address (fec0::/10)",
		"ff00::/8", "a multicast address (ff00::/8)",
	)
	global6 = netip.MustParsePrefix("2000::/3")
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
)

// special says what an unmapped address is when the public internet does not
// lead to it, "" when it does.
func special(addr netip.Addr) string {
	list := blocks4
	if addr.Is6() {
		list = blocks6
	}
	for _, b := range list {
		if b.prefix.Contains(addr) {
			return b.what
		}
	}
	if addr.Is6() && !global6.Contains(addr) && !nat64.Contains(addr) {
		return "outside of the global unicast range (2000::/3)"
	}
	return ""
}

// embedded returns the IPv4 address that a NAT64 translator would take from an
// IPv6 one.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() || !nat64.Contains(addr) {
		return netip.Addr{}, false
	}
	b := addr.As16()
	return netip.AddrFrom4([4]byte(b[12:])), true
}
