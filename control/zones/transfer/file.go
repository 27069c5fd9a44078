package transfer

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

// WriteFile writes the zone as a zone file (RFC 1035 section 5), signatures
// included, for people and for an import.
func (c *Content) WriteFile(w io.Writer) error {
	out := bufio.NewWriter(w)
	s := &c.SOA
	fmt.Fprintf(out, "$ORIGIN %s.\n%s. %d IN SOA %s %s %d %d %d %d %d\n", c.Apex, c.Apex, s.TTL, dns.Fqdn(s.MName), dns.Fqdn(s.RName), s.Serial, s.Refresh, s.Retry, s.Expire, s.Minimum)
	for _, key := range slices.Sorted(maps.Keys(c.records)) {
		owner, typ, data := split(key)
		h := dns.RR_Header{Name: dns.Fqdn(text(owner)), Rrtype: typ, Class: dns.ClassINET, Ttl: c.records[key], Rdlength: uint16(len(data))}
		rr, _, err := dns.UnpackRRWithHeader(h, data, 0)
		if err != nil {
			return fault.New(fault.Internal, "a record at %s cannot be read: %w", text(owner), err)
		}
		fmt.Fprintln(out, rr.String())
	}
	return out.Flush()
}

// Parse reads a zone file that begins with the zone's SOA, as WriteFile writes
// it.
func Parse(apex, file string) (*Content, error) {
	c, err := newContent(apex)
	if err != nil {
		return nil, err
	}
	z := dns.NewZoneParser(strings.NewReader(file), dns.Fqdn(apex), "")
	for rr, more := z.Next(); more; rr, more = z.Next() {
		if soa, is := rr.(*dns.SOA); is {
			c.setSOA(soa)
			continue
		}
		key, inside, err := c.key(rr)
		if err != nil || !inside {
			return nil, fault.New(fault.Invalid, "%s: %w", short(rr), err)
		}
		c.records[key] = rr.Header().Ttl
	}
	if err := z.Err(); err != nil {
		return nil, fault.New(fault.Invalid, "the zone file: %w", err)
	}
	return c, nil
}
