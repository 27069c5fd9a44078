package issuance

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"slices"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/fault"
)

// pendingOrder is an order that a CA has and that has not come to its end, with
// the key that it is for. A certificate's are kept in the Vault, one for each CA
// that was asked, so that a crash between order and certificate costs no second
// order, and another CA's turn does not lose the first one's.
type pendingOrder struct {
	certificates.Pending
	Authority   string      `json:"authority"`
	Project     string      `json:"project_id"`
	Environment string      `json:"environment"`
	Made        time.Time   `json:"made,omitzero"`
	Number      int         `json:"number"` // the Issued that it leads to
	Names       string      `json:"names"`  // setOf
	KeyType     pki.KeyType `json:"key_type"`
	Staple      bool        `json:"must_staple,omitempty"`
	Profile     string      `json:"profile,omitempty"`
	Key         []byte      `json:"key"` // PKCS #8
	CSR         []byte      `json:"csr"`
	// Over is true of an order that is not gone on with, and has left something
	// behind.
	Over bool `json:"over,omitempty"`

	signer crypto.Signer
}

func pendingName(id string) string { return "certificate/" + id + "/pending" }

// book is the orders of one certificate.
type book struct {
	*Orders
	id   string
	list []*pendingOrder
}

// open reads the orders of a certificate. What cannot be read counts as none: it
// is ordered again.
func (o *Orders) open(ctx context.Context, id string) *book {
	b := &book{Orders: o, id: id}
	secret, err := o.room.Vault.Secret(ctx, pendingName(id))
	if err == nil {
		err = json.Unmarshal(secret, &b.list)
	}
	if err != nil {
		b.list = nil
		if !fault.Is(err, fault.NotFound) && ctx.Err() == nil {
			o.log.Warn("the orders under way could not be read", "certificate", id, "error", err)
		}
	}
	return b
}

// save writes the book, or deletes it when it is empty.
func (b *book) save(ctx context.Context) error {
	if len(b.list) == 0 {
		err := b.room.Vault.DeleteSecret(ctx, pendingName(b.id))
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	secret, err := json.Marshal(b.list)
	if err != nil {
		return err
	}
	return b.room.Vault.PutSecret(ctx, pendingName(b.id), secret)
}

// keep writes an order as it is now.
func (b *book) keep(ctx context.Context, p *pendingOrder) error {
	if !slices.Contains(b.list, p) {
		b.list = append(b.list, p)
	}
	return b.save(ctx)
}

// end takes an order out that is over, unless it has left something behind.
func (b *book) end(ctx context.Context, p *pendingOrder) error {
	if p.URL, p.Over = "", true; len(p.Records) == 0 {
		b.list = slices.DeleteFunc(b.list, func(other *pendingOrder) bool { return other == p })
	}
	return b.save(ctx)
}

// at returns the order at a CA that fits what is wanted, nil when there is none.
func (b *book) at(name string) *pendingOrder {
	i := slices.IndexFunc(b.list, func(p *pendingOrder) bool { return p.signer != nil && p.Authority == name })
	if i < 0 {
		return nil
	}
	return b.list[i]
}

// authorities are the CAs that the book has orders of, but for one that is done
// and has left nothing behind.
func (b *book) authorities(done *pendingOrder) []string {
	var names []string
	for _, p := range b.list {
		if (p != done || len(p.Records) > 0) && !slices.Contains(names, p.Authority) {
			names = append(names, p.Authority)
		}
	}
	return names
}

// fit finds the orders that can be gone on with.
func (b *book) fit(c certificates.Certificate) {
	for _, p := range b.list {
		p.signer = nil
		if p.Over || p.URL == "" || p.Number <= c.Status.Issued ||
			p.Names != authority.SetOf(c.Spec.Domains) || p.KeyType != c.Spec.KeyType || p.Staple != c.Spec.MustStaple || p.Profile != c.Spec.Profile {
			continue
		}
		if c.Spec.PinKey && (certificates.ToRevoke(c) || c.Status.ReplaceReason != "") {
			continue // made with the key that is to go
		}
		if key, err := x509.ParsePKCS8PrivateKey(p.Key); err == nil {
			p.signer, _ = key.(crypto.Signer)
		}
	}
}

// abandonTimeout bounds the giving up of one order.
const abandonTimeout = 30 * time.Second

// abandon gives those orders up that are not gone on with. What cannot be given
// up now stays in the book, until its CA has forgotten it.
func (b *book) abandon(ctx context.Context) {
	changed := false
	for _, p := range slices.Clone(b.list) {
		if p.signer != nil {
			continue
		}
		left, err := b.abandonOne(ctx, p)
		if ctx.Err() != nil {
			return
		}
		p.Pending, p.Over, changed = left, true, true
		if err != nil && !p.Expired(b.room.Now()) {
			b.log.Warn("an order could not be given up; it is tried again", "certificate", b.id, "authority", p.Authority, "error", err)
			continue
		}
		b.log.Info("an order is given up", "certificate", b.id, "authority", p.Authority, "error", err)
		b.list = slices.DeleteFunc(b.list, func(other *pendingOrder) bool { return other == p })
	}
	if !changed {
		return
	}
	if err := b.save(ctx); err != nil && ctx.Err() == nil {
		b.log.Warn("what became of orders could not be kept", "certificate", b.id, "error", err)
	}
}

func (b *book) abandonOne(ctx context.Context, p *pendingOrder) (certificates.Pending, error) {
	ctx, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	keeper, order, err := b.keeper(ctx, p)
	if keeper == nil {
		return p.Pending, err
	}
	return keeper.Abandon(ctx, order)
}

// keeper returns who can look after an order; nil when nobody can any more. Of a
// CA that is not there any more another's client can still take the challenges
// back.
func (b *book) keeper(ctx context.Context, p *pendingOrder) (certificates.OrderKeeper, certificates.Order, error) {
	order := certificates.Order{ID: b.id, Project: p.Project, Environment: p.Environment, Pending: p.Pending}
	a, ok, err := b.judge.Named(ctx, certificates.TypeACME, p.Authority)
	if err == nil && !ok {
		order.Pending.URL = ""
		var others []certificates.Authority
		if others, err = b.judge.Authorities(ctx, certificates.TypeACME, ""); len(others) > 0 {
			a = others[0]
		}
	}
	keeper, _ := a.Issuer.(certificates.OrderKeeper)
	return keeper, order, err
}

// Forget forgets the order that a certificate has come of.
func (o *Orders) Forget(ctx context.Context, got *Issued) {
	b := &book{Orders: o, id: got.For.ID}
	if len(got.Others) > 0 {
		b = o.open(ctx, got.For.ID)
	}
	b.list = slices.DeleteFunc(b.list, func(p *pendingOrder) bool {
		p.Over = p.Over || p.Authority == got.Authority
		return p.Authority == got.Authority && len(p.Records) == 0
	})
	if err := b.save(ctx); err != nil && ctx.Err() == nil {
		o.log.Warn("an order that is over could not be forgotten", "certificate", b.id, "error", err)
	}
}

// Abandon gives all orders of a certificate up, which may be deleted: their
// challenges are taken back, and the CAs told. It returns the CAs at which there
// is still something to be done.
func (o *Orders) Abandon(ctx context.Context, id string) []string {
	b := o.open(ctx, id)
	b.abandon(ctx)
	return b.authorities(nil)
}

// Uphold sees to it that the challenges of the orders under way stand where
// their CAs may look, whoever has put them there.
func (o *Orders) Uphold(ctx context.Context, c certificates.Certificate) error {
	b := o.open(ctx, c.ID)
	b.fit(c)
	for _, p := range b.list {
		if p.signer == nil || len(p.Records) == 0 {
			continue
		}
		keeper, order, err := b.keeper(ctx, p)
		if keeper != nil && err == nil {
			err = keeper.Uphold(ctx, order)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare returns the order under way at a CA, or a new one with its key: the
// pinned one, or one that was never used.
func (t *attempt) prepare(ctx context.Context, a certificates.Authority, c certificates.Certificate) (*pendingOrder, error) {
	if p := t.book.at(a.Name); p != nil {
		return p, nil
	}
	p := &pendingOrder{
		Authority: a.Name, Project: c.Project, Environment: c.Environment, Number: c.Status.Issued + 1,
		Names: authority.SetOf(c.Spec.Domains), KeyType: c.Spec.KeyType, Staple: c.Spec.MustStaple, Profile: c.Spec.Profile,
	}
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
