package certificates

import (
	"context"
	"crypto"
	"crypto/x509"
	"time"
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
	ID       string // of the certificate resource
	Names    []string
	Key      crypto.Signer
	Replaces *x509.Certificate // the leaf that this one renews; nil for the first
	// Progress is called with one of the steps as the order comes along. It must
	// not be nil.
	Progress func(step string)
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
	// Away is true when no order was made, because the CA could not be reached
	// or was busy: trying again costs nothing there.
	Away bool
	Err  error
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
