package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// The project and environment that calls are about when Options name none.
const (
	DefaultProject     = "default"
	DefaultEnvironment = "production"
)

// Options say where the API is and who calls.
type Options struct {
	URL   string // "https://control.example.com:7070", no path
	Token string // an API token; "" for what needs none

	Project     string // "": DefaultProject
	Environment string // "": DefaultEnvironment

	// RootCAs, when set, are trusted instead of the system's for an https URL.
	RootCAs *x509.CertPool
	// HTTP, when set, carries the requests, and RootCAs is not used. It must not
	// have a Timeout shorter than the longest wanted event stream.
	HTTP *http.Client
	// UserAgent is sent with every request; "": "edgewright-client".
	UserAgent string
	// Via tells the server what sort of client this is ("cli", "terraform"); it
	// is kept with every revision. "": "api".
	Via string
	// Retries is how often a request is repeated; 0: 4, negative: never.
	Retries int
	// Sleep waits between repeats; nil: a timer. For tests.
	Sleep func(ctx context.Context, d time.Duration) error
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Client calls the API of one control plane.
type Client struct {
	base        *url.URL
	token       string
	project     string
	environment string
	http        *http.Client
	agent       string
	via         string
	retries     int
	sleep       func(context.Context, time.Duration) error
	now         func() time.Time
}

// New returns a client, or fault.Invalid when the URL is not usable. It does
// not connect.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.URL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fault.InvalidField("/url", "\""+o.URL+"\" is not the address of a control plane",
			"write it like https://control.example.com:7070")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fault.InvalidField("/url", "the address of a control plane has no user, query or fragment",
			"give credentials with --token or EDGEWRIGHT_TOKEN")
	}
	c := &Client{
		base: base, token: o.Token, project: o.Project, environment: o.Environment,
		http: o.HTTP, agent: o.UserAgent, via: o.Via, retries: o.Retries, sleep: o.Sleep, now: o.Now,
	}
	if c.project == "" {
		c.project = DefaultProject
	}
	if c.environment == "" {
		c.environment = DefaultEnvironment
	}
	if c.agent == "" {
		c.agent = "edgewright-client"
	}
	if c.retries == 0 {
		c.retries = 4
	}
	if c.sleep == nil {
		c.sleep = sleep
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.http == nil {
		c.http = &http.Client{Transport: newTransport(o.RootCAs), CheckRedirect: keepOrigin}
	}
	return c, nil
}

func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute, // certificate issuance is waited for on the server
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}
}

// keepOrigin refuses to carry the token to another host.
func keepOrigin(req *http.Request, via []*http.Request) error {
	if len(via) > 5 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// In returns a client for another project and environment. An empty string
// keeps the present one.
func (c *Client) In(project, environment string) *Client {
	other := *c
	if project != "" {
		other.project = project
	}
	if environment != "" {
		other.environment = environment
	}
	return &other
}

// URL returns the address of the control plane.
func (c *Client) URL() string { return c.base.String() }

// Project returns the project that calls are about.
func (c *Client) Project() string { return c.project }

// Environment returns the environment that calls are about.
func (c *Client) Environment() string { return c.environment }

// CloseIdleConnections lets go of connections that no call uses.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// call is one request in the making.
type call struct {
	method string
	path   string // escaped, from the root
	query  url.Values
	body   any    // sent as JSON; nil: none
	match  int64  // the revision that If-Match of a PUT, PATCH or DELETE names; 0: any
	accept string // "": application/json
	key    string // Idempotency-Key of a POST
	once   bool   // a POST that takes no key and is not repeated
	last   string // Last-Event-ID
}

const infra = "/api/v1/infrastructure"

// scoped returns query parameters naming the client's project and environment.
func (c *Client) scoped() url.Values {
	return url.Values{"project_id": {c.project}, "environment": {c.environment}}
}

// inProject names the project only, for what belongs to no environment.
func (c *Client) inProject() url.Values { return url.Values{"project_id": {c.project}} }

// segment escapes one path segment.
func segment(s string) string { return url.PathEscape(s) }

// do carries out a call and decodes the answer into out, when out is not nil.
// It returns the answer's status, for calls that have more than one success.
func (c *Client) do(ctx context.Context, k call, out any) (int, error) {
	resp, err := c.send(ctx, k)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if out == nil || resp.StatusCode == http.StatusNoContent {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxProblemBytes))
		return resp.StatusCode, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		if ctx.Err() != nil {
			return resp.StatusCode, ctx.Err()
		}
		return resp.StatusCode, fault.New(fault.Unavailable, "the answer of %s %s could not be read: %w", k.method, k.path, err)
	}
	return resp.StatusCode, nil
}

// send carries out a call with its repeats and returns a 2xx answer whose body
// the caller closes.
func (c *Client) send(ctx context.Context, k call) (*http.Response, error) {
	// On the way such a path becomes that of something else, such as a list.
	for _, segment := range strings.Split(strings.TrimPrefix(k.path, "/"), "/") {
		if segment == "" || strings.Trim(segment, ".") == "" {
			return nil, fault.New(fault.Invalid, "a name is missing, or is only dots: write whole names, such as shop.example.com")
		}
	}
	var payload []byte
	if k.body != nil {
		var err error
		if payload, err = json.Marshal(k.body); err != nil {
			return nil, fault.New(fault.Invalid, "the request cannot be written as JSON: %w", err)
		}
	}
	if k.method == http.MethodPost && k.key == "" && !k.once {
		k.key = rand.Text()
	}
	for attempt := 0; ; attempt++ {
		resp, err := c.attempt(ctx, k, payload)
		if err == nil && resp.StatusCode >= 200 && resp.StatusCode < 300 {
			return resp, nil
		}
		wait := backoff(attempt)
		var failure error
		var again bool
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			failure = c.unreachable(err)
			again = (k.method == http.MethodGet || k.key != "") && worthRepeating(err)
		} else {
			refused := errorFrom(resp, c.now())
			_ = resp.Body.Close()
			failure = refused
			// Without Retry-After nothing says that trying again would help.
			again = !k.once && resp.Header.Get("Retry-After") != "" && refused.RetryAfter <= time.Minute &&
				(resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable)
			wait = max(wait, refused.RetryAfter)
		}
		if deadline, ok := ctx.Deadline(); ok && c.now().Add(wait).After(deadline) {
			again = false
		}
		if !again || attempt >= c.retries {
			return nil, failure
		}
		if err := c.sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (c *Client) attempt(ctx context.Context, k call, payload []byte) (*http.Response, error) {
	// k.path is escaped already; joining strings keeps an escaped slash in a
	// segment as it is.
	target := c.base.String() + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	var body io.Reader
	if payload != nil {
		body = bytes.NewReader(payload)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, err
	}
	accept := k.accept
	if accept == "" {
		accept = "application/json, application/problem+json"
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", c.agent)
	if c.via != "" {
		req.Header.Set("X-Edgewright-Via", c.via)
	}
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	switch k.method {
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		req.Header.Set("If-Match", etag(k.match))
	}
	if k.last != "" {
		req.Header.Set("Last-Event-ID", k.last)
	}
	if k.key != "" {
		req.Header.Set("Idempotency-Key", k.key)
	}
	return c.http.Do(req)
}

// etag is the entity tag of a revision; 0 is whatever is there (RFC 9110
// section 13.1.1).
func etag(revision int64) string {
	if revision == 0 {
		return "*"
	}
	return `"` + strconv.FormatInt(revision, 10) + `"`
}

// backoff is 0.2 s, 0.4 s, 0.8 s ... up to 5 s.
func backoff(attempt int) time.Duration {
	return min(200*time.Millisecond<<min(attempt, 10), 5*time.Second)
}

// worthRepeating says whether a failed exchange may succeed later. A name that
// does not exist and a certificate that is not trusted stay as they are.
func worthRepeating(err error) bool {
	var (
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
	)
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	return !errors.As(err, &unknown) && !errors.As(err, &hostname) && !errors.As(err, &invalid) &&
		!errors.As(err, &verify) && !errors.As(err, &record)
}

// unreachable words a failed exchange for the user.
func (c *Client) unreachable(err error) error {
	var (
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
		op      *net.OpError
		request *url.Error
	)
	if errors.As(err, &request) {
		err = request.Err // without the method and URL around it, which say nothing to the user
	}
	switch {
	case errors.As(err, &unknown):
		return fault.New(fault.Unavailable,
			"the certificate of %s is not signed by a CA that this machine trusts; pass the control plane's root with --root-ca FILE: %w", c.base.Host, err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fault.New(fault.Unavailable, "%s does not speak TLS; use http:// in the URL: %w", c.base.Host, err)
	case errors.As(err, &op) && op.Op == "dial":
		return fault.New(fault.Unavailable,
			"no control plane answers at %s; is it running (\"edgewright up\"), and is the URL right: %w", c.base, err)
	}
	return fault.New(fault.Unavailable, "talking to %s failed: %w", c.base, err)
}
