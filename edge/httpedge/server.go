package httpedge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/edgewright/edgewright/edge/cache"
	"github.com/edgewright/edgewright/edge/httpedge/framing"
	_ "github.com/edgewright/edgewright/edge/httpedge/xconnect" // WebSocket over HTTP/2
	"github.com/edgewright/edgewright/edge/telemetry"
)

// Limits bound what clients may ask of the edge and how long they may take.
// A zero field takes its default.
type Limits struct {
	Connections      int           // TCP connections at a time; 100,000
	HeadBytes        int           // of a request head; 64 KiB
	Fields           int           // of a request header; 150
	Streams          int           // requests at a time on one HTTP/2 or 3 connection; 250
	HandshakeTimeout time.Duration // TLS; 10 s
	HeadTimeout      time.Duration // from a head's first byte to its last; 10 s
	BodyTimeout      time.Duration // between two reads of a request body; 60 s
	BodyRate         int64         // bytes a second, least, of a body of known length after BodyTimeout; 512
	WriteTimeout     time.Duration // for a client to accept 64 KiB; 60 s
	IdleTimeout      time.Duration // between two requests; 75 s
	DepartureDelay   time.Duration // an origin's time before it matters whether an HTTP/1 client has left; 50 ms
	DrainGrace       time.Duration // how long Shutdown leaves idle connections open; 3 s
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	defInt := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	defInt(&l.Connections, 100_000)
	defInt(&l.HeadBytes, 64<<10)
	defInt(&l.Fields, 150)
	defInt(&l.Streams, 250)
	def(&l.HandshakeTimeout, 10*time.Second)
	def(&l.HeadTimeout, 10*time.Second)
	def(&l.BodyTimeout, time.Minute)
	def(&l.WriteTimeout, time.Minute)
	def(&l.IdleTimeout, 75*time.Second)
	def(&l.DepartureDelay, 50*time.Millisecond)
	def(&l.DrainGrace, 3*time.Second)
	if l.BodyRate == 0 {
		l.BodyRate = 512
	}
	return l
}

// Options of a Server.
type Options struct {
	Plain  net.Listener // HTTP; nil for none
	Secure net.Listener // HTTPS over TCP; nil for none
	QUIC   *QUIC        // HTTP/3; nil for none

	TLS       *tls.Config // for Secure, offering h2 and http/1.1
	Current   func() Runtime
	Cache     *cache.Cache
	Telemetry *telemetry.Telemetry
	Own       func(client net.Addr) bool // whether a handshake is the node's own, which is not counted; nil: none is
	EdgeID    string                     // for loop detection
	Verify    string                     // secret that lets a request ask for revisions; "" forbids it
	DNS       DNS                        // answers DNS over HTTPS; nil: nobody does
	Limits    Limits
	Logger    *slog.Logger
}

// QUIC is where HTTP/3 comes in.
type QUIC struct {
	Conn          net.PacketConn
	TLS           *tls.Config                // offering h3
	ConnectionIDs quic.ConnectionIDGenerator // nil: random ones
	ResetKey      *quic.StatelessResetKey
	TokenKey      *quic.TokenGeneratorKey
	Released      func() bool     // whether a successor takes new connections; nil: never
	Alone         <-chan struct{} // closed when no older process needs packets passed on; nil: none does
}

// Server is the HTTP doors of one edge.
type Server struct {
	o      Options
	limits Limits
	ids    ids
	log    *slog.Logger
	check  framing.Options

	plainPort string   // of redirects and forwarded hosts; "" for 80
	loop      []string // this edge in CDN-Loop

	h1       *http.Server // HTTP/1.1, in clear and above TLS
	h2       *http.Server // what negotiated h2
	h1Secure *handoff     // connections whose handshake is done
	h2Secure *handoff
	h3       *http3.Server
	quic     *quic.Transport

	h3Start     sync.Mutex // StartH3 against Shutdown
	h3Listener  *quic.Listener
	h3Serving   atomic.Bool
	alternative atomic.Pointer[alternative]

	connections atomic.Int64
	h1Open      atomic.Int64
	h3Active    atomic.Int64
	draining    atomic.Bool
	stopped     atomic.Bool
	stop        chan struct{}
	serving     sync.WaitGroup // accept loops and servers
	handshakes  sync.WaitGroup
	next        chan *counted // to the goroutines that wait to shake hands
	idle        atomic.Int64  // those
	tunnels     tunnels
}

// New prepares a server; Start begins to serve.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, limits: o.Limits.withDefaults(), ids: newIDs(), log: o.Logger, stop: make(chan struct{}), next: make(chan *counted)}
	if s.o.EdgeID == "" {
		s.o.EdgeID = s.ids.prefix
	}
	s.loop = []string{pseudonym + "; id=" + s.o.EdgeID}
	s.check = framing.Options{
		HeadBytes: s.limits.HeadBytes, Fields: s.limits.Fields,
		HeadTimeout: s.limits.HeadTimeout, WriteTimeout: s.limits.WriteTimeout,
		Answer: s.refusal,
	}
	s.tunnels.open = map[io.Closer]struct{}{}
	quiet := log.New(netHTTPLog{s.log}, "", 0)
	s.h1 = &http.Server{
		Handler: s, ErrorLog: quiet, ConnContext: s.connContext, ConnState: s.connState,
		ReadHeaderTimeout: s.limits.HeadTimeout, IdleTimeout: s.limits.IdleTimeout,
		MaxHeaderBytes:               s.limits.HeadBytes + 4096, // package framing decides
		DisableGeneralOptionsHandler: true,
	}
	s.h2 = &http.Server{
		Handler: s, ErrorLog: quiet, ConnContext: s.connContext,
		ReadHeaderTimeout: s.limits.HeadTimeout, IdleTimeout: s.limits.IdleTimeout, WriteTimeout: s.limits.WriteTimeout,
		MaxHeaderBytes:               s.limits.HeadBytes,
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: s.limits.Streams,
			SendPingTimeout:      30 * time.Second,
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     s.limits.WriteTimeout,
		},
		TLSConfig: &tls.Config{NextProtos: []string{"h2"}}, // tells net/http to serve h2; handshakes are done here
		Protocols: new(http.Protocols),
	}
	s.h2.Protocols.SetHTTP2(true)
	if o.Plain != nil {
		s.plainPort = portOf(o.Plain.Addr(), "80")
	}
	if o.Secure != nil {
		s.h1Secure, s.h2Secure = newHandoff(o.Secure.Addr()), newHandoff(o.Secure.Addr())
	}
	return s
}

func portOf(addr net.Addr, usual string) string {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil || port == usual {
		return ""
	}
	return port
}

// Start begins to serve on the TCP listeners. It returns at once.
func (s *Server) Start() {
	if s.o.Plain != nil {
		s.serve("http", func() error { return s.h1.Serve(&plainDoor{s.o.Plain, s}) })
	}
	if s.o.Secure != nil {
		s.serving.Go(func() { s.acceptSecure(s.o.Secure) })
		s.serve("https", func() error { return s.h1.Serve(s.h1Secure) })
		s.serve("h2", func() error { return s.h2.Serve(s.h2Secure) })
	}
}

func (s *Server) serve(name string, run func() error) {
	s.serving.Go(func() {
		if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("a listener ended", "listener", name, "error", err)
		}
	})
}

// Drain makes every answer ask its client to come back over a new connection,
// as an edge does that is about to leave; Drain(false) takes it back.
func (s *Server) Drain(on bool) { s.draining.Store(on) }

// Draining reports whether the server asks clients to leave.
func (s *Server) Draining() bool { return s.draining.Load() }

// Connections returns how many TCP connections are open.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// StopAccepting closes the TCP listeners; connections go on. HTTP/3 is not
// touched. It may be called more than once.
func (s *Server) StopAccepting() {
	if s.stopped.Swap(true) {
		return
	}
	close(s.stop)
	for _, l := range []net.Listener{s.o.Plain, s.o.Secure} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// Shutdown ends the server gracefully: no new connections; every answer asks
// its client to leave (Connection: close, GOAWAY); connections that stay idle
// are closed after the grace; requests and tunnels end by themselves until ctx
// does, when what is left is cut and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.StopAccepting()
	s.draining.Store(true)
	s.handshakes.Wait() // bounded by their own timeout
	h3 := make(chan error, 1)
	go func() { h3 <- s.shutdownH3(ctx) }()

	s.awaitClients(ctx)
	err := errors.Join(s.h1.Shutdown(ctx), s.h2.Shutdown(ctx), <-h3, s.tunnels.wait(ctx))
	if err != nil {
		_ = s.h1.Close()
		_ = s.h2.Close()
		s.tunnels.close()
	}
	if s.h1Secure != nil {
		_ = s.h1Secure.Close()
		_ = s.h2Secure.Close()
	}
	s.serving.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// awaitClients gives clients on idle connections the time to send one more
// request, whose answer tells them to leave: closing at once would meet requests
// on their way.
func (s *Server) awaitClients(ctx context.Context) {
	grace := time.NewTimer(s.limits.DrainGrace)
	defer grace.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for s.connections.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-grace.C:
			return
		case <-look.C:
		}
	}
}

// netHTTPLog turns net/http's complaints about clients into debug lines.
type netHTTPLog struct{ log *slog.Logger }

func (l netHTTPLog) Write(p []byte) (int, error) {
	n := len(p)
	for n > 0 && p[n-1] == '\n' {
		n--
	}
	l.log.Debug("net/http", "message", string(p[:n]))
	return len(p), nil
}
