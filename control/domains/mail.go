package domains

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Mailer sends mail; mail.Sender is one.
type Mailer interface {
	// Send delivers one plain-text mail to one address. Its error is told to the
	// user.
	Send(ctx context.Context, to, subject, text string) error
}

// Addresses that belong to who runs a domain (RFC 2142, and the constructed
// addresses of the CA/Browser Forum's Baseline Requirements, 3.2.2.4.4).
var mailboxes = []string{"admin", "administrator", "hostmaster", "postmaster", "webmaster"}

const (
	mailLife     = 24 * time.Hour       // of a link
	mailPause    = 10 * time.Minute     // between two rounds for a domain
	mailsADay    = 4                    // rounds a day for a registered name, whoever asks
	emailLife    = 365 * 24 * time.Hour // how long a confirmation counts
	confirmPath  = "/verify-domain"
	maxMailToken = 512
)

// Mail is the state of the proof by mail.
type Mail struct {
	SentAt time.Time  `json:"sent_at"`
	Links  []MailLink `json:"links"`
}

// MailLink is one link that was sent. Its secret is only in the mail.
type MailLink struct {
	Address   string    `json:"address"`
	Hash      string    `json:"hash"` // SHA-256 of the link's secret; "": it was spent or could not be sent
	ExpiresAt time.Time `json:"expires_at"`
	Error     string    `json:"error,omitempty"` // why it could not be sent
}

// pending reports whether a link can still be confirmed.
func (m *Mail) pending(now time.Time) bool {
	return m != nil && slices.ContainsFunc(m.Links, func(l MailLink) bool { return l.Hash != "" && now.Before(l.ExpiresAt) })
}

// MailAddresses are where proof by mail for a domain can be sent: the constructed
// addresses at its registered name.
func MailAddresses(domain string) []string {
	name, err := ParseName(domain)
	if err != nil {
		return nil
	}
	list := make([]string, len(mailboxes))
	for i, box := range mailboxes {
		list[i] = box + "@" + name.Registrable
	}
	return list
}

// SendMail sends the links that prove a domain: to the address, one of
// MailAddresses, or to all of them. Links that are still good are not sent again,
// unless resend is set. Errors: NotFound; Invalid at /address; Conflict for names
// that need no proof; RateLimited; Unavailable when no mail can be sent.
func (s *Service) SendMail(ctx context.Context, project, environment, domain, address string, resend bool) (Domain, error) {
	d, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return Domain{}, err
	}
	name, err := ParseName(d.Name)
	if err != nil {
		return Domain{}, err
	}
	if s.free(name) {
		return Domain{}, fault.New(fault.Conflict, "this name needs no proof").About("domain " + d.Name)
	}
	if s.Mailer == nil || s.PublicURL == nil {
		return Domain{}, fault.New(fault.Unavailable, "verification by e-mail needs outgoing mail, which this platform is not set up for: "+
			"its operator starts it with --smtp-url smtp://user:password@mail.example.com:587 and --mail-from edge@example.com; "+
			"until then use the method dns (a TXT record) or file (a file on your present server)").About("domain " + d.Name)
	}
	addresses := MailAddresses(d.Name)
	if address != "" {
		if address = strings.ToLower(strings.TrimSpace(address)); !slices.Contains(addresses, address) {
			return Domain{}, fault.InvalidField("/address", fmt.Sprintf("%q does not prove this domain", address), "use one of "+strings.Join(addresses, ", "))
		}
		addresses = []string{address}
	}
	now := s.Now().UTC().Truncate(time.Second)
	if m := d.Status.Mail; m != nil {
		if !resend && m.pending(now) {
			return d, nil
		}
		if wait := m.SentAt.Add(mailPause).Sub(now); wait > 0 {
			return Domain{}, limited(d.Name, wait)
		}
	}
	if wait := s.mails.take(name.Registrable, now); wait > 0 {
		return Domain{}, limited(d.Name, wait)
	}
	key, err := s.tokenKey(ctx)
	if err != nil {
		return Domain{}, err
	}
	sent := Mail{SentAt: now}
	delivered, last := 0, error(nil)
	for _, to := range addresses {
		link, secret := s.newLink(key, d.ID, to, now)
		subject := "Confirm that you run " + name.Unicode
		if err := s.Mailer.Send(ctx, to, subject, mailText(name, d.Project, s.PublicURL(), secret, link.ExpiresAt)); err != nil {
			link.Hash, link.Error, last = "", plain(err), err
		} else {
			delivered++
		}
		sent.Links = append(sent.Links, link)
	}
	d, err = s.write(ctx, d.ID, func(d *Domain) {
		d.Status.Mail = &sent
		if delivered > 0 && !d.Status.Verified {
			d.Status.Conditions = resource.SetCondition(d.Status.Conditions, mailCondition(sent, now))
		}
	})
	if err == nil && delivered == 0 {
		return Domain{}, fault.New(fault.Unavailable, "no mail could be sent: %s. Use the method dns or file, or let the operator look at --smtp-url", plain(last)).About("domain " + d.Name)
	}
	return d, err
}

func limited(domain string, wait time.Duration) error {
	f := fault.New(fault.RateLimited, "mail for this domain was sent a short while ago: look into the mailboxes, or wait").About("domain " + domain)
	f.RetryAfter = wait
	return f
}

func mailCondition(m Mail, now time.Time) resource.Condition {
	var to []string
	for _, l := range m.Links {
		if l.Hash != "" && now.Before(l.ExpiresAt) {
			to = append(to, l.Address)
		}
	}
	c := resource.Condition{Type: Ownership, Status: resource.False, Reason: "MailNotSent", Message: "ask for the mail, and confirm the link in it", Since: now}
	if len(to) > 0 {
		c.Reason, c.Message = "MailSent", "a mail went to "+strings.Join(to, ", ")+": open the link in one of them and confirm"
	}
	return c
}

// newLink makes a link for an address. The token holds the domain, the time it
// expires and a secret, signed; the status keeps only the secret's hash.
func (s *Service) newLink(key []byte, domainID, address string, now time.Time) (MailLink, string) {
	secret := make([]byte, 24)
	rand.Read(secret) // never fails
	expires := now.Add(mailLife)
	payload := domainID + "." + strconv.FormatInt(expires.Unix(), 10) + "." + base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256(secret)
	return MailLink{Address: address, Hash: hex.EncodeToString(hash[:]), ExpiresAt: expires}, payload + "." + signMail(key, payload)
}

func signMail(key []byte, payload string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("domain mail v1\x00" + payload))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func mailText(name Name, project, base, token string, expires time.Time) string {
	link := strings.TrimSuffix(base, "/") + confirmPath + "?" + url.Values{"token": {token}}.Encode()
	return fmt.Sprintf(`Somebody wants to serve %[1]s through the edge network at %[2]s
and gave your address as that of who runs %[3]s.

If that is right, open this page and confirm:

%[4]s

The link works once, until %[5]s. The project that asks is %[6]s.

If you know nothing of this, do nothing: without the confirmation nothing
happens.
`, name.Unicode, base, name.Registrable, link, expires.UTC().Format("2006-01-02 15:04 MST"), project)
}

// Confirmation is what a link from a mail would confirm.
type Confirmation struct {
	Domain    Domain
	Address   string
	ExpiresAt time.Time
	hash      string
}

// ReadMailToken looks at a token from a mail and changes nothing: mail scanners
// follow every link. Errors: Invalid for what is no token of ours; Conflict when
// it has expired, was used, or its domain is gone.
func (s *Service) ReadMailToken(ctx context.Context, token string) (Confirmation, error) {
	parts := strings.Split(token, ".")
	if len(token) > maxMailToken || len(parts) != 4 {
		return Confirmation{}, badToken()
	}
	key, err := s.tokenKey(ctx)
	if err != nil {
		return Confirmation{}, err
	}
	payload := strings.Join(parts[:3], ".")
	seconds, timeErr := strconv.ParseInt(parts[1], 10, 64)
	secret, secretErr := base64.RawURLEncoding.DecodeString(parts[2])
	if subtle.ConstantTimeCompare([]byte(signMail(key, payload)), []byte(parts[3])) != 1 || timeErr != nil || secretErr != nil {
		return Confirmation{}, badToken()
	}
	expires := time.Unix(seconds, 0).UTC()
	if !s.Now().Before(expires) {
		return Confirmation{}, fault.New(fault.Conflict, "the link has expired: ask for a new mail")
	}
	r, err := s.Store.Get(ctx, Kind, parts[0])
	if fault.Is(err, fault.NotFound) {
		return Confirmation{}, fault.New(fault.Conflict, "the domain is no longer there: nothing is left to confirm")
	}
	if err != nil {
		return Confirmation{}, err
	}
	d, err := s.decode(ctx, r)
	if err != nil {
		return Confirmation{}, err
	}
	sum := sha256.Sum256(secret)
	c := Confirmation{Domain: d, ExpiresAt: expires, hash: hex.EncodeToString(sum[:])}
	if d.Status.Mail != nil {
		for _, l := range d.Status.Mail.Links {
			if l.Hash == c.hash {
				c.Address = l.Address
			}
		}
	}
	if c.Address == "" {
		return Confirmation{}, fault.New(fault.Conflict, "the link was used already, or a newer mail has replaced it")
	}
	return c, nil
}

func badToken() error {
	return fault.InvalidField("/token", "this is no link of ours", "open the whole link from the mail")
}

// ConfirmMail spends a token from a mail: the domain is verified. Errors: those
// of ReadMailToken; Conflict when another project holds the name.
func (s *Service) ConfirmMail(ctx context.Context, token string, cause resource.Cause) (Confirmation, error) {
	c, err := s.ReadMailToken(ctx, token)
	if err != nil {
		return c, err
	}
	// The link is spent first and in one step, so that it counts once however
	// many open it at the same time.
	spent := false
	now := s.Now().UTC().Truncate(time.Second)
	if c.Domain, err = s.write(ctx, c.Domain.ID, func(d *Domain) {
		spent = false
		if d.Status.Mail == nil {
			return
		}
		links := slices.Clone(d.Status.Mail.Links)
		for i := range links {
			if links[i].Hash == c.hash {
				spent = true
			}
			links[i].Hash = "" // the others prove nothing that is not proven now
		}
		if spent {
			d.Status.Mail = &Mail{SentAt: d.Status.Mail.SentAt, Links: links}
			d.Status.ProvenAt = &now
		}
	}); err != nil {
		return c, err
	}
	if !spent {
		return c, fault.New(fault.Conflict, "the link was used already, or a newer mail has replaced it")
	}
	name, err := ParseName(c.Domain.Name)
	if err != nil {
		return c, err
	}
	cause.Reason = "confirmed by " + c.Address
	if err := s.take(ctx, c.Domain, name, MethodEmail, cause); err != nil {
		return c, err
	}
	c.Domain, err = s.refresh(ctx, c.Domain, checkNothing)
	return c, err
}
