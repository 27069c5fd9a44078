package httpedge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/time/rate"
)

// Handshakes from addresses that are not yet known to be the client's, a second,
// before QUIC asks for proof with a Retry (RFC 9000 section 8.1.2).
const unprovenHandshakes = 1000

// StartH3 begins to serve HTTP/3. It is apart from Start because the successor
// of a running process must wait until that one has left the UDP socket.
func (s *Server) StartH3() error {
	q := s.o.QUIC
	s.h3Start.Lock()
	defer s.h3Start.Unlock()
	if q == nil || s.stopped.Load() {
		return nil
	}
	unproven := rate.NewLimiter(unprovenHandshakes, unprovenHandshakes)
	s.quic = &quic.Transport{
		Conn:                  q.Conn,
		ConnectionIDGenerator: q.ConnectionIDs,
		StatelessResetKey:     q.ResetKey,
		TokenGeneratorKey:     q.TokenKey,
		VerifySourceAddress:   func(net.Addr) bool { return !unproven.Allow() },
		ConnContext:           s.quicContext,
	}
	s.h3 = &http3.Server{
		Handler:        http.HandlerFunc(s.serveH3),
		MaxHeaderBytes: s.limits.HeadBytes,
		IdleTimeout:    s.limits.IdleTimeout,
		ConnContext: func(ctx context.Context, c *quic.Conn) context.Context {
			if a, ok := c.Context().Value(quicAttemptKey{}).(*quicAttempt); ok {
				a.end(nil)
			}
			return context.WithValue(ctx, connectionKey{}, &connection{shard: s.o.Telemetry.Shard()})
		},
		Logger: s.log,
	}
	// 0-RTT stays off: requests that can be replayed need a decision per site.
	l, err := s.quic.Listen(q.TLS, &quic.Config{
		HandshakeIdleTimeout:  s.limits.HandshakeTimeout,
		MaxIdleTimeout:        s.limits.IdleTimeout,
		MaxIncomingStreams:    int64(s.limits.Streams),
		MaxIncomingUniStreams: 8, // control and QPACK streams
		// What one connection may make the edge hold, rather than quic-go's
		// 15 MB.
		MaxStreamReceiveWindow:     1 << 20,
		MaxConnectionReceiveWindow: 4 << 20,
	})
	if err != nil {
		return err
	}
	s.h3Listener = l
	s.h3Serving.Store(true)
	s.serve("h3", func() error { return s.h3.ServeListener(l) })
	return nil
}

// alternative is the Alt-Svc field for one port (RFC 9114 section 3.1.1).
type alternative struct {
	port  string
	field []string
}

// altSvc returns the Alt-Svc field, nil when HTTP/3 is not served. HTTP/3 has
// the number of the HTTPS port, as clients see it.
func (s *Server) altSvc(r Runtime) []string {
	if !s.h3Serving.Load() {
		return nil
	}
	port := r.HTTPSPort()
	if port == "" {
		port = "443"
	}
	a := s.alternative.Load()
	if a == nil || a.port != port {
		a = &alternative{port, []string{`h3=":` + port + `"; ma=86400`}}
		s.alternative.Store(a)
	}
	return a.field
}

func (s *Server) serveH3(w http.ResponseWriter, r *http.Request) {
	s.h3Active.Add(1)
	defer s.h3Active.Add(-1)
	s.ServeHTTP(w, r)
}

// shutdownH3 sends GOAWAY and lets requests end. http3.Server waits for clients
// to close their connections; those that have nothing left to ask are closed
// after the grace.
func (s *Server) shutdownH3(ctx context.Context) error {
	s.h3Start.Lock() // after StopAccepting: none begins any more
	serving := s.h3Serving.Load()
	s.h3Start.Unlock()
	if !serving {
		return nil
	}
	if s.o.QUIC.Released != nil && s.o.QUIC.Released() {
		// New connections go to the successor. Handshakes on their way finish
		// here, and are told to leave with the others.
		select {
		case <-ctx.Done():
		case <-time.After(s.limits.DrainGrace / 2):
		}
	}
	_ = s.h3Listener.Close() // established connections are not affected
	quiet, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.h3.Shutdown(quiet) }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	var idle time.Duration
	var err error
wait:
	for {
		select {
		case err = <-done:
			break wait
		case <-look.C:
			if idle += 20 * time.Millisecond; s.h3Active.Load() > 0 {
				idle = 0
			}
			if idle >= s.limits.DrainGrace {
				cancel()
				if err = <-done; errors.Is(err, context.Canceled) {
					err = nil
				}
				break wait
			}
		}
	}
	if s.o.QUIC.Alone != nil {
		select {
		case <-s.o.QUIC.Alone:
		case <-ctx.Done():
		}
	}
	return errors.Join(err, s.quic.Close())
}
