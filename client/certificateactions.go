package client

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// ChainLink is one certificate of a chain.
type ChainLink struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint"`
	Key         string    `json:"key"`
	Signature   string    `json:"signature"`
	OCSP        []string  `json:"ocsp,omitempty"`
	CRL         []string  `json:"crl,omitempty"`
}

// CertificateDetail is a certificate with its chain and where it is served.
type CertificateDetail struct {
	Certificate Certificate `json:"certificate"`
	Chain       []ChainLink `json:"chain"` // leaf first
	ChainPEM    string      `json:"chain_pem,omitempty"`
	Rollout     Rollout     `json:"rollout"`
}

// CertificatePatch changes settings; what is nil stays.
type CertificatePatch struct {
	AutoRenew  *bool    `json:"auto_renew,omitempty"`
	Takeover   *bool    `json:"takeover,omitempty"`
	PinKey     *bool    `json:"pin_key,omitempty"`
	MustStaple *bool    `json:"must_staple,omitempty"`
	KeyType    *string  `json:"key_type,omitempty"`
	Challenge  *string  `json:"challenge,omitempty"`
	Profile    *string  `json:"profile,omitempty"`
	Authority  *string  `json:"authority,omitempty"`
	Domains    []string `json:"domains,omitempty"`
}

// ExportedCertificate is a certificate with its private key.
type ExportedCertificate struct {
	Domain   string `json:"domain"`
	ChainPEM string `json:"chain_pem"`
	KeyPEM   string `json:"key_pem,omitempty"`
	PKCS12   []byte `json:"pkcs12,omitempty"` // when a password was given
}

// ReadinessCheck is one thing that was looked at.
type ReadinessCheck struct {
	Check     string `json:"check"` // ownership, address, port, caa, dnssec, proof, budget
	Subject   string `json:"subject,omitempty"`
	Authority string `json:"authority,omitempty"`
	State     string `json:"state"` // passed, failed, warning, unknown
	Detail    string `json:"detail"`
	Fix       string `json:"fix,omitempty"`
}

// Readiness tells whether an order would succeed.
type Readiness struct {
	Ready  bool             `json:"ready"`
	Checks []ReadinessCheck `json:"checks"`
}

// CSRSubject is who asks, for certificates that name the holder.
type CSRSubject struct {
	CommonName   string `json:"common_name,omitempty"`
	Organization string `json:"organization,omitempty"`
	Unit         string `json:"unit,omitempty"`
	Country      string `json:"country,omitempty"`
	State        string `json:"state,omitempty"`
	Locality     string `json:"locality,omitempty"`
}

// NewCSR asks for a certificate request.
type NewCSR struct {
	Domains []string   `json:"domains,omitempty"` // further names
	KeyType string     `json:"key_type,omitempty"`
	Subject CSRSubject `json:"subject"`
}

// CSR is a certificate request whose key stays on the control plane.
type CSR struct {
	ID        string    `json:"id"`
	Domains   []string  `json:"domains"`
	KeyType   string    `json:"key_type"`
	CreatedAt time.Time `json:"created_at"`
	PEM       string    `json:"csr_pem"`
}

// IssuanceLimit is how much a CA is asked for at most.
type IssuanceLimit struct {
	Kind          string `json:"kind"` // orders, failures, domain, duplicates
	Max           int    `json:"max"`
	WindowSeconds int64  `json:"window_seconds"`
	Used          int    `json:"used,omitempty"`
}

// IssuancePause is a CA's word to be left alone.
type IssuancePause struct {
	Subject string    `json:"subject,omitempty"` // a registered domain; "": all
	Until   time.Time `json:"until"`
	Reason  string    `json:"reason,omitempty"`
}

// Authority is a CA that certificates are ordered from.
type Authority struct {
	Name       string          `json:"name"`
	ID         string          `json:"id,omitempty"` // "" for the one of the command line
	Directory  string          `json:"directory"`
	Staging    string          `json:"staging,omitempty"`
	RootPEM    string          `json:"root_pem,omitempty"`
	Email      string          `json:"email,omitempty"`
	EABKeyID   string          `json:"eab_key_id,omitempty"`
	Profile    string          `json:"profile,omitempty"`
	Priority   int             `json:"priority"` // the lowest is tried first
	Disabled   bool            `json:"disabled"`
	Internal   bool            `json:"internal"`
	AccountURI string          `json:"account_uri,omitempty"`
	Limits     []IssuanceLimit `json:"limits"`
	Pauses     []IssuancePause `json:"pauses"`
	Revision   int64           `json:"revision"`
}

// ReplaceAuthority sets up a CA.
type ReplaceAuthority struct {
	Directory string          `json:"directory"`
	Staging   string          `json:"staging,omitempty"`
	RootPEM   string          `json:"root_pem,omitempty"`
	Email     string          `json:"email,omitempty"`
	EABKeyID  string          `json:"eab_key_id,omitempty"`
	EABMACKey string          `json:"eab_mac_key,omitempty"` // "": as before
	Profile   string          `json:"profile,omitempty"`
	Priority  *int            `json:"priority,omitempty"`
	Disabled  bool            `json:"disabled,omitempty"`
	Internal  bool            `json:"internal,omitempty"`
	Limits    []IssuanceLimit `json:"limits,omitempty"`
}

// NewAuthority adds a CA.
type NewAuthority struct {
	Name string `json:"name"`
	ReplaceAuthority
}

// ReplacementSelector says which certificates are to be replaced.
type ReplacementSelector struct {
	Authority    string     `json:"authority,omitempty"`
	Issuer       string     `json:"issuer,omitempty"`
	Project      string     `json:"project,omitempty"`
	Serials      []string   `json:"serials,omitempty"`
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
	IssuedAfter  *time.Time `json:"issued_after,omitempty"`
	All          bool       `json:"all,omitempty"`
}

// NewReplacement plans a mass replacement.
type NewReplacement struct {
	Selector ReplacementSelector `json:"selector"`
	PerHour  int                 `json:"per_hour,omitempty"` // 0: the server's default
	Revoke   string              `json:"revoke,omitempty"`   // the reason to revoke the old ones with; "": they are not
}

// Replacement is a planned, throttled run that gets many certificates anew.
type Replacement struct {
	ID         string              `json:"id"`
	Selector   ReplacementSelector `json:"selector"`
	PerHour    int                 `json:"per_hour"`
	Revoke     string              `json:"revoke,omitempty"`
	State      string              `json:"state"` // planned, running, paused, cancelled, finished
	Total      int                 `json:"total"`
	Done       int                 `json:"done"`
	Running    int                 `json:"running"`
	Failing    int                 `json:"failing"`
	Failed     []string            `json:"failed"`
	Revoking   int                 `json:"revoking"`  // replaced, the old one not yet revoked
	Refused    int                 `json:"refused"`   // of those, which the CA did not do when it was asked
	LastHour   int                 `json:"last_hour"` // replaced in the last full hour
	CreatedAt  time.Time           `json:"created_at"`
	StartedAt  *time.Time          `json:"started_at,omitempty"`
	FinishedAt *time.Time          `json:"finished_at,omitempty"`
	ExpectedAt *time.Time          `json:"expected_at,omitempty"`
	Revision   int64               `json:"revision"`
}

// CertificateDetail returns a domain's certificate with its chain.
func (c *Client) CertificateDetail(ctx context.Context, domain string) (*CertificateDetail, error) {
	return fetch[CertificateDetail](ctx, c, call{method: http.MethodGet, path: sslPath(domain), query: c.scoped()})
}

// PlanProvision tells what Provision would change, after the same checks.
func (c *Client) PlanProvision(ctx context.Context, domain string, p Provision) (*Plan, error) {
	query := c.scoped()
	query.Set("dry_run", "true")
	return fetch[Plan](ctx, c, call{method: http.MethodPost, path: sslPath(domain), query: query, body: p})
}

// UpdateCertificate changes settings of a certificate that the caller saw at the
// given revision; 0: whatever is there.
func (c *Client) UpdateCertificate(ctx context.Context, domain string, p CertificatePatch, revision int64) (*Certificate, error) {
	out := new(Certificate)
	w := wrap[Certificate]{name: "certificate", out: out}
	_, err := c.do(ctx, call{method: http.MethodPatch, path: sslPath(domain), query: c.scoped(), body: p, match: revision}, &w)
	return out, err
}

// RenewCertificate gets a new certificate before the present one is due.
func (c *Client) RenewCertificate(ctx context.Context, domain string) (*Provisioned, error) {
	return fetch[Provisioned](ctx, c, call{method: http.MethodPost, path: sslPath(domain) + "/renew", query: c.scoped()})
}

// RevokeCertificate has a certificate replaced and then revoked. Reason: "",
// key_compromise, affiliation_changed, superseded, cessation_of_operation.
func (c *Client) RevokeCertificate(ctx context.Context, domain, reason string) (*Provisioned, error) {
	return fetch[Provisioned](ctx, c, call{method: http.MethodPost, path: sslPath(domain) + "/revoke", query: c.scoped(), body: map[string]string{"reason": reason}})
}

// ExportCertificate takes out a certificate with its private key: PEM, or with a
// password PKCS #12. Only for owners.
func (c *Client) ExportCertificate(ctx context.Context, domain, password string) (*ExportedCertificate, error) {
	body := map[string]string{}
	if password != "" {
		body["password"] = password
	}
	return fetch[ExportedCertificate](ctx, c, call{method: http.MethodPost, path: sslPath(domain) + "/export", query: c.scoped(), body: body})
}

// Preflight looks whether a certificate could be issued, and orders none.
func (c *Client) Preflight(ctx context.Context, domain string, names []string, challenge string) (*Readiness, error) {
	query := c.scoped()
	if len(names) > 0 {
		query.Set("names", strings.Join(names, ","))
	}
	if challenge != "" {
		query.Set("challenge", challenge)
	}
	return fetch[Readiness](ctx, c, call{method: http.MethodGet, path: sslPath(domain) + "/preflight", query: query})
}

// NewCSR makes a certificate request whose key stays on the control plane.
func (c *Client) NewCSR(ctx context.Context, domain string, r NewCSR) (*CSR, error) {
	return fetch[CSR](ctx, c, call{method: http.MethodPost, path: sslPath(domain) + "/csr", query: c.scoped(), body: r})
}

// CSRs returns the last certificate requests of a domain, newest first.
func (c *Client) CSRs(ctx context.Context, domain string) ([]CSR, error) {
	var out []CSR
	w := wrap[[]CSR]{name: "requests", out: &out}
	_, err := c.do(ctx, call{method: http.MethodGet, path: sslPath(domain) + "/csr", query: c.scoped()}, &w)
	return out, err
}

const (
	authoritiesPath  = infra + "/certificate-authorities"
	replacementsPath = infra + "/certificate-replacements"
)

// Authorities returns the CAs in the order in which they are tried.
func (c *Client) Authorities(ctx context.Context) ([]Authority, error) {
	var out []Authority
	w := wrap[[]Authority]{name: "authorities", out: &out}
	_, err := c.do(ctx, call{method: http.MethodGet, path: authoritiesPath}, &w)
	return out, err
}

func (c *Client) authorityCall(ctx context.Context, k call) (*Authority, error) {
	out := new(Authority)
	w := wrap[Authority]{name: "authority", out: out}
	_, err := c.do(ctx, k, &w)
	return out, err
}

// Authority returns one CA, or fault.NotFound.
func (c *Client) Authority(ctx context.Context, name string) (*Authority, error) {
	return c.authorityCall(ctx, call{method: http.MethodGet, path: authoritiesPath + "/" + segment(name)})
}

// AddAuthority adds a CA.
func (c *Client) AddAuthority(ctx context.Context, a NewAuthority) (*Authority, error) {
	return c.authorityCall(ctx, call{method: http.MethodPost, path: authoritiesPath, body: a})
}

// ReplaceAuthority changes a CA that the caller saw at the given revision.
func (c *Client) ReplaceAuthority(ctx context.Context, name string, a ReplaceAuthority, revision int64) (*Authority, error) {
	return c.authorityCall(ctx, call{method: http.MethodPut, path: authoritiesPath + "/" + segment(name), body: a, match: revision})
}

// OrderAuthorities has CAs tried in the order of their names, those not named
// after, and returns all of them in that order.
func (c *Client) OrderAuthorities(ctx context.Context, names []string) ([]Authority, error) {
	var out []Authority
	w := wrap[[]Authority]{name: "authorities", out: &out}
	body := struct {
		Authorities []string `json:"authorities"`
	}{names}
	_, err := c.do(ctx, call{method: http.MethodPost, path: authoritiesPath + "/order", body: body}, &w)
	return out, err
}

// RemoveAuthority orders from a CA no longer.
func (c *Client) RemoveAuthority(ctx context.Context, name string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: authoritiesPath + "/" + segment(name), match: revision}, nil)
	return err
}

func (c *Client) replacementCall(ctx context.Context, k call) (*Replacement, error) {
	out := new(Replacement)
	w := wrap[Replacement]{name: "replacement", out: out}
	_, err := c.do(ctx, k, &w)
	return out, err
}

// PlanReplacement plans a mass replacement without starting it.
func (c *Client) PlanReplacement(ctx context.Context, r NewReplacement) (*Replacement, error) {
	return c.replacementCall(ctx, call{method: http.MethodPost, path: replacementsPath, body: r})
}

// Replacement tells how far a mass replacement is.
func (c *Client) Replacement(ctx context.Context, id string) (*Replacement, error) {
	return c.replacementCall(ctx, call{method: http.MethodGet, path: replacementsPath + "/" + segment(id)})
}

// RunReplacement starts, pauses or cancels a mass replacement: action is "start",
// "pause" or "cancel".
func (c *Client) RunReplacement(ctx context.Context, id, action string) (*Replacement, error) {
	return c.replacementCall(ctx, call{method: http.MethodPost, path: replacementsPath + "/" + segment(id) + "/" + segment(action)})
}

// Replacements returns the mass replacements, the oldest first.
func (c *Client) Replacements(ctx context.Context) ([]Replacement, error) {
	return Collect(pages(ctx, func(ctx context.Context, cursor string) (Page[Replacement], error) {
		return list[Replacement](ctx, c, replacementsPath, "replacements", paged(nil), cursor)
	}))
}

// fetch makes a call whose answer is one object.
func fetch[T any](ctx context.Context, c *Client, k call) (*T, error) {
	out := new(T)
	if _, err := c.do(ctx, k, out); err != nil {
		return nil, err
	}
	return out, nil
}
