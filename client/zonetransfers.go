package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// ZoneTransfers says who a managed zone is given to and taken from.
type ZoneTransfers struct {
	Zone     string        `json:"zone"`
	Revision int64         `json:"revision"`
	Serial   uint32        `json:"serial"` // that edges answer with; 0: not answered
	Out      *TransferOut  `json:"out,omitempty"`
	In       *TransferIn   `json:"in,omitempty"`
	Copy     *TransferCopy `json:"copy,omitempty"`
	// Secondaries are who has asked for the zone, newest first.
	Secondaries []TransferFetch `json:"secondaries"`
	Conditions  []Condition     `json:"conditions"`
}

// TransferFetch is what edges last saw of a secondary.
type TransferFetch struct {
	Address string    `json:"address"`
	Key     string    `json:"key,omitempty"` // TSIG key, by name
	Kind    string    `json:"kind"`          // axfr, ixfr
	Outcome string    `json:"outcome"`       // given, current; else Error says why not
	Serial  uint32    `json:"serial,omitempty"`
	At      time.Time `json:"at"`
	Error   string    `json:"error,omitempty"`
	Fix     string    `json:"fix,omitempty"`
}

// TransferOut says who gets a zone whole.
type TransferOut struct {
	Keys   []string `json:"keys"`             // TSIG keys, by name
	Allow  []string `json:"allow,omitempty"`  // addresses and ranges
	Notify []string `json:"notify,omitempty"` // "192.0.2.1:53"
}

// TransferIn says where a secondary zone comes from.
type TransferIn struct {
	Primaries []TransferPrimary `json:"primaries"`
}

// TransferPrimary is a server that a zone is taken over from.
type TransferPrimary struct {
	Address string `json:"address"`
	Key     string `json:"key,omitempty"` // TSIG key, by name
}

// TransferCopy is how the copy of a secondary zone stands.
type TransferCopy struct {
	State       string     `json:"state"` // waiting, current, failing, expired
	Serial      uint32     `json:"serial"`
	Records     int        `json:"records"`
	Primary     string     `json:"primary,omitempty"`
	How         string     `json:"how,omitempty"` // axfr, ixfr
	Bytes       int        `json:"bytes,omitempty"`
	ChangedAt   *time.Time `json:"changed_at,omitempty"`
	CheckedAt   *time.Time `json:"checked_at,omitempty"`
	TriedAt     *time.Time `json:"tried_at,omitempty"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	Failures    int        `json:"failures,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Error       string     `json:"error,omitempty"`
	Fix         string     `json:"fix,omitempty"`
}

// SetZoneTransfers replaces both directions; nil is neither given nor taken.
type SetZoneTransfers struct {
	Out     *TransferOut `json:"out,omitempty"`
	In      *TransferIn  `json:"in,omitempty"`
	Consent bool         `json:"consent,omitempty"` // to lose records, or the copy
}

// TSIGKey is a key that transfers are signed with, without its secret.
type TSIGKey struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Algorithm  string     `json:"algorithm"`
	Generation int        `json:"generation"`
	Ready      bool       `json:"ready"` // the secret is made
	MadeAt     *time.Time `json:"made_at,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	Revision   int64      `json:"revision"`
}

// NewTSIGKey is a key to be made.
type NewTSIGKey struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm,omitempty"` // "": hmac-sha256
	Secret    string `json:"secret,omitempty"`    // base64; "": one is made
	Comment   string `json:"comment,omitempty"`
}

// TSIGSecret is a key with its secret.
type TSIGSecret struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Secret    string `json:"secret"` // base64
}

func transfersPath(domain string) string { return domainPath(domain) + "/zone/transfers" }

// ZoneTransfers tells who the zone that a domain is in is given to and taken
// from.
func (c *Client) ZoneTransfers(ctx context.Context, domain string) (*ZoneTransfers, error) {
	return c.transfersCall(ctx, call{method: http.MethodGet, path: transfersPath(domain)})
}

// SetZoneTransfers replaces both directions of a zone that the caller saw at the
// given revision.
func (c *Client) SetZoneTransfers(ctx context.Context, domain string, revision int64, t SetZoneTransfers) (*ZoneTransfers, error) {
	return c.transfersCall(ctx, call{method: http.MethodPut, path: transfersPath(domain), body: t, match: revision})
}

// PlanZoneTransfers tells what SetZoneTransfers would do.
func (c *Client) PlanZoneTransfers(ctx context.Context, domain string, revision int64, t SetZoneTransfers) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodPut, path: transfersPath(domain), body: t, match: revision})
}

// RefreshZone asks a secondary zone's primaries now; whole takes the zone over
// whatever its serial is.
func (c *Client) RefreshZone(ctx context.Context, domain string, whole bool) (*ZoneTransfers, error) {
	return c.transfersCall(ctx, call{method: http.MethodPost, path: transfersPath(domain) + "/refresh", body: map[string]bool{"whole": whole}})
}

func (c *Client) transfersCall(ctx context.Context, k call) (*ZoneTransfers, error) {
	k.query = c.scoped()
	out := new(ZoneTransfers)
	if _, err := c.do(ctx, k, &wrap[ZoneTransfers]{name: "transfers", out: out}); err != nil {
		return nil, err
	}
	return out, nil
}

const tsigKeys = infra + "/dns/tsig"

func tsigPath(name string) string { return tsigKeys + "/" + segment(name) }

// TSIGKeys walks the TSIG keys of the project and environment.
func (c *Client) TSIGKeys(ctx context.Context) iter.Seq2[TSIGKey, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[TSIGKey], error) {
		return list[TSIGKey](ctx, c, tsigKeys, "keys", paged(c.scoped()), cursor)
	})
}

// TSIGKey returns one key, or fault.NotFound.
func (c *Client) TSIGKey(ctx context.Context, name string) (*TSIGKey, error) {
	return c.tsigCall(ctx, call{method: http.MethodGet, path: tsigPath(name)})
}

// CreateTSIGKey makes a key.
func (c *Client) CreateTSIGKey(ctx context.Context, k NewTSIGKey) (*TSIGKey, error) {
	return c.tsigCall(ctx, call{method: http.MethodPost, path: tsigKeys, body: k})
}

// ReplaceTSIGSecret gives a key another secret, or the one given.
func (c *Client) ReplaceTSIGSecret(ctx context.Context, name string, revision int64, secret string) (*TSIGKey, error) {
	return c.tsigCall(ctx, call{method: http.MethodPut, path: tsigPath(name) + "/secret", body: map[string]string{"secret": secret}, match: revision})
}

// ExportTSIGKey takes a key's secret out, which is recorded.
func (c *Client) ExportTSIGKey(ctx context.Context, name string) (*TSIGSecret, error) {
	out := new(TSIGSecret)
	if _, err := c.do(ctx, call{method: http.MethodPost, path: tsigPath(name) + "/export", query: c.scoped()}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteTSIGKey deletes a key that no zone names.
func (c *Client) DeleteTSIGKey(ctx context.Context, name string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: tsigPath(name), query: c.scoped(), match: revision}, nil)
	return err
}

func (c *Client) tsigCall(ctx context.Context, k call) (*TSIGKey, error) {
	k.query = c.scoped()
	out := new(TSIGKey)
	if _, err := c.do(ctx, k, &wrap[TSIGKey]{name: "key", out: out}); err != nil {
		return nil, err
	}
	return out, nil
}
