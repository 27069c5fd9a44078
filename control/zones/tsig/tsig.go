// Package tsig keeps the keys that zone transfers are signed with (TSIG, RFC
// 8945).
//
// Types: Key (a resource of an environment, named as the key is on the wire),
// Spec, Status, Service, Reconciler. A key's secret is in the Vault, one for each
// generation that the spec has counted; it leaves it sealed for edges, to sign
// queries, and when an owner takes it out.
//
// Use cases: Service.Create, Replace (another secret), Export, Get, List, Delete;
// those that write have a Plan form.
//
// Phases of the reconciler: generation without a secret -> make one -> status;
// key gone -> its secrets go. So a key that is only declared gets its secret by
// itself.
package tsig

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones/transfer"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Kind is the kind of TSIG keys; IDs begin with "tsk_", the resource's name is
// the key's.
const Kind resource.Kind = "tsigkey"

// Spec is a key as wanted.
type Spec struct {
	Algorithm string `json:"algorithm"` // edgeconfig.HMACSHA256 (default), ...
	// Generation is that of the secret; a higher number asks for another one.
	Generation int    `json:"generation"`
	Comment    string `json:"comment,omitempty"`
}

// Status is what is known of a key.
type Status struct {
	Generation int        `json:"generation,omitempty"` // of the secret there is; 0: none yet
	MadeAt     *time.Time `json:"made_at,omitempty"`
}

// Key is a key as stored.
type Key = resource.Object[Spec, Status]

// Bounds.
const (
	maxComment  = 500
	maxKeys     = 200 // of an environment: edges look a key up for every signed query
	minSecret   = 16
	maxSecret   = 128
	maxKeyBytes = 255
)

var algorithms = []string{edgeconfig.HMACSHA256, edgeconfig.HMACSHA384, edgeconfig.HMACSHA512}

// sizes are what RFC 8945 section 6 and RFC 2104 advise: as long as the digest.
var sizes = map[string]int{edgeconfig.HMACSHA256: 32, edgeconfig.HMACSHA384: 48, edgeconfig.HMACSHA512: 64}

// Type is the row of keys in the table of types.
func Type() resource.Type {
	return resource.Type{
		Kind: Kind, Prefix: "tsk", Scope: resource.ScopeEnvironment,
		CanonicalName: canonicalName,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			spec, err := decode(raw)
			if err != nil {
				return nil, err
			}
			return encode(spec), nil
		},
		// A declaration that says nothing of the secret leaves it as it is.
		Carry: func(current, wanted json.RawMessage) json.RawMessage {
			was, err := decode(current)
			now, err2 := decode(wanted)
			if err != nil || err2 != nil {
				return wanted
			}
			now.Generation = max(now.Generation, was.Generation)
			return encode(now)
		},
	}
}

func canonicalName(name string) (string, error) {
	text := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	wire, err := edgeconfig.PackName(text)
	if err == nil {
		text, err = edgeconfig.UnpackName(wire)
	}
	if err != nil || len(wire) < 3 || len(text) > maxKeyBytes || strings.ContainsAny(text, " \t\\\"/@") {
		return "", fault.InvalidField("/name", fmt.Sprintf("%.80q is no name of a key", name), "write a domain name that says what the key joins, such as transfer.example.com")
	}
	return text, nil
}

func decode(raw json.RawMessage) (Spec, error) {
	spec := Spec{Algorithm: edgeconfig.HMACSHA256, Generation: 1}
	if err := resource.DecodeSpec(raw, &spec); err != nil {
		return spec, err
	}
	var fields []fault.Field
	if !slices.Contains(algorithms, spec.Algorithm) {
		fields = append(fields, fault.Field{Pointer: "/algorithm", Detail: fmt.Sprintf("%.40q is no algorithm of keys here", spec.Algorithm), Fix: "write " + strings.Join(algorithms, ", ")})
	}
	if spec.Generation < 1 || spec.Generation > 1<<30 {
		fields = append(fields, fault.Field{Pointer: "/generation", Detail: "the generation of the secret begins with 1", Fix: "leave it out"})
	}
	if len(spec.Comment) > maxComment {
		fields = append(fields, fault.Field{Pointer: "/comment", Detail: fmt.Sprintf("%d characters are more than %d", len(spec.Comment), maxComment), Fix: "shorten it"})
	}
	return spec, fault.InvalidFields(fields)
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("tsig: a spec holds only what JSON can hold: " + err.Error())
	}
	return b
}

func secretName(id string, generation int) string {
	return "tsigkey/" + id + "/" + strconv.Itoa(generation)
}

// parseSecret reads a secret as keys are written everywhere: base64. Nothing of
// it is repeated.
func parseSecret(text string) ([]byte, error) {
	secret, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fault.InvalidField("/secret", "the secret is not base64", "copy it as it is in the primary's or secondary's configuration, or leave it out to have one made")
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return nil, fault.InvalidField("/secret", fmt.Sprintf("the secret has %d bytes, and %d to %d are taken", len(secret), minSecret, maxSecret), "leave it out to have one made, or make one with tsig-keygen")
	}
	return secret, nil
}

func newSecret(algorithm string) []byte {
	secret := make([]byte, sizes[algorithm])
	rand.Read(secret)
	return secret
}

// Users tells which zones name a key; zones.Service is one.
type Users interface {
	KeyUsers(ctx context.Context, project, environment, key string, limit int) ([]string, error)
}

// Options of a Service.
type Options struct {
	Store resource.Store
	Vault resource.Vault
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

// Reconciler makes secrets that are wanted and not there, and forgets those that
// no key has.
type Reconciler struct {
	service *Service

	mu   sync.Mutex
	gone map[string]int // generations of keys that were deleted, by ID
}

// NewReconciler returns the reconciler of a service.
func NewReconciler(s *Service) *Reconciler { return &Reconciler{service: s, gone: map[string]int{}} }

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{Kind} }

// Route implements reconcile.Router: a key that is gone cannot be asked which
// secret it had.
func (r *Reconciler) Route(e resource.Event) []reconcile.Ref {
	if e.Type == resource.Deleted {
		if spec, err := decode(e.Resource.Spec); err == nil {
			r.mu.Lock()
			r.gone[e.Resource.ID] = spec.Generation
			r.mu.Unlock()
		}
	}
	return []reconcile.Ref{{Kind: Kind, ID: e.Resource.ID}}
}

// forget deletes the secrets of a key that is gone.
func (r *Reconciler) forget(ctx context.Context, id string) error {
	r.mu.Lock()
	generation, known := r.gone[id]
	r.mu.Unlock()
	if !known {
		return nil
	}
	for _, g := range []int{generation, generation - 1} {
		if err := r.service.Vault.DeleteSecret(ctx, secretName(id, g)); err != nil {
			return err
		}
	}
	r.mu.Lock()
	delete(r.gone, id)
	r.mu.Unlock()
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	s := r.service
	stored, err := s.Store.Get(ctx, Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, r.forget(ctx, ref.ID)
	}
	if err != nil {
		return 0, err
	}
	k, err := resource.Decode[Spec, Status](stored)
	if err != nil || k.Status.Generation == k.Spec.Generation {
		return 0, err
	}
	name := secretName(k.ID, k.Spec.Generation)
	if _, err := s.Vault.Secret(ctx, name); fault.Is(err, fault.NotFound) {
		err = s.Vault.PutSecret(ctx, name, newSecret(k.Spec.Algorithm))
		if err != nil {
			return 0, err
		}
	} else if err != nil {
		return 0, err
	}
	old := k.Status.Generation
	now := s.Now().UTC().Truncate(time.Second)
	k.Status = Status{Generation: k.Spec.Generation, MadeAt: &now}
	if _, err := s.Store.PutStatus(ctx, Kind, k.ID, encode(k.Status), stored.Seq); fault.Is(err, fault.Stale) {
		return time.Second, nil
	} else if err != nil {
		return 0, err
	}
	if old > 0 {
		return 0, s.Vault.DeleteSecret(ctx, secretName(k.ID, old))
	}
	return 0, nil
}
