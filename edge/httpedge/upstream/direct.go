package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edge/balance"
)

// direct carries requests without content over HTTP/1.1 connections of its own.
// Where net/http's client has two goroutines for each connection and hands every
// request and answer from one to another, direct writes and reads in the
// goroutine of the caller: most requests of an edge have nothing to send, and
// this halves what they cost.
type direct struct {
	spec balance.Spec
	dial Dial

	mu    sync.Mutex
	idle  []*conn // most recently used last
	sweep *time.Timer
}

// conn is one connection to the origin. It belongs to one request at a time, or
// to the idle list.
type conn struct {
	net.Conn
	owner  *direct
	in     reader
	out    []byte // the request head; kept for the next one
	reused bool
	since  time.Time // idle since
	timed  bool      // a deadline is set
}

// stale is the failure of a connection that was idle: nothing of an answer came.
type stale struct{ err error }

func (e *stale) Error() string { return e.err.Error() }
func (e *stale) Unwrap() error { return e.err }

// RoundTrip sends a request that has no content.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	fresh := false
	for {
		c, err := d.take(ctx, fresh)
		if err != nil {
			return nil, err
		}
		resp, err := c.exchange(ctx, r)
		if err == nil {
			return resp, nil
		}
		_ = c.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		// One more try, over a new connection, so that it is the last.
		if old := (*stale)(nil); errors.As(err, &old) && c.reused && !fresh && idempotent(r.Method) {
			fresh = true
			continue
		}
		return nil, err
	}
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// take returns an idle connection, or a new one.
func (d *direct) take(ctx context.Context, fresh bool) (*conn, error) {
	for !fresh {
		c := d.pop()
		if c == nil {
			break
		}
		// What came unasked would be read as the answer to the next request, and
		// a request that must not be sent twice must not meet a closed connection.
		if time.Since(c.since) > idleTimeout || !quiet(c.Conn) {
			_ = c.Close()
			continue
		}
		c.reused = true
		return c, nil
	}
	nc, err := d.dial(ctx, "tcp", d.spec.Address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc, owner: d}, nil
}

func (d *direct) pop() *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.idle)
	if n == 0 {
		return nil
	}
	c := d.idle[n-1]
	d.idle[n-1] = nil
	d.idle = d.idle[:n-1]
	return c
}

// put makes a connection idle.
func (d *direct) put(c *conn) {
	c.in.release()
	c.since = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= maxIdle {
		_ = c.Close()
		return
	}
	d.idle = append(d.idle, c)
	if d.sweep == nil {
		d.sweep = time.AfterFunc(idleTimeout, d.closeOld)
	}
}

// closeOld closes what has been idle for too long.
func (d *direct) closeOld() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, old := time.Now(), 0
	for old < len(d.idle) && now.Sub(d.idle[old].since) >= idleTimeout {
		_ = d.idle[old].Close()
		old++
	}
	d.idle = append(d.idle[:0], d.idle[old:]...)
	d.sweep = nil
	if len(d.idle) > 0 {
		d.sweep = time.AfterFunc(idleTimeout-now.Sub(d.idle[0].since), d.closeOld)
	}
}

// CloseIdleConnections closes all idle connections.
func (d *direct) CloseIdleConnections() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle {
		_ = c.Close()
	}
	d.idle = nil
	if d.sweep != nil {
		d.sweep.Stop()
		d.sweep = nil
	}
}

var longAgo = time.Unix(1, 0)

// exchange sends one request and reads the head of its answer.
func (c *conn) exchange(ctx context.Context, r *http.Request) (*http.Response, error) {
	if err := c.appendHead(r); err != nil {
		return nil, err
	}
	if timeout := c.owner.spec.ResponseTimeout; timeout > 0 {
		c.timed = true
		_ = c.SetDeadline(time.Now().Add(timeout))
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	resp, err := c.ask(ctx, r, stop)
	if err != nil {
		stop()
	}
	return resp, err
}

func (c *conn) ask(ctx context.Context, r *http.Request, stop func() bool) (*http.Response, error) {
	if _, err := c.Write(c.out); err != nil {
		return nil, c.early(err)
	}
	c.in.c = c.Conn
	for {
		head, err := c.in.head()
		if err != nil {
			if c.in.empty() {
				return nil, c.early(err)
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		resp, f, err := parseHead(head, r)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 {
			c.answer(ctx, resp, f, stop)
			return resp, nil
		}
		switch resp.StatusCode {
		case http.StatusSwitchingProtocols:
			return nil, errSwitched
		case http.StatusContinue:
		default:
			if interim, ok := ctx.Value(interimKey{}).(Interim); ok {
				interim(resp.StatusCode, resp.Header)
			}
		}
	}
}

// early marks an error that came before any byte of an answer. A timeout is
// none: the origin is slow, not gone.
func (c *conn) early(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return &stale{err}
}

// answer gives the response its body, which the connection belongs to until its
// end.
func (c *conn) answer(ctx context.Context, resp *http.Response, f framing, stop func() bool) {
	b := &body{c: c, ctx: ctx, framing: f, stop: stop, resp: resp}
	if f.kind == noBody || f.kind == byLength && f.left == 0 {
		b.finish(true)
		resp.Body = http.NoBody
		return
	}
	resp.Body = b
	// What has come already is read without looking at the connection.
	if c.timed && !(f.kind == byLength && f.left <= int64(c.in.buffered())) {
		c.timed = false
		_ = c.SetDeadline(time.Time{})
		if ctx.Err() != nil { // whose deadline was just taken back
			_ = c.SetDeadline(longAgo)
		}
	}
}

var errValue = errors.New("a field of the request holds a line break")

// appendHead writes the request's head into c.out.
func (c *conn) appendHead(r *http.Request) error {
	b := append(c.out[:0], r.Method...)
	b = append(b, ' ')
	b = append(b, r.URL.RawPath...)
	if r.URL.RawQuery != "" {
		b = append(b, '?')
		b = append(b, r.URL.RawQuery...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, '\r', '\n')
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Expect":
			continue
		}
		for _, value := range values {
			if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
				return errValue
			}
			b = append(b, name...)
			b = append(b, ':', ' ')
			b = append(b, value...)
			b = append(b, '\r', '\n')
		}
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...) // RFC 9110 section 8.6
	}
	c.out = append(b, '\r', '\n')
	return nil
}
