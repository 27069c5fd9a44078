package certs

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Policy is what a site asks of its clients' TLS over TCP.
type Policy uint8

// The policies.
const (
	Intermediate Policy = iota // TLS 1.2, AEAD and forward secret, or 1.3
	Modern                     // TLS 1.3
)

// PolicyOf compiles what a site document says.
func PolicyOf(t *edgeconfig.TLS) Policy {
	if t != nil && (t.Policy == edgeconfig.PolicyModern || t.MinVersion == "1.3") {
		return Modern
	}
	return Intermediate
}

// Options of the TLS settings of an edge. The functions are asked in every
// handshake, may be called by many goroutines, and should allocate nothing.
type Options struct {
	Table     func() *Table                        // in force
	Policy    func(name string) Policy             // of a normalised server name; nil: Intermediate
	Challenge func(host string) *Challenge         // in force, nil when there is none; nil: never
	Tickets   *Tickets                             // nil: sessions are not resumed
	ECH       func() []tls.EncryptedClientHelloKey // nil: not offered
	Now       func() time.Time
}

// Settings are the TLS settings of an edge. A connection keeps the certificate
// it began with.
type Settings struct {
	TCP  *tls.Config // h2 and http/1.1
	QUIC *tls.Config // h3; TLS 1.3
	DoT  *tls.Config // DNS over TLS, whose door names its protocol
}

// The groups of the key exchange. P-521 is left out: nobody needs it, and it
// costs the server ten times what it costs to ask.
var curves = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384}

// NewSettings makes the settings. 0-RTT is never offered: what can be replayed
// would need a decision per site and method, and crypto/tls takes none over TCP.
func NewSettings(o Options) Settings {
	c := &chooser{o: o}
	base := &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites, CurvePreferences: curves, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: c.certificate, SessionTicketsDisabled: o.Tickets == nil, Time: o.Now,
		// One record of full size costs one system call; small ones first would
		// only help clients that wait for the first bytes of a long record.
		DynamicRecordSizingDisabled: true,
	}
	if o.Tickets != nil {
		base.WrapSession, base.UnwrapSession = o.Tickets.wrap, c.unwrap
	}
	if o.ECH != nil {
		base.GetEncryptedClientHelloKeys = func(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) { return o.ECH(), nil }
	}
	c.modern = base.Clone()
	c.modern.MinVersion = tls.VersionTLS13
	s := Settings{TCP: base.Clone(), QUIC: c.modern.Clone(), DoT: base.Clone()}
	s.TCP.GetConfigForClient = c.config
	s.DoT.GetCertificate = c.certificateOrAny
	s.QUIC.NextProtos = []string{"h3"}
	// Over QUIC there is nothing to decide, and what would be returned would be
	// cloned for each connection.
	s.QUIC.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		attemptOf(hello)
		return nil, nil
	}
	return s
}

// Attempt is what is learnt of one handshake, whatever becomes of it.
type Attempt struct {
	Hello     *tls.ClientHelloInfo // nil until it has been read
	Name      string               // the normalised server name, "" for none
	Policy    Policy
	Unknown   bool // there is no certificate for the name
	Challenge bool // the client asked for acme-tls/1 alone
	Answered  bool // and there was a challenge
}

type attemptKey struct{}

// WithAttempt returns the context for a handshake that fills in an Attempt.
func WithAttempt(ctx context.Context, a *Attempt) context.Context {
	return context.WithValue(ctx, attemptKey{}, a)
}

func attemptOf(hello *tls.ClientHelloInfo) *Attempt {
	a, ok := hello.Context().Value(attemptKey{}).(*Attempt)
	if !ok {
		a = &Attempt{}
	}
	if a.Hello == nil {
		a.Hello, a.Name = hello, serverName(hello)
	}
	return a
}

type chooser struct {
	o      Options
	modern *tls.Config
}

// config is GetConfigForClient over TCP.
func (c *chooser) config(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	a := attemptOf(hello)
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ACMEProtocol {
		// Without a challenge no protocol is in common, and the client is told so.
		a.Challenge = true
		if c.o.Challenge == nil {
			return nil, nil
		}
		challenge := c.o.Challenge(challengeHost(a.Name))
		if challenge == nil {
			return nil, nil
		}
		a.Answered = true
		return challenge.make()
	}
	if c.o.Policy != nil {
		if a.Policy = c.o.Policy(a.Name); a.Policy == Modern {
			return c.modern, nil
		}
	}
	return nil, nil
}

func (c *chooser) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	a, now := attemptOf(hello), c.o.Now()
	e := c.o.Table().Select(a.Name, now, hello)
	if e == nil {
		a.Unknown = true
		return nil, nil // crypto/tls answers unrecognized_name
	}
	return e.Open(now)
}

// unwrap resumes no session for a name that has no certificate any more.
func (c *chooser) unwrap(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	ss, err := c.o.Tickets.unwrap(ticket, cs)
	if ss == nil || err != nil || cs.ServerName == "" {
		return nil, err // an address may have changed hands
	}
	name, _, err := request.Authority(cs.ServerName)
	if err != nil || c.o.Table().Find(name, c.o.Now()) == nil {
		return nil, nil
	}
	return ss, nil
}

// serverName returns the normalised name a client asks for; without one, the
// address it came to, for certificates of addresses.
func serverName(hello *tls.ClientHelloInfo) string {
	if hello.ServerName == "" {
		if hello.Conn == nil || hello.Conn.LocalAddr() == nil {
			return ""
		}
		return request.PeerIP(hello.Conn.LocalAddr().String())
	}
	name, _, err := request.Authority(hello.ServerName)
	if err != nil {
		return ""
	}
	return name
}
