package issuance

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/fault"
)

// pendingOrder is an order that a CA has and that has not come to its end, with
// the key that it is for. It is kept in the Vault, so that a crash between order
// and certificate costs no second order.
type pendingOrder struct {
	Authority string      `json:"authority"`
	URL       string      `json:"url"`
	Made      time.Time   `json:"made,omitzero"`
	Names     string      `json:"names"` // setOf
	KeyType   pki.KeyType `json:"key_type"`
	Staple    bool        `json:"must_staple,omitempty"`
	Key       []byte      `json:"key"` // PKCS #8
	CSR       []byte      `json:"csr"`

	signer crypto.Signer
}

func pendingName(id string) string { return "certificate/" + id + "/pending" }

// pending returns the order under way that fits what is wanted, or nil.
func (o *Orders) pending(ctx context.Context, c certificates.Certificate) *pendingOrder {
	secret, err := o.room.Vault.Secret(ctx, pendingName(c.ID))
	if err != nil {
		if !fault.Is(err, fault.NotFound) && ctx.Err() == nil {
			o.log.Warn("an order under way could not be read", "certificate", c.ID, "error", err)
		}
		return nil
	}
	var p pendingOrder
	if json.Unmarshal(secret, &p) != nil || p.Names != authority.SetOf(c.Spec.Domains) || p.KeyType != c.Spec.KeyType || p.Staple != c.Spec.MustStaple {
		return nil // for something else: the CA forgets it in some days
	}
	if c.Spec.PinKey && (certificates.ToRevoke(c) || c.Status.ReplaceReason != "") {
		return nil // made with the key that is to go
	}
	key, err := x509.ParsePKCS8PrivateKey(p.Key)
	if err != nil {
		return nil
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil
	}
	p.signer = signer
	return &p
}

func (o *Orders) keepPending(ctx context.Context, id string, p *pendingOrder) error {
	secret, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return o.room.Vault.PutSecret(ctx, pendingName(id), secret)
}

// Forget forgets the order of a certificate that is over.
func (o *Orders) Forget(ctx context.Context, id string) {
	if err := o.room.Vault.DeleteSecret(ctx, pendingName(id)); err != nil && !fault.Is(err, fault.NotFound) && ctx.Err() == nil {
		o.log.Warn("an order that is over could not be forgotten", "certificate", id, "error", err)
	}
}

// prepare returns the order under way at a CA, or a new one with its key: the
// pinned one, or one that was never used.
func (t *attempt) prepare(ctx context.Context, a certificates.Authority, c certificates.Certificate) (*pendingOrder, error) {
	if t.pending != nil && t.pending.Authority == a.Name {
		return t.pending, nil
	}
	p := &pendingOrder{Authority: a.Name, Names: authority.SetOf(c.Spec.Domains), KeyType: c.Spec.KeyType, Staple: c.Spec.MustStaple}
	if c.Spec.PinKey && c.Status.Generation != "" && c.Status.KeyType == string(c.Spec.KeyType) && c.Spec.Revoke == nil && c.Status.Revoked == nil && c.Status.ReplaceReason == "" {
		if b, err := t.room.Bundle(ctx, c.ID, c.Status.Generation); err == nil {
			if key, err := x509.ParsePKCS8PrivateKey(b.KeyDER); err == nil {
				p.signer, _ = key.(crypto.Signer)
			}
		}
	}
	var err error
	if p.signer == nil {
		if p.signer, err = pki.NewKey(c.Spec.KeyType); err != nil {
			return nil, err
		}
	}
	if p.Key, err = x509.MarshalPKCS8PrivateKey(p.signer); err != nil {
		return nil, err
	}
	p.CSR, err = pki.NewCSR(c.Spec.Domains, p.signer, pki.Subject{}, c.Spec.MustStaple)
	return p, err
}
