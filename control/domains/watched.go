package domains

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Watch is what the monitoring of a domain has found last.
type Watch struct {
	CheckedAt  *time.Time       `json:"checked_at,omitempty"`
	Resolution []Resolution     `json:"resolution,omitempty"` // where the name leads, by type
	Delegation *DelegationState `json:"delegation,omitempty"` // nil: not looked, as for names without a zone of their own
	Dangling   []DanglingRecord `json:"dangling,omitempty"`
	Error      string           `json:"error,omitempty"` // why something could not be looked at
	NextAt     *time.Time       `json:"next_at,omitempty"`
}

// ExpiryTold is the last step before the end of a registration that was told.
type ExpiryTold struct {
	ExpiresAt time.Time `json:"expires_at"`
	Days      int       `json:"days"` // 30, 7, 1; -1: that it is over
}

// Resolution is what everybody answers for a name and type.
type Resolution struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Seen   []Seen `json:"seen"`
	Agreed bool   `json:"agreed"` // all that answer say the same
}

// DelegationState is what a zone's parent says of it, beside what it says itself.
type DelegationState struct {
	Zone      string        `json:"zone"`
	Parent    string        `json:"parent"`
	Asked     string        `json:"asked,omitempty"` // the parent's server that told; "": none answered
	ParentNS  []string      `json:"parent_ns"`
	ZoneNS    []string      `json:"zone_ns"`
	Servers   []ServerState `json:"servers"` // those that the parent names
	ParentDS  []string      `json:"parent_ds,omitempty"`
	Signed    bool          `json:"signed"`     // the zone has keys
	DSMatches bool          `json:"ds_matches"` // one of the parent's DS records is of one of them
}

// ServerState is how one name server of a zone does.
type ServerState struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses,omitempty"`
	Error     string   `json:"error,omitempty"` // "": it answers for the zone
}

// DanglingRecord is a record that leads to what is gone. Whoever registers or
// claims the target answers for the name.
type DanglingRecord struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Target   string `json:"target"`
	Reason   string `json:"reason"`             // "NXDOMAIN", "Unclaimed", "NoAddress"
	Provider string `json:"provider,omitempty"` // where the target can be claimed, when known
	Detail   string `json:"detail"`
	Fix      string `json:"fix"`
}

// Propagation is how far one RRset has spread.
type Propagation struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Wanted     []string   `json:"wanted"`                // sorted; empty: it shall be gone
	ChangedAt  time.Time  `json:"changed_at"`            // when it was last wanted otherwise
	CheckedAt  *time.Time `json:"checked_at,omitempty"`  // nil: not looked yet
	CompleteAt *time.Time `json:"complete_at,omitempty"` // when everybody that answers had it first; nil: not yet
	Seen       []Seen     `json:"seen,omitempty"`
	Exact      bool       `json:"exact,omitempty"` // others set no records there
	With       int        `json:"with"`            // how many of those that answer have it
	Answering  int        `json:"answering"`
}

// WantedRRset is a set of records that the world shall see.
type WantedRRset struct {
	Name      string // without trailing dot
	Type      string
	Values    []string // as lookup.Value writes them
	ChangedAt time.Time
}

// RRsets tells what a managed zone publishes; zones.Service can be one.
type RRsets interface {
	// RRsets returns the sets at and below a name that changed after a time, the
	// newest first, at most limit.
	RRsets(ctx context.Context, project, environment, name string, since time.Time, limit int) ([]WantedRRset, error)
}

// ChangeStatus changes a domain's status. change sees the latest one and must not
// ask anything: it runs in the transaction that writes it. Errors: NotFound.
func (s *Service) ChangeStatus(ctx context.Context, id string, change func(*Domain)) (Domain, error) {
	return s.write(ctx, id, change)
}

// ByID returns a domain by its ID, with a complete status. Errors: NotFound.
func (s *Service) ByID(ctx context.Context, id string) (Domain, error) {
	r, err := s.Store.Get(ctx, Kind, id)
	if err != nil {
		return Domain{}, err
	}
	return s.decode(ctx, r)
}

// Exists reports whether an environment has a domain; zones ask it for those that
// they have made records for.
func (s *Service) Exists(ctx context.Context, project, environment, domain string) (bool, error) {
	_, err := s.find(ctx, project, environment, domain)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// NeedsNoProof reports whether a name is free: below localhost or the platform.
func (s *Service) NeedsNoProof(name Name) bool { return s.free(name) }
