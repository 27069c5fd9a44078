package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// DomainSetup is how a domain's records come to be, and what stands in their way.
type DomainSetup struct {
	Mode         string       `json:"mode"`               // managed, provider, manual, or empty: not chosen yet
	Account      string       `json:"account,omitempty"`  // stored credentials, by name, with mode provider
	Zone         string       `json:"zone,omitempty"`     // that the name lies in at present
	Provider     string       `json:"provider,omitempty"` // who serves the zone at present; empty: not known
	ProviderName string       `json:"provider_name,omitempty"`
	NameServers  []string     `json:"name_servers"` // of the zone at present
	Offers       []SetupOffer `json:"offers"`
	Managed      *ManagedZone `json:"managed,omitempty"` // with mode managed: what the registrar has to be told
	Records      []DNSRecord  `json:"records"`           // to be set, with what is seen of each
	Blockers     []Blocker    `json:"blockers"`          // what stands in the way, with the fix
	Error        string       `json:"error,omitempty"`   // why the records could not be set
	CheckedAt    *time.Time   `json:"checked_at,omitempty"`
}

// SetupOffer is one way to have the records set.
type SetupOffer struct {
	Mode      string `json:"mode"` // managed, provider or manual
	Available bool   `json:"available"`
	Detail    string `json:"detail"`
}

// ManagedZone is what the registrar of a zone of ours has to be told.
type ManagedZone struct {
	Apex        string   `json:"apex"`
	NameServers []string `json:"name_servers"`
	DS          []string `json:"ds"`
}

// Blocker is something in the DNS that stands in the way.
type Blocker struct {
	Reason string `json:"reason"` // ExistingCNAME, WrongAddress, Proxied, CAAForbids or StaleDS
	Type   string `json:"type"`
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"`
}

// RegistryState is what the registry holds of the registered name.
type RegistryState struct {
	Name         string     `json:"name,omitempty"`   // the registered name, in A-labels
	Source       string     `json:"source,omitempty"` // rdap or whois; empty: nothing is known
	Server       string     `json:"server,omitempty"`
	Registrar    string     `json:"registrar,omitempty"`
	RegistrarID  string     `json:"registrar_id,omitempty"`
	CreatedAt    *time.Time `json:"created_at,omitempty"`
	UpdatedAt    *time.Time `json:"updated_at,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	DaysLeft     *int       `json:"days_left,omitempty"`
	NameServers  []string   `json:"name_servers"`
	DS           []string   `json:"ds"`
	Signed       *bool      `json:"signed,omitempty"`
	EPP          []string   `json:"epp"`                          // EPP states: clientTransferProhibited, ...
	Protected    *bool      `json:"transfer_protected,omitempty"` // absent: the registry does not say
	Unregistered bool       `json:"unregistered,omitempty"`
	Skipped      string     `json:"skipped,omitempty"` // why no registry is asked
	Error        string     `json:"error,omitempty"`   // of the last look
	CheckedAt    *time.Time `json:"checked_at,omitempty"`
	NextAt       *time.Time `json:"next_at,omitempty"`
}

// DomainWatch is what the monitoring of a domain has found last.
type DomainWatch struct {
	CheckedAt  *time.Time       `json:"checked_at,omitempty"`
	Resolution []Resolution     `json:"resolution"`
	Delegation *DelegationState `json:"delegation,omitempty"`
	Dangling   []DanglingRecord `json:"dangling"`
	Error      string           `json:"error,omitempty"`
}

// Resolution is what everybody answers for a name and type.
type Resolution struct {
	Name   string           `json:"name"`
	Type   string           `json:"type"`
	Agreed bool             `json:"agreed"` // all that answer say the same
	Seen   []ResolverAnswer `json:"seen"`
}

// DelegationState is what a zone's parent says of it, beside what it says itself.
type DelegationState struct {
	Zone      string           `json:"zone"`
	Parent    string           `json:"parent"`
	ParentNS  []string         `json:"parent_ns"`
	ZoneNS    []string         `json:"zone_ns"`
	Servers   []NameServerLook `json:"servers"`
	ParentDS  []string         `json:"parent_ds"`
	Signed    bool             `json:"signed"`
	DSMatches bool             `json:"ds_matches"`
}

// NameServerLook is how one name server does.
type NameServerLook struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	Error     string   `json:"error,omitempty"` // empty: it answers for the zone
}

// DanglingRecord leads to what is gone: somebody else could take it.
type DanglingRecord struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Target   string `json:"target"`
	Reason   string `json:"reason"` // NXDOMAIN or Unclaimed
	Provider string `json:"provider,omitempty"`
	Detail   string `json:"detail"`
	Fix      string `json:"fix"`
}

// DomainEvent is something that happened to a domain.
type DomainEvent struct {
	Number   int64             `json:"number"` // 1, 2, 3, ... within the domain
	At       time.Time         `json:"at"`
	Type     string            `json:"type"`
	Severity string            `json:"severity"` // info, warning or critical
	Message  string            `json:"message"`
	Data     map[string]string `json:"data,omitempty"`
}

// PropagationSet is how far one set of records has spread.
type PropagationSet struct {
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Wanted     []string         `json:"wanted"`
	ChangedAt  time.Time        `json:"changed_at"`
	CheckedAt  *time.Time       `json:"checked_at,omitempty"`
	Complete   bool             `json:"complete"`
	CompleteAt *time.Time       `json:"complete_at,omitempty"` // when everybody that answers had it first
	With       int              `json:"with"`                  // how many of those that answer have it
	Answering  int              `json:"answering"`
	Seen       []ResolverAnswer `json:"seen"`
}

// DomainPropagation is how far the records of a domain have spread.
type DomainPropagation struct {
	Complete bool             `json:"complete"` // everything is seen everywhere
	Sets     []PropagationSet `json:"sets"`
}

// SetupOfDomain tells who serves a domain's zone now, the ways to have its records
// set, and what stands in the way.
func (c *Client) SetupOfDomain(ctx context.Context, domain string) (*DomainSetup, error) {
	return domainState[DomainSetup](ctx, c, domain, "setup", nil)
}

// RegistryOfDomain returns what the registry holds of a domain.
func (c *Client) RegistryOfDomain(ctx context.Context, domain string) (*RegistryState, error) {
	return domainState[RegistryState](ctx, c, domain, "registry", nil)
}

// WatchOfDomain returns what monitoring has found last of a domain.
func (c *Client) WatchOfDomain(ctx context.Context, domain string) (*DomainWatch, error) {
	return domainState[DomainWatch](ctx, c, domain, "watch", nil)
}

// DomainEvents returns what happened to a domain lately, newest first.
func (c *Client) DomainEvents(ctx context.Context, domain string) ([]DomainEvent, error) {
	out, err := domainState[struct {
		Events []DomainEvent `json:"events"`
	}](ctx, c, domain, "events", nil)
	if err != nil {
		return nil, err
	}
	return out.Events, nil
}

// Propagation asks name servers and resolvers now for a domain's records, or for
// those of one name and type ("": all).
func (c *Client) Propagation(ctx context.Context, domain, name, typ string) (*DomainPropagation, error) {
	query := url.Values{}
	if name != "" {
		query.Set("name", name)
	}
	if typ != "" {
		query.Set("type", typ)
	}
	return domainState[DomainPropagation](ctx, c, domain, "propagation", query)
}

func domainState[T any](ctx context.Context, c *Client, domain, what string, query url.Values) (*T, error) {
	out := new(T)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: domainPath(domain) + "/" + what, query: merge(c.scoped(), query)}, out); err != nil {
		return nil, err
	}
	return out, nil
}
