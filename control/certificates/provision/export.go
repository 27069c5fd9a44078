package provision

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/fault"
)

// Exported is a certificate with its private key.
type Exported struct {
	ChainPEM string
	KeyPEM   string // PKCS #8
	PKCS12   []byte // with a password
}

// minPassword keeps an exported file from being opened by guessing.
const minPassword = 12

// Export hands out chain and private key: in PEM, or with a password as PKCS #12.
// The caller has to be allowed to and has to record it. Errors: NotFound,
// Conflict when there is none yet, Invalid for a weak password.
func (s *Service) Export(ctx context.Context, project, environment, domain, password string) (Exported, certificates.Certificate, error) {
	c, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return Exported{}, c, err
	}
	if c.Status.Generation == "" {
		return Exported{}, c, fault.New(fault.Conflict, "there is no certificate yet").About("certificate " + c.Name)
	}
	if password != "" && len(password) < minPassword {
		return Exported{}, c, fault.InvalidField("/password", fmt.Sprintf("it is shorter than %d characters", minPassword), "take a longer one")
	}
	b, err := s.Bundle(ctx, c.ID, c.Status.Generation)
	if err != nil {
		return Exported{}, c, err
	}
	out := Exported{ChainPEM: b.ChainPEM}
	if password == "" {
		out.KeyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b.KeyDER}))
		return out, c, nil
	}
	chain, err := pki.ParseChain(b.ChainPEM)
	if err != nil {
		return Exported{}, c, fault.New(fault.Internal, "a stored certificate cannot be read: %w", err).About("certificate " + c.Name)
	}
	key, err := x509.ParsePKCS8PrivateKey(b.KeyDER)
	if err != nil {
		return Exported{}, c, fault.New(fault.Internal, "a stored key cannot be read").About("certificate " + c.Name)
	}
	if out.PKCS12, err = pkcs12.Modern.Encode(key, chain[0], chain[1:], password); err != nil {
		return Exported{}, c, fault.New(fault.Internal, "the PKCS #12 file cannot be made: %w", err).About("certificate " + c.Name)
	}
	return out, c, nil
}

// Chain returns the certificate in use and its intermediates; nil without one.
func (s *Service) Chain(ctx context.Context, c certificates.Certificate) ([]*x509.Certificate, error) {
	if c.Status.Generation == "" {
		return nil, nil
	}
	chain, err := s.InUse(ctx, c)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return chain, err
}
