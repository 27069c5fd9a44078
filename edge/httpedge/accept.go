package httpedge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edge/httpedge/framing"
)

// This is the phases accept and TLS. A TCP connection is counted, then either
// handed to net/http under the eyes of package framing, or shakes hands first in
// a goroutine of its own, so that handshakes are counted and bounded here and
// net/http gets connections that are ready.

// connection is what the edge knows of one client connection; its requests find
// it in their context.
type connection struct {
	shard uint32        // where its requests are counted
	told  atomic.Bool   // of HTTP/3; once is enough for a connection
	http1 *framing.Conn // nil for other versions
}

type connectionKey struct{}

func (s *Server) connContext(ctx context.Context, c net.Conn) context.Context {
	conn := &connection{shard: s.o.Telemetry.Shard()}
	switch c := c.(type) {
	case *framing.Conn:
		conn.http1 = c
	case *framing.TLSConn:
		conn.http1 = c.Conn
	}
	return context.WithValue(ctx, connectionKey{}, conn)
}

func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.h1Open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.h1Open.Add(-1)
	}
}

// counted is a TCP connection that is counted as long as it is open.
type counted struct {
	net.Conn
	s    *Server
	once sync.Once
}

// gathering is a TCP connection below TLS. It implements framing.Gatherer.
type gathering struct {
	*counted
	mu        sync.Mutex // crypto/tls may answer what it reads while it writes
	gathers   bool
	held      *[]byte
	heldBytes []byte
}

var gatherBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 68<<10); return &b }}

func (c *gathering) Gather() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathers = true
	c.held = gatherBuffers.Get().(*[]byte)
	c.heldBytes = (*c.held)[:0]
}

func (c *gathering) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gathers {
		c.heldBytes = append(c.heldBytes, p...)
		return len(p), nil
	}
	return c.counted.Write(p)
}

func (c *gathering) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.counted.Write(c.heldBytes)
	*c.held = c.heldBytes[:0]
	gatherBuffers.Put(c.held)
	c.gathers, c.held, c.heldBytes = false, nil, nil
	return err
}

func (c *counted) Close() error {
	c.once.Do(func() { c.s.connections.Add(-1) })
	return c.Conn.Close()
}

func (c *counted) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// accept takes the next connection that there is room for. Failures that pass
// (no descriptors left) are waited out.
func (s *Server) accept(l net.Listener) (*counted, error) {
	delay := 5 * time.Millisecond
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.stopped.Load() {
				return nil, net.ErrClosed
			}
			s.log.Warn("a connection could not be accepted", "error", err)
			select {
			case <-s.stop:
				return nil, net.ErrClosed
			case <-time.After(delay):
			}
			delay = min(2*delay, time.Second)
			continue
		}
		delay = 5 * time.Millisecond
		if s.connections.Add(1) > int64(s.limits.Connections) {
			s.connections.Add(-1)
			_ = c.Close()
			continue
		}
		return &counted{Conn: c, s: s}, nil
	}
}

// plainDoor is the listener that net/http serves HTTP from.
type plainDoor struct {
	net.Listener
	s *Server
}

// Close closes the listener, which the server may have done already.
func (d *plainDoor) Close() error {
	if err := d.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (d *plainDoor) Accept() (net.Conn, error) {
	c, err := d.s.accept(d.Listener)
	if err != nil {
		return nil, err
	}
	return framing.NewConn(c, &d.s.check), nil
}

func (s *Server) acceptSecure(l net.Listener) {
	for {
		c, err := s.accept(l)
		if err != nil {
			return
		}
		s.handshakes.Go(func() { s.handshake(c) })
	}
}

// handshake is the phase TLS. The certificate of SNI, or none, was chosen when
// it returns; the connection goes to the server of its protocol.
func (s *Server) handshake(tcp *counted) {
	c := &gathering{counted: tcp}
	attempt := &certs.Attempt{}
	// A deadline instead of a context that ends: that would cost a timer and
	// another goroutine.
	_ = c.SetDeadline(time.Now().Add(s.limits.HandshakeTimeout))
	secure := tls.Server(c, s.o.TLS)
	err := secure.HandshakeContext(certs.WithAttempt(context.Background(), attempt))
	_ = c.SetDeadline(time.Time{})
	if s.o.Own == nil || !s.o.Own(tcp.RemoteAddr()) {
		s.countHandshake(s.o.Telemetry.Shard(), attempt, err)
	}
	if err != nil {
		_ = c.Close()
		return
	}
	switch secure.ConnectionState().NegotiatedProtocol {
	case "h2":
		s.h2Secure.put(secure)
		return
	case certs.ACMEProtocol: // the certificate was all the CA wanted (RFC 8737 section 3)
		_ = secure.Close()
		return
	}
	s.h1Secure.put(framing.NewTLSConn(secure, c, &s.check))
}

// handoff is a listener of connections that others put in.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandoff(addr net.Addr) *handoff {
	return &handoff{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handoff) put(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		_ = c.Close()
	}
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handoff) Addr() net.Addr { return h.addr }
