package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

// Bounds of a transfer.
const (
	maxBytes   = 64 << 20
	maxRecords = 1_000_000
	maxIdle    = 20 * time.Second // without a message
	maxTime    = 10 * time.Minute
)

// Primary is whom a zone is asked of.
type Primary struct {
	Address string // "192.0.2.1:53"
	Key     *Key   // nil: not signed
}

// How a zone has come.
const (
	AXFR = "axfr"
	IXFR = "ixfr"
	Same = "same" // it was not: the version held is the newest
)

// Result is what came.
type Result struct {
	Content *Content // what was held, with Same
	How     string
	Records int // that were sent
	Bytes   int
}

// Client takes zones over. Its fields are not changed once it is used.
type Client struct {
	// Dial connects to "ip:port", when that may be dialled; netguard.Policy has
	// one. Error: fault.Forbidden when it may not.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Now  func() time.Time // nil: time.Now

	bytes, records int           // 0: maxBytes, maxRecords
	idle           time.Duration // 0: maxIdle
}

// Fetch brings a zone to the primary's version: by a difference to have, when
// there is something and the primary gives one. The error is an *Error.
func (c *Client) Fetch(ctx context.Context, apex string, p Primary, have *Content) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	if have != nil {
		r, err := c.ask(ctx, apex, p, have, dns.TypeIXFR)
		if err == nil {
			return r, nil
		}
		if !err.again || ctx.Err() != nil {
			return Result{}, err
		}
	}
	r, err := c.ask(ctx, apex, p, have, dns.TypeAXFR)
	if err != nil {
		return Result{}, err
	}
	return r, nil
}

// ask makes one connection for one question.
func (c *Client) ask(ctx context.Context, apex string, p Primary, have *Content, typ uint16) (Result, *Error) {
	conn, err := c.Dial(ctx, "tcp", p.Address)
	if err != nil {
		return Result{}, unreachable(p.Address, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	query, signer, err := c.query(apex, p.Key, have, typ)
	if err != nil {
		return Result{}, failed(Malformed, "write the zone's and the key's name as domain names", "the query cannot be written: %v", err)
	}
	idle := c.idle
	if idle == 0 {
		idle = maxIdle
	}
	if err := conn.SetWriteDeadline(time.Now().Add(idle)); err != nil {
		return Result{}, unreachable(p.Address, err)
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return Result{}, unreachable(p.Address, err)
	}
	a := &answer{
		id: binary.BigEndian.Uint16(query), typ: typ, signer: signer, now: c.now,
		stream: &stream{apex: apex, have: have, ixfr: typ == dns.TypeIXFR, limit: orDefault(c.records, maxRecords)}, bytes: orDefault(c.bytes, maxBytes),
	}
	for !a.finished() {
		if err := conn.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return Result{}, unreachable(p.Address, err)
		}
		if ctx.Err() != nil { // it may have ended before the deadline was moved
			return Result{}, failed(TimedOut, "look at the primary's load and at the network between", "the transfer took longer than %s, or was given up", maxTime)
		}
		message, err := readMessage(conn)
		if err != nil {
			e := unreachable(p.Address, err)
			e.again = typ == dns.TypeIXFR && e.Reason != Forbidden // some answer what they do not do by closing
			return Result{}, e
		}
		if err := a.message(message); err != nil {
			return Result{}, err
		}
	}
	return a.result(), nil
}

func orDefault(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Client) query(apex string, key *Key, have *Content, typ uint16) ([]byte, *signing, error) {
	q := new(dns.Msg)
	q.Id = uint16(rand.Uint32())
	q.Question = []dns.Question{{Name: dns.Fqdn(apex), Qtype: typ, Qclass: dns.ClassINET}}
	if typ == dns.TypeIXFR {
		q.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: dns.Fqdn(apex), Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: ".", Serial: have.SOA.Serial,
		}}
	}
	wire, err := q.Pack()
	if err != nil || key == nil {
		return wire, nil, err
	}
	s := &signing{key: key}
	wire, err = s.sign(wire, c.now())
	return wire, s, err
}

func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func unreachable(address string, err error) *Error {
	var timeout net.Error
	switch {
	case fault.Is(err, fault.Forbidden):
		return failed(Forbidden, "use an address that may be reached from here", "%v", err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return failed(TimedOut, "let the control plane's address through to the primary's TCP port, in firewalls between too", "%s does not answer in time", address)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failed(Unreachable, "look at the primary's log: it may not give transfers to this address", "%s closed the connection before the transfer was over", address)
	}
	return failed(Unreachable, "look whether the primary runs, and answers over TCP at this address and port", "%s cannot be reached: %s", address, fault.Network(err))
}

// answer is what comes on one connection.
type answer struct {
	id       uint16
	typ      uint16
	signer   *signing // nil: not signed
	now      func() time.Time
	stream   *stream
	bytes    int // that may still come
	messages int
	took     int
}

// finished reports that all has come, and that it is covered by signatures.
func (a *answer) finished() bool {
	return a.stream.done() && (a.signer == nil || a.signer.whole())
}

func (a *answer) result() Result {
	r := Result{Content: a.stream.next, How: AXFR, Records: a.stream.records, Bytes: a.took}
	switch {
	case a.stream.state == same:
		r.How, r.Content = Same, a.stream.have
	case a.stream.difference:
		r.How = IXFR
	}
	return r
}

// message takes one message in.
func (a *answer) message(b []byte) *Error {
	if a.took += len(b); a.took > a.bytes {
		return failed(TooLarge, "split the zone, or have the operator look at the bounds", "the transfer has more than %d bytes", a.bytes)
	}
	m := new(dns.Msg)
	if len(b) >= 12 && (binary.BigEndian.Uint16(b) != a.id || b[2]&0x80 == 0) {
		return failed(Malformed, "look at the primary's software", "the answer belongs to another question")
	}
	if a.signer != nil {
		if err := a.signer.verify(b, a.now()); err != nil {
			if rcode := int(b[min(3, len(b)-1)] & 15); err.Reason == BadSig && !a.signer.later && rcode != dns.RcodeSuccess && rcode != dns.RcodeNotAuth {
				return a.refused(rcode) // an error that is not signed says more than that it is not
			}
			return err
		}
	}
	if err := m.Unpack(b); err != nil {
		return failed(Malformed, "look at the primary's zone: edges could not serve such a record either", "a message cannot be read: %v", err)
	}
	if m.Opcode != dns.OpcodeQuery || m.Truncated {
		return failed(Malformed, "look at the primary's software", "the answer is not one to a transfer")
	}
	if m.Rcode != dns.RcodeSuccess {
		return a.refused(m.Rcode)
	}
	if len(m.Question) > 1 || len(m.Question) == 1 && (dns.CanonicalName(m.Question[0].Name) != dns.Fqdn(a.stream.apex) || m.Question[0].Qtype != a.typ) {
		return failed(Malformed, "look at the primary's software", "the answer belongs to another question")
	}
	if len(m.Answer) == 0 {
		if a.messages > 0 && a.stream.done() {
			return nil // it brings the last signature
		}
		e := failed(Refused, "configure the zone at this server as its primary, and allow the transfer", "the server answers, and has nothing of the zone")
		e.again = a.typ == dns.TypeIXFR
		return e
	}
	a.messages++
	for _, rr := range m.Answer {
		if err := a.stream.take(rr); err != nil {
			err.again = err.again && a.typ == dns.TypeIXFR
			return err
		}
	}
	return nil
}

// refused explains a code.
func (a *answer) refused(rcode int) *Error {
	var e *Error
	switch rcode {
	case dns.RcodeRefused:
		fix := "allow transfers of the zone to the control plane's address at the primary"
		if a.signer != nil {
			fix = "allow transfers of the zone with the key " + a.signer.key.Name + " at the primary"
		}
		e = failed(Refused, fix, "the primary refuses the transfer")
	case dns.RcodeNotAuth:
		e = failed(Refused, "configure the zone at this server, or name its true primary", "the server is not an authority of the zone")
	case dns.RcodeNotImplemented, dns.RcodeFormatError:
		e = failed(Refused, "allow transfers of the zone at the primary", "the server does not do transfers: %s", dns.RcodeToString[rcode])
	default:
		e = failed(Refused, "look at the primary's log", "the primary answers %s", dns.RcodeToString[rcode])
	}
	// A server that does not do differences says so in many ways.
	e.again = a.typ == dns.TypeIXFR
	return e
}
