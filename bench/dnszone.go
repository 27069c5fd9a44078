package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/edgeconfig"
)

const benchZone = "bench.example."

// benchRecords is a zone of 10,000 names: hosts, aliases, mail domains, texts
// and wildcards.
func benchRecords() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("$ORIGIN %s\n$TTL 3600\n@ IN SOA ns1 hostmaster 2026010101 7200 3600 1209600 300", benchZone)
	line("@ IN NS ns1\n@ IN NS ns2\nns1 IN A 192.0.2.1\nns1 IN AAAA 2001:db8::1\nns2 IN A 192.0.2.2\nns2 IN AAAA 2001:db8::2")
	line("@ IN A 192.0.2.10\n@ IN MX 10 mx1\n@ IN TXT \"v=spf1 mx -all\"\nmx1 IN A 192.0.2.20\nmx1 IN AAAA 2001:db8::20\nmx2 IN A 192.0.2.21")
	for i := range 7000 {
		line("h%05d IN A 198.51.%d.%d", i, i/250%100, i%250)
		if i%2 == 0 {
			line("h%05d IN AAAA 2001:db8:1::%x", i, i)
		}
		if i%10 == 0 {
			line("h%05d IN A 203.0.113.%d", i, i%250)
		}
	}
	for i := range 1000 {
		line("c%05d IN CNAME h%05d", i, i*7)
	}
	for i := range 1000 {
		line("m%05d IN MX 10 mx1\nm%05d IN MX 20 mx2", i, i)
	}
	for i := range 980 {
		line("t%05d IN TXT \"token=%08x-abcdefghijklmnopqrstuvwxyz0123456789\"", i, i)
	}
	for i := range 10 {
		line("*.w%d IN A 192.0.2.%d\n*.w%d IN TXT \"wild %d\"", i, 100+i, i, i)
	}
	return b.String()
}

// writeQueries draws 20,000 questions.
func writeQueries(file string) error {
	random := rand.New(rand.NewPCG(53, 53))
	var b strings.Builder
	ask := func(typ, format string, args ...any) { fmt.Fprintf(&b, format+"."+benchZone+" "+typ+"\n", args...) }
	for range 20000 {
		switch p := random.IntN(100); {
		case p < 40:
			ask("A", "h%05d", random.IntN(7000))
		case p < 55:
			ask("AAAA", "h%05d", 2*random.IntN(3500))
		case p < 65:
			ask("A", "c%05d", random.IntN(1000))
		case p < 73:
			ask("MX", "m%05d", random.IntN(1000))
		case p < 80:
			ask("TXT", "t%05d", random.IntN(980))
		case p < 85:
			ask("A", "x%d.w%d", random.IntN(100000), random.IntN(10))
		case p < 90: // NODATA
			ask("AAAA", "h%05d", random.IntN(3500)*2+1)
		default:
			ask("A", "nx%d", random.IntN(1000000))
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// zoneContent is a zone in the form that documents are made of.
type zoneContent struct {
	Head  edgeconfig.Zone
	Names []edgeconfig.ZoneName
	NSEC3 []edgeconfig.ZoneNSEC3
}

// parseZone reads records without signatures.
func parseZone(id, apex, text string) (zoneContent, error) {
	c := zoneContent{Head: edgeconfig.Zone{ID: id, Project: "bench", Environment: "production", Name: strings.TrimSuffix(apex, ".")}}
	index := map[string]int{}
	p := dns.NewZoneParser(strings.NewReader(text), apex, "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		h := rr.Header()
		if s, is := rr.(*dns.SOA); is {
			c.Head.SOA = edgeconfig.SOA{TTL: h.Ttl, MName: s.Ns, RName: s.Mbox, Serial: s.Serial, Refresh: s.Refresh, Retry: s.Retry, Expire: s.Expire, Minimum: s.Minttl}
			continue
		}
		name := "@"
		if h.Name != apex {
			name = strings.TrimSuffix(h.Name, "."+apex)
		}
		i, known := index[name]
		if !known {
			i = len(c.Names)
			index[name], c.Names = i, append(c.Names, edgeconfig.ZoneName{Name: name})
		}
		data, err := rdata(rr)
		if err != nil {
			return c, err
		}
		n := &c.Names[i]
		if last := len(n.Sets) - 1; last >= 0 && n.Sets[last].Type == h.Rrtype {
			n.Sets[last].Data = append(n.Sets[last].Data, data)
			continue
		}
		added := false
		for j := range n.Sets {
			if n.Sets[j].Type == h.Rrtype {
				n.Sets[j].Data, added = append(n.Sets[j].Data, data), true
			}
		}
		if !added {
			n.Sets = append(n.Sets, edgeconfig.RRset{Type: h.Rrtype, TTL: h.Ttl, Data: [][]byte{data}})
		}
	}
	return c, p.Err()
}

func rdata(rr dns.RR) ([]byte, error) {
	b := make([]byte, 65536)
	c := dns.Copy(rr)
	c.Header().Name = "."
	n, err := dns.PackRR(c, b, 0, nil, false)
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), b[11:n]...), nil
}

// writeZone leaves the zone in a folder in two forms: as a file for the peers,
// as content for this server.
func writeZone(dir string, sign bool) error {
	c, err := parseZone("zon_bench", benchZone, benchRecords())
	if err != nil {
		return err
	}
	text := benchRecords()
	if sign {
		key, err := dnssec.Generate(dnssec.CSK, dnssec.ECDSAP256)
		if err != nil {
			return err
		}
		s, err := dnssec.Sign(nil, c.Head, c.Names, []*dnssec.Key{key}, dnssec.Policy{Denial: edgeconfig.DenialNSEC}, time.Now())
		if err != nil {
			return err
		}
		c = zoneContent{s.Head, s.Names, s.NSEC3}
		if text, err = c.text(); err != nil {
			return err
		}
	}
	steer(&c)
	content, err := json.Marshal(c)
	return errors.Join(err, os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "bench.zone"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "zone.json"), content, 0o644))
}

// steer gives every hundredth host an answer of its own in some countries, the
// same as elsewhere, so that all servers say the same.
func steer(c *zoneContent) {
	for i := range c.Names {
		for j := range c.Names[i].Sets {
			s := &c.Names[i].Sets[j]
			if s.Type == dns.TypeA && c.Names[i].Name[0] == 'h' && strings.HasSuffix(c.Names[i].Name, "00") {
				s.Variants = []edgeconfig.Variant{
					{Countries: []string{"DE", "FR"}, Data: s.Data, Sigs: s.Sigs},
					{Continents: []string{"EU"}, Data: s.Data, Sigs: s.Sigs},
				}
			}
		}
	}
}

// text is the zone as a file.
func (c *zoneContent) text() (string, error) {
	var b strings.Builder
	apex := c.Head.Name + "."
	add := func(owner string, typ uint16, ttl uint32, data, sigs [][]byte) error {
		for i, d := range append(append([][]byte(nil), data...), sigs...) {
			as := typ
			if i >= len(data) {
				as = dns.TypeRRSIG
			}
			rr, _, err := dns.UnpackRRWithHeader(dns.RR_Header{Name: owner, Rrtype: as, Class: dns.ClassINET, Ttl: ttl, Rdlength: uint16(len(d))}, d, 0)
			if err != nil {
				return err
			}
			fmt.Fprintln(&b, rr)
		}
		return nil
	}
	soa, err := c.Head.SOA.Pack()
	if err != nil {
		return "", err
	}
	if err := add(apex, dns.TypeSOA, c.Head.SOA.TTL, [][]byte{soa}, c.Head.SOASigs); err != nil {
		return "", err
	}
	for _, n := range c.Names {
		owner := apex
		if n.Name != "@" {
			owner = n.Name + "." + apex
		}
		for _, s := range n.Sets {
			if err := add(owner, s.Type, s.TTL, s.Data, s.Sigs); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}

// documents makes the documents of a version.
func (c *zoneContent) documents(revision int64) ([]edgeconfig.Document, error) {
	bodies, err := edgeconfig.SplitZone(&c.Head, c.Names, c.NSEC3, c.Head.Parts)
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(&c.Head)
	if err != nil {
		return nil, err
	}
	docs := []edgeconfig.Document{{Key: edgeconfig.ZoneKey(c.Head.ID), Scope: edgeconfig.ScopeAll, Revision: revision, Hash: edgeconfig.HashBody(head), Body: head}}
	for i, body := range bodies {
		docs = append(docs, edgeconfig.Document{Key: edgeconfig.ZonePartKey(c.Head.ID, i), Scope: edgeconfig.ScopeAll, Revision: revision, Hash: edgeconfig.HashBody(body), Body: body})
	}
	return docs, nil
}
