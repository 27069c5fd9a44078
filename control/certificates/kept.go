package certificates

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Find returns the certificate of a name as it is stored. Errors: NotFound.
func (r Room) Find(ctx context.Context, project, environment, name string) (resource.Resource, error) {
	page, err := r.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Name: name, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, NotFound(name)
	}
	return page.Items[0], nil
}

// Get returns the certificate that has a domain's name. Errors: NotFound.
func (r Room) Get(ctx context.Context, project, environment, domain string) (Certificate, error) {
	name, err := CanonicalName(domain)
	if err != nil {
		return Certificate{}, NotFound(domain)
	}
	stored, err := r.Find(ctx, project, environment, name)
	if err != nil {
		return Certificate{}, err
	}
	return Read(stored)
}

// Read decodes a stored certificate; one that no reconciler has seen is in
// state none.
func Read(r resource.Resource) (Certificate, error) {
	c, err := Decode(r)
	if err != nil {
		return c, fault.New(fault.Internal, "a stored certificate cannot be read: %w", err).About("certificate " + r.Name)
	}
	if c.Status.State == "" {
		c.Status.State = StateNone
	}
	return c, nil
}

func NotFound(domain string) error {
	return fault.New(fault.NotFound, "there is no certificate for this domain here: provision one with POST /api/v1/infrastructure/ssl/%s", domain).About("certificate " + domain)
}

// Bundle returns chain and key of one generation. Errors: NotFound.
func (r Room) Bundle(ctx context.Context, id, generation string) (pki.Bundle, error) {
	secret, err := r.Vault.Secret(ctx, BundleName(id, generation))
	if err != nil {
		return pki.Bundle{}, err
	}
	var b pki.Bundle
	if err := json.Unmarshal(secret, &b); err != nil {
		return pki.Bundle{}, fault.New(fault.Internal, "a stored certificate cannot be read: %w", err).About("certificate " + id)
	}
	return b, nil
}

func BundleName(id, generation string) string { return "certificate/" + id + "/" + generation }

// PutBundle keeps chain and key of a generation.
func (r Room) PutBundle(ctx context.Context, id, generation string, b pki.Bundle) error {
	return r.Vault.PutSecret(ctx, BundleName(id, generation), encode(b))
}

func UploadGeneration(n int) string { return fmt.Sprintf("u%d", n) }

// InUse returns the certificate in use and its intermediates. Errors: NotFound.
func (r Room) InUse(ctx context.Context, c Certificate) ([]*x509.Certificate, error) {
	b, err := r.Bundle(ctx, c.ID, c.Status.Generation)
	if err != nil {
		return nil, err
	}
	return pki.ParseChain(b.ChainPEM)
}
