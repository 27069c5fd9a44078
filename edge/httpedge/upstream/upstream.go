// Package upstream carries requests to origins.
//
// New returns the balance.Transport of an origin: HTTP/1.1 in clear, HTTP/2 with
// prior knowledge, or whatever ALPN chooses over TLS. Connections are dialled
// through a function of the caller, which keeps tenants off addresses that are
// not theirs. Nothing is followed, decoded or retried here beyond what the
// protocol allows unseen: an idempotent request without a body is sent again
// when the idle connection it was given turns out to be dead.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edge/balance"
)

// Dial connects to an address.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// ConnectError is a failure before any byte of the request was sent: another
// origin may be tried, whatever the request is.
type ConnectError struct{ Err error }

func (e *ConnectError) Error() string { return e.Err.Error() }

func (e *ConnectError) Unwrap() error { return e.Err }

// Timeout reports whether connecting took too long.
func (e *ConnectError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout() || errors.Is(e.Err, context.DeadlineExceeded)
}

const (
	maxIdle        = 512 // connections to one origin
	idleTimeout    = 55 * time.Second
	maxHeaderBytes = 256 << 10
	continueWait   = time.Second // for an origin that does not know Expect
)

// transport sends what has no content directly where the origin speaks HTTP/1.1,
// and the rest by net/http's client, of which there are two for TLS: WebSocket
// handshakes need HTTP/1.1 where everything else may have negotiated HTTP/2.
type transport struct {
	main    *http.Transport
	upgrade *http.Transport
	direct  *direct     // nil with prior knowledge of HTTP/2
	old     atomic.Bool // the origin speaks HTTP/1.1
}

// New returns a transport to the origin that spec describes.
func New(spec balance.Spec, dial Dial) balance.Transport {
	t := &transport{}
	if spec.Scheme == "https" {
		t.main = client(spec, dial, func(negotiated string) { t.old.Store(negotiated != "h2") }, "h2", "http/1.1")
		t.upgrade = client(spec, dial, nil, "http/1.1")
		t.direct = &direct{spec: spec, dial: tlsDialer(spec, dial, nil, "http/1.1")}
		return t
	}
	t.upgrade = client(spec, dial, nil, "http/1.1")
	if spec.PriorKnowledge {
		t.main = client(spec, dial, nil, "h2")
		return t
	}
	t.main, t.direct = t.upgrade, &direct{spec: spec, dial: dialer(spec, dial)}
	t.old.Store(true)
	return t
}

// client returns a net/http client of some protocols.
func client(spec balance.Spec, dial Dial, negotiated func(string), protocols ...string) *http.Transport {
	t := &http.Transport{
		DialContext:            dialer(spec, dial),
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  spec.ResponseTimeout,
		ExpectContinueTimeout:  continueWait,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	h2 := slices.Contains(protocols, "h2")
	t.Protocols.SetHTTP1(slices.Contains(protocols, "http/1.1"))
	t.Protocols.SetHTTP2(h2 && spec.Scheme == "https")
	t.Protocols.SetUnencryptedHTTP2(h2 && spec.Scheme == "http")
	if spec.Scheme == "https" {
		t.DialTLSContext = tlsDialer(spec, dial, negotiated, protocols...)
	}
	return t
}

func dialer(spec balance.Spec, dial Dial) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if spec.ConnectTimeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, spec.ConnectTimeout)
			defer cancel()
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, &ConnectError{err}
		}
		return conn, nil
	}
}

// tlsDialer connects and finishes TLS within the one timeout. negotiated, unless
// nil, is told what ALPN has chosen.
func tlsDialer(spec balance.Spec, dial Dial, negotiated func(string), protocols ...string) Dial {
	config := &tls.Config{
		ServerName:         spec.ServerName,
		InsecureSkipVerify: spec.SkipVerify, // the operator's choice for this origin
		RootCAs:            spec.RootCAs,
		NextProtos:         protocols,
		ClientSessionCache: tls.NewLRUClientSessionCache(16),
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if spec.ConnectTimeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, spec.ConnectTimeout)
			defer cancel()
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, &ConnectError{err}
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, &ConnectError{err}
		}
		if negotiated != nil {
			negotiated(secure.ConnectionState().NegotiatedProtocol)
		}
		return secure, nil
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if (r.Body == nil || r.Body == http.NoBody) && r.Header["Upgrade"] == nil && t.direct != nil && t.old.Load() {
		return t.direct.RoundTrip(r)
	}
	if interim, ok := r.Context().Value(interimKey{}).(Interim); ok {
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				interim(code, http.Header(header))
				return nil
			},
		}))
	}
	if r.Header["Upgrade"] != nil {
		return t.upgrade.RoundTrip(r)
	}
	resp, err := t.main.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body.Close()
		return nil, errSwitched
	}
	return resp, err
}

// errSwitched is an origin's fault: nobody asked, and what follows is no HTTP.
var errSwitched = errors.New("the origin switched protocols unasked")

// CloseIdleConnections implements balance.Transport.
func (t *transport) CloseIdleConnections() {
	t.main.CloseIdleConnections()
	t.upgrade.CloseIdleConnections()
	if t.direct != nil {
		t.direct.CloseIdleConnections()
	}
}

// Interim is told of each 1xx response but 100 and 101, from another goroutine
// than RoundTrip's. It must be done with header when it returns.
type Interim func(code int, header http.Header)

type interimKey struct{}

// WithInterim returns a context whose requests report interim responses.
func WithInterim(ctx context.Context, f Interim) context.Context {
	return context.WithValue(ctx, interimKey{}, f)
}
