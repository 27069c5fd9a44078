// Package lookuptest runs a small DNS on loopback for tests: real servers for
// zones, each on an address of its own with one port, and a resolver over them.
package lookuptest

import (
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// World is a tree of zones. Its methods may be called from any goroutine.
type World struct {
	t    testing.TB
	Port string // of all servers

	mu        sync.Mutex
	zones     map[string]*Zone
	addresses map[string]string // server's name -> address
	queries   map[string]int    // "127.0.0.2 name type" -> how often
	stale     map[string][]dns.RR
}

// Zone is what the servers of one zone answer from.
type Zone struct {
	apex    string
	servers []string // addresses
	records []dns.RR
	cuts    map[string][]dns.RR // delegations below: NS and DS
	lame    map[string]bool     // servers that answer REFUSED
	own     map[string][]dns.RR // what one server answers in place of the records
}

// New returns an empty world whose first server listens on 127.0.0.2.
func New(t testing.TB) *World {
	t.Helper()
	return &World{t: t, zones: map[string]*Zone{}, addresses: map[string]string{}, queries: map[string]int{}, stale: map[string][]dns.RR{}}
}

// listen starts a server for UDP and TCP on an address, on the world's port.
func (w *World) listen(address string, h dns.HandlerFunc) {
	w.t.Helper()
	pc, l, err := bind(address, w.Port)
	// The port has to be free at all addresses to come, so it is none that the
	// kernel gives to connections.
	for attempt := 0; w.Port == "" && attempt < 100; attempt++ {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		if pc, l, err = bind(address, port); err == nil {
			w.Port = port
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		started, done := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(done)
			_ = s.ActivateAndServe()
		}()
		<-started
		w.t.Cleanup(func() {
			_ = s.Shutdown()
			<-done
		})
	}
}

func bind(address, port string) (net.PacketConn, net.Listener, error) {
	if port == "" {
		return nil, nil, errors.New("no port was chosen")
	}
	pc, err := net.ListenPacket("udp", net.JoinHostPort(address, port))
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(address, port))
	if err != nil {
		_ = pc.Close()
	}
	return pc, l, err
}

// Resolver starts a recursive resolver on 127.0.0.1 and returns its address.
func (w *World) Resolver(address string) string {
	w.t.Helper()
	w.listen(address, func(rw dns.ResponseWriter, q *dns.Msg) { w.resolve(rw, q, address) })
	return net.JoinHostPort(address, w.Port)
}

// Serve makes a zone with one server at each address, named ns1.<apex>, ns2.<apex>
// unless names are given, and delegates it from the zone above, where there is
// one.
func (w *World) Serve(apex string, addresses []string, names ...string) *Zone {
	w.t.Helper()
	z := &Zone{apex: dns.Fqdn(apex), servers: addresses, cuts: map[string][]dns.RR{}, lame: map[string]bool{}, own: map[string][]dns.RR{}}
	w.mu.Lock()
	w.zones[z.apex] = z
	w.mu.Unlock()
	w.Set(apex, "SOA", "ns1."+z.apex+" hostmaster."+z.apex+" 1 3600 600 86400 60")
	var servers []string
	for i, address := range addresses {
		name := "ns" + string(rune('1'+i)) + "." + z.apex
		if i < len(names) {
			name = dns.Fqdn(names[i])
		}
		servers = append(servers, name)
		w.mu.Lock()
		w.addresses[name] = address
		w.mu.Unlock()
		w.listen(address, func(rw dns.ResponseWriter, q *dns.Msg) { w.answer(rw, q, z, address) })
		if dns.IsSubDomain(z.apex, name) {
			w.Set(name, "A", address)
		}
	}
	w.Set(apex, "NS", servers...)
	w.Delegate(apex, servers, nil)
	return z
}

// Delegate sets what the zone above says of a zone.
func (w *World) Delegate(apex string, servers, ds []string) {
	w.t.Helper()
	var rrs []dns.RR
	for _, s := range servers {
		rrs = append(rrs, w.rr(apex, "NS", dns.Fqdn(s)))
	}
	for _, d := range ds {
		rrs = append(rrs, w.rr(apex, "DS", d))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, above, _ := strings.Cut(dns.Fqdn(apex), ".")
	if parent := w.zoneOf(above); parent != nil {
		parent.cuts[dns.Fqdn(apex)] = rrs
	}
}

func (w *World) rr(name, typ, value string) dns.RR {
	w.t.Helper()
	rr, err := dns.NewRR(dns.Fqdn(name) + " 60 IN " + typ + " " + value)
	if err != nil || rr == nil {
		w.t.Fatalf("%s %s %s: %v", name, typ, value, err)
	}
	return rr
}

// Set replaces the records of a name and type; none removes them.
func (w *World) Set(name, typ string, values ...string) {
	w.t.Helper()
	var rrs []dns.RR
	for _, v := range values {
		rrs = append(rrs, w.rr(name, typ, v))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	z := w.zoneOf(dns.Fqdn(name))
	if z == nil {
		w.t.Fatalf("no zone serves %s", name)
	}
	z.records = slices.DeleteFunc(z.records, func(rr dns.RR) bool {
		return strings.EqualFold(rr.Header().Name, dns.Fqdn(name)) && rr.Header().Rrtype == dns.StringToType[typ]
	})
	z.records = append(z.records, rrs...)
}

// Stale makes one resolver answer a question from its cache: with these values,
// whatever the zone says by now.
func (w *World) Stale(resolver, name, typ string, values ...string) {
	rrs := []dns.RR{}
	for _, v := range values {
		rrs = append(rrs, w.rr(name, typ, v))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stale[resolver+" "+dns.Fqdn(name)+" "+typ] = rrs
}

// Lame makes a server of a zone refuse what it is asked.
func (w *World) Lame(z *Zone, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	z.lame[address] = true
}

// Only makes one server of a zone answer for a name from these records alone.
func (w *World) Only(z *Zone, address, name, typ string, values ...string) {
	rrs := []dns.RR{}
	for _, v := range values {
		rrs = append(rrs, w.rr(name, typ, v))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	z.own[address+" "+dns.Fqdn(name)+" "+typ] = rrs
}

// Queries tells how often an address was asked for a name and type.
func (w *World) Queries(address, name, typ string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queries[address+" "+dns.Fqdn(name)+" "+typ]
}

func (w *World) zoneOf(name string) *Zone {
	for at := strings.ToLower(name); ; {
		if z := w.zones[at]; z != nil {
			return z
		}
		_, rest, ok := strings.Cut(at, ".")
		if !ok || rest == "" {
			return w.zones["."]
		}
		at = rest
	}
}

func (w *World) count(address string, q dns.Question) {
	w.queries[address+" "+strings.ToLower(q.Name)+" "+dns.TypeToString[q.Qtype]]++
}

// answer is an authoritative server.
func (w *World) answer(rw dns.ResponseWriter, query *dns.Msg, z *Zone, address string) {
	w.mu.Lock()
	m := new(dns.Msg)
	m.SetReply(query)
	q := query.Question[0]
	w.count(address, q)
	switch own, has := z.own[address+" "+strings.ToLower(q.Name)+" "+dns.TypeToString[q.Qtype]]; {
	case z.lame[address] || !dns.IsSubDomain(z.apex, q.Name):
		m.Rcode = dns.RcodeRefused
	case has:
		m.Authoritative, m.Answer = true, own
		if len(own) == 0 {
			m.Rcode = dns.RcodeNameError
		}
	default:
		z.fill(m, q)
	}
	w.mu.Unlock()
	send(rw, m)
}

// send cuts an answer to what fits into a datagram.
func send(rw dns.ResponseWriter, m *dns.Msg) {
	if _, udp := rw.RemoteAddr().(*net.UDPAddr); udp {
		m.Truncate(1232)
	}
	_ = rw.WriteMsg(m)
}

// fill answers from the zone: a referral below a cut, a CNAME, the records, or
// nothing with the SOA.
func (z *Zone) fill(m *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	for cut, rrs := range z.cuts {
		if !dns.IsSubDomain(cut, name) {
			continue
		}
		if name == cut && q.Qtype == dns.TypeDS {
			m.Authoritative, m.Answer = true, ofType(rrs, dns.TypeDS)
			return
		}
		m.Ns = ofType(rrs, dns.TypeNS)
		return
	}
	m.Authoritative = true
	exists := false
	for range 8 {
		next := ""
		for _, rr := range z.records {
			owner := strings.ToLower(rr.Header().Name)
			exists = exists || owner == name || strings.HasSuffix(owner, "."+name)
			if owner != name {
				continue
			}
			if rr.Header().Rrtype == q.Qtype {
				m.Answer = append(m.Answer, rr)
			} else if c, ok := rr.(*dns.CNAME); ok {
				m.Answer = append(m.Answer, rr)
				next = strings.ToLower(c.Target)
			}
		}
		if next == "" || !dns.IsSubDomain(z.apex, next) {
			break
		}
		name = next
	}
	if len(m.Answer) == 0 {
		m.Ns = ofType(z.records, dns.TypeSOA)
		if !exists && !dns.IsSubDomain(name, z.apex) {
			m.Rcode = dns.RcodeNameError
		}
	}
}

func ofType(rrs []dns.RR, typ uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		if rr.Header().Rrtype == typ {
			out = append(out, rr)
		}
	}
	return out
}

// resolve is a recursive resolver: it answers from the zones.
func (w *World) resolve(rw dns.ResponseWriter, query *dns.Msg, address string) {
	w.mu.Lock()
	m := new(dns.Msg)
	m.SetReply(query)
	m.RecursionAvailable = true
	q := query.Question[0]
	w.count(address, q)
	if rrs, ok := w.stale[address+" "+strings.ToLower(q.Name)+" "+dns.TypeToString[q.Qtype]]; ok {
		if m.Answer = rrs; len(rrs) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		w.mu.Unlock()
		send(rw, m)
		return
	}
	name := strings.ToLower(q.Name)
	for range 8 {
		z := w.zoneOf(name)
		if _, above, _ := strings.Cut(name, "."); q.Qtype == dns.TypeDS && z != nil && z.apex == name {
			z = w.zoneOf(above)
		}
		if z == nil {
			m.Rcode = dns.RcodeNameError
			break
		}
		part := new(dns.Msg)
		part.SetReply(query)
		z.fill(part, dns.Question{Name: name, Qtype: q.Qtype, Qclass: q.Qclass})
		m.Answer, m.Ns, m.Rcode = append(m.Answer, part.Answer...), part.Ns, part.Rcode
		if len(part.Answer) == 0 {
			break
		}
		c, ok := part.Answer[len(part.Answer)-1].(*dns.CNAME)
		if !ok || q.Qtype == dns.TypeCNAME {
			break
		}
		name = strings.ToLower(c.Target)
	}
	w.mu.Unlock()
	send(rw, m)
}
