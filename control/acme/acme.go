// Package acme obtains certificates from public CAs by the ACME protocol (RFC
// 8555): HTTP-01 and TLS-ALPN-01 challenges that the edges answer, DNS-01 through
// whoever can write in the name's DNS.
//
// Types: Client, one CA, which is a certificates.Issuer, RenewalAdvisor, Revoker,
// Describer, Proofs and OrderKeeper; Set, the platform's CAs in their
// order (certificates.Authorities). Interfaces needed: resource.Vault (accounts and
// their keys), ChallengePresenter (the fleet), TXTChooser and Resolver (DNS-01).
//
// Phases of Issue, as they are reported:
//
//	order      account (made and agreed on first use, kept in the Vault); the order
//	           that a crash cut off, or a new one with the CA's profile and, for a
//	           renewal, what it replaces (RFC 9773)
//	challenge  one for each name, by the choice of choose; the answers are put onto
//	           every edge, or into DNS; Present waits for them
//	validate   the CA is told to look, and polled as it asks for; what it may look
//	           at stays for as long as the order is gone on with
//	finalize   CSR, and the chain fetched
//
// What fails becomes a certificates.IssueError with the reason and what to do;
// the CA's Retry-After is passed on.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// LetsEncrypt is the directory used unless the operator names another.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Options of a Client.
type Options struct {
	Directory string // URL of the CA's directory; "": Let's Encrypt
	RootPEM   string // further CAs that the directory's own certificate may come from
	Email     string // contact of the account; ""
	// EABKeyID and EABMACKey bind the account to one at the CA (RFC 8555 section
	// 7.3.4), where the CA asks for it.
	EABKeyID, EABMACKey string
	Profile             string // of those the CA offers; "": the one for TLS servers, else its default
	Vault               resource.Vault
	Presenter           ChallengePresenter
	// TXT lists who may be able to write in a name's DNS, the first that can is
	// taken; Resolver follows delegations. Without TXT there is no DNS-01.
	TXT      []TXTChooser
	Resolver Resolver
	Logger   *slog.Logger     // nil: discard
	Now      func() time.Time // nil: time.Now
}

// Bounds in time.
const (
	presentTimeout  = 30 * time.Second
	challengeLife   = 15 * time.Minute
	removeTimeout   = 10 * time.Second
	requestTimeout  = 45 * time.Second
	validateTimeout = 2 * time.Minute    // of the CA's looking, after which it is left and taken up again later
	signTimeout     = 30 * time.Second   // likewise, of the CA's work on an order
	orderLife       = 7 * 24 * time.Hour // of one whose CA does not say
	pollFirst       = 250 * time.Millisecond
	pollEvery       = 2 * time.Second
)

// Client talks to one CA. Its methods may be called from any goroutine.
type Client struct {
	options Options
	http    *http.Client

	mu      sync.Mutex // guards the making of both
	client  *acme.Client
	account *acme.Account

	written sync.Map // certificates.ProofRecord -> TXTPresenter, of this process
}

var (
	_ certificates.Issuer         = (*Client)(nil)
	_ certificates.RenewalAdvisor = (*Client)(nil)
	_ certificates.Revoker        = (*Client)(nil)
	_ certificates.Describer      = (*Client)(nil)
	_ certificates.Proofs         = (*Client)(nil)
	_ certificates.OrderKeeper    = (*Client)(nil)
)

// New returns a client. It reaches out on first use only. Errors: Invalid when
// RootPEM holds no certificate or Directory is no https URL.
func New(o Options) (*Client, error) {
	if o.Directory == "" {
		o.Directory = LetsEncrypt
	}
	if !strings.HasPrefix(o.Directory, "https://") {
		return nil, fault.New(fault.Invalid, "the ACME directory %q is no https URL: write one such as %s", o.Directory, LetsEncrypt)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if o.RootPEM != "" && !roots.AppendCertsFromPEM([]byte(o.RootPEM)) {
		return nil, fault.New(fault.Invalid, "the file given with --acme-root holds no certificate in PEM")
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &Client{options: o, http: &http.Client{
		Timeout: requestTimeout,
		Transport: &retryAfterKeeper{&http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       90 * time.Second,
		}},
	}}, nil
}

// connect returns the protocol client, made once.
func (c *Client) connect() *acme.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		c.client = &acme.Client{
			Directory:  c.options.Directory,
			HTTPClient: c.http,
			UserAgent:  "Edgewright",
			// It would wait for minutes within one call: polling is ours.
			PollTimeout: time.Nanosecond,
			Logger:      slog.New(slog.DiscardHandler), // its debug lines hold whole requests
		}
	}
	return c.client
}

// Issue implements certificates.Issuer.
func (c *Client) Issue(ctx context.Context, o certificates.Order) (string, error) {
	ctx, waits := keepRetryAfter(ctx)
	chain, err := c.issue(ctx, o)
	if err != nil {
		return "", c.explain(ctx, err, o.Names, waits.longest(c.options.Now()))
	}
	return chain, nil
}

func (c *Client) issue(ctx context.Context, o certificates.Order) (string, error) {
	if o.Challenges == nil {
		o.Challenges = map[string][]certificates.Challenge{}
		for _, name := range o.Names {
			list := c.Proofs(ctx, o.Project, o.Environment, name)
			if strings.HasPrefix(name, "*.") {
				list = slices.DeleteFunc(list, func(ch certificates.Challenge) bool { return ch != certificates.ChallengeDNS01 })
			}
			if o.Challenges[name] = list; len(list) == 0 {
				return "", wildcardNeedsDNS(name)
			}
		}
	}
	o.Progress(certificates.StepOrder)
	client := c.connect()
	account, err := c.registered(ctx, client)
	if err != nil {
		return "", err
	}
	order, taken, err := c.takeUp(ctx, client, account, o)
	if err != nil {
		if o.Pending.Expired(c.options.Now()) {
			c.clear(ctx, &o, nil)
		}
		return "", err
	}
	if !taken || order.Status != acme.StatusPending {
		c.clear(ctx, &o, nil) // the CA looks at nothing any more
	}
	if order.Status == acme.StatusInvalid && !o.Cut {
		if err := c.whyInvalid(ctx, client, account, order); err != nil {
			return "", err
		}
	}
	if !taken {
		order, err = c.order(ctx, client, account, o)
		if isProblem(err, acme.ProblemTypeAccountDoesNotExist) {
			// The CA has forgotten us, as test CAs do: register the same key again.
			if account, err = c.register(ctx, client, true); err != nil {
				return "", err
			}
			order, err = c.order(ctx, client, account, o)
		}
		if err != nil {
			return "", err
		}
		o.Pending.URL, o.Pending.Expires = order.Location, order.Expires
		if order.Expires.IsZero() {
			o.Pending.Expires = c.options.Now().Add(orderLife)
		}
		if o.Keep != nil {
			if err := o.Keep(o.Pending); err != nil {
				return "", err
			}
		}
	}
	if order.Status == acme.StatusPending {
		if err := c.authorize(ctx, client, account, order, &o); err != nil {
			return "", err
		}
	}
	if order, err = c.finalize(ctx, client, account, order, o); err != nil {
		return "", err
	}
	chains, err := client.GetCertificateChain(ctx, account, order.Certificate)
	if err != nil {
		return "", fmt.Errorf("fetching the certificate: %w", err)
	}
	if len(chains) == 0 {
		return "", errors.New("the CA offers no chain")
	}
	return string(chains[0].ChainPEM), nil
}

// takeUp reads the order that an earlier attempt made, if it can still come to
// its end.
func (c *Client) takeUp(ctx context.Context, client *acme.Client, account acme.Account, o certificates.Order) (order acme.Order, taken bool, err error) {
	if o.Pending.URL == "" {
		return acme.Order{}, false, nil
	}
	order, err = client.GetOrder(ctx, account, acme.Order{Location: o.Pending.URL})
	if forgotten(err) {
		return acme.Order{}, false, nil
	}
	if err != nil {
		return acme.Order{}, false, fmt.Errorf("taking up the order: %w", err)
	}
	switch order.Status {
	case acme.StatusPending, acme.StatusReady, acme.StatusProcessing, acme.StatusValid:
		c.options.Logger.Info("taking up an order", "certificate", o.ID, "status", order.Status)
		return order, true, nil
	}
	return order, false, nil
}

// whyInvalid returns what a CA has found wrong since the order was left to it,
// which is a failure like any other; nil when it was not about a name.
func (c *Client) whyInvalid(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order) error {
	for _, url := range order.Authorizations {
		authorization, err := client.GetAuthorization(ctx, account, url)
		if err == nil && authorization.Status == acme.StatusInvalid {
			_, err = client.PollAuthorization(ctx, account, authorization) // says what the state means, and asks nothing
		}
		if err != nil && !forgotten(err) || authorization.Status == acme.StatusInvalid {
			return fmt.Errorf("validating %s: %w", authorization.IdentifierValue(), err)
		}
	}
	return nil
}

// forgotten reports that a CA knows nothing of what it was asked for.
func forgotten(err error) bool {
	problem, ok := problemIn(err)
	return ok && problem.Status >= 400 && problem.Status < 500 && problem.Type != acme.ProblemTypeRateLimited && problem.Type != acme.ProblemTypeBadNonce
}

// finalize sends the CSR, unless the CA has it, and waits for the certificate.
func (c *Client) finalize(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order, o certificates.Order) (acme.Order, error) {
	o.Progress(certificates.StepFinalize)
	if order.Status == acme.StatusProcessing || order.Status == acme.StatusValid {
		return c.awaitOrder(ctx, client, account, order, acme.StatusValid)
	}
	if order.Status == acme.StatusPending { // as it was before the names were proved
		var err error
		if order, err = c.awaitOrder(ctx, client, account, order, acme.StatusReady); err != nil {
			return order, err
		}
	}
	csr := o.CSR
	if csr == nil {
		var err error
		if csr, err = pki.NewCSR(o.Names, o.Key, pki.Subject{}, false); err != nil {
			return order, err
		}
	}
	done, err := client.FinalizeOrder(ctx, account, order, csr)
	if done.Status == acme.StatusProcessing {
		return c.awaitOrder(ctx, client, account, done, acme.StatusValid)
	}
	if err != nil {
		return order, fmt.Errorf("finalizing: %w", err)
	}
	return done, nil
}

// order makes the order. What the CA does not accept as the predecessor is left
// out: a renewal must not fail over it.
func (c *Client) order(ctx context.Context, client *acme.Client, account acme.Account, o certificates.Order) (acme.Order, error) {
	directory, err := client.GetDirectory(ctx)
	if err != nil {
		return acme.Order{}, err
	}
	profile, err := c.profile(directory, o.Profile)
	if err != nil {
		return acme.Order{}, err
	}
	wanted := acme.Order{Profile: profile}
	for _, name := range o.Names {
		kind := "dns"
		if net.ParseIP(name) != nil {
			kind = "ip"
		}
		wanted.Identifiers = append(wanted.Identifiers, acme.Identifier{Type: kind, Value: name})
	}
	if o.Replaces != nil && directory.RenewalInfo != "" {
		if id, err := acme.ARIUniqueIdentifier(o.Replaces); err == nil {
			wanted.Replaces = id
		}
	}
	order, err := client.NewOrder(ctx, account, wanted)
	var problem acme.Problem
	if err != nil && wanted.Replaces != "" && errors.As(err, &problem) && problem.Status >= 400 && problem.Status < 500 &&
		problem.Type != acme.ProblemTypeRateLimited && problem.Type != acme.ProblemTypeAccountDoesNotExist {
		c.options.Logger.Warn("the CA does not take the order as a renewal", "certificate", o.ID, "error", problem)
		wanted.Replaces = ""
		order, err = client.NewOrder(ctx, account, wanted)
	}
	if err != nil {
		return acme.Order{}, fmt.Errorf("ordering: %w", err)
	}
	return order, nil
}

// profile chooses among those that the CA offers; "" when it offers none. One
// that a certificate asks for is taken or refused.
func (c *Client) profile(d acme.Directory, wished string) (string, error) {
	var offered map[string]string
	if d.Meta != nil {
		offered = d.Meta.Profiles
	}
	if wished != "" {
		if _, ok := offered[wished]; ok {
			return wished, nil
		}
		return "", &certificates.IssueError{Away: true, Problem: certificates.Problem{
			Reason: "NoProfile", Message: fmt.Sprintf("the CA has no profile %q", wished),
			Fix: fmt.Sprintf("take one of %s, or leave the profile out", strings.Join(slices.Sorted(maps.Keys(offered)), ", ")),
		}}
	}
	if len(offered) == 0 {
		return "", nil
	}
	for _, name := range []string{c.options.Profile, "tlsserver", "default", "classic"} {
		if _, ok := offered[name]; ok && name != "" {
			return name, nil
		}
	}
	return slices.Sorted(maps.Keys(offered))[0], nil
}

// RenewalWindow implements certificates.RenewalAdvisor.
func (c *Client) RenewalWindow(ctx context.Context, leaf *x509.Certificate) (certificates.Window, time.Duration, bool, error) {
	info, err := c.connect().GetRenewalInfo(ctx, leaf)
	if errors.Is(err, acme.ErrUnsupported) {
		return certificates.Window{}, 0, false, nil
	}
	if err != nil {
		return certificates.Window{}, 0, false, fault.New(fault.Unavailable, "the CA gives no renewal information: %w", err)
	}
	again := 6 * time.Hour // RFC 9773 section 4.3.2, when the CA does not say
	if info.RetryAfter != nil {
		again = info.RetryAfter.Sub(c.options.Now())
	}
	return certificates.Window{Start: info.SuggestedWindow.Start.UTC(), End: info.SuggestedWindow.End.UTC()}, again, true, nil
}
