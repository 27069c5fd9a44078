package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Of the connection to the bus.
const (
	dialTimeout     = 10 * time.Second
	pingEvery       = 20 * time.Second
	reconnectFirst  = 100 * time.Millisecond
	reconnectAtMost = 15 * time.Second
	goodbyeWithin   = 10 * time.Second
)

// connect begins to connect; it goes on for ever in the background.
func (a *agent) connect() error {
	options, err := dialOptions(a.id, a.o.InProcess)
	if err != nil {
		return err
	}
	link := func(up bool) nats.ConnHandler {
		return func(*nats.Conn) {
			select {
			case a.links <- up:
			default: // flapping; the last state is asked for when it matters
			}
		}
	}
	options = append(options,
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		// A revoked edge goes on serving, and asks now and then.
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			wait := min(reconnectFirst<<min(attempts, 10), reconnectAtMost)
			return wait/2 + jitter(wait)
		}),
		// What cannot be sent now is stale later: heartbeats and manifests heal.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(link(true)),
		nats.ReconnectHandler(link(true)),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { link(false)(nil) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { a.log.Debug("the bus cannot be reached", "error", err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { a.log.Warn("bus", "error", err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(a.closed) }),
	)
	url := a.id.BusURL
	if a.o.InProcess != nil {
		url = nats.DefaultURL // not dialled
	}
	if url == "" {
		return fault.New(fault.Invalid, "the edge does not know where the bus is: the control plane needs an address for edges (--listen-bus)")
	}
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return fault.New(fault.Invalid, "the bus's address %q cannot be used: %w", url, err)
	}
	a.conn = conn
	for _, subject := range []string{
		edgeconfig.SubjectPurge, edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(a.id.Edge),
		edgeconfig.SubjectManifest, edgeconfig.InboxPrefix(a.id.Edge) + ".*",
	} {
		if _, err := conn.ChanSubscribe(subject, a.messages); err != nil {
			return fault.New(fault.Internal, "the edge cannot listen on %s: %w", subject, err)
		}
	}
	return nil
}

// dialOptions are what every connection of an edge needs: who it is and whom it
// trusts.
func dialOptions(id *Identity, inProcess nats.InProcessConnProvider) ([]nats.Option, error) {
	user, err := nkeys.FromSeed(id.BusSeed)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the edge's identity is damaged: remove it and join again: %w", err)
	}
	options := []nats.Option{
		nats.Name(id.Edge),
		nats.Timeout(dialTimeout),
		nats.UserJWT(func() (string, error) { return id.BusJWT, nil }, user.Sign),
		nats.CustomInboxPrefix(edgeconfig.InboxPrefix(id.Edge)),
	}
	if inProcess != nil {
		return append(options, nats.InProcessServer(inProcess)), nil
	}
	if id.BusRootPEM != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(id.BusRootPEM)) {
			return nil, fault.New(fault.Invalid, "the root certificate of the bus is damaged: remove the edge's identity and join again")
		}
		options = append(options, nats.Secure(&tls.Config{RootCAs: roots, ServerName: id.BusServerName, MinVersion: tls.VersionTLS13}))
	}
	return options, nil
}

// Leave tells the control plane that this edge goes for good, and removes its
// identity and configuration from dir. Errors: NotFound when the directory has
// not joined; Unavailable when the control plane does not answer: it then still
// counts the edge, which can be revoked there.
func Leave(ctx context.Context, dir string, inProcess nats.InProcessConnProvider) error {
	id, err := LoadIdentity(dir)
	if err != nil {
		return err
	}
	options, err := dialOptions(id, inProcess)
	if err != nil {
		return err
	}
	url := id.BusURL
	if inProcess != nil {
		url = nats.DefaultURL
	}
	conn, err := nats.Connect(url, append(options, nats.NoReconnect())...)
	if err != nil {
		return fault.New(fault.Unavailable, "the bus cannot be reached, so the control plane still counts this edge: revoke it there with `edgewright edges revoke %s`: %w", id.Edge, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, goodbyeWithin)
	defer cancel()
	if _, err := conn.RequestWithContext(ctx, edgeconfig.SubjectUpOf(id.Edge, "leave"), nil); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		// A closed connection is the control plane's yes: it closes those of edges
		// that have left.
		return fault.New(fault.Unavailable, "the control plane does not answer, so it still counts this edge: revoke it there with `edgewright edges revoke %s`: %w", id.Edge, err)
	}
	for _, name := range []string{identityName, journalName, spoolName} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Unavailable, "the edge has left, but its directory cannot be cleaned: %w", err)
		}
	}
	return nil
}
