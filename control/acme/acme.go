// Package acme obtains certificates from a public CA by the ACME protocol
// (RFC 8555) with HTTP-01 challenges that the edges answer.
//
// Types: Client, which is a certificates.Issuer and RenewalAdvisor. Interfaces
// needed: resource.Vault (the account), ChallengePresenter (the fleet).
//
// Phases of Issue, as they are reported:
//
//	order      account (made and agreed on first use, kept in the Vault), new order
//	           with the CA's profile and, for a renewal, what it replaces (RFC 9773)
//	challenge  the answers are put onto every edge; Present waits for them
//	validate   the CA is told to look, and polled as it asks for
//	finalize   CSR, and the chain fetched
//
// What fails becomes a certificates.IssueError with the reason and what to do;
// the CA's Retry-After is passed on.
package acme

import (
	"context"
	"crypto/rand"
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
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// LetsEncrypt is the directory used unless the operator names another.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// ChallengePresenter puts challenges onto the edges; fleet.Fleet is one.
type ChallengePresenter interface {
	// Present returns once every connected edge answers the challenge, or an
	// error within ctx's bound.
	Present(ctx context.Context, c edgeconfig.Challenge) error
	// Remove takes a challenge back.
	Remove(ctx context.Context, c edgeconfig.Challenge) error
}

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
	Logger              *slog.Logger     // nil: discard
	Now                 func() time.Time // nil: time.Now
}

// Bounds in time.
const (
	presentTimeout  = 30 * time.Second
	challengeLife   = 15 * time.Minute
	removeTimeout   = 10 * time.Second
	requestTimeout  = 45 * time.Second
	validateTimeout = 2 * time.Minute
)

// Client talks to one CA. Its methods may be called from any goroutine.
type Client struct {
	options Options
	http    *http.Client

	mu      sync.Mutex // guards the making of both
	client  *acme.Client
	account *acme.Account
}

var (
	_ certificates.Issuer         = (*Client)(nil)
	_ certificates.RenewalAdvisor = (*Client)(nil)
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
			Logger:     slog.New(slog.DiscardHandler), // its debug lines hold whole requests
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
	for _, name := range o.Names {
		if strings.HasPrefix(name, "*.") {
			return "", &certificates.IssueError{Problem: certificates.Problem{
				Reason: "WildcardNeedsDNS", Subject: name,
				Message: fmt.Sprintf("a CA signs %s only after a challenge in its DNS, which this platform does not answer yet", name),
				Fix:     "add the names one by one, or upload a certificate for the wildcard",
			}}
		}
	}
	o.Progress(certificates.StepOrder)
	client := c.connect()
	account, err := c.registered(ctx, client)
	if err != nil {
		return "", err
	}
	order, err := c.order(ctx, client, account, o)
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
	if err := c.authorize(ctx, client, account, order, o); err != nil {
		return "", err
	}
	o.Progress(certificates.StepFinalize)
	template := &x509.CertificateRequest{}
	for _, name := range o.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, o.Key)
	if err != nil {
		return "", fault.New(fault.Internal, "the certificate request cannot be made: %w", err)
	}
	if order, err = client.FinalizeOrder(ctx, account, order, csr); err != nil {
		return "", fmt.Errorf("finalizing: %w", err)
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

// order makes the order. What the CA does not accept as the predecessor is left
// out: a renewal must not fail over it.
func (c *Client) order(ctx context.Context, client *acme.Client, account acme.Account, o certificates.Order) (acme.Order, error) {
	directory, err := client.GetDirectory(ctx)
	if err != nil {
		return acme.Order{}, err
	}
	wanted := acme.Order{Profile: c.profile(directory)}
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

// profile chooses among those that the CA offers; "" when it offers none.
func (c *Client) profile(d acme.Directory) string {
	if d.Meta == nil || len(d.Meta.Profiles) == 0 {
		return ""
	}
	for _, name := range []string{c.options.Profile, "tlsserver", "default", "classic"} {
		if _, offered := d.Meta.Profiles[name]; offered && name != "" {
			return name
		}
	}
	return slices.Sorted(maps.Keys(d.Meta.Profiles))[0]
}

// authorize proves control over every name of the order.
func (c *Client) authorize(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order, o certificates.Order) (err error) {
	var pending []acme.Authorization
	var challenges []acme.Challenge
	for _, url := range order.Authorizations {
		authorization, err := client.GetAuthorization(ctx, account, url)
		if err != nil {
			return fmt.Errorf("reading an authorization: %w", err)
		}
		if authorization.Status == acme.StatusValid {
			continue // proven before, and still good there
		}
		i := slices.IndexFunc(authorization.Challenges, func(ch acme.Challenge) bool { return ch.Type == acme.ChallengeTypeHTTP01 })
		if i < 0 {
			return &certificates.IssueError{Problem: certificates.Problem{
				Reason: "NoHTTPChallenge", Subject: authorization.IdentifierValue(),
				Message: fmt.Sprintf("the CA does not accept a challenge over HTTP for %s", authorization.IdentifierValue()),
				Fix:     "choose another CA, or upload a certificate",
			}}
		}
		pending, challenges = append(pending, authorization), append(challenges, authorization.Challenges[i])
	}
	if len(pending) == 0 {
		return nil
	}
	defer func() {
		// Whatever came of it: the edges forget, and the CA is not left waiting
		// (pending authorizations count against limits).
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		for i := range challenges {
			if removeErr := c.options.Presenter.Remove(after, c.edgeChallenge(challenges[i])); removeErr != nil {
				c.options.Logger.Warn("a challenge could not be taken back", "domain", challenges[i].Identifier.Value, "error", removeErr)
			}
			if err != nil {
				_, _ = client.DeactivateAuthorization(after, account, pending[i].Location) // courtesy only
			}
		}
	}()
	o.Progress(certificates.StepChallenge)
	present, cancel := context.WithTimeout(ctx, presentTimeout)
	defer cancel()
	for _, challenge := range challenges {
		if err := c.options.Presenter.Present(present, c.edgeChallenge(challenge)); err != nil {
			return &certificates.IssueError{Away: true, Err: err, Problem: certificates.Problem{
				Reason: "EdgesNotReady", Subject: challenge.Identifier.Value,
				Message: "not every edge took the CA's challenge: " + err.Error(),
				Fix:     "look at the edges named; one that is gone for good should be removed",
			}}
		}
	}
	o.Progress(certificates.StepValidate)
	validating, stop := context.WithTimeout(ctx, validateTimeout)
	defer stop()
	for _, challenge := range challenges {
		if _, err := client.InitiateChallenge(validating, account, challenge); err != nil {
			return fmt.Errorf("starting the validation: %w", err)
		}
	}
	for i := range pending {
		if _, err := client.PollAuthorization(validating, account, pending[i]); err != nil {
			return fmt.Errorf("validating %s: %w", pending[i].IdentifierValue(), err)
		}
	}
	return nil
}

func (c *Client) edgeChallenge(ch acme.Challenge) edgeconfig.Challenge {
	return edgeconfig.Challenge{
		Host: ch.Identifier.Value, Token: ch.Token, KeyAuthorization: ch.KeyAuthorization,
		ExpiresAt: c.options.Now().Add(challengeLife).Unix(),
	}
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
