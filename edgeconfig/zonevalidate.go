package edgeconfig

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

// ValidateZone checks a head as both towers require it: the control plane
// before publishing, the edge before applying. The error is fault.Invalid with
// pointers into the zone.
func ValidateZone(z *Zone) error {
	var c checker
	if z.ID == "" || bytes.ContainsRune([]byte(z.ID), '/') {
		c.add("/id", "the zone has no ID, or one with a slash")
	}
	if z.Project == "" {
		c.add("/project_id", "the zone belongs to no project")
	}
	apex, err := PackName(z.Name)
	switch {
	case err != nil:
		c.add("/name", "%v", err)
	case len(apex) == 1:
		c.add("/name", "the root is no zone of ours")
	default:
		if text, _ := UnpackName(apex); text != z.Name || !lower(z.Name) {
			c.add("/name", "%q is not in lower-case canonical form", z.Name)
		}
	}
	if _, err := z.SOA.Pack(); err != nil {
		c.add("/soa", "%v", err)
	}
	if z.SOA.TTL > maxRecordTTL || z.SOA.Minimum > maxRecordTTL {
		c.add("/soa/ttl", "times to live are at most %d seconds", maxRecordTTL)
	}
	switch z.Denial {
	case DenialNone:
		if len(z.SOASigs) > 0 {
			c.add("/soa_sigs", "a zone without denial of existence is not signed")
		}
	case DenialNSEC, DenialNSEC3, DenialCompact:
		if len(z.SOASigs) == 0 {
			c.add("/soa_sigs", "the SOA of a signed zone has no signature")
		}
	default:
		c.add("/denial", "%q is no way of denial this edge knows", z.Denial)
	}
	c.sigs("/soa_sigs", z.SOASigs, dns.TypeSOA)
	c.transfer(z.Transfer)
	c.secondary(z.Secondary)
	if z.Parts < 1 || z.Parts > MaxZoneParts {
		c.add("/parts", "%d parts: a zone has 1 to %d", z.Parts, MaxZoneParts)
	} else if len(z.Digests) != z.Parts*PartDigestBytes {
		c.add("/digests", "%d bytes of digests are not %d of each part", len(z.Digests), PartDigestBytes)
	}
	return c.err()
}

// ValidateZonePart checks one part by itself: names, the sets of each name
// against one another, and the form of all data. What takes the whole zone
// (that it has name servers, what lies below a delegation) is the edge's when
// it compiles a version.
func ValidateZonePart(p *ZonePart) error {
	var c checker
	if p.Zone == "" {
		c.add("/zone", "the part belongs to no zone")
	}
	if p.Parts < 1 || p.Parts > MaxZoneParts || p.Part < 0 || p.Part >= p.Parts {
		c.add("/part", "there is no part %d of %d", p.Part, p.Parts)
		return c.err()
	}
	seen := make(map[string]bool, len(p.Names))
	for i := range p.Names {
		n, at := &p.Names[i], fmt.Sprintf("/names/%d", i)
		if seen[n.Name] {
			c.add(at+"/n", "%q is given twice", n.Name)
		}
		seen[n.Name] = true
		c.name(at, n)
		if PartOf(n.Name, p.Parts) != p.Part {
			c.add(at+"/n", "%q belongs to part %d, not %d", n.Name, PartOf(n.Name, p.Parts), p.Part)
		}
		if len(c.faults) > 20 {
			return c.err()
		}
	}
	for i := range p.NSEC3 {
		n, at := &p.NSEC3[i], fmt.Sprintf("/nsec3/%d", i)
		if len(n.Hash) != 20 || partOfHash(n.Hash, p.Parts) != p.Part {
			c.add(at+"/h", "no SHA-1 hash of this part")
		}
		if i > 0 && bytes.Compare(p.NSEC3[i-1].Hash, n.Hash) >= 0 {
			c.add(at+"/h", "the hashes are not in order")
		}
		// Algorithm 1, 0 iterations, no salt: anything else, and names would be hashed otherwise than the edge does.
		if len(n.Data) < 5+21 || n.Data[0] != 1 || n.Data[2] != 0 || n.Data[3] != 0 || n.Data[4] != 0 || n.Data[5] != 20 {
			c.add(at+"/d", "no NSEC3 data with SHA-1, 0 iterations and no salt (RFC 9276)")
		}
		if n.TTL > maxRecordTTL || len(n.Sigs) == 0 {
			c.add(at, "no signature, or a time to live out of range")
		}
		c.sigs(at+"/g", n.Sigs, dns.TypeNSEC3)
	}
	return c.err()
}

func lower(s string) bool {
	for _, b := range []byte(s) {
		if b >= 'A' && b <= 'Z' {
			return false
		}
	}
	return true
}

func (c *checker) name(at string, n *ZoneName) {
	if n.Name != "@" {
		wire, err := PackName(n.Name)
		if err != nil {
			c.add(at+"/n", "%v", err)
			return
		}
		if text, _ := UnpackName(wire); text != n.Name || !lower(n.Name) || len(wire) == 1 {
			c.add(at+"/n", "%q is not in lower-case canonical form", n.Name)
			return
		}
	}
	if len(n.Sets) == 0 {
		c.add(at+"/s", "%q has no records", n.Name)
	}
	for i := range n.Sets {
		set, here := &n.Sets[i], fmt.Sprintf("%s/s/%d", at, i)
		if i > 0 && n.Sets[i-1].Type >= set.Type {
			c.add(here+"/t", "the types are not in order, or one is given twice")
		}
		c.set(here, n, set)
	}
}

// set checks one set beside the others of its name.
func (c *checker) set(at string, n *ZoneName, s *RRset) {
	apex := n.Name == "@"
	has := func(types ...uint16) bool {
		return slices.ContainsFunc(n.Sets, func(o RRset) bool { return slices.Contains(types, o.Type) })
	}
	switch {
	case s.Type == 0 || s.Type == dns.TypeOPT || s.Type >= 128 && s.Type <= 255:
		c.add(at+"/t", "type %d is not for zones (RFC 6895 section 3.1)", s.Type)
	case s.Type == dns.TypeSOA:
		c.add(at+"/t", "the SOA belongs in the head")
	case s.Type == dns.TypeRRSIG || s.Type == dns.TypeSIG:
		c.add(at+"/t", "signatures belong beside the set they cover")
	case s.Type == dns.TypeNSEC3:
		c.add(at+"/t", "NSEC3 records have a list of their own")
	case s.Type == dns.TypeDNAME:
		if has(dns.TypeNS) && !apex {
			c.add(at+"/t", "a delegated name is not redirected: NS and DNAME stand together at the apex only (RFC 6672 section 2.3)")
		}
		if len(s.Data) != 1 {
			c.add(at+"/d", "a name has one DNAME, not %d", len(s.Data))
		}
	case s.Type == dns.TypeCNAME:
		if apex {
			c.add(at+"/t", "the apex cannot be a CNAME, because SOA and NS are there (RFC 1034 section 3.6.2)")
		}
		for _, o := range n.Sets {
			if o.Type != dns.TypeCNAME && o.Type != dns.TypeNSEC {
				c.add(at+"/t", "a CNAME stands alone, here is type %d beside it (RFC 2181 section 10.1)", o.Type)
				break
			}
		}
		if len(s.Data) != 1 {
			c.add(at+"/d", "a name has one CNAME, not %d", len(s.Data))
		}
	case s.Type == dns.TypeDS && (apex || !has(dns.TypeNS)):
		c.add(at+"/t", "DS records stand at a delegation (RFC 4034 section 5)")
	case s.Type == dns.TypeNS && (n.Name == "*" || len(n.Name) > 1 && n.Name[:2] == "*."):
		c.add(at+"/t", "a wildcard cannot be delegated (RFC 4592 section 4.2)")
	case s.Type == dns.TypeNSEC && len(s.Data) != 1:
		c.add(at+"/d", "a name has one NSEC record")
	}
	if s.TTL > maxRecordTTL {
		c.add(at+"/l", "the time to live of %d seconds is above %d", s.TTL, maxRecordTTL)
	}
	c.data(at, s.Type, s.Data, s.Sigs)
	if len(s.Variants) > maxVariants {
		c.add(at+"/v", "%d variants are more than %d", len(s.Variants), maxVariants)
		return
	}
	for i := range s.Variants {
		v, here := &s.Variants[i], fmt.Sprintf("%s/v/%d", at, i)
		if v.Weight < 0 || v.Weight > 1<<20 {
			c.add(here+"/weight", "the weight %d is not in 0 to %d", v.Weight, 1<<20)
		}
		if len(v.Sigs) != len(s.Sigs) {
			c.add(here+"/g", "%d signatures, the set has %d: a variant is signed as the set is", len(v.Sigs), len(s.Sigs))
		}
		if s.Type == dns.TypeNS || s.Type == dns.TypeDS || s.Type == dns.TypeNSEC || s.Type == dns.TypeDNSKEY || s.Type == dns.TypeDNAME {
			c.add(here, "sets of type %d are the same for everybody", s.Type)
		}
		if s.Type == dns.TypeCNAME && len(v.Data) != 1 {
			c.add(here+"/d", "a name has one CNAME, not %d", len(v.Data))
		}
		c.data(here, s.Type, v.Data, v.Sigs)
	}
}

func (c *checker) data(at string, typ uint16, data, sigs [][]byte) {
	if len(data) == 0 || len(data) > maxSetRecords {
		c.add(at+"/d", "%d records: a set has 1 to %d", len(data), maxSetRecords)
		return
	}
	size := 0
	for i, d := range data {
		size += len(d) + 12
		if err := CheckData(typ, d); err != nil {
			c.add(fmt.Sprintf("%s/d/%d", at, i), "%v", err)
			return
		}
		for _, other := range data[:min(i, 64)] { // the rest is sorted out by signing, which sorts
			if bytes.Equal(d, other) {
				c.add(fmt.Sprintf("%s/d/%d", at, i), "the record is given twice (RFC 2181 section 5)")
				return
			}
		}
	}
	for _, s := range sigs {
		size += len(s) + 12
	}
	if size > MaxRRsetBytes {
		c.add(at, "the set takes %d bytes, the bound is %d", size, MaxRRsetBytes)
	}
	c.sigs(at+"/g", sigs, typ)
}

// sigs checks RRSIG data (RFC 4034 section 3.1): that it covers the type, and
// names a signer.
func (c *checker) sigs(at string, sigs [][]byte, covered uint16) {
	if len(sigs) > 16 {
		c.add(at, "%d signatures are more than 16", len(sigs))
	}
	for i, s := range sigs {
		if len(s) < 18+1+1 || binary.BigEndian.Uint16(s) != covered {
			c.add(fmt.Sprintf("%s/%d", at, i), "no RRSIG data over type %d", covered)
		} else if n, err := nameLength(s[18:]); err != nil || 18+n >= len(s) {
			c.add(fmt.Sprintf("%s/%d", at, i), "the signature names no signer, or is empty")
		}
	}
}

// CheckData checks the wire-format data of one record: complete, nothing after
// it, names not compressed. Data of unknown types passes (RFC 3597).
func CheckData(typ uint16, d []byte) error {
	switch typ {
	case dns.TypeA:
		return length(d, 4)
	case dns.TypeAAAA:
		return length(d, 16)
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		return onlyName(d)
	case dns.TypeMX:
		if len(d) < 3 {
			return fmt.Errorf("the data ends early")
		}
		return onlyName(d[2:])
	case dns.TypeTXT, dns.TypeSPF:
		if len(d) == 0 {
			return fmt.Errorf("a text record has at least one string")
		}
		for i := 0; i < len(d); {
			if i += int(d[i]) + 1; i > len(d) {
				return fmt.Errorf("a string does not end")
			}
		}
		return nil
	}
	if len(d) > 65535 {
		return fmt.Errorf("the data has more than 65535 bytes")
	}
	if _, known := dns.TypeToRR[typ]; !known {
		return nil
	}
	return reread(typ, d)
}

// reread unpacks data and packs it again: what comes out otherwise than it went
// in is not what a validator would see.
func reread(typ uint16, d []byte) (err error) {
	if len(d) == 0 {
		return fmt.Errorf("the data is empty")
	}
	h := dns.RR_Header{Name: ".", Rrtype: typ, Class: dns.ClassINET, Rdlength: uint16(len(d))}
	rr, n, err := dns.UnpackRRWithHeader(h, d, 0)
	if err != nil || n != len(d) {
		return fmt.Errorf("the data is malformed: %v", err)
	}
	buf := make([]byte, len(d)+64)
	n, err = dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return fmt.Errorf("the data is malformed: %w", err)
	}
	if n < 11 || !bytes.Equal(buf[11:n], d) {
		return fmt.Errorf("the data is not in plain form: a name is compressed, or something follows")
	}
	return nil
}

func length(d []byte, n int) error {
	if len(d) != n {
		return fmt.Errorf("the data has %d bytes instead of %d", len(d), n)
	}
	return nil
}

func onlyName(d []byte) error {
	n, err := nameLength(d)
	if err == nil && n != len(d) {
		err = fmt.Errorf("something follows the name")
	}
	return err
}
