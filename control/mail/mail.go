// Package mail sends the control plane's mail through the operator's SMTP server.
//
// One type, Sender; it is domains.Mailer. One mail goes to one address over one
// connection: there are few, and each has its own error. With user and password
// the connection must be encrypted; without, it is as soon as the server can.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/edgewright/edgewright/fault"
)

const sendTimeout = 20 * time.Second // of one mail

// Options of a Sender.
type Options struct {
	// URL of the server: smtp://host:587 (STARTTLS where offered),
	// smtp://user:password@host:587 (STARTTLS needed), smtps://host:465 (TLS from
	// the start). The port is 587 and 465 by default.
	URL  string
	From string         // "Edgewright <edge@example.com>" or the address alone
	Root *x509.CertPool // trusted for the server's certificate; nil: the system's
}

// Sender sends mail. Its methods may be called from any goroutine.
type Sender struct {
	host    string
	from    string
	options []gomail.Option
}

// New returns a Sender. It does not connect. Errors: Invalid, naming the flag.
func New(o Options) (*Sender, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, fault.New(fault.Invalid, "--smtp-url is not the address of a mail server: write it like smtp://user:password@mail.example.com:587 or smtps://mail.example.com")
	}
	if o.From == "" {
		return nil, fault.New(fault.Invalid, "--smtp-url needs --mail-from, the address that mail comes from")
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return nil, fault.New(fault.Invalid, "--mail-from: %q is not a mail address: write it like edge@example.com", o.From)
	}
	s := &Sender{host: u.Hostname(), from: from.String()}
	port, secure := 587, false
	switch u.Scheme {
	case "smtp":
	case "smtps":
		port, secure = 465, true
	default:
		return nil, fault.New(fault.Invalid, "--smtp-url: %q is not a way to send mail: use smtp:// or smtps://", u.Scheme)
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return nil, fault.New(fault.Invalid, "--smtp-url: %q is not a port", text)
		}
	}
	policy := gomail.TLSOpportunistic
	if u.User != nil {
		policy = gomail.TLSMandatory // a password is never sent in the clear
	}
	s.options = []gomail.Option{
		gomail.WithTimeout(sendTimeout), gomail.WithTLSPolicy(policy), gomail.WithPort(port),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: o.Root}),
		gomail.WithoutNoop(),
	}
	if _, domain, ok := strings.Cut(from.Address, "@"); ok {
		s.options = append(s.options, gomail.WithHELO(domain))
	}
	if secure {
		s.options = append(s.options, gomail.WithSSL())
	}
	if u.User != nil {
		password, _ := u.User.Password()
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	return s, nil
}

// Send implements domains.Mailer. Errors: Invalid for what is no address;
// Unavailable when the server cannot be reached or refuses the mail, in its own
// words, without anything secret.
func (s *Sender) Send(ctx context.Context, to, subject, text string) error {
	m := gomail.NewMsg()
	if err := errors.Join(m.From(s.from), m.To(to)); err != nil {
		return fault.New(fault.Invalid, "%q is not a mail address", to)
	}
	m.Subject(subject)
	m.SetDate()
	m.SetMessageID()
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers by machines
	m.SetBodyString(gomail.TypeTextPlain, text)
	client, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return fault.New(fault.Internal, "the mail server's settings cannot be used: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, m); err != nil {
		return explain(err)
	}
	return nil
}

func explain(err error) error {
	var refused *gomail.SendError
	if errors.As(err, &refused) && refused.ErrorCode() != 0 {
		return fault.New(fault.Unavailable, "the mail server refused it with %d: %w", refused.ErrorCode(), err)
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return fault.New(fault.Unavailable, "the mail server did not answer in time")
	}
	return fault.New(fault.Unavailable, "the mail server could not be used: %w", err)
}
