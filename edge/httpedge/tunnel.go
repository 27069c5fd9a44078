package httpedge

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edge/httpedge/upstream"
)

// extendedProtocol returns the protocol that an extended CONNECT asks for (RFC
// 8441, RFC 9220), "" for any other request.
func extendedProtocol(r *http.Request) string {
	if r.Method != http.MethodConnect {
		return ""
	}
	switch r.ProtoMajor {
	case 2:
		return first(r.Header[":protocol"])
	case 3:
		if r.Proto != "HTTP/3.0" {
			return r.Proto // http3.Server puts it there
		}
	}
	return ""
}

// asksUpgrade reports whether an HTTP/1.1 request asks for a WebSocket. No other
// protocol is passed on: h2c in particular would carry requests past the edge.
func asksUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.Header["Upgrade"] != nil && containsToken(r.Header["Upgrade"], "websocket")
}

// tunnel connects a WebSocket to the origin, which always sees an HTTP/1.1
// handshake. Bytes pass as they are once the origin has answered 101, and not
// before.
func (x *exchange) tunnel() bool {
	extended := extendedProtocol(x.r)
	switch {
	case extended == "" && !asksUpgrade(x.r):
		return false
	case extended != "" && extended != "websocket":
		return x.fail(http.StatusNotImplemented, sideClient, "The only protocol that is tunnelled here is WebSocket.")
	case extended == "" && (x.r.Method != http.MethodGet || !containsToken(x.r.Header["Connection"], "upgrade") || x.view.HasBody):
		x.closes = true
		return x.fail(http.StatusBadRequest, sideClient, "This is not a WebSocket handshake.")
	}
	content := x.r.Body
	x.body = nil
	out := x.outbound(x.view.Query)
	out.method, out.length = http.MethodGet, 0
	out.header["Connection"], out.header["Upgrade"] = headerUpgrade, headerWebSocket
	key := first(out.header["Sec-Websocket-Key"])
	if extended != "" {
		key = rand.Text()[:22] + "=="
		out.header["Sec-Websocket-Key"] = []string{key}
	}
	x.patient()
	x.closes = extended == "" // an upgrade that fails ends the connection: package framing has stopped looking
	x.ctx = x.r.Context()     // net/http watches the client of a tunnel to be
	resp, err := out.send(upstream.WithInterim(x.ctx, x.passInterim), nil)
	if err != nil {
		return x.unanswered(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return x.refusedUpgrade(resp)
	}
	far, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !containsToken(resp.Header["Upgrade"], "websocket") || extended != "" && first(resp.Header["Sec-Websocket-Accept"]) != acceptKey(key) {
		resp.Body.Close()
		x.origin.failed.Store(true)
		return x.fail(http.StatusBadGateway, sideOrigin, "The origin server answered a WebSocket handshake with something else.")
	}
	defer far.Close()
	if extended == "" {
		return x.tunnelUpgrade(resp, far)
	}
	return x.tunnelStream(resp, far, content)
}

var (
	headerUpgrade   = []string{"Upgrade"}
	headerWebSocket = []string{"websocket"}
)

// acceptKey is Sec-WebSocket-Accept (RFC 6455 section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// refusedUpgrade passes on an answer other than 101.
func (x *exchange) refusedUpgrade(resp *http.Response) bool {
	defer resp.Body.Close()
	h := x.w.Header()
	named := connectionNames(resp.Header["Connection"])
	for name, values := range resp.Header {
		if !hopByHop(name) && !named[name] {
			h[name] = values
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	x.head(resp.StatusCode)
	space := smallBuffers.Get().(*[]byte)
	defer smallBuffers.Put(space)
	if _, err := io.CopyBuffer(onlyWriter{x}, resp.Body, *space); err != nil {
		panic(http.ErrAbortHandler)
	}
	return true
}

type onlyWriter struct{ io.Writer }

// tunnelUpgrade takes the client's HTTP/1.1 connection over.
func (x *exchange) tunnelUpgrade(resp *http.Response, far io.ReadWriteCloser) bool {
	near, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(err) // HTTP/1.1 connections can be taken over
	}
	defer near.Close()
	if c, ok := near.(interface{ Tunnel() }); ok {
		c.Tunnel()
	}
	_ = near.SetDeadline(time.Time{})
	h := http.Header{"X-Request-Id": {x.id}, "Connection": headerUpgrade, "Upgrade": headerWebSocket}
	for name, values := range resp.Header {
		if !hopByHop(name) && h[name] == nil {
			h[name] = values
		}
	}
	x.status, x.firstByte = http.StatusSwitchingProtocols, time.Since(x.start)
	x.finish()
	w := bufio.NewWriter(near)
	_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(w)
	_, _ = w.WriteString("\r\n")
	if err := w.Flush(); err != nil {
		return true
	}
	x.pipe(tunnelEnd{buffered.Reader, near, near}, tunnelEnd{far, far, far})
	return true
}

// tunnelStream answers an extended CONNECT: the stream's content is the tunnel.
func (x *exchange) tunnelStream(resp *http.Response, far io.ReadWriteCloser, content io.ReadCloser) bool {
	h := x.w.Header()
	for name, values := range resp.Header {
		if !hopByHop(name) && name != "Sec-Websocket-Accept" {
			h[name] = values
		}
	}
	h["Content-Type"] = nil
	x.head(http.StatusOK)
	if err := x.flush(); err != nil {
		return true
	}
	x.pipe(tunnelEnd{content, flushing{x}, content}, tunnelEnd{far, far, far})
	return true
}

// flushing writes through to the client.
type flushing struct{ x *exchange }

func (f flushing) Write(p []byte) (int, error) {
	f.x.watch.begin(f.x)
	defer f.x.watch.end()
	n, err := f.x.w.Write(p)
	if err == nil {
		err = http.NewResponseController(f.x.w).Flush()
	}
	return n, err
}

// tunnelEnd is one side of a tunnel.
type tunnelEnd struct {
	io.Reader
	io.Writer
	io.Closer
}

// closeWrite ends what is sent to this side, when it can be half-closed.
func (e tunnelEnd) closeWrite() {
	if half, ok := e.Writer.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// tunnelLinger is how long one direction of a tunnel may go on when the other
// has ended.
const tunnelLinger = 10 * time.Second

// pipe copies both ways until both have ended.
func (x *exchange) pipe(near, far tunnelEnd) {
	both := closers{near, far}
	x.s.tunnels.add(&both)
	defer x.s.tunnels.remove(&both)
	var sent int64
	var errFar, errNear error
	toFar, toNear := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(toFar)
		_, errFar = copyTunnel(far, near)
		far.closeWrite()
	}()
	go func() {
		defer close(toNear)
		sent, errNear = copyTunnel(near, far)
		near.closeWrite()
	}()
	first, rest := &errFar, toNear
	select {
	case <-toFar:
	case <-toNear:
		first, rest = &errNear, toFar
	}
	if *first == nil {
		linger := time.NewTimer(tunnelLinger)
		defer linger.Stop()
		select {
		case <-rest:
		case <-linger.C:
		}
	}
	_ = both.Close()
	<-rest
	x.sent += sent
}

func copyTunnel(dst io.Writer, src io.Reader) (int64, error) {
	space := smallBuffers.Get().(*[]byte)
	defer smallBuffers.Put(space)
	return io.CopyBuffer(onlyWriter{dst}, onlyReader{src}, *space)
}

type onlyReader struct{ io.Reader }

type closers struct{ near, far io.Closer }

func (c *closers) Close() error { return errors.Join(c.near.Close(), c.far.Close()) }

// tunnels are the open ones, which net/http no longer knows of.
type tunnels struct {
	mu   sync.Mutex
	open map[io.Closer]struct{}
	done chan struct{} // closed when the last one ends; nil while nobody waits
}

func (t *tunnels) add(c io.Closer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[c] = struct{}{}
}

func (t *tunnels) remove(c io.Closer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
	if len(t.open) == 0 && t.done != nil {
		close(t.done)
		t.done = nil
	}
}

func (t *tunnels) wait(ctx context.Context) error {
	t.mu.Lock()
	if len(t.open) == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.done == nil {
		t.done = make(chan struct{})
	}
	done := t.done
	t.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *tunnels) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.open {
		_ = c.Close()
	}
}
