package transfer

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"

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
