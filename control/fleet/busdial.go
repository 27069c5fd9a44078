package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/fault"
)

// startDialer dials for nats.Connect, which knows no context: until started, it
// ends with ctx, whatever it waits for. After that it is a dialer like any other,
// for reconnections.
type startDialer struct {
	ctx context.Context

	mu      sync.Mutex
	started bool
	open    net.Conn
}

// Dial implements nats.CustomDialer.
func (d *startDialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	started := d.started
	d.mu.Unlock()
	ctx := d.ctx
	if started {
		ctx = context.WithoutCancel(ctx)
	}
	c, err := (&net.Dialer{Timeout: busConnectWithin}).DialContext(ctx, network, address)
	if err != nil || started {
		return c, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = c
	if d.ctx.Err() != nil { // abort has come already
		_ = c.Close()
	}
	return c, nil
}

// abort ends a handshake that is on its way.
func (d *startDialer) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil && !d.started {
		_ = d.open.Close()
	}
}

// finish makes it a dialer of reconnections.
func (d *startDialer) finish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started, d.open = true, nil
}

// connectExternal connects to a bus that may be starting at the same time, as on
// first start, when it waits for the configuration that the control plane writes.
// What does not mend itself by waiting is refused at once; ctx ends the wait.
func connectExternal(ctx context.Context, url string, options []nats.Option) (*nats.Conn, error) {
	dialer := &startDialer{ctx: ctx}
	defer context.AfterFunc(ctx, dialer.abort)()
	options = append(options, nats.SetCustomDialer(dialer))
	deadline := time.NewTimer(busConnectWithin)
	defer deadline.Stop()
	for {
		conn, err := nats.Connect(url, options...)
		if err == nil {
			dialer.finish()
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := refusedBus(url, err); err != nil {
			return nil, err
		}
		step := time.NewTimer(busReadyStep)
		select {
		case <-step.C:
		case <-ctx.Done():
			step.Stop()
			return nil, ctx.Err()
		case <-deadline.C:
			step.Stop()
			return nil, fault.New(fault.Unavailable, "the bus at %s cannot be reached; its servers have to include the nats.conf that the control plane has written into its data directory: %w", url, err)
		}
	}
}

// refusedBus says what to do about an answer that stays the same; nil: it may not.
func refusedBus(url string, err error) error {
	var (
		unverified *tls.CertificateVerificationError
		record     tls.RecordHeaderError
		alert      tls.AlertError
		authority  x509.UnknownAuthorityError
		host       x509.HostnameError
		invalid    x509.CertificateInvalidError
	)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return fault.New(fault.Invalid, "the bus at %s does not accept this control plane: let its servers include the nats.conf that the control plane has written into its data directory, and reload them: %w", url, err)
	case errors.As(err, &unverified), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return fault.New(fault.Invalid, "the certificate of the bus at %s is not to be trusted: name the root that has signed it with --nats-root-ca, and a host that it is for: %w", url, err)
	case errors.As(err, &record), errors.As(err, &alert), errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return fault.New(fault.Invalid, "the bus at %s and this control plane do not agree on TLS: write tls:// for a bus with TLS, nats:// for one without: %w", url, err)
	}
	return nil
}
