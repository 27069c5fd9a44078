package certificates

import (
	"context"
	"crypto"
	"crypto/x509"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
)

// Issuer obtains certificates: control/acme, control/localca.
type Issuer interface {
	// Issue obtains a certificate and returns its chain in PEM, leaf first. An
	// error that is an *IssueError tells the user why and what to do; any other
	// counts as the issuer being away. It may take minutes and ends with ctx.
	Issue(ctx context.Context, o Order) (chainPEM string, err error)
}

// Order is what an issuer is asked for.
type Order struct {
	ID          string // of the certificate resource
	Project     string
	Environment string
	Names       []string
	Key         crypto.Signer
	CSR         []byte            // DER; nil: the issuer makes one of Names and Key
	Replaces    *x509.Certificate // the leaf that this one renews; nil for the first
	// Challenges are those that may prove each name, in the order of choice; nil:
	// the issuer chooses.
	Challenges map[string][]Challenge
	Profile    string // "": the CA's setting
	// Attempt counts the failures before, so that another challenge gets its turn.
	Attempt int
	// Pending is an order that was made earlier with the same names and key and did
	// not come to its end; without a URL: none.
	Pending Pending
	// Cut says that the attempt before was cut off: what a CA has found since then,
	// while perhaps nobody answered, is no failure.
	Cut bool
	// Keep is called as soon as the CA has an order, before anything is done for it,
	// and again whenever its records change, before they are written and after they
	// are gone; an error ends the issuance. nil: nothing is kept.
	Keep func(Pending) error
	// Progress is called with one of the steps as the order comes along. It must
	// not be nil.
	Progress func(step string)
}

// Authority is a CA as the reconciler sees it.
type Authority struct {
	Name      string // unique on the platform: "default"
	Directory string // of ACME; "" for others
	Issuer    Issuer
	Rehearsal Issuer // its staging twin; nil: none
	Limits    []authority.Limit
	Priority  int
	Internal  bool // no preflight looks at public DNS
	// Retired: no order is made there any more, but what it has issued can be
	// revoked, and it is still asked when that is to be renewed.
	Retired    bool
	Identities []string // what a CAA record may name; empty: not known yet
}

// Authorities is the ability of an issuer to be several CAs, in the order in
// which they are to be tried.
type Authorities interface {
	Authorities(ctx context.Context) ([]Authority, error)
}

// Describer is the ability of an issuer to say how it is to be named in CAA
// records (RFC 8659, RFC 8657). It may ask the CA.
type Describer interface {
	Describe(ctx context.Context) (identities []string, accountURI string, err error)
}

// Revoker is the ability of an issuer to revoke what it has issued.
type Revoker interface {
	// Revoke revokes a certificate with a reason of RFC 5280 section 5.3.1. That
	// it is revoked already is no error.
	Revoke(ctx context.Context, leaf *x509.Certificate, key crypto.Signer, reason int) error
}

// Proofs is the ability of an issuer to say which challenges it can have
// answered for a name; without it, all.
type Proofs interface {
	Proofs(ctx context.Context, project, environment, name string) []Challenge
}

// Profiles is the ability of an issuer to say which profiles it offers. It may ask
// the CA.
type Profiles interface {
	Profiles(ctx context.Context) ([]string, error)
}

// RenewalAdvisor is the ability of an issuer to say when a certificate should
// be renewed (ACME renewal information, RFC 9773).
type RenewalAdvisor interface {
	// RenewalWindow returns the suggested window and when to ask again. ok is
	// false when the CA offers none.
	RenewalWindow(ctx context.Context, leaf *x509.Certificate) (w Window, askAgain time.Duration, ok bool, err error)
}

// IssueError is a failed issuance as the user is told of it.
type IssueError struct {
	Problem
	// RetryAfter is the CA's word on when to come back; 0: none.
	RetryAfter time.Duration
	// Invalid is true when the CA has looked and found the names unproved: another
	// CA would find the same.
	Invalid bool
	// Within bounds the wait until the next attempt; 0: it grows as ever.
	Within time.Duration
	// Away is true when no order was made, because the CA could not be reached
	// or was busy: trying again costs nothing there.
	Away bool
	// Working is true when the CA has the order and has not come to its end yet: the
	// same order is looked at again after RetryAfter, which says nothing of others.
	Working bool
	Err     error
}

func (e *IssueError) Error() string {
	text := e.Message
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	return text
}

func (e *IssueError) Unwrap() error { return e.Err }

// Ownership knows whether a project may have a certificate for a name;
// domains.Service is one.
type Ownership interface {
	Verified(ctx context.Context, project, environment, domain string) (bool, error)
}

// AccountHolder is the ability of an issuer to tell its account at the CA
// without asking the CA; "" when there is none yet.
type AccountHolder interface {
	AccountURI(ctx context.Context) (string, error)
}
