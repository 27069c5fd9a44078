package httpedge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edge/telemetry"
)

// countHandshake counts a handshake where its server name belongs.
func (s *Server) countHandshake(shard uint32, a *certs.Attempt, err error) {
	counters := s.o.Telemetry.None()
	if a.Name != "" {
		if site := s.o.Current().Site(a.Name); site != nil {
			counters = site.Counters
		}
	}
	counters.Handshake(shard, refusalOf(a, err))
}

// refusalOf says why a handshake ended as it did. What the ClientHello shows
// goes before what the error says: crypto/tls's errors are text.
func refusalOf(a *certs.Attempt, err error) telemetry.Refusal {
	var operation *net.OpError
	var transport *quic.TransportError
	var record tls.RecordHeaderError
	var timeout *quic.HandshakeTimeoutError
	var idle *quic.IdleTimeoutError
	switch {
	case err == nil:
		return telemetry.Completed
	case errors.As(err, &operation) && operation.Op == "remote error", errors.As(err, &transport) && transport.Remote:
		return telemetry.ClientRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout), errors.As(err, &idle):
		return telemetry.Timeout
	case errors.As(err, &record):
		return telemetry.NotTLS
	case transport == nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || operation != nil):
		return telemetry.ClientLeft
	case a.Hello == nil:
		return telemetry.NotTLS
	case a.Challenge && !a.Answered:
		return telemetry.NoChallenge
	case !slices.Contains(a.Hello.SupportedVersions, tls.VersionTLS13) && (a.Policy == certs.Modern || !slices.Contains(a.Hello.SupportedVersions, tls.VersionTLS12)):
		return telemetry.Version
	case !a.Challenge && len(a.Hello.SupportedProtos) > 0 && !slices.ContainsFunc(a.Hello.SupportedProtos, spoken):
		return telemetry.ALPN
	case a.Unknown:
		return telemetry.NoCertificate
	case strings.Contains(err.Error(), "supported by both"), strings.Contains(err.Error(), "signature algorithms"), strings.Contains(err.Error(), "point formats"):
		return telemetry.Cipher
	}
	return telemetry.OtherRefusal
}

func spoken(protocol string) bool {
	return protocol == "h2" || protocol == "http/1.1" || protocol == "h3"
}

// quicAttempt is a handshake over QUIC, counted once: when it completes or when
// the connection's context ends.
type quicAttempt struct {
	certs.Attempt
	end func(err error)
}

type quicAttemptKey struct{}

// quicContext is the context of a QUIC connection from its first packet.
func (s *Server) quicContext(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	a := &quicAttempt{}
	own := s.o.Own != nil && s.o.Own(client.RemoteAddr)
	var once sync.Once
	a.end = func(err error) {
		once.Do(func() {
			if !own {
				s.countHandshake(s.o.Telemetry.Shard(), &a.Attempt, err)
			}
			a.Hello = nil // the connection's context keeps the rest as long as it lives
		})
	}
	context.AfterFunc(ctx, func() { a.end(context.Cause(ctx)) })
	return certs.WithAttempt(context.WithValue(ctx, quicAttemptKey{}, a), &a.Attempt), nil
}
