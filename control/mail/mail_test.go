package mail_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/edgewright/edgewright/control/mail"
	"github.com/edgewright/edgewright/fault"
)

// inbox is a real SMTP server that keeps what it is given.
type inbox struct {
	mu       sync.Mutex
	from, to string
	data     string
	user     string
	secure   bool
	refuse   *smtp.SMTPError
}

func (b *inbox) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{inbox: b, conn: c}, nil
}

type session struct {
	inbox *inbox
	conn  *smtp.Conn
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "edge" || password != "secret-of-the-test" {
			return errors.New("wrong password")
		}
		s.inbox.mu.Lock()
		defer s.inbox.mu.Unlock()
		s.inbox.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	_, encrypted := s.conn.TLSConnectionState()
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	s.inbox.from, s.inbox.secure = from, encrypted
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	if s.inbox.refuse != nil {
		return s.inbox.refuse
	}
	s.inbox.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	s.inbox.data = string(body)
	return err
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// server starts an SMTP server; implicit: TLS from the start, else STARTTLS when
// there is a certificate.
func server(t *testing.T, b *inbox, withTLS, implicit bool) (address string, roots *x509.CertPool) {
	t.Helper()
	s := smtp.NewServer(b)
	s.Domain = "mail.example.com"
	s.AllowInsecureAuth = true // that no password comes is what is tested
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate of 127.0.0.1
	t.Cleanup(web.Close)
	roots = x509.NewCertPool()
	roots.AddCert(web.Certificate())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	config := &tls.Config{Certificates: web.TLS.Certificates}
	if withTLS && implicit {
		l = tls.NewListener(l, config)
	} else if withTLS {
		s.TLSConfig = config
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return address, roots
}

func TestSend(t *testing.T) {
	for _, tt := range []struct {
		name          string
		tls, implicit bool
		url           string
		secure        bool
	}{
		{"plain", false, false, "smtp://ADDR", false},
		{"STARTTLS when it is offered", true, false, "smtp://ADDR", true},
		{"with a password", true, false, "smtp://edge:secret-of-the-test@ADDR", true},
		{"TLS from the start", true, true, "smtps://edge:secret-of-the-test@ADDR", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b inbox
			address, roots := server(t, &b, tt.tls, tt.implicit)
			s, err := mail.New(mail.Options{URL: strings.Replace(tt.url, "ADDR", address, 1), From: "Edge <edge@example.com>", Root: roots})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(t.Context(), "hostmaster@example.org", "Bücher", "Guten Tag\nhttps://control.example.com/x?y=z\n"); err != nil {
				t.Fatal(err)
			}
			if b.from != "edge@example.com" || b.to != "hostmaster@example.org" || b.secure != tt.secure {
				t.Errorf("from %q to %q, encrypted: %v", b.from, b.to, b.secure)
			}
			if want := strings.Contains(tt.url, "@"); (b.user == "edge") != want {
				t.Errorf("signed in as %q", b.user)
			}
			for _, part := range []string{"Auto-Submitted: auto-generated", "Guten Tag", "Subject: =?UTF-8?q?B=C3=BCcher?=", "From: \"Edge\" <edge@example.com>"} {
				if !strings.Contains(b.data, part) {
					t.Errorf("no %q in %s", part, b.data)
				}
			}
		})
	}
}

func TestSendFails(t *testing.T) {
	var b inbox
	address, roots := server(t, &b, false, false)
	send := func(url, to string) error {
		s, err := mail.New(mail.Options{URL: url, From: "edge@example.com", Root: roots})
		if err != nil {
			t.Fatal(err)
		}
		return s.Send(t.Context(), to, "s", "t")
	}
	// A password is not sent to a server that does not encrypt.
	if err := send("smtp://edge:secret-of-the-test@"+address, "a@example.org"); !fault.Is(err, fault.Unavailable) || b.user != "" {
		t.Errorf("a password in the clear: %v, signed in as %q", err, b.user)
	} else if strings.Contains(err.Error(), "secret-of-the-test") {
		t.Errorf("the error tells the password: %v", err)
	}
	b.refuse = &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
	if err := send("smtp://"+address, "a@example.org"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "550") {
		t.Errorf("a refused recipient: %v", err)
	}
	if err := send("smtp://"+address, "no address\r\nBcc: x@example.org"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a header in an address: %v", err)
	}
	if err := send("smtp://127.0.0.1:1", "a@example.org"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no server: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct{ url, from, says string }{
		{"", "edge@example.com", "--smtp-url"},
		{"mail.example.com", "edge@example.com", "--smtp-url"},
		{"http://mail.example.com", "edge@example.com", "smtp:// or smtps://"},
		{"smtp://mail.example.com/path", "edge@example.com", "--smtp-url"},
		{"smtp://mail.example.com:99999", "edge@example.com", "port"},
		{"smtp://mail.example.com", "", "--mail-from"},
		{"smtp://mail.example.com", "not an address", "--mail-from"},
	} {
		if _, err := mail.New(mail.Options{URL: tt.url, From: tt.from}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q, %q: %v", tt.url, tt.from, err)
		}
	}
}
