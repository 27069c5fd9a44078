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
// handed to net/http under the eyes of package framing, or shakes hands first, so
// that handshakes are counted and bounded here and net/http gets connections that
// are ready. The goroutines that shake hands stay: their stacks have grown to
// what it takes, and to grow a new one costs a tenth of a resumed handshake.

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

	until   time.Time // of the handshake; zero: there is none
	written int       // in it
}

// freeBytes of a handshake fit into the socket's buffer, whatever its client
// reads: only what is longer needs a deadline.
const freeBytes = 4 << 10

// begin bounds a handshake in time. A context that ends would cost a timer and
// another goroutine.
func (c *gathering) begin(until time.Time) {
	c.until = until
	_ = c.SetReadDeadline(until)
}

// end takes back what bounds writing.
func (c *gathering) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written > freeBytes {
		_ = c.SetWriteDeadline(time.Time{})
	}
	c.until = time.Time{}
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
	if !c.until.IsZero() {
		if before := c.written; before <= freeBytes && before+len(p) > freeBytes {
			if err := c.SetWriteDeadline(c.until); err != nil {
				return 0, err
			}
		}
		c.written += len(p)
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
		s.handshakes.Add(1)
		select {
		case s.next <- c:
		default:
			s.serving.Go(func() { s.shakeHands(c) })
		}
	}
}

// idleHandshakers is how many goroutines wait for a connection to shake hands
// with: about 50 ms of a core's handshakes.
const idleHandshakers = 256

// shakeHands shakes hands on one connection after another, until there are none
// and others wait for them.
func (s *Server) shakeHands(c *counted) {
	for {
		s.handshake(c)
		s.handshakes.Done()
		if s.idle.Add(1) > idleHandshakers {
			s.idle.Add(-1)
			return
		}
		select {
		case c = <-s.next:
			s.idle.Add(-1)
		case <-s.stop:
			return
		}
	}
}

// handshake is the phase TLS. The certificate of SNI, or none, was chosen when
// it returns; the connection goes to the server of its protocol.
func (s *Server) handshake(tcp *counted) {
	c := &gathering{counted: tcp}
	attempt := &certs.Attempt{}
	deadline := time.Now().Add(s.limits.HandshakeTimeout)
	c.begin(deadline)
	secure := tls.Server(c, s.o.TLS)
	err := secure.HandshakeContext(certs.WithAttempt(context.Background(), attempt))
	c.end()
	if s.o.Own == nil || !s.o.Own(tcp.RemoteAddr()) {
		s.countHandshake(s.o.Telemetry.Shard(), attempt, err)
	}
	if err != nil {
		_ = c.Close()
		return
	}
	switch secure.ConnectionState().NegotiatedProtocol {
	case "h2":
		_ = c.SetReadDeadline(time.Time{})
		s.h2Secure.put(secure)
		return
	case certs.ACMEProtocol: // the certificate was all the CA wanted (RFC 8737 section 3)
		_ = secure.Close()
		return
	}
	s.h1Secure.put(framing.NewTLSConn(secure, c, deadline, &s.check))
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
