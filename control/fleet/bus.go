package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// bus is the NATS server, when it is ours, and the control plane's connections
// to it: one in the product's account, one in the system account (which edges
// connect and go, and revocations of an external cluster).
type bus struct {
	server   *server.Server // nil: external
	resolver *server.MemAccResolver
	account  string // public key
	conn     *nats.Conn
	system   *nats.Conn
}

// How long things of the bus may take.
const (
	busReadyWithin   = 10 * time.Second
	busReadyStep     = 100 * time.Millisecond
	busConnectWithin = 10 * time.Second
)

// startBus brings the embedded server up, or connects to the external cluster.
func startBus(ctx context.Context, o BusOptions, k *keyset, log *slog.Logger, now func() time.Time) (*bus, error) {
	b := &bus{}
	var err error
	if b.account, _, err = public(k.Account); err != nil {
		return nil, err
	}
	if o.External == "" {
		if err := b.startServer(o, k, log, now); err != nil {
			return nil, err
		}
	}
	if b.conn, err = b.connect(ctx, o, k, k.Account, "control", log); err != nil {
		b.close()
		return nil, err
	}
	if b.system, err = b.connect(ctx, o, k, k.System, "control-system", log); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bus) startServer(o BusOptions, k *keyset, log *slog.Logger, now func() time.Time) error {
	operator, _, err := public(k.Operator)
	if err != nil {
		return err
	}
	system, _, err := public(k.System)
	if err != nil {
		return err
	}
	systemJWT, err := k.systemJWT()
	if err != nil {
		return err
	}
	_, accountJWT, err := k.accountJWT()
	if err != nil {
		return err
	}
	b.resolver = &server.MemAccResolver{}
	for account, encoded := range map[string]string{b.account: accountJWT, system: systemJWT} {
		if err := b.resolver.Store(account, encoded); err != nil {
			return err
		}
	}
	options := &server.Options{
		ServerName:      "edgewright",
		DontListen:      o.Listen == "",
		NoSigs:          true,
		TrustedKeys:     []string{operator},
		SystemAccount:   system,
		AccountResolver: b.resolver,
		MaxPayload:      maxMessage,
		MaxControlLine:  4096,
		PingInterval:    time.Minute,
		// Thousands of agents that come back at once are checked one signature
		// after the other.
		AuthTimeout: 15,
	}
	if o.Listen != "" {
		host, port, err := listenAddress(o.Listen)
		if err != nil {
			return err
		}
		options.Host, options.Port = host, port
		leaf := &busLeaf{keys: k, names: busNames(o), now: now}
		if _, err := leaf.certificate(); err != nil {
			return fault.New(fault.Invalid, "the bus's certificate cannot be made for %s: %w", strings.Join(leaf.names, ", "), err)
		}
		options.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS13,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return leaf.certificate() },
		}
		options.TLS = true
		options.TLSTimeout = 10
	}
	if b.server, err = server.NewServer(options); err != nil {
		return fault.New(fault.Unavailable, "the bus cannot be made: %w", err)
	}
	logger := &busLog{log: log, fatal: make(chan string, 1)}
	b.server.SetLoggerV2(logger, false, false, false)
	b.server.Start()
	for waited := time.Duration(0); !b.server.ReadyForConnections(busReadyStep); waited += busReadyStep {
		reason := ""
		select {
		case reason = <-logger.fatal:
		default:
		}
		if reason != "" || waited > busReadyWithin {
			b.close()
			return fault.New(fault.Unavailable, "the bus does not start on %q; is the address taken by another program? %s", o.Listen, reason)
		}
	}
	return nil
}

// connect opens one connection with all rights in the account of seed.
func (b *bus) connect(ctx context.Context, o BusOptions, k *keyset, seed []byte, name string, log *slog.Logger) (*nats.Conn, error) {
	options, err := userOptions(seed, name)
	if err != nil {
		return nil, err
	}
	options = append(options,
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectJitter(500*time.Millisecond, time.Second),
		nats.Timeout(busConnectWithin),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			log.Warn("bus", "subject", subject, "error", err)
		}),
	)
	url := nats.DefaultURL // not dialled
	if b.server != nil {
		options = append(options, nats.InProcessServer(b.server))
	} else if o.ExternalRootPEM != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(o.ExternalRootPEM)) {
			return nil, fault.New(fault.Invalid, "the root certificate of the external bus is not PEM")
		}
		options = append(options, nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	}
	if o.External != "" {
		return connectExternal(ctx, o.External, options)
	}
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the bus cannot be reached: %w", err)
	}
	return conn, nil
}

// revoke makes the account's new revocations known; connections of revoked
// users are closed at once.
func (b *bus) revoke(ctx context.Context, k *keyset) error {
	claims, encoded, err := k.accountJWT()
	if err != nil {
		return err
	}
	if b.server != nil {
		if err := b.resolver.Store(b.account, encoded); err != nil {
			return err
		}
		account, err := b.server.LookupAccount(b.account)
		if err != nil {
			return fault.New(fault.Internal, "the bus does not know its account: %w", err)
		}
		b.server.UpdateAccountClaims(account, claims)
		return nil
	}
	reply, err := b.system.RequestWithContext(ctx, "$SYS.REQ.CLAIMS.UPDATE", []byte(encoded))
	if err != nil {
		return fault.New(fault.Unavailable, "the bus did not take the revocation: its servers need the account resolver of `edgewright bus config`: %w", err)
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fault.New(fault.Unavailable, "the bus answered a revocation with %q: %w", reply.Data, err)
	}
	if answer.Error != nil {
		return fault.New(fault.Unavailable, "the bus refused the revocation: %s", answer.Error.Description)
	}
	return nil
}

// addr is the bound address of the listener, "" without one.
func (b *bus) addr() string {
	if b.server == nil || b.server.Addr() == nil {
		return ""
	}
	return b.server.Addr().String()
}

func (b *bus) close() {
	for _, conn := range []*nats.Conn{b.conn, b.system} {
		if conn != nil {
			conn.Close()
		}
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

func listenAddress(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fault.New(fault.Invalid, "the bus cannot listen on %q: give host:port, such as 0.0.0.0:7071", listen)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// busNames are the names that edges may dial the listener by.
func busNames(o BusOptions) []string {
	names := append([]string{edgeconfig.BusServerName, "localhost", "127.0.0.1", "::1"}, o.Names...)
	for _, address := range []string{o.Listen, o.Advertise} {
		if host, _, err := net.SplitHostPort(address); err == nil {
			if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
				names = append(names, host)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// busLeaf is the listener's certificate, replaced while the process runs.
type busLeaf struct {
	keys  *keyset
	names []string
	now   func() time.Time

	mu   sync.Mutex
	leaf *tls.Certificate
}

func (l *busLeaf) certificate() (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaf != nil && l.now().Before(l.leaf.Leaf.NotAfter.Add(-busLeafRenewal)) {
		return l.leaf, nil
	}
	leaf, err := l.keys.newBusLeaf(l.names, l.now())
	if err != nil {
		return nil, err
	}
	l.leaf = leaf
	return leaf, nil
}

// BusConfig is a configuration file for the servers of an external NATS cluster
// that carries this fleet: the operator, the accounts, and a resolver that
// accepts revocations. Listeners, TLS and cluster routes are the operator's to
// add.
func (f *Fleet) BusConfig() (string, error) {
	k := f.keys()
	operator, err := k.operatorJWT()
	if err != nil {
		return "", err
	}
	systemJWT, err := k.systemJWT()
	if err != nil {
		return "", err
	}
	system, _, err := public(k.System)
	if err != nil {
		return "", err
	}
	claims, accountJWT, err := k.accountJWT()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`# Edgewright's accounts, for every server of the cluster.
operator: %s
system_account: %s
resolver {
  type: full
  dir: "./edgewright-accounts"
  allow_delete: false
  interval: "2m"
}
resolver_preload {
  %s: %s
  %s: %s
}
`, operator, system, system, systemJWT, claims.Subject, accountJWT), nil
}

// busLog passes the server's warnings and errors on.
type busLog struct {
	log   *slog.Logger
	fatal chan string
}

func (l *busLog) Noticef(string, ...any) {}
func (l *busLog) Debugf(string, ...any)  {}
func (l *busLog) Tracef(string, ...any)  {}
func (l *busLog) Warnf(format string, v ...any) {
	l.log.Warn("bus server", "message", fmt.Sprintf(format, v...))
}

func (l *busLog) Errorf(format string, v ...any) {
	l.log.Warn("bus server", "message", fmt.Sprintf(format, v...))
}

// Fatalf is told of what the server cannot go on after; it does not end the
// process.
func (l *busLog) Fatalf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	l.log.Error("bus server", "message", message)
	select {
	case l.fatal <- message:
	default:
	}
}
