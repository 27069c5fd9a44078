package tsig

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones/transfer"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Users tells which zones name a key; zones.Service is one.
type Users interface {
	KeyUsers(ctx context.Context, project, environment, key string, limit int) ([]string, error)
}

// Options of a Service.
type Options struct {
	Store resource.Store
	Vault resource.ListedVault
	Users Users            // nil: nobody
	Now   func() time.Time // nil: time.Now
}

// Service holds the use cases of keys. Its methods may be called from any
// goroutine.
type Service struct{ Options }

// New returns the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
}

// Wish is a key to be made.
type Wish struct {
	Name      string
	Algorithm string // "": hmac-sha256
	Secret    string // base64; "": one is made
	Comment   string
}

// PlanCreate plans a key. The secret is checked for form, and is no part of the
// plan. Errors: Invalid with pointers; Conflict when the name is taken, or there
// are too many.
func (s *Service) PlanCreate(ctx context.Context, project, environment string, w Wish) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	name, err := canonicalName(w.Name)
	if err != nil {
		return plan, err
	}
	if w.Algorithm == "" {
		w.Algorithm = edgeconfig.HMACSHA256
	}
	spec, err := decode(encode(Spec{Algorithm: w.Algorithm, Generation: 1, Comment: w.Comment}))
	if err != nil {
		return plan, err
	}
	if w.Secret != "" {
		if _, err := parseSecret(w.Secret); err != nil {
			return plan, err
		}
	}
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: maxKeys})
	if err != nil {
		return plan, err
	}
	if slices.ContainsFunc(page.Items, func(r resource.Resource) bool { return r.Name == name }) {
		return plan, fault.New(fault.Conflict, "a key of this name exists: replace its secret, or choose another name").About("tsig key " + name)
	}
	if len(page.Items) >= maxKeys {
		return plan, fault.New(fault.Conflict, "the environment has %d keys, and no more are kept: delete those that no zone names", maxKeys).About("tsig key " + name)
	}
	plan.Create(Type(), project, environment, name, encode(spec))
	return plan, nil
}

// Create makes a key with a secret of its own, or the one given.
func (s *Service) Create(ctx context.Context, project, environment string, w Wish, cause resource.Cause) (Key, error) {
	plan, err := s.PlanCreate(ctx, project, environment, w)
	if err != nil {
		return Key{}, err
	}
	return s.commit(ctx, plan, w.Secret, cause)
}

// PlanReplace plans another secret. With ifRevision not 0 the key must be at that
// revision (Stale).
func (s *Service) PlanReplace(ctx context.Context, project, environment, name, secret string, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	r, err := s.seen(ctx, project, environment, name, ifRevision)
	if err != nil {
		return plan, err
	}
	if secret != "" {
		if _, err := parseSecret(secret); err != nil {
			return plan, err
		}
	}
	spec, err := decode(r.Spec)
	if err != nil {
		return plan, err
	}
	spec.Generation++
	plan.Update(r, encode(spec))
	plan.Warnings = append(plan.Warnings, "transfers with the key fail until the other side has the new secret: to change it without a gap, make a second key, name both in the zone, and delete the first later")
	return plan, nil
}

// Replace gives a key another secret, and forgets the old one.
func (s *Service) Replace(ctx context.Context, project, environment, name, secret string, ifRevision int64, cause resource.Cause) (Key, error) {
	plan, err := s.PlanReplace(ctx, project, environment, name, secret, ifRevision)
	if err != nil {
		return Key{}, err
	}
	return s.commit(ctx, plan, secret, cause)
}

// commit writes the secret first: what a status names is always there.
func (s *Service) commit(ctx context.Context, plan resource.Plan, given string, cause resource.Cause) (Key, error) {
	a := plan.Actions[0]
	spec, err := decode(a.After)
	if err != nil {
		return Key{}, err
	}
	secret := newSecret(spec.Algorithm)
	if given != "" {
		if secret, err = parseSecret(given); err != nil {
			return Key{}, err
		}
	}
	if err := s.Vault.PutSecret(ctx, secretName(a.ID, spec.Generation), secret); err != nil {
		return Key{}, err
	}
	done, err := s.Store.Commit(ctx, plan.Commit(cause))
	if err != nil {
		if a.Op == resource.Create { // nobody else knows this ID; a replacement's generation another may have written
			_ = s.Vault.DeleteSecret(context.WithoutCancel(ctx), secretName(a.ID, spec.Generation))
		}
		return Key{}, err
	}
	return resource.Decode[Spec, Status](done.Resources[0])
}

// Get returns a key by name. Error: NotFound.
func (s *Service) Get(ctx context.Context, project, environment, name string) (Key, error) {
	r, err := s.seen(ctx, project, environment, name, 0)
	if err != nil {
		return Key{}, err
	}
	return resource.Decode[Spec, Status](r)
}

// List returns a page of keys in order of ID.
func (s *Service) List(ctx context.Context, project, environment string, limit int, cursor string) ([]Key, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Key, 0, len(page.Items))
	for _, r := range page.Items {
		k, err := resource.Decode[Spec, Status](r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, k)
	}
	return list, page.Next, nil
}

// Export returns a key with its secret in base64, as BIND and Knot have it.
// Whoever calls it records that. Error: NotFound, Unavailable while the secret is
// being made.
func (s *Service) Export(ctx context.Context, project, environment, name string) (k Key, secret string, err error) {
	if k, err = s.Get(ctx, project, environment, name); err != nil {
		return k, "", err
	}
	raw, err := s.Vault.Secret(ctx, secretName(k.ID, k.Spec.Generation))
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Unavailable, "the key's secret is being made: try again").About("tsig key " + k.Name)
	}
	return k, base64.StdEncoding.EncodeToString(raw), err
}

// PlanDelete plans to delete a key. Errors: NotFound, Stale, Conflict while zones
// name it.
func (s *Service) PlanDelete(ctx context.Context, project, environment, name string, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan(project, environment)
	r, err := s.seen(ctx, project, environment, name, ifRevision)
	if err != nil {
		return plan, err
	}
	if s.Users != nil {
		const shown = 5
		users, err := s.Users.KeyUsers(ctx, project, environment, r.Name, shown+1)
		if err != nil {
			return plan, err
		}
		if len(users) > 0 {
			list := strings.Join(users[:min(len(users), shown)], ", ")
			if len(users) > shown {
				list += " and more"
			}
			return plan, fault.New(fault.Conflict, "the transfers of %s are signed with it: take it out of them first", list).About("tsig key " + r.Name)
		}
	}
	plan.Delete(r)
	plan.Warnings = append(plan.Warnings, "its secret is forgotten: undoing the deletion makes another one")
	return plan, nil
}

// Delete deletes a key. The reconciler forgets its secrets.
func (s *Service) Delete(ctx context.Context, project, environment, name string, ifRevision int64, cause resource.Cause) error {
	plan, err := s.PlanDelete(ctx, project, environment, name, ifRevision)
	if err != nil {
		return err
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		return err
	}
	spec, err := decode(plan.Actions[0].Before)
	if err != nil {
		return err
	}
	return s.Vault.DeleteSecret(ctx, secretName(plan.Actions[0].ID, spec.Generation))
}

// Key returns a key for signing. Error: NotFound when there is none of the name,
// or its secret is not made yet.
func (s *Service) Key(ctx context.Context, project, environment, name string) (transfer.Key, error) {
	k, err := s.Get(ctx, project, environment, name)
	if err != nil {
		return transfer.Key{}, err
	}
	secret, err := s.Secret(ctx, k.ID, k.Spec.Generation)
	return transfer.Key{Name: k.Name, Algorithm: k.Spec.Algorithm, Secret: secret}, err
}

// Secret returns the secret of a generation, for edges. Error: NotFound while it
// is not made.
func (s *Service) Secret(ctx context.Context, id string, generation int) ([]byte, error) {
	return s.Vault.Secret(ctx, secretName(id, generation))
}

func (s *Service) seen(ctx context.Context, project, environment, name string, ifRevision int64) (resource.Resource, error) {
	missing := fault.New(fault.NotFound, "there is no TSIG key of this name: make it with POST /api/v1/infrastructure/dns/tsig").About(fmt.Sprintf("tsig key %.100s", name))
	name, err := canonicalName(name)
	if err != nil {
		return resource.Resource{}, missing
	}
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Name: name, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, missing
	}
	r := page.Items[0]
	if ifRevision != 0 && r.Revision != ifRevision {
		return r, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("tsig key " + r.Name)
	}
	return r, nil
}
