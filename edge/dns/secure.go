package dns

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Exchange answers a message that came over a door that is not this server's own
// (DNS over HTTPS), as it is answered over TCP; zones are not transferred there.
// It returns nil for what is no query. seconds is how long the answer may be kept
// (RFC 8484 section 5.1): the least of its times to live, 0 when it has none.
func (s *Server) Exchange(message []byte, client netip.Addr) (answer []byte, seconds uint32) {
	if len(message) > tcpQuery {
		return nil, 0
	}
	x := s.stream.pool.Get().(*stream)
	defer s.stream.pool.Put(x)
	x.compose.stream, x.compose.private = nil, true
	x.compose.second = uint32(s.o.Now().Unix())
	n := s.responder.answer(&x.compose, s.https, x.message[:], copy(x.message[:], message), client.Unmap(), true)
	if n == 0 {
		return nil, 0
	}
	s.https.tcpQueries.Add(1)
	answer = append(answer, x.message[:n]...)
	return answer, lifetime(answer)
}

// lifetime is the least time to live of an answer that says something.
func lifetime(answer []byte) uint32 {
	var m dns.Msg
	if m.Unpack(answer) != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0
	}
	least, some := uint32(1<<31-1), false
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			least, some = min(least, rr.Header().Ttl), true
			if soa, ok := rr.(*dns.SOA); ok && len(m.Answer) == 0 {
				least = min(least, soa.Minttl)
			}
		}
	}
	if !some {
		return 0
	}
	return least
}
