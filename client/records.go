package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Record is a set of records of one name and type in a managed zone.
type Record struct {
	ID       string `json:"id"`
	Name     string `json:"name"` // relative to the zone; "@" is the zone itself
	FullName string `json:"full_name"`
	Zone     string `json:"zone"`
	Type     string `json:"type"`
	Revision int64  `json:"revision"`
	RecordData
}

// RecordData is what a set says.
type RecordData struct {
	TTL      int               `json:"ttl,omitempty"`    // seconds; 0: the zone's
	Values   []string          `json:"values,omitempty"` // as zone files have them, names whole
	Target   *RecordTarget     `json:"target,omitempty"` // in place of values
	Steering *RecordSteering   `json:"steering,omitempty"`
	Comment  string            `json:"comment,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// RecordTarget is something of the platform's own.
type RecordTarget struct {
	Kind string `json:"kind"` // edges, edge, region
	ID   string `json:"id,omitempty"`
}

// RecordSteering gives clients different answers.
type RecordSteering struct {
	Policy  string                 `json:"policy,omitempty"` // latency
	Answers []RecordAnswer         `json:"answers,omitempty"`
	Checks  map[string]RecordCheck `json:"checks,omitempty"`
}

// RecordCheck tells edges how to see whether an answer lives.
type RecordCheck struct {
	Type       string `json:"type"`
	Port       int    `json:"port,omitempty"`
	Address    string `json:"address,omitempty"`
	Host       string `json:"host,omitempty"`
	Path       string `json:"path,omitempty"`
	SkipVerify bool   `json:"skip_verify,omitempty"`
	Interval   int    `json:"interval,omitempty"`
	Timeout    int    `json:"timeout,omitempty"`
	Rise       int    `json:"rise,omitempty"`
	Fall       int    `json:"fall,omitempty"`
}

// RecordAnswer is one answer of a steered set.
type RecordAnswer struct {
	Countries  []string      `json:"countries,omitempty"`
	Continents []string      `json:"continents,omitempty"`
	Regions    []string      `json:"regions,omitempty"`
	Order      int           `json:"order,omitempty"`
	Weight     int           `json:"weight,omitempty"`
	Check      string        `json:"check,omitempty"`
	Values     []string      `json:"values,omitempty"`
	Target     *RecordTarget `json:"target,omitempty"`
}

// NewRecord is a set to be made.
type NewRecord struct {
	Name string `json:"name"` // relative to the zone, or whole
	Type string `json:"type"`
	RecordData
}

// RecordMade is a set, and what is likely not meant.
type RecordMade struct {
	Record   Record   `json:"record"`
	Warnings []string `json:"warnings"`
}

// Zone is a managed zone.
type Zone struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Revision    int64       `json:"revision"`
	NameServers []string    `json:"name_servers"`
	Serial      uint32      `json:"serial"` // 0: not answered
	Records     int         `json:"records"`
	TTL         int         `json:"ttl"`
	NegativeTTL int         `json:"negative_ttl"`
	Signed      bool        `json:"signed"`
	Primaries   []string    `json:"primaries,omitempty"` // of a secondary zone: where its records come from
	Problems    []string    `json:"problems"`
	Conditions  []Condition `json:"conditions"`
	Rollout     Rollout     `json:"rollout"`
}

// ZoneFile is a zone file to be read.
type ZoneFile struct {
	Zone    string `json:"zone"`
	Replace bool   `json:"replace,omitempty"` // sets that the file has not go
	Partial bool   `json:"partial,omitempty"` // take what is well-formed
	Consent bool   `json:"consent,omitempty"` // to lose much of the zone
	Preview bool   `json:"preview,omitempty"` // change nothing
}

// ZoneImport tells what became of a zone file.
type ZoneImport struct {
	Records   int             `json:"records"`
	Sets      int             `json:"sets"`
	Created   int             `json:"created"`
	Updated   int             `json:"updated"`
	Deleted   int             `json:"deleted"`
	Unchanged int             `json:"unchanged"`
	Skipped   []SkippedRecord `json:"skipped"`
	Notes     []string        `json:"notes"`
	Warnings  []string        `json:"warnings"`
	Plan      *Plan           `json:"plan,omitempty"` // with Preview
}

// SkippedRecord is a record that was left out.
type SkippedRecord struct {
	Line   int    `json:"line,omitempty"`
	Record string `json:"record"`
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
	Fault  bool   `json:"fault,omitempty"`
}

// ZoneSecurity is how a zone is signed.
type ZoneSecurity struct {
	Enabled   bool          `json:"enabled"`
	Signed    bool          `json:"signed"`
	Secure    bool          `json:"secure"` // the parent knows the keys
	Algorithm string        `json:"algorithm"`
	Keys      string        `json:"keys"`
	Denial    string        `json:"denial"`
	DS        []string      `json:"ds"`
	ParentDS  []string      `json:"parent_ds"`
	List      []ZoneKey     `json:"key_list"`
	Rollover  *ZoneRollover `json:"rollover,omitempty"`
	Message   string        `json:"message,omitempty"`
}

// ZoneKey is a key of a zone.
type ZoneKey struct {
	ID        string   `json:"id"`
	Role      string   `json:"role"`
	Algorithm int      `json:"algorithm"`
	Tag       int      `json:"tag"`
	Published bool     `json:"published"`
	Active    bool     `json:"active"`
	Announced bool     `json:"announced"`
	DS        []string `json:"ds"`
}

// ZoneRollover is a change of keys under way.
type ZoneRollover struct {
	Kind    string    `json:"kind"`
	Step    string    `json:"step"`
	Since   time.Time `json:"since"`
	Next    time.Time `json:"next"`
	Waiting string    `json:"waiting"`
}

// SecurityWish is how a zone shall be signed; empty strings leave what is.
type SecurityWish struct {
	Enabled   bool   `json:"enabled"`
	Algorithm string `json:"algorithm,omitempty"`
	Keys      string `json:"keys,omitempty"`
	Denial    string `json:"denial,omitempty"`
}

// Records walks the sets of the managed zone that a domain is in.
func (c *Client) Records(ctx context.Context, domain string) iter.Seq2[Record, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[Record], error) {
		return list[Record](ctx, c, domainPath(domain)+"/records", "records", paged(c.scoped()), cursor)
	})
}

// CreateRecord makes a set. Errors: fault.NotFound when the domain is in no
// managed zone, fault.Conflict when the set is there, fault.Invalid.
func (c *Client) CreateRecord(ctx context.Context, domain string, r NewRecord) (*RecordMade, error) {
	return c.recordCall(ctx, call{method: http.MethodPost, path: domainPath(domain) + "/records", body: r})
}

// UpdateRecord changes a set that the caller saw at a revision.
func (c *Client) UpdateRecord(ctx context.Context, domain, id string, revision int64, d RecordData) (*RecordMade, error) {
	return c.recordCall(ctx, call{method: http.MethodPut, path: recordPath(domain, id), body: d, match: revision})
}

// DeleteRecord removes a set that the caller saw at a revision.
func (c *Client) DeleteRecord(ctx context.Context, domain, id string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: recordPath(domain, id), query: c.scoped(), match: revision}, nil)
	return err
}

// PlanRecord tells what CreateRecord (id ""), or UpdateRecord would do.
func (c *Client) PlanRecord(ctx context.Context, domain, id string, revision int64, r NewRecord) (*Plan, error) {
	if id == "" {
		return c.dryRun(ctx, call{method: http.MethodPost, path: domainPath(domain) + "/records", body: r})
	}
	return c.dryRun(ctx, call{method: http.MethodPut, path: recordPath(domain, id), body: r.RecordData, match: revision})
}

// PlanDeleteRecord tells what DeleteRecord would do.
func (c *Client) PlanDeleteRecord(ctx context.Context, domain, id string, revision int64) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodDelete, path: recordPath(domain, id), match: revision})
}

func recordPath(domain, id string) string { return domainPath(domain) + "/records/" + segment(id) }

func (c *Client) recordCall(ctx context.Context, k call) (*RecordMade, error) {
	out := new(RecordMade)
	k.query = c.scoped()
	if _, err := c.do(ctx, k, out); err != nil {
		return nil, err
	}
	return out, nil
}

// CreateZone manages the DNS of a domain here.
func (c *Client) CreateZone(ctx context.Context, domain string) (*Zone, error) {
	return c.zoneCall(ctx, call{method: http.MethodPost, path: domainPath(domain) + "/zone"})
}

// Zone returns the managed zone that a domain is in, or fault.NotFound.
func (c *Client) Zone(ctx context.Context, domain string) (*Zone, error) {
	return c.zoneCall(ctx, call{method: http.MethodGet, path: domainPath(domain) + "/zone/settings"})
}

// DeleteZone removes a managed zone; consent is needed when it has records.
func (c *Client) DeleteZone(ctx context.Context, domain string, revision int64, consent bool) error {
	query := c.scoped()
	if consent {
		query.Set("consent", "true")
	}
	_, err := c.do(ctx, call{method: http.MethodDelete, path: domainPath(domain) + "/zone", query: query, match: revision}, nil)
	return err
}

func (c *Client) zoneCall(ctx context.Context, k call) (*Zone, error) {
	var out struct {
		Zone Zone `json:"zone"`
	}
	k.query = c.scoped()
	if _, err := c.do(ctx, k, &out); err != nil {
		return nil, err
	}
	return &out.Zone, nil
}

// ExportZone writes a managed zone as a zone file.
func (c *Client) ExportZone(ctx context.Context, domain string, w io.Writer) error {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: domainPath(domain) + "/zone", query: c.scoped(), accept: "*/*"})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fault.New(fault.Unavailable, "the zone file was cut short: %w", err)
	}
	return nil
}

// ImportZone reads a zone file into a managed zone.
func (c *Client) ImportZone(ctx context.Context, domain string, f ZoneFile) (*ZoneImport, error) {
	out := new(ZoneImport)
	if _, err := c.do(ctx, call{method: http.MethodPut, path: domainPath(domain) + "/zone", query: c.scoped(), body: f}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Security tells how a managed zone is signed.
func (c *Client) Security(ctx context.Context, domain string) (*ZoneSecurity, error) {
	return c.securityCall(ctx, call{method: http.MethodGet, path: domainPath(domain) + "/dnssec"})
}

// SetSecurity signs a managed zone, signs it otherwise, or no more.
func (c *Client) SetSecurity(ctx context.Context, domain string, w SecurityWish) (*ZoneSecurity, error) {
	return c.securityCall(ctx, call{method: http.MethodPut, path: domainPath(domain) + "/dnssec", body: w})
}

// RollKey rolls a key: "" or "csk" or "ksk" that which the parent knows, or "zsk".
func (c *Client) RollKey(ctx context.Context, domain, key string) (*ZoneSecurity, error) {
	return c.securityCall(ctx, call{method: http.MethodPost, path: domainPath(domain) + "/dnssec/rollover", body: map[string]string{"key": key}})
}

func (c *Client) securityCall(ctx context.Context, k call) (*ZoneSecurity, error) {
	var out struct {
		DNSSEC ZoneSecurity `json:"dnssec"`
	}
	k.query = c.scoped()
	if _, err := c.do(ctx, k, &out); err != nil {
		return nil, err
	}
	return &out.DNSSEC, nil
}
