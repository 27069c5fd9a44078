package dns

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// heavy is a zone of so many names, each with a text of about so many bytes,
// that may be transferred.
func heavy(t tester, id, apex string, names, size int) content {
	t.Helper()
	c := contentOf(t, id, apex, records(t, apex, soaLine+"@ IN NS ns1\nns1 IN A 192.0.2.1\n"))
	line := append([]byte{249}, bytes.Repeat([]byte{'x'}, 249)...)
	for i := range names {
		c.names = append(c.names, edgeconfig.ZoneName{Name: fmt.Sprint("t", i), Sets: []edgeconfig.RRset{{Type: dns.TypeTXT, TTL: 60, Data: [][]byte{bytes.Repeat(line, size/250)}}}})
	}
	c.head.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}}
	return c
}

// pipeline is a client that asks before it has been answered.
type pipeline struct {
	net.Conn
	t    *testing.T
	macs map[uint16]string // of the messages before, by ID of the question
	soas map[uint16]int    // seen
}

func newPipeline(t *testing.T, conn net.Conn) *pipeline {
	return &pipeline{Conn: conn, t: t, macs: map[uint16]string{}, soas: map[uint16]int{}}
}

func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

// plain is a question, ready to be sent.
func (p *pipeline) plain(id uint16, name string) []byte {
	q := question(name, dns.TypeA, false)
	q.Id = id
	wire, err := q.Pack()
	if err != nil {
		p.t.Fatal(err)
	}
	return framed(wire)
}

// signed is a question for a transfer: of all, or of what is new since a version.
func (p *pipeline) signed(id uint16, zone string, since uint32) []byte {
	q := new(dns.Msg).SetAxfr(zone)
	if since > 0 {
		q.SetIxfr(zone, since, ".", ".")
	}
	q.Id = id
	q.SetTsig(transferKey, dns.HmacSHA256, 300, time.Now().Unix())
	wire, mac, err := dns.TsigGenerate(q, base64.StdEncoding.EncodeToString(transferSecret), "", false)
	if err != nil {
		p.t.Fatal(err)
	}
	p.macs[id] = mac
	return framed(wire)
}

func (p *pipeline) send(questions ...[]byte) {
	p.t.Helper()
	if _, err := p.Write(slices.Concat(questions...)); err != nil {
		p.t.Fatal(err)
	}
}

// next reads a message and verifies the signature of one of a transfer.
func (p *pipeline) next() (*dns.Msg, error) {
	var size [2]byte
	if _, err := io.ReadFull(p, size[:]); err != nil {
		return nil, err
	}
	wire := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(p, wire); err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		return nil, err
	}
	if before, ok := p.macs[m.Id]; ok {
		if err := dns.TsigVerify(wire, base64.StdEncoding.EncodeToString(transferSecret), before, p.soas[m.Id] > 0); err != nil {
			return nil, fmt.Errorf("message of transfer %d: %w", m.Id, err)
		}
		p.macs[m.Id] = m.IsTsig().MAC
		for _, rr := range m.Answer {
			if rr.Header().Rrtype == dns.TypeSOA {
				p.soas[m.Id]++
			}
		}
	}
	return m, nil
}

// ended reports whether the whole of a transfer has been read.
func (p *pipeline) ended(id uint16) bool { return p.soas[id] == 2 }

// must is next, of which it is known that it comes.
func (p *pipeline) must() *dns.Msg {
	p.t.Helper()
	m, err := p.next()
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// finish reads transfers to their ends.
func (p *pipeline) finish(ids ...uint16) {
	p.t.Helper()
	for slices.ContainsFunc(ids, func(id uint16) bool { return !p.ended(id) }) {
		p.must()
	}
}

// piped is the TCP side of a server behind pipes, which hold nothing: what is
// written waits until it is read.
func piped(t *testing.T) (*streams, func() *pipeline) {
	s := testResponder()
	s.now = time.Now
	s.zones.PutKey(testKey(t, "key_1", transferKey, transferSecret))
	c := heavy(t, "zon_1", transferApex, 40, 8000) // so many messages, at least
	apply(t, s.zones, c.documents(t, 1))
	streams := newStreams(s, Options{MaxConns: 100, MaxConnsClient: 100, Logger: slog.New(slog.DiscardHandler)}, &counters{}, newGate())
	return streams, func() *pipeline {
		client, server := net.Pipe()
		streams.take(server)
		t.Cleanup(func() { _ = client.Close() })
		return newPipeline(t, client)
	}
}

func TestAnswersOvertakeTransfers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := piped(t)
		p := dial()
		p.send(p.signed(1, transferApex, 0), p.plain(2, "ns1."+transferApex), p.plain(3, "no."+transferApex))
		synctest.Wait()
		got := []uint16{p.must().Id, p.must().Id, p.must().Id}
		slices.Sort(got)
		if !slices.Equal(got, []uint16{1, 2, 3}) {
			t.Errorf("with the transfer's first message come %v", got)
		}
		// One message is being written, one more may be on its way: then an answer has
		// its turn, every time.
		for id := uint16(4); id < 9; id++ {
			p.send(p.plain(id, "ns1."+transferApex))
			synctest.Wait()
			first := p.must().Id
			if first != id && p.must().Id != id {
				t.Errorf("question %d waits", id)
			}
			if p.ended(1) {
				t.Fatal("the zone is too small for this test")
			}
		}
		p.finish(1)
	})
}

func TestTransfersOfOneConnectionTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := piped(t)
		p := dial()
		p.send(p.signed(1, transferApex, 0), p.signed(2, transferApex, 0))
		synctest.Wait()
		p.must()
		last, again := uint16(0), 0
		for !p.ended(1) && !p.ended(2) {
			synctest.Wait() // both are ready to write
			id := p.must().Id
			if id == last {
				again++
			}
			last = id
		}
		if again > 1 {
			t.Errorf("a transfer went on %d times while the other waited", again)
		}
		p.finish(1, 2)
	})
}

func TestTransfersOfOneConnectionAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := piped(t)
		p := dial()
		go func() { // what the server does not read waits here
			var all []byte
			for id := range uint16(tcpTransfers + 1) {
				all = append(all, p.signed(id, transferApex, 0)...)
			}
			p.send(all, p.plain(100, "ns1."+transferApex))
		}()
		synctest.Wait()
		for answered := false; !answered; {
			answered = p.must().Id == 100
			if some := slices.ContainsFunc([]uint16{0, 1, 2, 3, 4, 5, 6, 7, 8}, p.ended); answered && !some {
				t.Error("a question was read while a transfer waited for others to end")
			}
		}
		p.finish(0, 1, 2, 3, 4, 5, 6, 7, 8)
	})
}

// A connection is idle from the end of its last transfer on.
func TestAConnectionWithATransferIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, dial := piped(t)
		idle := streams.responder.idle
		p := dial()
		p.send(p.signed(1, transferApex, 0))
		p.send(p.plain(2, "ns1."+transferApex))
		for asked, slow := uint16(2), 0; !p.ended(1); slow++ {
			if slow < 5 { // and not too slow
				time.Sleep(idle + time.Second)
			}
			if p.must().Id == asked && asked < 5 {
				asked++
				p.send(p.plain(asked, "ns1."+transferApex))
			}
		}
		synctest.Wait()
		if len(streams.transfers.of) != 0 {
			t.Error("the transfer is still counted")
		}
		time.Sleep(idle - time.Second)
		p.send(p.plain(9, "ns1."+transferApex))
		if m := p.must(); m.Id != 9 {
			t.Errorf("answer %d", m.Id)
		}
		time.Sleep(idle + time.Second)
		if _, err := p.next(); !errors.Is(err, io.EOF) {
			t.Errorf("an idle connection: %v", err)
		}
		p = dial()
		p.send(p.signed(1, transferApex, 0))
		p.finish(1)
		ended := time.Now()
		if _, err := p.next(); !errors.Is(err, io.EOF) || time.Since(ended) != idle {
			t.Errorf("a connection that is idle from a transfer's end on: %v, after %v", err, time.Since(ended))
		}
		streams.work.Wait()
	})
}

func TestSlowReadersOfTransfersAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, dial := piped(t)
		p := dial()
		p.send(p.signed(1, transferApex, 0))
		p.must()
		p.send(p.plain(2, "ns1."+transferApex)) // read, and its answer waits
		time.Sleep(transferWrite + time.Second)
		synctest.Wait()
		if _, err := p.next(); !errors.Is(err, io.EOF) {
			t.Errorf("who does not read: %v", err)
		}
		streams.work.Wait()
		if len(streams.transfers.of) != 0 {
			t.Error("the transfer is still counted")
		}
	})
}

// A client that leaves takes its transfers with it.
func TestTransfersEndWithTheirClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, dial := piped(t)
		p := dial()
		p.send(p.signed(1, transferApex, 0), p.signed(2, transferApex, 0))
		p.must()
		p.Close()
		streams.work.Wait()
		if len(streams.transfers.of) != 0 {
			t.Error("transfers are still counted")
		}
	})
}

func TestTransfersWhileAServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, dial := piped(t)
		p := dial()
		p.send(p.signed(1, transferApex, 0), p.plain(2, "ns1."+transferApex))
		synctest.Wait()
		streams.drain()
		synctest.Wait()
		seen := false
		for !p.ended(1) {
			seen = p.must().Id == 2 || seen
		}
		if !seen {
			t.Error("a question that had come is not answered")
		}
		if _, err := p.next(); !errors.Is(err, io.EOF) {
			t.Errorf("behind the transfer: %v", err)
		}
		streams.work.Wait()
	})
	t.Run("at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			streams, dial := piped(t)
			for range 3 { // the last waits for room
				p := dial()
				for id := range uint16(tcpTransfers) {
					p.send(p.signed(id, transferApex, 0))
				}
			}
			synctest.Wait()
			begun := time.Now()
			streams.closeAll()
			streams.work.Wait()
			if waited := time.Since(begun); waited > 0 {
				t.Errorf("the end takes %v", waited)
			}
		})
	})
}

// One project's transfers, however slow, leave room for another's; its own wait,
// and are told to come again.
func TestTransfersOfOneProjectAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, dial := piped(t)
		other := heavy(t, "zon_2", "example.net.", 1, 250)
		other.head.Project = "other"
		apply(t, streams.responder.zones, other.documents(t, 1))
		p := dial()
		for id := range uint16(maxTransfersOf) {
			p.send(p.signed(id, transferApex, 0))
		}
		synctest.Wait()
		q := dial()
		q.send(q.signed(1, "example.net.", 0), q.signed(2, transferApex, 0), q.plain(3, "ns1."+transferApex))
		got := []uint16{q.must().Id, q.must().Id}
		slices.Sort(got)
		if !slices.Equal(got, []uint16{1, 3}) || !q.ended(1) {
			t.Errorf("beside another project's transfers come %v", got)
		}
		for range transferWait / (10 * time.Second) { // p is not let go
			time.Sleep(10 * time.Second)
			p.must()
		}
		if m := q.must(); m.Id != 2 || m.Rcode != dns.RcodeServerFailure || m.Authoritative || len(m.Question) != 1 || len(m.Answer) != 0 {
			t.Errorf("who waited for too long is told %v", m)
		}
		p.Close()
		q.Close()
		streams.work.Wait()
		if len(streams.transfers.of) != 0 {
			t.Error("transfers are still counted")
		}
	})
}

// A zone that is not given any more when its turn comes is not given.
func TestAZoneThatGoesBeforeItsTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, dial := piped(t)
		p, q := dial(), dial()
		for id := range uint16(maxTransfersOf) {
			p.send(p.signed(id, transferApex, 0))
		}
		synctest.Wait()
		q.send(q.signed(1, transferApex, 0))
		synctest.Wait()
		closed := heavy(t, "zon_1", transferApex, 1, 250)
		closed.head.Transfer, closed.head.SOA.Serial = nil, 2
		apply(t, streams.responder.zones, closed.documents(t, 2))
		p.Close()
		if m := q.must(); m.Rcode != dns.RcodeServerFailure || len(m.Answer) != 0 {
			t.Errorf("%v", m)
		}
	})
}

// Who has which version is in the log.
func TestTransfersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, dial := piped(t)
		var said strings.Builder
		streams.log = slog.New(slog.NewTextHandler(&said, nil))
		p := dial()
		p.send(p.signed(1, transferApex, 0))
		p.finish(1)
		p.send(p.signed(2, transferApex, 0))
		p.must()
		p.Close()
		streams.work.Wait()
		for _, want := range []string{
			`level=INFO msg="a secondary has a zone" zone=zon_1 client="" key=key_1 serial=1 whole=true`,
			`level=WARN msg="a transfer was not read to its end" zone=zon_1 client="" key=key_1 serial=1`,
		} {
			if strings.Count(said.String(), want) != 1 {
				t.Errorf("%s was not said:\n%s", want, said.String())
			}
		}
	})
}

// certified is a server's certificate, and how a client takes it.
func certified(t *testing.T) (server, client *tls.Config) {
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"dot"}}
}

// Over real sockets, and below TLS: a client that asks for much, says that it
// will ask nothing more, and gets all of it; what is quick before the end of
// what is long.
func TestPipeliningOverSockets(t *testing.T) {
	served, config := certified(t)
	s := start(t, Options{TLSAddr: "127.0.0.1:0", TLS: served}, nil)
	s.PutKey(testKey(t, "key_1", transferKey, transferSecret))
	// Several times what sockets hold, so that the transfer cannot end unread.
	const room = 64 << 10
	for _, l := range []*net.TCPListener{s.tcp, s.tls} {
		raw, err := l.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, room) }), err); err != nil {
			t.Fatal(err)
		}
	}
	c := heavy(t, "zon_1", transferApex, 100, 30_000)
	apply(t, s.Zones, c.documents(t, 1))
	for name, addr := range map[string]string{"TCP": s.Addr(), "TLS": s.TLSAddr()} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.(*net.TCPConn).SetReadBuffer(room)
			if name == "TLS" {
				conn = tls.Client(conn, config)
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			p := newPipeline(t, conn)
			p.send(p.signed(0, transferApex, 0))
			p.must() // it has begun, and waits for us
			const questions = 200
			var all []byte
			for id := uint16(1); id <= questions; id++ {
				if id == questions/2 {
					all = append(all, p.signed(id, transferApex, c.head.SOA.Serial)...) // nothing new
					continue
				}
				all = append(all, p.plain(id, "ns1."+transferApex)...)
			}
			p.send(all)
			if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answered := map[uint16]int{}
			for len(answered) < questions {
				m := p.must()
				if p.ended(0) {
					t.Fatalf("the transfer has ended and %d questions are answered", len(answered))
				}
				if m.Id > 0 {
					answered[m.Id]++
					if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
						t.Errorf("%v", m)
					}
				}
			}
			p.finish(0)
			if m, err := p.next(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("behind everything: %v, %v", m, err)
			}
		})
	}
	if n := s.Stats().Transfers; n != 2 {
		t.Errorf("%d transfers are counted", n)
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		ctx, cancel := context.WithCancel(t.Context())
		var leave []func()
		for i := range maxTransfers {
			l, ok := g.enter(ctx, fmt.Sprint("project ", i/maxTransfersOf))
			if !ok {
				t.Fatalf("no room for transfer %d", i)
			}
			leave = append(leave, l)
		}
		begun := time.Now()
		if _, ok := g.enter(ctx, "another"); ok || time.Since(begun) != transferWait {
			t.Errorf("room for one more: %v, after %v", ok, time.Since(begun))
		}
		go func() {
			time.Sleep(time.Second)
			leave[0]()
		}()
		if l, ok := g.enter(ctx, "another"); !ok {
			t.Error("no room where one has left")
		} else {
			l()
		}
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		begun = time.Now()
		if _, ok := g.enter(ctx, "project 1"); ok || time.Since(begun) != time.Second {
			t.Errorf("who is gone is let in: %v, after %v", ok, time.Since(begun))
		}
		for _, l := range leave[1:] {
			l()
		}
		if len(g.of) != 0 {
			t.Errorf("%d projects are remembered", len(g.of))
		}
	})
}
