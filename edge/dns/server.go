package dns

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Options configures a Server. The zero value of each field but Addr has a
// meaning.
type Options struct {
	Addr      string     // "host:port" for UDP and TCP; port 0 picks one that both can have
	Inherited *Inherited // sockets of the process this one replaces, whatever Addr and Workers say; nil: bind anew

	Workers  int  // UDP sockets, each with a thread of its own; 0: half the processors, at least one
	Portable bool // use net.UDPConn where batches would be possible
	UDPSize  int  // largest UDP answer; 0: 1232, which no path fragments; 512 to 1400

	TLSAddr string      // "host:port" of DNS over TLS (RFC 7858); "": none
	TLS     *tls.Config // needed with TLSAddr, or when such a listener is inherited

	MaxConns       int           // TCP connections at once; 0: 4096
	MaxConnsClient int           // of one network (/24, /56); 0: 64
	Idle           time.Duration // a TCP connection without a query is closed after this; 0: 10 s

	CookieSecrets [][16]byte // newest first; nil: a random one, which no other edge shares
	RRL           RRL
	NSID          string // what the NSID option tells; "": nothing

	// Reach tells whether a secondary may be sent notices; nil: any may.
	Reach func(netip.Addr) error

	Locator Locator // where clients are; nil: unknown, and client subnets are left aside
	Checks  Checks  // nil: everything lives

	Logger *slog.Logger     // nil: discard
	Now    func() time.Time // nil: time.Now
}

// Server is an authoritative name server: the zones it holds, and its doors.
type Server struct {
	*Zones
	o         Options
	log       *slog.Logger
	responder *responder
	udp       []datagrams
	tcp       *net.TCPListener
	tls       *net.TCPListener // of DNS over TLS; nil: none
	stream    *streams
	secure    *streams
	https     *counters // of Exchange
	notifier  *notifier
	counters  []*counters // of the UDP doors, in order, then of TCP

	started  atomic.Bool
	stopping atomic.Bool
	work     sync.WaitGroup
}

// datagrams is one UDP door.
type datagrams interface {
	serve(*responder, *counters) // until stop
	stop()
	addr() netip.AddrPort
	socket() syscall.Conn // for a successor; until stop
}

// Inherited are the sockets that a predecessor's Sockets gave away.
type Inherited struct {
	UDP []*os.File // stay the caller's
	TCP *net.TCPListener
	TLS *net.TCPListener // nil: none
}

// Sockets are what a successor needs to answer at the same address. Both
// processes may answer at once: no query depends on another, so a datagram is
// answered by whoever takes it, and none is lost when one of them stops.
// tls is nil when there is no DNS over TLS.
func (s *Server) Sockets() (udp []syscall.Conn, tcp, tls syscall.Conn) {
	for _, u := range s.udp {
		udp = append(udp, u.socket())
	}
	if s.tls != nil {
		tls = s.tls
	}
	return udp, s.tcp, tls
}

// New binds the sockets of a server, so that its address is known, and answers
// nothing yet. The error is fault.Unavailable when the address cannot be bound,
// fault.Invalid when an option makes no sense.
func New(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.UDPSize = orDefault(o.UDPSize, 1232)
	o.Workers = orDefault(o.Workers, max(1, runtime.GOMAXPROCS(0)/2))
	o.MaxConns = orDefault(o.MaxConns, 4096)
	o.MaxConnsClient = orDefault(o.MaxConnsClient, 64)
	if o.Idle == 0 {
		o.Idle = 10 * time.Second
	}
	if o.UDPSize < 512 || o.UDPSize > 1400 || o.Workers < 1 || o.Workers > 256 || len(o.NSID) > 128 || o.Idle < 0 {
		return nil, fault.New(fault.Invalid, "the name server's options are out of range: UDP size 512 to 1400, 1 to 256 workers, an NSID of at most 128 bytes")
	}
	if o.CookieSecrets == nil {
		o.CookieSecrets = make([][16]byte, 1)
		_, _ = rand.Read(o.CookieSecrets[0][:]) // never fails (crypto/rand)
	}
	s := &Server{Zones: NewZones(), o: o, log: o.Logger}
	s.responder = &responder{
		heard: newHeard(o.Now),
		zones: s.Zones, cookies: &cookieJar{o.CookieSecrets}, limiter: newLimiter(o.RRL), locator: o.Locator, checks: o.Checks,
		nsid: o.NSID, udpSize: o.UDPSize, now: o.Now, idle: o.Idle,
	}
	if err := s.bind(); err != nil {
		return nil, err
	}
	if err := s.bindTLS(); err != nil {
		for _, u := range s.udp {
			u.stop()
		}
		_ = s.tcp.Close()
		return nil, err
	}
	s.notifier = newNotifier(s)
	s.Zones.changed = s.notifier.tell
	for range s.udp {
		s.counter()
	}
	transfers := newGate()
	s.stream = newStreams(s.responder, o, s.counter(), transfers)
	s.secure = newStreams(s.responder, o, s.counter(), transfers)
	s.secure.private = true
	s.https = s.counter()
	s.Zones.workers = len(s.counters)
	return s, nil
}

// bindTLS opens the listener of DNS over TLS, where there shall be one.
func (s *Server) bindTLS() error {
	if i := s.o.Inherited; i != nil {
		s.tls = i.TLS
	} else if s.o.TLSAddr != "" {
		l, err := net.Listen("tcp", s.o.TLSAddr)
		if err != nil {
			return fault.New(fault.Unavailable, "DNS over TLS cannot listen on %s: %w", s.o.TLSAddr, err)
		}
		s.tls = l.(*net.TCPListener)
	}
	if s.tls != nil && s.o.TLS == nil {
		return fault.New(fault.Invalid, "DNS over TLS needs certificates")
	}
	return nil
}

// TLSAddr is the bound address of DNS over TLS, "" when there is none.
func (s *Server) TLSAddr() string {
	if s.tls == nil {
		return ""
	}
	return s.tls.Addr().String()
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// bind opens the sockets. With port 0 the port that UDP got may be taken for
// TCP: then another is tried.
func (s *Server) bind() (err error) {
	if i := s.o.Inherited; i != nil {
		if s.udp, err = inheritUDP(i.UDP, s.o.Portable); err != nil || len(s.udp) == 0 {
			return fault.New(fault.Unavailable, "the predecessor's sockets of the name server cannot be used: %w", err)
		}
		s.tcp = i.TCP
		return nil
	}
	host, port, err := net.SplitHostPort(s.o.Addr)
	if err != nil {
		return fault.New(fault.Invalid, "%q is no address for the name server: give host:port, as in 127.0.0.1:5353: %w", s.o.Addr, err)
	}
	address, err := net.ResolveUDPAddr("udp", net.JoinHostPort(host, port))
	if err != nil {
		return fault.New(fault.Invalid, "%q is no address for the name server: %w", s.o.Addr, err)
	}
	want := netip.AddrPortFrom(address.AddrPort().Addr().Unmap(), address.AddrPort().Port())
	everywhere := !want.Addr().IsValid() // ":53"
	if everywhere {
		want = netip.AddrPortFrom(netip.IPv6Unspecified(), want.Port())
	}
	for try := 0; ; try++ {
		s.udp, err = listenUDP(want, s.o.Workers, s.o.Portable)
		if err != nil && everywhere && want.Addr().Is6() { // a machine without IPv6
			want = netip.AddrPortFrom(netip.IPv4Unspecified(), want.Port())
			s.udp, err = listenUDP(want, s.o.Workers, s.o.Portable)
		}
		if err == nil {
			bound := s.udp[0].addr()
			s.tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(bound))
			if err == nil {
				return nil
			}
			for _, u := range s.udp {
				u.stop()
			}
		}
		if want.Port() != 0 || try == 10 {
			return fault.New(fault.Unavailable, "the name server cannot listen on %s: %w", s.o.Addr, err)
		}
	}
}

func (s *Server) counter() *counters {
	k := &counters{worker: len(s.counters)}
	s.counters = append(s.counters, k)
	return k
}

// Addr is the bound address of UDP and TCP, "host:port".
func (s *Server) Addr() string { return s.udp[0].addr().String() }

// Start begins to answer. It returns at once; Shutdown ends it.
func (s *Server) Start() error {
	if !s.started.CompareAndSwap(false, true) {
		return fault.New(fault.Conflict, "the name server runs already")
	}
	for i, u := range s.udp {
		s.work.Go(func() { u.serve(s.responder, s.counters[i]) })
	}
	s.work.Go(func() { s.stream.accept(s.tcp) })
	if s.tls != nil {
		config := s.o.TLS.Clone()
		config.NextProtos = []string{"dot"}
		s.work.Go(func() { s.secure.accept(tls.NewListener(s.tls, config)) })
	}
	s.notifier.start()
	s.log.Info("the name server answers", "address", s.Addr(), "workers", len(s.udp))
	return nil
}

// StopTaking leaves new queries to a successor that has the same sockets;
// datagrams that were taken are answered, and TCP connections go on until
// Shutdown.
func (s *Server) StopTaking() {
	if !s.stopping.CompareAndSwap(false, true) {
		return
	}
	for _, u := range s.udp {
		u.stop()
	}
	_ = s.tcp.Close()
	if s.tls != nil {
		_ = s.tls.Close()
	}
}

// Shutdown stops answering: datagrams at once, TCP connections when the queries
// they hold are answered or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.StopTaking()
	s.notifier.stop()
	s.stream.drain()
	s.secure.drain()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		s.stream.work.Wait()
		s.secure.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.stream.closeAll()
		s.secure.closeAll()
		<-done
		return ctx.Err()
	}
}

// Verify asks the server itself, over UDP at its own address, for the SOA of the
// zone of a Zone or ZonePart document, and compares it with the version held.
// The error is fault.NotFound when the document is not held in that revision or
// a later one, fault.Unavailable while the version is not served.
func (s *Server) Verify(ctx context.Context, key string, revision int64) error {
	d := edgeconfig.Document{Key: key}
	id := d.Name()
	if d.Kind() == edgeconfig.KindZonePart {
		id, _, _ = edgeconfig.ParseZonePartName(id)
	}
	if err := s.Holds(key, revision); err != nil {
		return err
	}
	ended, apex, serial := s.wanted(key, id)
	switch {
	case ended:
		return nil // a tombstone, or of a zone that is gone: nothing to ask for
	case apex == "":
		return fault.New(fault.Unavailable, "the head of the zone of %s has not arrived", key)
	}
	got, err := askSerial(ctx, s.Addr(), apex)
	if err != nil {
		return fault.New(fault.Unavailable, "the name server does not answer itself: %w", err)
	}
	if got != serial {
		return fault.New(fault.Unavailable, "serial %d of the zone is served, %d is held: parts of it have not arrived", got, serial)
	}
	return nil
}

// Holds tells whether a document is held in a revision or a later one; else the
// error is fault.NotFound.
func (z *Zones) Holds(key string, revision int64) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	h, known := z.held[key]
	switch {
	case !known:
		return fault.New(fault.NotFound, "the document %s is not held", key)
	case h.revision < revision:
		return fault.New(fault.NotFound, "revision %d of %s is held, not %d", h.revision, key, revision)
	}
	return nil
}

// wanted is the apex ("": no head is held) and serial of the newest head of a
// document's zone. ended tells that there is nothing to serve of the document.
func (z *Zones) wanted(key, id string) (ended bool, apex string, serial uint32) {
	z.mu.Lock()
	defer z.mu.Unlock()
	ended = z.held[key].deleted || z.held[edgeconfig.ZoneKey(id)].deleted
	if s := z.zones[id]; s != nil && s.head != nil {
		apex, serial = s.apex, s.head.SOA.Serial
		ended = ended || s.head.Secondary != nil && s.head.Secondary.Expired // it answers nobody, itself neither
	}
	return ended, apex, serial
}

var errAnswer = errors.New("the answer is not that of the zone")

// Stats are the totals of a server.
type Stats struct {
	Queries, Answers, Referrals, NoData, NXDomain    uint64
	Refused, FormErr, NotImp, BadVers, ServFail      uint64
	Dropped, Truncated, Limited, Slipped, Cookies    uint64
	TCPQueries, TCPConnections, TCPRefused, Failures uint64
	TLSQueries, HTTPSQueries                         uint64 // not among TCPQueries
	Transfers, Notices, NoticesUnheard, NoticesHeard uint64
	Zones                                            int
}

// Stats sums the counters of all workers up.
func (s *Server) Stats() (t Stats) {
	for _, k := range s.counters {
		t.Queries += k.queries.Load()
		t.Answers += k.answers.Load()
		t.Referrals += k.referrals.Load()
		t.NoData += k.nodata.Load()
		t.NXDomain += k.nxdomain.Load()
		t.Refused += k.refused.Load()
		t.FormErr += k.formerr.Load()
		t.NotImp += k.notimp.Load()
		t.BadVers += k.badvers.Load()
		t.ServFail += k.servfail.Load()
		t.Dropped += k.dropped.Load()
		t.Truncated += k.truncated.Load()
		t.Limited += k.limited.Load()
		t.Slipped += k.slipped.Load()
		t.Cookies += k.cookies.Load()
		t.TCPQueries += k.tcpQueries.Load()
		t.TCPConnections += k.tcpConnections.Load()
		t.TCPRefused += k.tcpRefused.Load()
		t.Failures += k.failures.Load()
		t.Transfers += k.transfers.Load()
		t.NoticesHeard += k.heard.Load()
	}
	t.TLSQueries, t.HTTPSQueries = s.secure.counters.tcpQueries.Load(), s.https.tcpQueries.Load()
	t.TCPQueries -= t.TLSQueries + t.HTTPSQueries
	t.Notices, t.NoticesUnheard = s.notifier.sent.Load(), s.notifier.unheard.Load()
	t.Zones = s.Len()
	return t
}
