package edgeconfig

import "time"

// ProbeReport tells how certificates are served, as a client of an edge sees it:
// the edge itself, or another one. It is a request; ProbeReply answers.
type ProbeReport struct {
	Edge   string    `json:"edge"`   // who looked
	Target string    `json:"target"` // at whom; the edge itself mostly
	At     time.Time `json:"at"`
	Served []Served  `json:"served"` // at most MaxServed
	// Again is true in the last of the reports that tell again what was told before.
	Again bool `json:"again,omitempty"`
}

// MaxServed bounds one report.
const MaxServed = 500

// Served is what a client got when it asked for one certificate.
type Served struct {
	Certificate string  `json:"certificate"`           // ID
	Age         int64   `json:"age,omitempty"`         // seconds since the look; 0: just now
	Name        string  `json:"name"`                  // asked for
	Fingerprint string  `json:"fingerprint,omitempty"` // lower-case hex SHA-256 of the leaf; "" when there was no handshake
	NotAfter    int64   `json:"not_after,omitempty"`   // Unix seconds
	Chain       string  `json:"chain,omitempty"`       // ChainTrusted, ChainPrivate or ChainBroken
	Problem     string  `json:"problem,omitempty"`     // "": all is well
	WrongName   bool    `json:"wrong_name,omitempty"`  // the leaf is not valid for Name
	Key         string  `json:"key,omitempty"`         // of the leaf: "ECDSA 256", "RSA 2048", "Ed25519"
	Signature   string  `json:"signature,omitempty"`   // algorithm of the leaf's: "ECDSA-SHA256"
	Stapled     bool    `json:"stapled,omitempty"`     // with an OCSP response
	MustStaple  bool    `json:"must_staple,omitempty"` // the leaf asks for one
	HSTS        string  `json:"hsts,omitempty"`        // the Strict-Transport-Security field of the name's site
	Offers      []Offer `json:"offers,omitempty"`      // what was agreed on when asked for each version
}

// Offer is one combination that an edge agrees to.
type Offer struct {
	Version string `json:"version"` // "1.0" to "1.3"
	Cipher  string `json:"cipher"`  // IANA name
	Group   string `json:"group,omitempty"`
}

// What a chain is.
const (
	ChainTrusted = "trusted" // leads to a root of the looking edge's system
	ChainPrivate = "private" // whole, but to a root that system does not know: a local CA
	ChainBroken  = "broken"  // a link is missing or wrong
)

// ProbeReply names the edge to look at next.
type ProbeReply struct {
	Peer *Peer `json:"peer,omitempty"` // nil: there is no other
	// Again asks to tell again what was told before: who answers has started since
	// then, or the reports were lost.
	Again bool `json:"again,omitempty"`
}

// Peer is another edge.
type Peer struct {
	Edge    string `json:"edge"`
	Address string `json:"address"` // of its HTTPS, host:port
}
