package certificates

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

// KindCA is the kind of CAs that the operator has added; IDs begin with "ca_".
const KindCA resource.Kind = "ca"

// DefaultCA is the name of the CA that the control plane was started with. A CA
// resource of this name stands in its place.
const DefaultCA = "default"

// The places of CAs in the order of use, the lowest first.
const (
	DefaultPriority = 100 // of the CA that the control plane was started with
	AddedPriority   = 200 // of one that is added without saying
)

// CASpec is a public or private CA that speaks ACME.
type CASpec struct {
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
type CA = resource.Object[CASpec, struct{}]

// DecodeCA turns a stored resource into a CA.
func DecodeCA(r resource.Resource) (CA, error) { return resource.Decode[CASpec, struct{}](r) }

var caName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// CAType is the row of CAs in the table of types.
func CAType() resource.Type {
	return resource.Type{
		Kind: KindCA, Prefix: "ca", Scope: resource.ScopePlatform,
		CanonicalName: func(name string) (string, error) {
			if name = strings.ToLower(strings.TrimSpace(name)); !caName.MatchString(name) {
				return "", fault.InvalidField("/name", fmt.Sprintf("%q is not a name", name), "use up to 32 lower-case letters, digits and hyphens")
			}
			return name, nil
		},
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			spec := CASpec{Priority: AddedPriority}
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if err := spec.check(); err != nil {
				return nil, err
			}
			return mustJSON(spec), nil
		},
	}
}

func (s *CASpec) check() error {
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

// EABKey returns the MAC key of a CA's external account binding, "" when there
// is none.
func (s *Service) EABKey(ctx context.Context, ca CA) (string, error) {
	return EABKey(ctx, s.Vault, ca)
}

// EABKey reads the MAC key from a vault.
func EABKey(ctx context.Context, vault resource.Vault, ca CA) (string, error) {
	if ca.Spec.EABSecret == 0 {
		return "", nil
	}
	secret, err := vault.Secret(ctx, eabName(ca.ID, ca.Spec.EABSecret))
	return string(secret), err
}

// CAs lists the CAs that the operator has added, in order of use.
func CAs(ctx context.Context, store resource.Store) ([]CA, error) {
	var list []CA
	for q := (resource.Query{Kind: KindCA, PlatformOnly: true}); ; {
		page, err := store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			ca, err := DecodeCA(r)
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

// CA returns one that the operator has added. Errors: NotFound.
func (s *Service) CA(ctx context.Context, name string) (CA, error) {
	r, err := s.findCA(ctx, name)
	if err != nil {
		return CA{}, err
	}
	return DecodeCA(r)
}

func (s *Service) findCA(ctx context.Context, name string) (resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: KindCA, Name: strings.ToLower(name), PlatformOnly: true, Limit: 1})
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
func (s *Service) PutCA(ctx context.Context, name string, spec CASpec, mac string, ifRevision int64, keep bool) (resource.Plan, error) {
	plan := resource.NewPlan("", "")
	typ := CAType()
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
		old, err := DecodeCA(current)
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
	raw, err := typ.Normalize(name, mustJSON(spec))
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
		return plan, s.Vault.PutSecret(ctx, eabName(id, spec.EABSecret), []byte(mac))
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

// AuthorityState is how a CA is doing here.
type AuthorityState struct {
	Authority
	Priority   int
	AccountURI string // "" until something was ordered
	Pauses     []Pause
	Used       []LimitUse
}

// LimitUse is how much of a limit is used up. Limits by name or domain are
// counted for each, so only their height is told.
type LimitUse struct {
	Limit
	Used int
}

// Counter is the ability of a Ledger to count.
type Counter interface {
	Spent(ctx context.Context, authority, kind, subject string, since time.Time) (int, error)
}

// AuthorityStates tells of every CA that certificates are ordered from.
func (s *Service) AuthorityStates(ctx context.Context) ([]AuthorityState, error) {
	list, err := s.authorities(ctx, TypeACME, "")
	if err != nil {
		return nil, err
	}
	now := s.Now()
	states := make([]AuthorityState, 0, len(list))
	for _, a := range list {
		state := AuthorityState{Authority: a}
		if state.Pauses, err = s.Ledger.Pauses(ctx, a.Name, now); err != nil {
			return nil, err
		}
		if holder, ok := a.Issuer.(AccountHolder); ok {
			if state.AccountURI, err = holder.AccountURI(ctx); err != nil {
				return nil, err
			}
		}
		for _, l := range a.Limits {
			use := LimitUse{Limit: l}
			if counter, ok := s.Ledger.(Counter); ok && l.Kind == SpentOrders {
				if use.Used, err = counter.Spent(ctx, a.Name, l.Kind, "", now.Add(-l.Window)); err != nil {
					return nil, err
				}
			}
			state.Used = append(state.Used, use)
		}
		states = append(states, state)
	}
	return states, nil
}

// AccountHolder is the ability of an issuer to tell its account at the CA
// without asking the CA; "" when there is none yet.
type AccountHolder interface {
	AccountURI(ctx context.Context) (string, error)
}
