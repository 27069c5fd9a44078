package dnsplan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/edgewright/edgewright/fault"
)

// Abilities are what a provider can and will store. Wanted sets are brought
// into its bounds before they are compared, or every plan would find the same
// difference again.
type Abilities struct {
	MinTTL     int  `json:"min_ttl,omitempty"`
	MaxTTL     int  `json:"max_ttl,omitempty"` // 0: no bound
	Proxy      bool `json:"proxy,omitempty"`   // knows RRset.Proxied
	ProxiedTTL int  `json:"proxied_ttl,omitempty"`
	ApexCNAME  bool `json:"apex_cname,omitempty"` // flattens a CNAME at the apex
	// Types it can hold; empty: all.
	Types []string `json:"types,omitempty"`
}

// Request is what a plan is made of.
type Request struct {
	Zone      Zone
	Owner     string // of the markers: installation and domain, "ins_.../dom_..."
	Desired   []RRset
	Observed  []RRset // the whole zone
	Abilities Abilities
	// Take names RRsets that are not the owner's and that it may take over:
	// changed to what is wanted, or removed where they are in its way.
	Take []Key
	// Issuers are the CAs (RFC 8659 issuer domain names) that shall be able to
	// issue for the wanted names; empty: CAA is not looked at.
	Issuers []string
}

// Op is what a step does.
type Op string

// The operations of a step.
const (
	Add    Op = "add"
	Modify Op = "change"
	Remove Op = "remove"
	Adopt  Op = "adopt" // somebody's RRset becomes the owner's
	Tidy   Op = "tidy"  // a marker whose RRset is gone goes too
)

// Change is one RRset's part of a step. The zone must hold Before (nil: nothing)
// and will hold After (nil: nothing).
type Change struct {
	Before *RRset `json:"before,omitempty"`
	After  *RRset `json:"after,omitempty"`
}

// Key names the RRset concerned.
func (c Change) Key() Key {
	if c.After != nil {
		return c.After.Key()
	}
	return c.Before.Key()
}

func (c Change) equal(o Change) bool { return same(c.Before, o.Before) && same(c.After, o.After) }

// Step is what happens to one wanted or owned RRset: its own change and those of
// its marker, in the order in which they are safe.
type Step struct {
	Op      Op       `json:"op"`
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Before  *RRset   `json:"before,omitempty"`
	After   *RRset   `json:"after,omitempty"`
	Note    string   `json:"note,omitempty"`
	Changes []Change `json:"changes"`
}

// Reason is why something is blocked, in one word for machines.
type Reason string

// The reasons of a block.
const (
	Exists         Reason = "exists"          // a record that is not ours
	OwnedElsewhere Reason = "owned_elsewhere" // another owner's marker
	MarkerTaken    Reason = "marker_taken"    // something else stands where the marker must
	CNAMEBlocks    Reason = "cname_blocks"    // a CNAME tolerates nothing beside it
	CNAMEBeside    Reason = "cname_beside"    // the wanted CNAME would stand beside others
	ApexCNAME      Reason = "apex_cname"
	Delegated      Reason = "delegated" // the name is in somebody else's zone
	Proxied        Reason = "proxied"   // the provider's proxy answers
	SpecialSet     Reason = "special"   // an alias or routed set
	CAABlocks      Reason = "caa"       // certificates cannot be issued
	NotPossible    Reason = "not_possible"
)

// Block is something that stands in the way. Stops "record": the wanted RRset is
// not written. Stops "certificate": it is, but no certificate can be issued.
type Block struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Reason  Reason `json:"reason"`
	Stops   string `json:"stops"`
	Message string `json:"message"`
	Fix     string `json:"fix"`
	By      *RRset `json:"by,omitempty"`
	// Takeable: naming By in Request.Take lifts it.
	Takeable bool `json:"takeable,omitempty"`
}

// What a Block stops.
const (
	StopsRecord      = "record"
	StopsCertificate = "certificate"
)

// Left is an RRset of the wanted or owned ones that stays as it is.
type Left struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Owned bool   `json:"owned"`
	Why   string `json:"why"`
}

// Need is a consent without which a plan is not carried out.
type Need struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// The kinds of needs; one consent, to removals, meets them all.
const (
	NeedMany  = "removes_many"  // more than 30% of the zone
	NeedEmpty = "empties_zone"  // nothing is left
	NeedAll   = "removes_owned" // nothing of the owner's is left
)

// maxRemovedPercent of a zone's RRsets go without being asked about.
const maxRemovedPercent = 30

// Plan is what would be done to a zone, as data.
type Plan struct {
	Zone      Zone    `json:"zone"`
	Owner     string  `json:"owner"`
	Steps     []Step  `json:"steps"`
	Left      []Left  `json:"left"`
	Blocks    []Block `json:"blocks"`
	Needs     []Need  `json:"needs"`
	Untouched int     `json:"untouched"` // RRsets of others in the zone
	Sets      int     `json:"sets"`      // RRsets in the zone, markers and the server's own left out
	// Observed is a digest of all that the plan was made from.
	Observed string `json:"observed"`

	// What Resume makes it again from.
	Desired   []RRset   `json:"desired"`
	Abilities Abilities `json:"abilities"`
	Take      []Key     `json:"take,omitempty"`
	Issuers   []string  `json:"issuers,omitempty"`
}

// Empty reports that there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// Blocked reports whether some wanted RRset would not be written.
func (p Plan) Blocked() bool {
	for _, b := range p.Blocks {
		if b.Stops == StopsRecord {
			return true
		}
	}
	return false
}

// Consent is what the user allows when a plan is carried out.
type Consent struct {
	Removals bool `json:"removals,omitempty"`
}

// Check returns a Conflict naming the first need that is not met.
func (p Plan) Check(c Consent) error {
	if len(p.Needs) > 0 && !c.Removals {
		return fault.New(fault.Conflict, "%s: look at the plan, and consent to the removals if they are meant", p.Needs[0].Message).About("zone " + p.Zone.Name)
	}
	return nil
}

// Resume makes a plan again from what the zone holds now. Steps that were
// carried out in the meantime are not in it any more. Errors: Stale when the
// zone asks for anything that is not part of the plan as it was shown; Conflict
// when consent is missing.
func Resume(p Plan, observed []RRset, c Consent) (Plan, error) {
	if err := p.Check(c); err != nil {
		return Plan{}, err
	}
	again, err := Make(Request{
		Zone: p.Zone, Owner: p.Owner, Desired: p.Desired, Observed: observed, Abilities: p.Abilities, Take: p.Take, Issuers: p.Issuers,
	})
	if err != nil || again.Observed == p.Observed {
		return again, err
	}
	stale := func(name, typ, what string) error {
		return fault.New(fault.Stale, "%s %s %s since the plan was made: make a new plan", name, typ, what).About("zone " + p.Zone.Name)
	}
	for _, s := range again.Steps {
		for _, c := range s.Changes {
			if !p.has(c) {
				k := c.Key()
				return Plan{}, stale(k.Name, k.Type, "has changed")
			}
		}
	}
	for _, b := range again.Blocks {
		if !p.hasBlock(b) {
			return Plan{}, stale(b.Name, b.Type, "has become blocked")
		}
	}
	if len(again.Needs) > 0 && len(p.Needs) == 0 && again.Sets < p.Sets+p.growth()-again.growth() {
		return Plan{}, fault.New(fault.Stale, "the zone has lost records since the plan was made, and now %s: make a new plan", again.Needs[0].Message).About("zone " + p.Zone.Name)
	}
	return again, nil
}

// growth is by how many RRsets the zone grows when the plan is carried out.
func (p Plan) growth() int {
	n := 0
	for _, s := range p.Steps {
		for _, c := range s.Changes {
			if _, marker := markedBy(c.Key()); marker {
				continue
			}
			if c.Before == nil {
				n++
			}
			if c.After == nil {
				n--
			}
		}
	}
	return n
}

func (p Plan) has(c Change) bool {
	for _, s := range p.Steps {
		for _, known := range s.Changes {
			if known.equal(c) {
				return true
			}
		}
	}
	return false
}

func (p Plan) hasBlock(b Block) bool {
	for _, known := range p.Blocks {
		if known.Name == b.Name && known.Type == b.Type && known.Reason == b.Reason && same(known.By, b.By) {
			return true
		}
	}
	return false
}

// digest is the hash of canonical sets in order.
func digest(sets []RRset) string {
	b, err := json.Marshal(sets)
	if err != nil {
		panic(fmt.Sprintf("dnsplan: a set holds only what JSON can hold: %v", err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
