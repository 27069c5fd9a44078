package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// The types of a certificate.
const (
	CertLetsEncrypt = "lets_encrypt" // from the configured ACME CA
	CertCustom      = "custom"       // uploaded
	CertLocal       = "local"        // from the control plane's own CA
	CertAuto        = "auto"         // as the control plane is set up; in requests only
)

// The states of a certificate.
const (
	CertNone     = "none"
	CertIssuing  = "issuing"
	CertValid    = "valid"
	CertExpiring = "expiring"
	CertExpired  = "expired"
	CertFailed   = "failed"
	CertExternal = "external" // TLS ends before the edges; nothing is issued
)

// Certificate is a certificate and the state of its issuance. Its key never
// leaves the control plane but sealed to edges.
type Certificate struct {
	ID          string      `json:"id"`
	Domain      string      `json:"domain,omitempty"` // the domain it was made for
	Domains     []string    `json:"domains"`          // what it is wanted for
	Names       []string    `json:"names,omitempty"`  // what it is valid for
	Project     string      `json:"project_id"`
	Environment string      `json:"environment"`
	Revision    int64       `json:"revision"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	Type        string      `json:"type"`
	AutoRenew   bool        `json:"auto_renew"`
	KeyType     string      `json:"key_type,omitempty"`
	State       string      `json:"state"`
	Step        string      `json:"step,omitempty"`       // what is being done
	StartedAt   *time.Time  `json:"started_at,omitempty"` // when the attempt under way began
	Issuer      string      `json:"issuer,omitempty"`
	NotBefore   *time.Time  `json:"not_before,omitempty"`
	NotAfter    *time.Time  `json:"not_after,omitempty"`
	DaysLeft    *int        `json:"days_left,omitempty"`
	Serial      string      `json:"serial,omitempty"`
	Fingerprint string      `json:"fingerprint,omitempty"`
	Failures    int         `json:"failures,omitempty"`
	Reason      string      `json:"reason,omitempty"` // why the last attempt failed
	Fix         string      `json:"fix,omitempty"`
	NextAttempt *time.Time  `json:"next_attempt,omitempty"`
	RenewAt     *time.Time  `json:"renew_at,omitempty"`
	Conditions  []Condition `json:"conditions,omitempty"`

	LifeLeft   *float64           `json:"life_left,omitempty"`        // share of its lifetime, 1 to 0
	Authority  string             `json:"authority,omitempty"`        // the CA that issued it
	WantedCA   string             `json:"wanted_authority,omitempty"` // "": the platform's in their order
	Challenge  string             `json:"challenge,omitempty"`        // "": chosen by itself
	Profile    string             `json:"profile,omitempty"`
	MustStaple bool               `json:"must_staple,omitempty"`
	PinKey     bool               `json:"pin_key,omitempty"`
	Takeover   bool               `json:"takeover,omitempty"` // an automatic one follows at its end
	Uploaded   bool               `json:"uploaded,omitempty"` // the one in use was uploaded
	IssuedAt   *time.Time         `json:"issued_at,omitempty"`
	RenewBy    string             `json:"renew_by,omitempty"` // ari, lifetime
	RevokedAt  *time.Time         `json:"revoked_at,omitempty"`
	Revocation string             `json:"revocation,omitempty"`
	StapledTil *time.Time         `json:"stapled_until,omitempty"`
	Events     []CertificateEvent `json:"events,omitempty"` // newest first
	Served     []ServedBy         `json:"served,omitempty"` // by each edge; from Certificate only
}

// CertificateEvent is something that happened to a certificate.
type CertificateEvent struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // issued, recovered, failed, expiring, expired, revoked
	Message string    `json:"message"`
}

// Provision asks for a certificate.
type Provision struct {
	Type      string `json:"type,omitempty"`       // CertLetsEncrypt ...; "": CertAuto
	AutoRenew *bool  `json:"auto_renew,omitempty"` // nil: true
	// Renew asks for a new certificate now, although the present one is good.
	Renew bool `json:"renew,omitempty"`
	// ChainPEM and KeyPEM are for CertCustom. KeyPEM is left out for a certificate
	// that was made of a request from here.
	ChainPEM string `json:"chain_pem,omitempty"`
	KeyPEM   string `json:"key_pem,omitempty"`
	PKCS12   []byte `json:"pkcs12,omitempty"` // in place of both
	Password string `json:"password,omitempty"`
	Takeover *bool  `json:"takeover,omitempty"` // for CertCustom: an automatic one follows at its end

	Domains    []string `json:"domains,omitempty"` // all names, the domain first
	KeyType    string   `json:"key_type,omitempty"`
	Challenge  string   `json:"challenge,omitempty"` // http-01, tls-alpn-01, dns-01
	Profile    string   `json:"profile,omitempty"`
	Authority  string   `json:"authority,omitempty"`
	MustStaple *bool    `json:"must_staple,omitempty"`
	PinKey     *bool    `json:"pin_key,omitempty"`
}

// Provisioned is what became of it. With Operation set, issuance goes on after
// the answer.
type Provisioned struct {
	Certificate Certificate `json:"certificate"`
	ExpiresAt   *time.Time  `json:"expires_at,omitempty"`
	Operation   *Operation  `json:"operation,omitempty"`
}

// Operation is long work that can be watched.
type Operation struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind,omitempty"`
	State      string     `json:"state"` // running, succeeded, failed
	Step       string     `json:"step,omitempty"`
	Message    string     `json:"message,omitempty"`
	Resource   string     `json:"resource,omitempty"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

func sslPath(domain string) string { return infra + "/ssl/" + segment(domain) }

// Certificates walks all certificates of the project and environment.
func (c *Client) Certificates(ctx context.Context) iter.Seq2[Certificate, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Certificate], error) {
		return list[Certificate](ctx, c, infra+"/ssl", "certificates", paged(c.scoped()), cursor)
	})
}

// Certificate returns a domain's certificate, or fault.NotFound.
func (c *Client) Certificate(ctx context.Context, domain string) (*Certificate, error) {
	out := new(Certificate)
	w := wrap[Certificate]{name: "certificate", out: out}
	if _, err := c.do(ctx, call{method: http.MethodGet, path: sslPath(domain), query: c.scoped()}, &w); err != nil {
		return nil, err
	}
	return out, nil
}

// Provision asks for a certificate and waits for it as long as the server
// does (about a minute). Errors: fault.Conflict while the domain is not
// verified, fault.Invalid for a custom certificate that does not fit.
func (c *Client) Provision(ctx context.Context, domain string, p Provision) (*Provisioned, error) {
	out := new(Provisioned)
	if _, err := c.do(ctx, call{method: http.MethodPost, path: sslPath(domain), query: c.scoped(), body: p}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// RemoveCertificate removes a domain's certificate that the caller saw at the
// given revision.
func (c *Client) RemoveCertificate(ctx context.Context, domain string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: sslPath(domain), query: c.scoped(), match: revision}, nil)
	return err
}

// Operation returns the state of long work.
func (c *Client) Operation(ctx context.Context, id string) (*Operation, error) {
	out := new(Operation)
	w := wrap[Operation]{name: "operation", out: out}
	if _, err := c.do(ctx, call{method: http.MethodGet, path: infra + "/operations/" + segment(id), query: c.inProject()}, &w); err != nil {
		return nil, err
	}
	return out, nil
}
