package dnsproviders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Users knows which domains have their records set with which credentials;
// domains.Users is one.
type Users interface {
	// UsersOfDNSProvider returns the names of domains whose records are set with
	// the credentials of a name, or with whatever credentials fit their provider,
	// which is the driver; at most limit. Domains count as they are once the plan is
	// carried out.
	UsersOfDNSProvider(ctx context.Context, project, environment, name, driver string, plan []resource.Action, limit int) ([]string, error)
}

// Options of a Service.
type Options struct {
	Store   resource.Store
	Vault   resource.ListedVault
	Drivers []DriverType
	Users   Users                                      // nil: nobody uses any
	Now     func() time.Time                           // nil: time.Now
	Pause   func(context.Context, time.Duration) error // nil: Pause
	Logger  *slog.Logger                               // nil: discard
}

// Service holds the use cases of DNS providers. Its methods may be called from
// any goroutine.
type Service struct {
	Options
	typ resource.Type
}

// New returns the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pause == nil {
		o.Pause = Pause
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{Options: o, typ: Type(o.Drivers)}
}

// PlanCreate plans a provider. The credentials are checked for form, and are no
// part of the plan. Errors: Invalid with pointers; Conflict when the name is
// taken.
func (s *Service) PlanCreate(ctx context.Context, project, environment, name, driver string, c Credentials) (resource.Plan, error) {
	name, err := canonicalName(name)
	if err != nil {
		return resource.Plan{}, err
	}
	d, err := driverOf(s.Drivers, driver)
	if err != nil {
		return resource.Plan{}, err
	}
	if err := d.check(c); err != nil {
		return resource.Plan{}, err
	}
	_, err = s.find(ctx, project, environment, name)
	if err == nil {
		return resource.Plan{}, fault.New(fault.Conflict, "a provider of this name exists: replace its credentials, or choose another name").About("dns provider " + name)
	}
	if !fault.Is(err, fault.NotFound) {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(project, environment)
	plan.Create(s.typ, project, environment, name, Spec{Driver: driver, Credentials: 1}.encode())
	return plan, nil
}

// Create stores a provider and its credentials.
func (s *Service) Create(ctx context.Context, project, environment, name, driver string, c Credentials, cause resource.Cause) (Provider, error) {
	plan, err := s.PlanCreate(ctx, project, environment, name, driver, c)
	if err != nil {
		return Provider{}, err
	}
	return s.commit(ctx, plan, 1, c, cause)
}

// PlanReplace plans new credentials. With ifRevision not 0 the provider must be
// at that revision (Stale).
func (s *Service) PlanReplace(ctx context.Context, project, environment, name string, c Credentials, ifRevision int64) (resource.Plan, error) {
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return resource.Plan{}, err
	}
	if err := checkRevision(r, ifRevision); err != nil {
		return resource.Plan{}, err
	}
	p, err := decode(r)
	if err != nil {
		return resource.Plan{}, err
	}
	d, err := driverOf(s.Drivers, p.Spec.Driver)
	if err != nil {
		return resource.Plan{}, err
	}
	if err := d.check(c); err != nil {
		return resource.Plan{}, err
	}
	p.Spec.Credentials++
	plan := resource.NewPlan(project, environment)
	plan.Update(r, p.Spec.encode())
	return plan, nil
}

// Replace stores new credentials and forgets the old ones.
func (s *Service) Replace(ctx context.Context, project, environment, name string, c Credentials, ifRevision int64, cause resource.Cause) (Provider, error) {
	plan, err := s.PlanReplace(ctx, project, environment, name, c, ifRevision)
	if err != nil {
		return Provider{}, err
	}
	var spec Spec
	if err := json.Unmarshal(plan.Actions[0].After, &spec); err != nil {
		return Provider{}, err
	}
	p, err := s.commit(ctx, plan, spec.Credentials, c, cause)
	if err == nil {
		s.forget(ctx, p.ID, spec.Credentials-1)
	}
	return p, err
}

// commit writes the secret first: what a spec names is always there.
func (s *Service) commit(ctx context.Context, plan resource.Plan, generation int, c Credentials, cause resource.Cause) (Provider, error) {
	id := plan.Actions[0].ID
	secret, err := json.Marshal(c)
	if err != nil {
		return Provider{}, err
	}
	if err := s.Vault.PutSecret(ctx, secretName(id, generation), secret); err != nil {
		return Provider{}, err
	}
	done, err := s.Store.Commit(ctx, plan.Commit(cause))
	if err != nil {
		if plan.Actions[0].Op == resource.Create { // nobody else knows this ID; a replacement's generation another may have written
			s.forget(ctx, id, generation)
		}
		return Provider{}, err
	}
	return decode(done.Resources[0])
}

// forget deletes a generation of credentials that nothing names any more. What
// fails here is left in the Vault, encrypted, and logged.
func (s *Service) forget(ctx context.Context, id string, generation int) {
	err := s.Vault.DeleteSecret(context.WithoutCancel(ctx), secretName(id, generation))
	if err != nil && !fault.Is(err, fault.NotFound) {
		s.Logger.WarnContext(ctx, "credentials that are not used any more could not be deleted", slog.String("provider", id), slog.Any("error", err))
	}
}

// Get returns a provider by name. Errors: NotFound.
func (s *Service) Get(ctx context.Context, project, environment, name string) (Provider, error) {
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return Provider{}, err
	}
	return decode(r)
}

// List returns a page of providers in order of ID.
func (s *Service) List(ctx context.Context, project, environment string, limit int, cursor string) ([]Provider, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Provider, 0, len(page.Items))
	for _, r := range page.Items {
		p, err := decode(r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, p)
	}
	return list, page.Next, nil
}

// Types is the room's row of the table of types, with what the domains forbid.
func (s *Service) Types() []resource.Type {
	t := s.typ
	t.Held = func(ctx context.Context, changes, plan []resource.Action) error {
		for _, a := range changes {
			if a.Op != resource.Delete {
				continue
			}
			r := resource.Resource{Meta: resource.Meta{Kind: Kind, ID: a.ID, Project: a.Project, Environment: a.Environment, Name: a.Name}, Spec: a.Before}
			if err := s.unused(ctx, r, plan); err != nil {
				return err
			}
		}
		return nil
	}
	return []resource.Type{t}
}

// unused refuses, as Conflict, to take away what sets the records of domains, as
// they are once the plan is carried out.
func (s *Service) unused(ctx context.Context, r resource.Resource, plan []resource.Action) error {
	if s.Users == nil {
		return nil
	}
	p, err := decode(r)
	if err != nil {
		return err
	}
	const shown = 5
	users, err := s.Users.UsersOfDNSProvider(ctx, r.Project, r.Environment, r.Name, p.Spec.Driver, plan, shown+1)
	if err != nil || len(users) == 0 {
		return err
	}
	list := strings.Join(users[:min(len(users), shown)], ", ")
	if len(users) > shown {
		list += " and more"
	}
	return fault.New(fault.Conflict, "the records of %s are set with it: give them other credentials (dns_account), or another way (dns), first; what was left there is removed by itself (`edgewright dns leftovers`)", list).About("dns provider " + r.Name)
}

// PlanDelete plans to delete a provider. Errors: NotFound, Stale, Conflict while
// domains use it.
func (s *Service) PlanDelete(ctx context.Context, project, environment, name string, ifRevision int64) (resource.Plan, error) {
	r, err := s.find(ctx, project, environment, name)
	if err != nil {
		return resource.Plan{}, err
	}
	if err := checkRevision(r, ifRevision); err != nil {
		return resource.Plan{}, err
	}
	if err := s.unused(ctx, r, nil); err != nil {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(project, environment)
	plan.Delete(r)
	plan.Warnings = append(plan.Warnings, "its credentials are forgotten: undoing the deletion does not bring them back. Records at the provider stay as they are")
	return plan, nil
}

// Delete deletes a provider and forgets its credentials, as the reconciler does
// however it goes. Records stay.
func (s *Service) Delete(ctx context.Context, project, environment, name string, ifRevision int64, cause resource.Cause) error {
	plan, err := s.PlanDelete(ctx, project, environment, name, ifRevision)
	if err != nil {
		return err
	}
	var spec Spec
	if err := json.Unmarshal(plan.Actions[0].Before, &spec); err != nil {
		return err
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		return err
	}
	s.forget(ctx, plan.Actions[0].ID, spec.Credentials)
	return nil
}

// Test uses the credentials once, and keeps what it found as the provider's
// status. That the provider refuses them is no error: the status says so.
func (s *Service) Test(ctx context.Context, project, environment, name string) (Provider, error) {
	p, err := s.Get(ctx, project, environment, name)
	if err != nil {
		return Provider{}, err
	}
	zones, found := s.zones(ctx, p)
	if found != nil && ctx.Err() != nil {
		return Provider{}, found
	}
	now := s.Now().UTC().Truncate(time.Second)
	status := p.Status
	status.CheckedAt, status.Generation, status.Zones = &now, p.Spec.Credentials, len(zones)
	c := resource.Condition{Type: Ready, Status: resource.True, Reason: "Accepted", Message: fmt.Sprintf("the provider accepts the credentials; they reach %d zones", len(zones)), Since: now}
	var trouble *Error
	switch {
	case errors.As(found, &trouble):
		c.Status, c.Reason, c.Message = resource.False, string(trouble.Reason), trouble.text()
		if trouble.Reason == Away || trouble.Reason == Throttled {
			c.Status = resource.Unknown
		}
	case found != nil:
		return Provider{}, found
	case len(zones) == 0:
		c.Status, c.Reason, c.Message = resource.False, string(NoZone), "the provider accepts the credentials, but they reach no zone: let them read the zones, or add one at the provider"
	}
	status.Conditions = resource.SetCondition(status.Conditions, c)
	raw, err := json.Marshal(status)
	if err != nil {
		return Provider{}, err
	}
	r, err := s.Store.PutStatus(ctx, Kind, p.ID, raw, 0)
	if err != nil {
		return Provider{}, err
	}
	return decode(r)
}

// Zones lists the zones that a provider's credentials reach.
func (s *Service) Zones(ctx context.Context, project, environment, name string) ([]Zone, error) {
	p, err := s.Get(ctx, project, environment, name)
	if err != nil {
		return nil, err
	}
	return s.zones(ctx, p)
}

func (s *Service) zones(ctx context.Context, p Provider) ([]Zone, error) {
	d, err := s.open(ctx, p)
	if err != nil {
		return nil, err
	}
	return d.Zones(ctx)
}

// open returns the driver of a provider, with its credentials.
func (s *Service) open(ctx context.Context, p Provider) (Driver, error) {
	d, err := driverOf(s.Drivers, p.Spec.Driver)
	if err != nil {
		return nil, fault.New(fault.Conflict, "its driver %q is not part of this version of Edgewright", p.Spec.Driver).About("dns provider " + p.Name)
	}
	secret, err := s.Vault.Secret(ctx, secretName(p.ID, p.Spec.Credentials))
	if fault.Is(err, fault.NotFound) {
		return nil, noCredentials(p)
	}
	if err != nil {
		return nil, err
	}
	var c Credentials
	if err := json.Unmarshal(secret, &c); err != nil {
		return nil, fault.New(fault.Internal, "stored credentials cannot be read: %w", err).About("dns provider " + p.Name)
	}
	return d.Open(c)
}

func (s *Service) openNamed(ctx context.Context, project, environment, name string) (Driver, error) {
	p, err := s.Get(ctx, project, environment, name)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, p)
}

// Plan says what has to be done so that the zone that holds a domain has the
// wanted records. Zone, Observed and Abilities of the request are filled in.
func (s *Service) Plan(ctx context.Context, project, environment, provider, domain string, r dnsplan.Request) (dnsplan.Plan, error) {
	name, err := dnsplan.CanonicalName(domain)
	if err != nil {
		return dnsplan.Plan{}, fault.InvalidField("/domain", err.Error(), "write it like shop.example.com")
	}
	d, err := s.openNamed(ctx, project, environment, provider)
	if err != nil {
		return dnsplan.Plan{}, err
	}
	zones, err := d.Zones(ctx)
	if err != nil {
		return dnsplan.Plan{}, err
	}
	zone, err := ZoneFor(zones, name)
	if err != nil {
		return dnsplan.Plan{}, err
	}
	return Observe(ctx, d, zone.Zone, r)
}

// Apply carries a plan of Plan out; see Carry.
func (s *Service) Apply(ctx context.Context, project, environment, provider string, p dnsplan.Plan, c dnsplan.Consent) (Applied, error) {
	d, err := s.openNamed(ctx, project, environment, provider)
	if err != nil {
		return Applied{}, err
	}
	return Carry(ctx, d, p, c, s.Pause)
}

// PresentTXT adds a TXT value through a provider's credentials, for ACME DNS-01;
// see the function of that name.
func (s *Service) PresentTXT(ctx context.Context, project, environment, provider, fqdn, value string) error {
	d, err := s.openNamed(ctx, project, environment, provider)
	if err != nil {
		return err
	}
	return PresentTXT(ctx, d, fqdn, value, s.Pause)
}

// RemoveTXT takes such a value away again; see the function of that name.
func (s *Service) RemoveTXT(ctx context.Context, project, environment, provider, fqdn, value string) error {
	d, err := s.openNamed(ctx, project, environment, provider)
	if err != nil {
		return err
	}
	return RemoveTXT(ctx, d, fqdn, value, s.Pause)
}

func (s *Service) find(ctx context.Context, project, environment, name string) (resource.Resource, error) {
	missing := fault.New(fault.NotFound, "there is no DNS provider of this name: create it with POST /api/v1/infrastructure/dns/providers").About("dns provider " + Short(name))
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
	return page.Items[0], nil
}

func checkRevision(r resource.Resource, ifRevision int64) error {
	if ifRevision != 0 && r.Revision != ifRevision {
		return fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("dns provider " + r.Name)
	}
	return nil
}

func decode(r resource.Resource) (Provider, error) {
	p, err := resource.Decode[Spec, Status](r)
	if err != nil {
		return p, fault.New(fault.Internal, "a stored DNS provider cannot be read: %w", err).About("dns provider " + r.Name)
	}
	return p, nil
}
