// Package framing checks the framing of HTTP/1 requests before net/http reads
// them, so that no two readers of the same bytes can disagree about where a
// request ends (request smuggling).
//
//	Conn     a server connection: every head passes Check, then is released whole
//	Check    one request head: what RFC 9112 forbids, and what only some parsers allow
//	chunked  the framing of a chunked body, followed byte by byte
//	Watch    whether the client leaves while its answer is waited for
//	Refusal  what is wrong, and the status it deserves
//
// net/http accepts more than is safe behind a proxy: Content-Length beside
// Transfer-Encoding, bare line feeds, repeated equal lengths. Conn refuses
// these, answers by itself and closes. It never hands out a byte beyond the
// request being served, so that a refusal cannot hit an answer in flight.
//
// Conn also bounds the time a client may take to send a head and to accept
// what is written to it.
package framing

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options of the connections of one server.
type Options struct {
	HeadBytes    int           // longest request head; over it 431
	Fields       int           // most header fields; over it 431
	HeadTimeout  time.Duration // from a head's first byte to its last; over it 408
	WriteTimeout time.Duration // to accept one write of at most 64 KiB; enforced to a quarter

	// Answer returns the whole response to a request that is refused. accept is
	// the request's Accept field, "" when it was not found.
	Answer func(r *Refusal, accept string) []byte
}

// Refusal is an error about a request's framing.
type Refusal struct {
	Status int
	Detail string // for the client
}

func (r *Refusal) Error() string { return r.Detail }

type state uint8

const (
	atHead state = iota
	inBody
	inTunnel
)

// Conn is one server connection that speaks HTTP/1.
type Conn struct {
	net.Conn
	o *Options

	// The reader's, which net/http is one at a time.
	state   state
	stash   []byte // read from the connection, not handed out yet
	cleared int    // bytes of stash that may be handed out: a checked head
	body    body
	err     error // ends the connection

	deadlines sync.Mutex
	reading   bool      // from the connection, now
	deadline  time.Time // the server's read deadline
	headLimit time.Time // for the rest of a head that has begun; zero while none has
	armed     time.Time // the connection's; not later than what a read wants, but often earlier

	renew atomic.Int64 // Unix nanoseconds from when a write needs a new deadline
}

// Gatherer is a connection below TLS that can hold writes back. crypto/tls writes
// every record by itself, and one system call for several costs less.
type Gatherer interface {
	Gather()        // holds writes back
	Release() error // writes what was held back
}

// TLSConn is a Conn above TLS. It tells net/http the state of the TLS
// connection.
type TLSConn struct {
	*Conn
	tls   *tls.Conn
	below Gatherer
}

// NewConn returns a checked connection.
func NewConn(c net.Conn, o *Options) *Conn { return &Conn{Conn: c, o: o} }

// NewTLSConn returns a checked connection above one whose handshake is done.
// below, unless nil, is the connection below TLS; armed is the deadline of reads
// that the handshake has left, the zero time for none.
func NewTLSConn(c *tls.Conn, below Gatherer, armed time.Time, o *Options) *TLSConn {
	checked := NewConn(c, o)
	checked.armed = armed
	return &TLSConn{Conn: checked, tls: c, below: below}
}

// record is the longest content of a TLS record (RFC 8446 section 5.1).
const record = 16 << 10

// Write implements net.Conn.
func (c *TLSConn) Write(p []byte) (n int, err error) {
	if c.below == nil {
		return c.Conn.Write(p)
	}
	for {
		piece := p[n:]
		if len(piece) <= record {
			k, err := c.Conn.Write(piece)
			return n + k, err
		}
		if len(piece) > longestWrite {
			piece = piece[:longestWrite]
		}
		c.below.Gather()
		k, err := c.Conn.Write(piece)
		err = errors.Join(err, c.below.Release())
		if n += k; err != nil || n == len(p) {
			return n, err
		}
	}
}

// ConnectionState is what net/http looks for to fill in Request.TLS.
func (c *TLSConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Tunnel ends checking: the connection was hijacked, and what follows is not
// HTTP/1. No Read may be running.
func (c *Conn) Tunnel() {
	c.state = inTunnel
	c.cleared = 0
}

// Read implements net.Conn. Between two requests it needs room for more than one
// byte.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case c.err != nil:
			return 0, c.err
		case c.cleared > 0:
			n := copy(p, c.stash[:c.cleared])
			c.cleared -= n
			c.take(n)
			return n, nil
		case c.state == inTunnel:
			if len(c.stash) > 0 {
				n := copy(p, c.stash)
				c.take(n)
				return n, nil
			}
			return c.read(p)
		case c.state == inBody:
			return c.readBody(p)
		case len(p) == 1:
			// net/http's background read, for which there is nothing before the
			// answer has been sent. It would wait for the client to send or leave
			// and then be broken off: a system call, a wait and two deadlines for
			// every request. No byte and no error end it at once; Watch does its
			// work where a client's leaving matters.
			return 0, nil
		default:
			n, err := c.readHead(p)
			if n > 0 || err != nil {
				return n, err
			}
		}
	}
}

// take removes n bytes from the front of the stash.
func (c *Conn) take(n int) {
	if n == len(c.stash) {
		if cap(c.stash) > 16<<10 {
			c.stash = nil
		} else {
			c.stash = c.stash[:0]
		}
		return
	}
	c.stash = c.stash[:copy(c.stash, c.stash[n:])]
}

func (c *Conn) readBody(p []byte) (int, error) {
	stashed := len(c.stash) > 0
	var n int
	var err error
	if stashed {
		n = copy(p, c.stash)
	} else if n, err = c.read(p); err != nil && !c.interrupted() {
		// net/http may go on with the connection, and would take the rest of the
		// body, when it comes after all, for a request.
		c.err = err
	}
	k, done, bad := c.body.advance(p[:n])
	if stashed {
		c.take(k)
	} else if k < n {
		c.stash = append(c.stash, p[k:n]...)
	}
	if done {
		c.state = atHead
	}
	if bad != nil {
		c.err = bad
		if k == 0 {
			return 0, bad
		}
	}
	return k, err
}

// readHead waits for the next head. A head that one read brings whole is
// checked where it is; else it is gathered in the stash and cleared. (0, nil)
// asks to go on.
func (c *Conn) readHead(p []byte) (int, error) {
	if len(c.stash) == 0 {
		n, err := c.read(p)
		if n == 0 {
			return 0, err
		}
		b := p[:n]
		if end := headEnd(b, 0); end > 0 && b[0] > ' ' {
			if err := c.admit(b[:end]); err != nil {
				return 0, err
			}
			return c.pass(b, end), nil
		}
		c.stash = append(c.stash, b...)
	}
	return 0, c.gather()
}

// pass hands out a checked head and as much of its body as came with it.
func (c *Conn) pass(b []byte, end int) int {
	switch c.state {
	case inTunnel:
		end = len(b)
	case inBody:
		k, done, bad := c.body.advance(b[end:])
		end += k
		if done {
			c.state = atHead
		}
		if bad != nil {
			c.err = bad
		}
	}
	c.stash = append(c.stash, b[end:]...)
	return end
}

// gather reads until the stash holds a whole head, and clears it.
func (c *Conn) gather() error {
	timed := false
	for from := 0; ; {
		// Clients of old send an empty line after a body (RFC 9112 section 2.2).
		for len(c.stash) >= 2 && c.stash[0] == '\r' && c.stash[1] == '\n' {
			c.take(2)
			from = 0
		}
		if end := headEnd(c.stash, from); end > 0 {
			if err := c.admit(c.stash[:end]); err != nil {
				return err
			}
			c.cleared = end
			if timed {
				c.unlimitHead()
			}
			return nil
		}
		from = max(len(c.stash)-3, 0)
		if len(c.stash) > c.o.HeadBytes {
			return c.refuse(&Refusal{431, "the request's header is too large"}, "")
		}
		if !timed && len(c.stash) > 0 {
			timed = true
			c.limitHead()
		}
		if len(c.stash) == cap(c.stash) {
			grown := make([]byte, len(c.stash), max(2*cap(c.stash), 1024))
			copy(grown, c.stash)
			c.stash = grown
		}
		n, err := c.read(c.stash[len(c.stash):cap(c.stash)])
		c.stash = c.stash[:len(c.stash)+n]
		if err != nil && n == 0 {
			if len(c.stash) > 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.interrupted() {
				return c.refuse(&Refusal{408, "the request's header took too long to arrive"}, "")
			}
			return err
		}
	}
}

// admit checks a head and sets out how its body is framed.
func (c *Conn) admit(head []byte) error {
	if len(head) > c.o.HeadBytes {
		return c.refuse(&Refusal{431, "the request's header is too large"}, "")
	}
	f, bad := Check(head, c.o.Fields)
	switch {
	case bad != nil:
		return c.refuse(bad, acceptOf(head))
	case f.WebSocket:
		c.state = inTunnel // the handler tunnels, or closes the connection
	case f.Chunked:
		c.state, c.body = inBody, body{chunked: true}
	case f.Length > 0:
		c.state, c.body = inBody, body{left: f.Length}
	}
	return nil
}

// refuse answers, waits a little so that the answer is not lost in a reset,
// and ends the connection.
func (c *Conn) refuse(r *Refusal, accept string) error {
	c.err = io.EOF
	_ = c.Conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Conn.Write(c.o.Answer(r, accept)); err == nil && c.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, c.Conn, 256<<10)
	}
	return c.err
}

// CloseWrite half-closes, where the transport can.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// longestWrite bounds what one deadline covers.
const longestWrite = 64 << 10

// Write implements net.Conn. The deadline is renewed by time, not by write, so
// that a busy connection pays for it a few times a minute.
func (c *Conn) Write(p []byte) (n int, err error) {
	for {
		piece := p[n:]
		if len(piece) > longestWrite {
			piece = piece[:longestWrite]
		}
		if now := time.Now(); now.UnixNano() >= c.renew.Load() {
			c.renew.Store(now.Add(c.o.WriteTimeout / 4).UnixNano())
			if err := c.Conn.SetWriteDeadline(now.Add(c.o.WriteTimeout)); err != nil {
				return n, err
			}
		}
		k, err := c.Conn.Write(piece)
		n += k
		if err != nil || n == len(p) {
			return n, err
		}
	}
}
