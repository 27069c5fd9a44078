package localca

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"time"

	"github.com/edgewright/edgewright/fault"
)

const (
	revokedName = "localca/revoked"
	crlLife     = 7 * 24 * time.Hour
)

// revokedLeaf is a certificate that is on its issuer's list until it ends.
type revokedLeaf struct {
	Issuer   string    `json:"issuer"` // the key ID of who signed it, in lower-case hex
	Serial   string    `json:"serial"` // in lower-case hex
	At       time.Time `json:"at"`
	Reason   int       `json:"reason,omitempty"`
	NotAfter time.Time `json:"not_after"`
}

// Revoke implements certificates.Revoker: from now on a certificate is on the
// list of its issuer. That it is on it already is no error. Errors: NotFound for
// one that is not of this CA.
func (c *CA) Revoke(ctx context.Context, leaf *x509.Certificate, _ crypto.Signer, reason int) error {
	a, err := c.authority(ctx)
	if err != nil {
		return err
	}
	issuer := hex.EncodeToString(leaf.AuthorityKeyId)
	if _, ok := a.signer(issuer); !ok {
		return fault.New(fault.NotFound, "it was not issued by an intermediate that is still here")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := c.revoked(ctx)
	if err != nil {
		return err
	}
	serial, now := hex.EncodeToString(leaf.SerialNumber.Bytes()), c.now().UTC().Truncate(time.Second)
	list = slices.DeleteFunc(list, func(r revokedLeaf) bool { return r.NotAfter.Before(now) })
	if slices.ContainsFunc(list, func(r revokedLeaf) bool { return r.Issuer == issuer && r.Serial == serial }) {
		return nil
	}
	list = append(list, revokedLeaf{issuer, serial, now, reason, leaf.NotAfter.UTC()})
	secret, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return c.vault.PutSecret(ctx, revokedName, secret)
}

// revoked reads what was revoked; c.mu is held.
func (c *CA) revoked(ctx context.Context) ([]revokedLeaf, error) {
	secret, err := c.vault.Secret(ctx, revokedName)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []revokedLeaf
	if err := json.Unmarshal(secret, &list); err != nil {
		return nil, fault.New(fault.Internal, "the local CA's list of revoked certificates cannot be read: %w", err)
	}
	return list, nil
}

// CRL returns the signed list of an intermediate, in DER (RFC 5280 section 5). It
// is named by its key ID in lower-case hex; "": the present one. Errors: NotFound.
func (c *CA) CRL(ctx context.Context, issuer string) ([]byte, error) {
	a, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	by, ok := a.signer(cmp.Or(issuer, hex.EncodeToString(a.intermediate.SubjectKeyId)))
	if !ok {
		return nil, fault.New(fault.NotFound, "the local CA has no such intermediate")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := c.revoked(ctx)
	if err != nil {
		return nil, err
	}
	now := c.now().UTC().Truncate(time.Second)
	template := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now, NextUpdate: now.Add(crlLife)}
	for _, r := range list {
		if r.Issuer != hex.EncodeToString(by.cert.SubjectKeyId) || r.NotAfter.Before(now) {
			continue
		}
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok {
			return nil, fault.New(fault.Internal, "the local CA's list of revoked certificates holds no number at %q", r.Serial)
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.At, ReasonCode: r.Reason})
	}
	return x509.CreateRevocationList(rand.Reader, template, by.cert, by.key)
}

// signer is an intermediate with its key.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// signer finds an intermediate by its key ID: the present one, or the one before,
// whose leaves outlive its use.
func (a *authority) signer(id string) (signer, bool) {
	for _, s := range []signer{{a.intermediate, a.key}, a.before} {
		if s.cert != nil && s.key != nil && hex.EncodeToString(s.cert.SubjectKeyId) == id {
			return s, true
		}
	}
	return signer{}, false
}
