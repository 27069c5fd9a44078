package transfer

import (
	"github.com/miekg/dns"
)

// stream reads the records of an answer to AXFR or IXFR, in their order, however
// they are spread over messages (RFC 5936 section 2.2, RFC 1995 section 4).
type stream struct {
	apex string
	have *Content // nil: nothing
	ixfr bool     // what was asked for

	state      streamState
	last       dns.SOA // the first record: the version that all leads to
	at         uint32  // the version that a difference has come to
	difference bool
	next       *Content
	records    int
	limit      int
}

type streamState int

const (
	begins   streamState = iota
	second               // it tells a difference from a whole zone
	whole                // AXFR
	removing             // IXFR: what goes
	adding               // IXFR: what comes
	same                 // there is nothing new
	complete
)

func (s *stream) done() bool { return s.state == same || s.state == complete }

// newer compares serials (RFC 1982): whether a comes after b. Two that are half
// the circle apart have no order, and neither is newer.
func newer(a, b uint32) bool { return a != b && int32(a-b) > 0 }

// take takes one record in.
func (s *stream) take(rr dns.RR) *Error {
	if s.done() {
		if s.state == same {
			return nil // who gives the whole zone to IXFR goes on, and is not listened to
		}
		return failed(Malformed, "look at the primary's software", "records follow the end of the transfer")
	}
	if s.records++; s.records > s.limit {
		return failed(TooLarge, "split the zone, or have the operator look at the bounds", "the zone has more than %d records", s.limit)
	}
	soa, isSOA := rr.(*dns.SOA)
	if isSOA && !s.atApex(rr) {
		return failed(Malformed, "look at the primary's zone file", "there is an SOA record at %s, which is not the zone's name", rr.Header().Name)
	}
	switch s.state {
	case begins:
		return s.first(soa)
	case second:
		if isSOA && s.ixfr && s.have != nil && soa.Serial != s.last.Serial {
			if soa.Serial != s.have.SOA.Serial {
				return misfit("the difference begins at version %d, and %d is held", soa.Serial, s.have.SOA.Serial)
			}
			s.state, s.next, s.at, s.difference = removing, s.have.clone(), soa.Serial, true
			return nil
		}
		var err error
		if s.next, err = newContent(s.apex); err != nil {
			return failed(Malformed, "", "%v", err)
		}
		s.next.setSOA(&s.last)
		s.state = whole
		fallthrough
	case whole:
		if isSOA {
			return s.end(soa)
		}
		return s.put(rr)
	case removing:
		if isSOA {
			if !newer(soa.Serial, s.at) {
				return misfit("the difference leads from version %d to %d", s.at, soa.Serial)
			}
			s.state, s.at = adding, soa.Serial
			s.next.setSOA(soa)
			return nil
		}
		return s.remove(rr)
	case adding:
		switch {
		case !isSOA:
			return s.put(rr)
		case soa.Serial != s.at:
			return misfit("a difference to version %d is followed by one from %d", s.at, soa.Serial)
		case soa.Serial == s.last.Serial:
			return s.end(soa)
		}
		s.state = removing
		return nil
	}
	return nil
}

func (s *stream) atApex(rr dns.RR) bool {
	return dns.CanonicalName(rr.Header().Name) == dns.Fqdn(s.apex)
}

func (s *stream) first(soa *dns.SOA) *Error {
	if soa == nil {
		return failed(Malformed, "look at the primary's software", "the transfer does not begin with the SOA record")
	}
	s.last, s.state = *soa, second
	switch {
	case s.have == nil || newer(soa.Serial, s.have.SOA.Serial):
	case soa.Serial == s.have.SOA.Serial:
		s.state = same
	default:
		return failed(Older, "raise the serial at the primary above ours (RFC 1982), or ask for the whole zone again (refresh with \"whole\")",
			"the primary has version %d, and %d is held", soa.Serial, s.have.SOA.Serial)
	}
	return nil
}

// end closes the transfer with its last record, which repeats the first.
func (s *stream) end(soa *dns.SOA) *Error {
	if soa.Serial != s.last.Serial {
		return failed(Malformed, "look at the primary's software", "the transfer begins with version %d and ends with %d", s.last.Serial, soa.Serial)
	}
	s.next.setSOA(&s.last)
	s.state = complete
	return nil
}

func (s *stream) put(rr dns.RR) *Error {
	key, inside, err := s.next.key(rr)
	if err != nil {
		return failed(Malformed, "look at the record at the primary", "a record cannot be read: %v", err)
	}
	if !inside {
		return nil
	}
	_, there := s.next.records[key]
	if there && s.state == adding {
		return misfit("a record comes that is there: %s", short(rr))
	}
	s.next.records[key] = rr.Header().Ttl
	return nil
}

func (s *stream) remove(rr dns.RR) *Error {
	key, inside, err := s.next.key(rr)
	if err != nil {
		return failed(Malformed, "look at the record at the primary", "a record cannot be read: %v", err)
	}
	if !inside {
		return nil
	}
	if _, there := s.next.records[key]; !there {
		return misfit("a record goes that is not there: %s", short(rr))
	}
	delete(s.next.records, key)
	return nil
}

// short is a record for a message.
func short(rr dns.RR) string {
	text := rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype]
	return text[:min(len(text), 100)]
}
