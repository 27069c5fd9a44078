// Package authority is the room of CAs: which ones certificates are ordered from,
// and what they are asked for at most.
//
// Types: Spec and CA (a resource of the platform), Limit, Want, Spending, Pause.
// Use cases: Service.PutCA, CA, DeleteCA; List, in order of use. Interfaces
// needed: resource.Store, resource.Vault (MAC keys of external accounts). Ledger
// is what keeps spendings and pauses across restarts.
package authority

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Kind is the kind of List that the operator has added; IDs begin with "ca_".
const Kind resource.Kind = "ca"

// Default is the name of the CA that the control plane was started with. A CA
// resource of this name stands in its place.
const Default = "default"

// The places of List in the order of use, the lowest first.
const (
	DefaultPriority = 100 // of the CA that the control plane was started with
	AddedPriority   = 200 // of one that is added without saying
)

// Spec is a public or private CA that speaks ACME.
type Spec struct {
	Directory string `json:"directory"`
	Staging   string `json:"staging,omitempty"`  // directory of its twin for rehearsals
	RootPEM   string `json:"root_pem,omitempty"` // who signed the directory's own certificate
	Email     string `json:"email,omitempty"`
	EABKeyID  string `json:"eab_key_id,omitempty"`
	// EABSecret counts the MAC keys that were given; the key itself is in the Vault.
	EABSecret int    `json:"eab_secret,omitempty"`
	Profile   string `json:"profile,omitempty"`
	Priority  int    `json:"priority"`
	Disabled  bool   `json:"disabled,omitempty"`
	// Internal says that it signs for a network of its own: no preflight looks at
	// public DNS.
	Internal bool    `json:"internal,omitempty"`
	Limits   []Limit `json:"limits,omitempty"` // nil: DefaultLimits
}

// CA is a CA as stored.
type CA = resource.Object[Spec, struct{}]

// Decode turns a stored resource into a CA.
func Decode(r resource.Resource) (CA, error) { return resource.Decode[Spec, struct{}](r) }

var caName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Type is the row of List in the table of types.
func Type() resource.Type {
	return resource.Type{
		Kind: Kind, Prefix: "ca", Scope: resource.ScopePlatform,
		CanonicalName: func(name string) (string, error) {
			if name = strings.ToLower(strings.TrimSpace(name)); !caName.MatchString(name) {
				return "", fault.InvalidField("/name", fmt.Sprintf("%q is not a name", name), "use up to 32 lower-case letters, digits and hyphens")
			}
			return name, nil
		},
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			spec := Spec{Priority: AddedPriority}
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if err := spec.check(); err != nil {
				return nil, err
			}
			return json.Marshal(spec)
		},
	}
}

func (s *Spec) check() error {
	var faults []fault.Field
	add := func(pointer, detail, fix string) {
		faults = append(faults, fault.Field{Pointer: pointer, Detail: detail, Fix: fix})
	}
	if !strings.HasPrefix(s.Directory, "https://") {
		add("/directory", fmt.Sprintf("%q is no https URL", s.Directory), "write the CA's ACME directory, such as https://acme.example.org/directory")
	}
	if s.Staging != "" && (!strings.HasPrefix(s.Staging, "https://") || s.Staging == s.Directory) {
		add("/staging", fmt.Sprintf("%q is no https URL of another directory", s.Staging), "write the directory of the CA's staging environment, or leave it out")
	}
	if s.RootPEM != "" {
		if block, _ := pem.Decode([]byte(s.RootPEM)); block == nil || block.Type != "CERTIFICATE" {
			add("/root_pem", "there is no certificate in it", "paste it in PEM")
		}
	}
	if s.Email != "" && !strings.Contains(s.Email, "@") {
		add("/email", fmt.Sprintf("%q is no address", s.Email), "write one such as ops@example.com")
	}
	if (s.EABKeyID != "") != (s.EABSecret > 0) {
		add("/eab_key_id", "an external account binding has a key ID and a MAC key", "give both, or neither")
	}
	if s.Priority < 0 || s.Priority > 10_000 {
		add("/priority", "it is a number from 0 to 10000", fmt.Sprintf("CAs are tried from the lowest on; the one of the command line has %d", DefaultPriority))
	}
	for i, l := range s.Limits {
		at := fmt.Sprintf("/limits/%d", i)
		switch l.Kind {
		case SpentOrders, SpentFailures, SpentDomain, SpentDuplicate:
		default:
			add(at+"/kind", fmt.Sprintf("%q is not counted", l.Kind), "use orders, failures, domain or duplicates")
		}
		if l.Max < 0 || l.Window < time.Minute || l.Window > 31*24*time.Hour {
			add(at, "a limit is a number within a minute to 31 days", "write the CA's own, a little less")
		}
	}
	return fault.InvalidFields(faults)
}

func eabName(id string, n int) string { return fmt.Sprintf("ca/%s/eab/%d", id, n) }

// EABKey reads the MAC key from a vault.
func EABKey(ctx context.Context, vault resource.Vault, ca CA) (string, error) {
	if ca.Spec.EABSecret == 0 {
		return "", nil
	}
	secret, err := vault.Secret(ctx, eabName(ca.ID, ca.Spec.EABSecret))
	return string(secret), err
}

// List lists the List that the operator has added, in order of use.
func List(ctx context.Context, store resource.Store) ([]CA, error) {
	var list []CA
	for q := (resource.Query{Kind: Kind, PlatformOnly: true}); ; {
		page, err := store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			ca, err := Decode(r)
			if err != nil {
				return nil, fault.New(fault.Internal, "a stored CA cannot be read: %w", err).About("ca " + r.Name)
			}
			list = append(list, ca)
		}
		if page.Next == "" {
			return list, nil
		}
		q.Cursor = page.Next
	}
}

// Service holds the use cases of CAs. Its methods may be called from any
// goroutine.
type Service struct {
	store resource.Store
	vault resource.Vault
}

// New returns the service.
func New(store resource.Store, vault resource.Vault) *Service { return &Service{store, vault} }

// CA returns one that the operator has added. Errors: NotFound.
func (s *Service) CA(ctx context.Context, name string) (CA, error) {
	r, err := s.findCA(ctx, name)
	if err != nil {
		return CA{}, err
	}
	return Decode(r)
}

func (s *Service) findCA(ctx context.Context, name string) (resource.Resource, error) {
	page, err := s.store.List(ctx, resource.Query{Kind: Kind, Name: strings.ToLower(name), PlatformOnly: true, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, fault.New(fault.NotFound, "there is no such CA: list them with GET /api/v1/infrastructure/certificate-authorities").About("ca " + name)
	}
	return page.Items[0], nil
}

// PutCA plans to add a CA, or to change the one of that name. mac is the MAC key
// of the external account binding in base64url, as the CA gives it; "": as
// before. It is kept before the plan is carried out, and never shown. ifRevision
// 0 means whatever is there. Errors: Invalid, Stale.
func (s *Service) PutCA(ctx context.Context, name string, spec Spec, mac string, ifRevision int64, keep bool) (resource.Plan, error) {
	plan := resource.NewPlan("", "")
	typ := Type()
	name, err := typ.CanonicalName(name)
	if err != nil {
		return plan, err
	}
	current, err := s.findCA(ctx, name)
	exists := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return plan, err
	}
	if exists && ifRevision != 0 && current.Revision != ifRevision {
		return plan, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", current.Revision, ifRevision).About("ca " + name)
	}
	spec.EABSecret = 0
	id := typ.NewID()
	if exists {
		old, err := Decode(current)
		if err != nil {
			return plan, err
		}
		id = current.ID
		if spec.EABKeyID != "" {
			spec.EABSecret = old.Spec.EABSecret
		}
	}
	if mac != "" {
		spec.EABSecret++
	}
	wanted, err := json.Marshal(spec)
	if err != nil {
		return plan, err
	}
	raw, err := typ.Normalize(name, wanted)
	if err != nil {
		return plan, err
	}
	if exists {
		plan.Update(current, raw)
	} else {
		plan.Create(typ, "", "", name, raw)
		plan.Actions[0].ID = id
	}
	if mac != "" && keep {
		return plan, s.vault.PutSecret(ctx, eabName(id, spec.EABSecret), []byte(mac))
	}
	return plan, nil
}

// DeleteCA plans to delete a CA. Certificates that it has issued stay until they
// are due. Errors: NotFound, Stale.
func (s *Service) DeleteCA(ctx context.Context, name string, ifRevision int64) (resource.Plan, error) {
	plan := resource.NewPlan("", "")
	r, err := s.findCA(ctx, name)
	if err != nil {
		return plan, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return plan, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("ca " + name)
	}
	plan.Delete(r)
	return plan, nil
}

// Counter is the ability of a Ledger to count.
type Counter interface {
	Spent(ctx context.Context, authority, kind, subject string, since time.Time) (int, error)
}
