package certificates

import (
	"context"
	"time"
)

// Pending is an order that a CA has and that has not come to its end: what its
// issuer has to know to go on with it, or to give it up.
type Pending struct {
	URL     string    `json:"url,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // the CA gives it up then
	// Records are the challenges that may stand in DNS for it.
	Records []ProofRecord `json:"records,omitempty"`
}

// Expired reports that the CA has given the order up, as far as our clock tells.
func (p Pending) Expired(now time.Time) bool { return now.After(p.Expires) }

// ProofRecord is a TXT record that proves a name.
type ProofRecord struct {
	Name  string `json:"name"` // of the certificate
	At    string `json:"at"`   // where it stands, CNAMEs followed
	Value string `json:"value"`
}

// OrderKeeper is the ability of an issuer to look after orders that are not
// being worked on. Of the Order it needs ID, Project, Environment and Pending.
type OrderKeeper interface {
	// Uphold sees to it that the records of an order stand in DNS, where they may
	// have gone with the control plane that led before.
	Uphold(ctx context.Context, o Order) error
	// Abandon takes the records back, and tells the CA that what it has not looked
	// at yet it need not. It returns what is left to be done when that fails.
	Abandon(ctx context.Context, o Order) (left Pending, err error)
}
