package acme

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/fault"
)

// Revoke implements certificates.Revoker: by the account that ordered it, and by
// the certificate's own key where the CA does not know it as that account's.
func (c *Client) Revoke(ctx context.Context, leaf *x509.Certificate, key crypto.Signer, reason int) error {
	client := c.connect()
	account, err := c.registered(ctx, client)
	if err != nil {
		return err
	}
	err = client.RevokeCertificate(ctx, account, leaf, nil, reason)
	if isProblem(err, acme.ProblemTypeUnauthorized) && key != nil {
		err = client.RevokeCertificate(ctx, account, leaf, key, reason)
	}
	if err == nil || isProblem(err, acme.ProblemTypeAlreadyRevoked) {
		return nil
	}
	if problem, ok := problemIn(err); ok && problem.Status >= 400 && problem.Status < 500 {
		return fault.New(fault.Conflict, "the CA refuses to revoke it: %s", problem.Detail)
	}
	return fault.New(fault.Unavailable, "the CA could not be told to revoke it: %w", fmt.Errorf("%w", err))
}

// Profiles implements certificates.Profiles.
func (c *Client) Profiles(ctx context.Context) ([]string, error) {
	directory, err := c.connect().GetDirectory(ctx)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the CA's directory could not be read: %w", err)
	}
	if directory.Meta == nil {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(directory.Meta.Profiles)), nil
}

// Describe implements certificates.Describer.
func (c *Client) Describe(ctx context.Context) (identities []string, accountURI string, err error) {
	client := c.connect()
	directory, err := client.GetDirectory(ctx)
	if err != nil {
		return nil, "", fault.New(fault.Unavailable, "the CA's directory could not be read: %w", err)
	}
	if directory.Meta != nil {
		identities = directory.Meta.CAAIdentities
	}
	account, err := c.registered(ctx, client)
	if err != nil {
		return identities, "", err
	}
	return identities, account.Location, nil
}
