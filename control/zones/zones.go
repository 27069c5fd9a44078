// Package zones is the room of DNS zones that this platform is the authority
// of: their records, their keys, and the versions that edges serve.
//
// Types: Spec and Status of a zone, RRsetSpec of the records of one name and
// type (one resource each, so that history, diff, revert and plans are those of
// every resource), Delegation (the platform-wide holder of an apex and the name
// servers given to it), Version (what edges get).
//
// Use cases: Service.Ensure, SetRRset, GetRRset, ListRRsets, DeleteRRset, Bulk,
// Import, Export, Configure, Remove, PresentTXT, Follow (to another project, with
// its domain), SetTransfers, AskRefresh, Noticed; those that write have a Plan form.
//
// Phases of the reconciler, per zone:
//
//	events -> mirror (records, sites, by zone)
//	holder of the apex? -> keys and rollover -> content (content.go: aliases,
//	targets, steering, records of our own sites) -> build.Zone (what changed)
//	-> serial, when the content is another -> status -> compile -> edges
//
// A secondary zone (transfer.go, copy.go) has its records from its primaries, as
// package secondary brings them: it is passed on as it stands, or signed here.
//
// Versions are made here and not in compile: signing 100,000 records takes
// seconds, and the loop that compiles must not wait for it. compile takes them
// from Service.Version as it takes certificates' bundles, when a zone's status
// names a new serial. A zone's version is a pure function of its resources, its
// keys and the day, so a control plane that starts makes what is published.
//
// Interfaces needed: resource.Store, resource.ListedVault (keys), Ownership (claims), Locks, Needs,
// Places (addresses of edges), Parent (what the zone above says), Names (other
// people's addresses, for ALIAS), Rollout (how far a version has come), Copies
// (of secondary zones). HTTP,
// SQL and sockets stay elsewhere, but for NewParent's, which asks the DNS.
package zones

import (
	"time"

	"github.com/edgewright/edgewright/control/resource"
)

// Kinds of this room.
const (
	Kind           resource.Kind = "zone"       // IDs begin with "zon_"; resource name: the apex in A-labels
	KindRRset      resource.Kind = "rrset"      // IDs begin with "rrs_"; resource name: see RRsetName
	KindDelegation resource.Kind = "delegation" // IDs begin with "dlg_"; platform scope; resource name: the apex
)

// Rooms next door; zones refer to their resources by name only.
const (
	kindClaim resource.Kind = "claim"
	kindEdge  resource.Kind = "edge"
)

// Spec is what is wanted of a zone.
type Spec struct {
	Comment string `json:"comment,omitempty"`
	TTL     int    `json:"ttl"` // seconds, of sets that have none of their own; default 300
	// Negative is how long an absence is cached, in seconds; default 300.
	Negative int    `json:"negative_ttl"`
	Contact  string `json:"contact,omitempty"` // mail address in the SOA; default hostmaster@ the apex
	// Sites gives names that this project serves here A, AAAA and HTTPS records
	// by themselves, where no record of the user's says otherwise; default true.
	Sites  bool   `json:"sites"`
	DNSSEC DNSSEC `json:"dnssec"`

	Transfer  *Transfer  `json:"transfer,omitempty"`  // who gets the zone whole; nil: nobody
	Secondary *Secondary `json:"secondary,omitempty"` // whom its records come from; nil: they are ours
}

// DNSSEC says how a zone is signed.
type DNSSEC struct {
	Enabled   bool   `json:"enabled"`
	Algorithm string `json:"algorithm"` // AlgorithmECDSA (default) or AlgorithmEd25519
	Keys      string `json:"keys"`      // KeysCombined (default) or KeysSplit
	Denial    string `json:"denial"`    // "nsec" (default), "nsec3" or "compact"
	// Roll and RollZSK count the rollovers asked for: a higher number asks for one.
	Roll    int `json:"roll,omitempty"`     // of the key that the parent knows
	RollZSK int `json:"roll_zsk,omitempty"` // with KeysSplit, of the key that signs records
}

// Ways to sign.
const (
	AlgorithmECDSA   = "ecdsap256"
	AlgorithmEd25519 = "ed25519"
	KeysCombined     = "csk"
	KeysSplit        = "ksk-zsk"
)

// Condition types of a zone.
const (
	Served    = "Served"    // the version is made, and nothing holds it back
	Records   = "Records"   // every record is in it
	Delegated = "Delegated" // the parent names our name servers
	Signed    = "Signed"    // the zone is signed, and the parent knows the key
)

// Elsewhere is the reason of Delegated when the parent names other servers.
const Elsewhere = "Elsewhere"

// Status is what is known of a zone.
type Status struct {
	NameServers []string `json:"name_servers"` // absolute, without trailing dot
	Serial      uint32   `json:"serial"`
	// Content is the digest of what Serial stands for; another content takes a new
	// serial.
	Content string     `json:"content,omitempty"`
	Parts   int        `json:"parts,omitempty"`
	Records int        `json:"records"`           // sets, derived ones included
	MaxTTL  int        `json:"max_ttl,omitempty"` // seconds, the longest of the sets
	MadeAt  *time.Time `json:"made_at,omitempty"`
	NextAt  *time.Time `json:"next_at,omitempty"` // when signatures are renewed or a rollover goes on
	// Aliases are the last answers for the names that ALIAS records lead to.
	Aliases map[string]Addresses `json:"aliases,omitempty"`
	Keys    Keys                 `json:"keys,omitzero"`
	Parent  *ParentSeen          `json:"parent,omitempty"`

	Copy *Copy `json:"copy,omitempty"` // of a secondary zone

	Problems   []string             `json:"problems,omitempty"` // records that are left out, and why; at most 50
	Conditions []resource.Condition `json:"conditions,omitempty"`
}

// Addresses is what a name led to.
type Addresses struct {
	A     []string  `json:"a,omitempty"`
	AAAA  []string  `json:"aaaa,omitempty"`
	Until time.Time `json:"until"` // ask again then
	Error string    `json:"error,omitempty"`
}

// ParentSeen is what the zone above was last seen to say.
type ParentSeen struct {
	At          time.Time `json:"at"`
	NameServers []string  `json:"name_servers,omitempty"`
	DS          []string  `json:"ds,omitempty"`     // "tag algorithm digest-type digest"
	DSTTL       int       `json:"ds_ttl,omitempty"` // seconds
	Error       string    `json:"error,omitempty"`
}

// Zone is a zone as stored.
type Zone = resource.Object[Spec, Status]

// RRsetSpec is the records of one name and type.
type RRsetSpec struct {
	Zone     string            `json:"zone"`          // the apex, as in the resource's name
	TTL      int               `json:"ttl,omitempty"` // seconds; 0: the zone's
	Values   []string          `json:"values,omitempty"`
	Target   *Target           `json:"target,omitempty"` // what to point at, in place of values
	Steering *Steering         `json:"steering,omitempty"`
	Comment  string            `json:"comment,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// Target is something of the platform's own that records can point at.
type Target struct {
	Kind string `json:"kind"`         // TargetEdges, TargetEdge, TargetRegion
	ID   string `json:"id,omitempty"` // of the edge, or the region's name; none for all edges
}

// Kinds of targets.
const (
	TargetEdges  = "edges"  // every edge that takes traffic
	TargetEdge   = "edge"   // one, by ID or name
	TargetRegion = "region" // those of a region
)

// Steering gives clients different answers. Who no answer is for gets the set's
// own values.
type Steering struct {
	// Policy PolicyLatency makes an answer for each region of the target, nearest
	// first; the empty policy takes the answers as written.
	Policy  string   `json:"policy,omitempty"`
	Answers []Answer `json:"answers,omitempty"`
	// Checks tell what lives, by the names that answers have for them.
	Checks map[string]HealthCheck `json:"checks,omitempty"`
}

// PolicyLatency sends clients to the region nearest to them.
const PolicyLatency = "latency"

// Answer is one answer of a steered set. Of those for a client the closest
// places win (region, country, continent, anywhere), of these the lowest order
// whose check passes, and of these one is drawn by weight.
type Answer struct {
	Countries  []string `json:"countries,omitempty"`
	Continents []string `json:"continents,omitempty"`
	Regions    []string `json:"regions,omitempty"`
	Order      int      `json:"order,omitempty"`
	Weight     int      `json:"weight,omitempty"`
	Check      string   `json:"check,omitempty"` // name of one of the set's checks, that must pass
	Values     []string `json:"values,omitempty"`
	Target     *Target  `json:"target,omitempty"`
}

// RRset is a set as stored.
type RRset = resource.Object[RRsetSpec, struct{}]

// DelegationSpec says who has an apex and which name servers were given out for
// it. It outlives the zone: a name that is still delegated to an earlier owner's
// name servers must not be answered for another.
type DelegationSpec struct {
	Zone        string   `json:"zone_id"` // "" when nobody has it
	Project     string   `json:"project_id"`
	Environment string   `json:"environment"`
	Pair        []int    `json:"pair"`           // of the name servers' numbers
	Past        [][]int  `json:"past,omitempty"` // pairs of earlier owners, newest last
	Owners      []string `json:"owners,omitempty"`
}

// Delegation is a delegation as stored.
type Delegation = resource.Object[DelegationSpec, struct{}]

// Decode turns a stored resource into a Zone.
func Decode(r resource.Resource) (Zone, error) { return resource.Decode[Spec, Status](r) }

// DecodeRRset turns a stored resource into an RRset.
func DecodeRRset(r resource.Resource) (RRset, error) {
	return resource.Decode[RRsetSpec, struct{}](r)
}
