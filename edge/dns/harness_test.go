package dns

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// records reads a zone file without $ORIGIN.
func records(t tester, apex, text string) []dns.RR {
	t.Helper()
	var out []dns.RR
	p := dns.NewZoneParser(strings.NewReader(text), apex, "")
	p.SetDefaultTTL(3600)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		out = append(out, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

const soaLine = "@ 3600 IN SOA ns1 hostmaster 1 7200 3600 1209600 300\n"

// content is a zone as documents need it.
type content struct {
	head  edgeconfig.Zone
	names []edgeconfig.ZoneName
	nsec3 []edgeconfig.ZoneNSEC3
}

// contentOf turns records, signatures among them, into a zone.
func contentOf(t tester, id, apex string, rrs []dns.RR) content {
	t.Helper()
	c := content{head: edgeconfig.Zone{ID: id, Project: "default", Environment: "production", Name: strings.TrimSuffix(apex, ".")}}
	byName := map[string]map[uint16]*edgeconfig.RRset{}
	hashed := map[string]*edgeconfig.ZoneNSEC3{}
	for _, rr := range rrs {
		owner, typ := strings.ToLower(rr.Header().Name), rr.Header().Rrtype
		sig, isSig := rr.(*dns.RRSIG)
		if isSig {
			typ = sig.TypeCovered
		}
		switch {
		case typ == dns.TypeSOA && isSig:
			c.head.SOASigs = append(c.head.SOASigs, rdata(rr))
			if c.head.Denial == "" {
				c.head.Denial = edgeconfig.DenialNSEC
			}
			continue
		case typ == dns.TypeSOA:
			s := rr.(*dns.SOA)
			c.head.SOA = edgeconfig.SOA{TTL: s.Hdr.Ttl, MName: s.Ns, RName: s.Mbox, Serial: s.Serial, Refresh: s.Refresh, Retry: s.Retry, Expire: s.Expire, Minimum: s.Minttl}
			continue
		case typ == dns.TypeNSEC3:
			c.head.Denial = edgeconfig.DenialNSEC3
			n := hashed[owner]
			if n == nil {
				h, err := base32hex.DecodeString(strings.ToUpper(owner[:32]))
				if err != nil {
					t.Fatalf("%v", err)
				}
				n = &edgeconfig.ZoneNSEC3{Hash: h, TTL: rr.Header().Ttl}
				hashed[owner] = n
			}
			if isSig {
				n.Sigs = append(n.Sigs, rdata(rr))
			} else {
				n.Data = rdata(rr)
			}
			continue
		}
		relative := "@"
		if owner != apex {
			relative = strings.TrimSuffix(owner, "."+apex)
		}
		if byName[relative] == nil {
			byName[relative] = map[uint16]*edgeconfig.RRset{}
		}
		s := byName[relative][typ]
		if s == nil {
			s = &edgeconfig.RRset{Type: typ, TTL: rr.Header().Ttl}
			byName[relative][typ] = s
		}
		if isSig {
			s.Sigs = append(s.Sigs, rdata(rr))
		} else {
			s.Data = append(s.Data, rdata(rr))
		}
	}
	for name, sets := range byName {
		n := edgeconfig.ZoneName{Name: name}
		for _, s := range sets {
			n.Sets = append(n.Sets, *s)
		}
		c.names = append(c.names, n)
	}
	for _, n := range hashed {
		c.nsec3 = append(c.nsec3, *n)
	}
	return c
}

// documents makes the zone's documents, head last.
func (c *content) documents(t tester, revision int64) []edgeconfig.Document {
	t.Helper()
	bodies, err := edgeconfig.SplitZone(&c.head, c.names, c.nsec3, c.head.Parts)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var docs []edgeconfig.Document
	for i, b := range bodies {
		docs = append(docs, document(edgeconfig.ZonePartKey(c.head.ID, i), revision, b))
	}
	head, err := json.Marshal(&c.head)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return append(docs, document(edgeconfig.ZoneKey(c.head.ID), revision, head))
}

func document(key string, revision int64, body []byte) edgeconfig.Document {
	return edgeconfig.Document{Key: key, Scope: edgeconfig.ScopeAll, Revision: revision, Hash: edgeconfig.HashBody(body), Body: body}
}

// apply fails the test when a document is rejected. Parts that did not change
// are left out, as the control plane leaves them out.
func apply(t tester, z *Zones, docs []edgeconfig.Document) {
	t.Helper()
	fresh := slices.DeleteFunc(slices.Clone(docs), func(d edgeconfig.Document) bool { return z.held[d.Key].hash == d.Hash })
	for _, item := range z.Apply(fresh) {
		if item.State != edgeconfig.Applied {
			t.Fatalf("%s: %s %s", item.Key, item.State, item.Reason)
		}
	}
}

// serve is a responder over zone files: apex -> text.
func serve(t tester, zones map[string]string) *responder {
	t.Helper()
	s := testResponder()
	for apex, text := range zones {
		c := contentOf(t, "zon_"+strings.ReplaceAll(apex, ".", "_"), apex, records(t, apex, soaLine+text))
		apply(t, s.zones, c.documents(t, 1))
	}
	return s
}

func testResponder() *responder {
	return &responder{
		heard: newHeard(time.Now),
		zones: NewZones(), cookies: &cookieJar{secrets: [][16]byte{{1, 2, 3}}}, nsid: "edge-1", udpSize: 1232, idle: 10 * time.Second,
		now: func() time.Time { return time.Unix(1_800_000_000, 0) },
	}
}

var (
	testCompose  = func() *compose { return new(compose) }
	testClient   = netip.MustParseAddr("198.51.100.7")
	testCounters counters
)

// exchange passes a message through the responder and reads the answer with
// miekg/dns; nil when there is none.
func exchange(t tester, s *responder, q *dns.Msg, tcp bool) *dns.Msg {
	t.Helper()
	wire, err := q.Pack()
	if err != nil {
		t.Fatalf("%v", err)
	}
	answer := exchangeWire(s, wire, tcp)
	if answer == nil {
		return nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(answer); err != nil {
		t.Fatalf("the answer to %v is malformed: %v\n%x", q.Question, err, answer)
	}
	return m
}

func exchangeWire(s *responder, wire []byte, tcp bool) []byte {
	size := 1600
	if tcp {
		size = maxTCP
	}
	b := make([]byte, size)
	c := testCompose()
	c.private = tcp // as below TLS
	c.second = uint32(s.now().Unix())
	n := s.answer(c, &testCounters, b, copy(b, wire), testClient, tcp)
	if n == 0 {
		return nil
	}
	return b[:n]
}

func question(name string, typ uint16, do bool) *dns.Msg {
	q := new(dns.Msg).SetQuestion(name, typ)
	q.RecursionDesired = false
	if do {
		q.SetEdns0(1232, true)
	}
	return q
}

// lines renders a section for comparison: as a set, owners in lower case.
func lines(rrs []dns.RR) (out []string) {
	for _, rr := range rrs {
		if rr.Header().Rrtype == dns.TypeOPT {
			continue
		}
		c := dns.Copy(rr)
		c.Header().Name = strings.ToLower(c.Header().Name)
		switch x := c.(type) { // compression takes names over from the question
		case *dns.NS:
			x.Ns = strings.ToLower(x.Ns)
		case *dns.CNAME:
			x.Target = strings.ToLower(x.Target)
		case *dns.MX:
			x.Mx = strings.ToLower(x.Mx)
		case *dns.SOA:
			x.Ns, x.Mbox = strings.ToLower(x.Ns), strings.ToLower(x.Mbox)
		}
		out = append(out, c.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// same compares an answer with the oracle's.
func same(t tester, label string, got, want *dns.Msg) {
	t.Helper()
	if got == nil {
		t.Fatalf("%s: no answer", label)
	}
	if got.Rcode != want.Rcode || got.Authoritative != want.Authoritative || got.Truncated {
		t.Errorf("%s: rcode %d, AA %v, TC %v; want rcode %d, AA %v", label, got.Rcode, got.Authoritative, got.Truncated, want.Rcode, want.Authoritative)
	}
	for _, s := range []struct {
		name      string
		got, want []dns.RR
	}{{"answer", got.Answer, want.Answer}, {"authority", got.Ns, want.Ns}, {"additional", got.Extra, want.Extra}} {
		if g, w := lines(s.got), lines(s.want); !slices.Equal(g, w) {
			t.Errorf("%s: %s\n got  %s\n want %s", label, s.name, strings.Join(g, "\n      "), strings.Join(w, "\n      "))
		}
	}
}

func count(rrs []dns.RR) int {
	return len(slices.DeleteFunc(slices.Clone(rrs), func(r dns.RR) bool { return r.Header().Rrtype == dns.TypeOPT }))
}

var _ = testing.AllocsPerRun
