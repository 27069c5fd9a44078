package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/fault"
)

// startExternal runs a bus that somebody else has set up.
func startExternal(t *testing.T, o server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(busReadyWithin) {
		t.Fatal("the bus does not start")
	}
	return s.Addr().String()
}

// What waiting does not mend is refused as what it is: a bus that is only away
// would be Unavailable, after the whole wait.
func TestExternalBusRefuses(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate, which nobody trusts
	certificate := web.TLS.Certificates
	web.Close()
	secure := server.Options{TLS: true, TLSConfig: &tls.Config{Certificates: certificate, MinVersion: tls.VersionTLS12}}
	for _, tt := range []struct {
		name, scheme string
		options      server.Options
		connect      []nats.Option
	}{
		{"credentials", "nats://", server.Options{Username: "control", Password: "right"}, []nats.Option{nats.UserInfo("control", "wrong")}},
		{"no credentials", "nats://", server.Options{Authorization: "right"}, nil},
		{"a certificate that nobody has signed", "tls://", secure, nil},
		{"TLS where there is none", "tls://", server.Options{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, err := connectExternal(t.Context(), tt.scheme+startExternal(t, tt.options), tt.connect)
			if conn != nil {
				conn.Close()
			}
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		})
	}
}

// The start's end is heard while a bus that takes connections says nothing, and
// between attempts at one that is not there.
func TestExternalBusHearsTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, end := context.WithCancel(t.Context())
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		end()
		if err == nil {
			accepted <- c
		}
	}()
	_, err = connectExternal(ctx, "nats://"+l.Addr().String(), []nats.Option{nats.Timeout(time.Hour)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a silent bus: %v", err)
	}
	_ = (<-accepted).Close()

	gone := l.Addr().String()
	_ = l.Close()
	ctx, end = context.WithCancel(t.Context())
	var dials int
	_, err = connectExternal(ctx, "nats://"+gone, []nats.Option{func(*nats.Options) error {
		if dials++; dials == 3 {
			end()
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) || dials > 4 {
		t.Errorf("a bus that is not there, after %d attempts: %v", dials, err)
	}
	end()
}

// The connection outlives the start's context.
func TestExternalBusOutlivesTheStart(t *testing.T) {
	address := startExternal(t, server.Options{})
	ctx, end := context.WithCancel(t.Context())
	conn, err := connectExternal(ctx, "nats://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	end()
	if err := conn.FlushTimeout(10 * time.Second); err != nil {
		t.Errorf("the connection ended with the start: %v", err)
	}
}
