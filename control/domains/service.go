package domains

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Resolvers ask the DNS. NewResolvers makes one.
type Resolvers interface {
	// Lookup asks every resolver for records of a type ("TXT", "A", "AAAA",
	// "CNAME") and returns what each said, in a stable order.
	Lookup(ctx context.Context, name, typ string) []Seen
}

// Authorities ask the name servers that answer for a name themselves, past all
// caches. lookup.Network is one.
type Authorities interface {
	// Zone finds the zone that a name lies in, and its name servers. The name
	// need not exist.
	Zone(ctx context.Context, name string) (Zone, error)
	// Ask asks every name server of the zone for records of a type.
	Ask(ctx context.Context, zone Zone, name, typ string) []Seen
}

// Zone is a zone of the DNS as its parent delegates it.
type Zone struct {
	Apex    string       // without trailing dot
	Servers []NameServer // in order of name
}

// NameServer is one of a zone's name servers.
type NameServer struct {
	Name      string
	Addresses []string // none: the name leads nowhere
}

// Names lists the names of the zone's servers.
func (z Zone) Names() []string {
	names := make([]string, len(z.Servers))
	for i, s := range z.Servers {
		names[i] = s.Name
	}
	return names
}

// Fetcher gets the verification file. NewFetcher makes one.
type Fetcher interface {
	// Fetch returns the body at url, bounded in size, time and redirects. Its
	// error is told to the user.
	Fetch(ctx context.Context, url string) ([]byte, error)
}

// CDNs is what this room needs of CDN configurations; cdn.Service is one.
type CDNs interface {
	AddForOrigin(ctx context.Context, plan *resource.Plan, name, originURL string) error
	Exists(ctx context.Context, project, environment, name string) (bool, error)
}

// Targets tells where domains shall point.
type Targets interface {
	// Targets returns a host name that leads to the edges ("" when there is
	// none) and the edges' public addresses (empty when unknown).
	Targets(ctx context.Context) (hostname string, addresses []string, err error)
}

// Options of a Service.
type Options struct {
	Store     resource.Store
	Vault     resource.Vault
	Resolvers Resolvers
	Fetcher   Fetcher
	CDNs      CDNs
	Targets   Targets          // nil: unknown
	Platform  string           // domain that free names live below; "" for none
	Now       func() time.Time // nil: time.Now

	Authorities Authorities         // nil: only the resolvers are asked
	Mailer      Mailer              // nil: no proof by mail
	PublicURL   func() string       // where links in mails lead; nil: no proof by mail
	Zones       Zones               // nil: no managed zones
	Providers   Providers           // nil: nothing is set at DNS providers
	Followers   []resource.Follower // what moves with a domain to another project
	// CAA are the names by which the platform's certificate authority is known in
	// CAA records ("letsencrypt.org"); none: CAA is not looked at.
	CAA    []string
	Random func() float64 // in [0, 1), spreads repeated checks; nil: math/rand
}

// Service holds the use cases of domains. Its methods may be called from any
// goroutine.
type Service struct {
	Options
	platform Name
	mails    mailLimiter
	placing  turns // of names whose records at DNS providers are set or removed

	keyMu sync.Mutex
	key   []byte // that tokens are derived from
}

// New returns the service. Errors: Invalid when Platform is no domain.
func New(o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	s := &Service{Options: o}
	if o.Platform != "" {
		name, err := ParseName(o.Platform)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the platform's domain %q cannot be used: %w", o.Platform, err)
		}
		if name.Wildcard {
			return nil, fault.New(fault.Invalid, "the platform's domain is a name, not a wildcard: write %s", name.Base)
		}
		s.platform = name
	}
	return s, nil
}

// AddRequest asks for a domain. Domain may be a pasted URL.
type AddRequest struct {
	Project     string
	Environment string
	Domain      string
	Spec        json.RawMessage // further fields of Spec; may be empty
	// OriginURL, when set, makes a CDN configuration in the same commit: of the
	// name that Spec says, or the domain's.
	OriginURL string
}

// PlanAdd plans to add a domain. Errors: Invalid at /domain, /origin and fields
// of the spec; Conflict when the environment has it, or, for a free name, when
// another project does.
func (s *Service) PlanAdd(ctx context.Context, r AddRequest) (resource.Plan, error) {
	name, err := ParseName(r.Domain)
	if err != nil {
		return resource.Plan{}, err
	}
	if err := s.checkPlatform(name); err != nil {
		return resource.Plan{}, err
	}
	spec, err := decodeSpec(name.ASCII, r.Spec)
	if err != nil {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(r.Project, r.Environment)
	if r.OriginURL != "" {
		if !namesCDN(r.Spec) {
			spec.CDN = name.ASCII
		}
		if err := s.CDNs.AddForOrigin(ctx, &plan, spec.CDN, r.OriginURL); err != nil {
			return resource.Plan{}, err
		}
	} else if there, err := s.CDNs.Exists(ctx, r.Project, r.Environment, spec.CDN); err != nil {
		return resource.Plan{}, err
	} else if !there {
		if spec.CDN != defaultCDN {
			return resource.Plan{}, fault.InvalidField("/cdn", fmt.Sprintf("there is no CDN configuration %q", spec.CDN), "create it first, or give an origin")
		}
		plan.Warnings = append(plan.Warnings, "nothing is served until the CDN configuration \"default\" names an origin")
	}
	if existing, err := s.find(ctx, r.Project, r.Environment, name.ASCII); err == nil {
		return resource.Plan{}, fault.New(fault.Conflict, "this domain is already there: change it instead").About("domain " + existing.Name)
	} else if !fault.Is(err, fault.NotFound) {
		return resource.Plan{}, err
	}
	plan.Create(Type(), r.Project, r.Environment, name.ASCII, spec.encode())
	added := plan.Actions[len(plan.Actions)-1]
	if s.free(name) {
		if err := s.planClaim(ctx, &plan, name, added.ID, r.Project, r.Environment, MethodNotRequired); err != nil {
			return resource.Plan{}, err
		}
	} else if claim, err := s.claimOf(ctx, name.ASCII); err == nil && claim.Spec.Project != r.Project {
		plan.Warnings = append(plan.Warnings, "another project has verified this domain: it can be verified here only after it is removed there")
	} else if err != nil && !fault.Is(err, fault.NotFound) {
		return resource.Plan{}, err
	}
	return plan, nil
}

// Add adds a domain. A name that needs no proof is verified at once.
func (s *Service) Add(ctx context.Context, r AddRequest, cause resource.Cause) (Domain, error) {
	plan, err := s.PlanAdd(ctx, r)
	if err != nil {
		return Domain{}, err
	}
	if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
		if fault.Is(err, fault.Conflict) {
			// Somebody was faster; planning again says who.
			if _, again := s.PlanAdd(ctx, r); again != nil {
				return Domain{}, again
			}
		}
		return Domain{}, err
	}
	name, err := ParseName(r.Domain)
	if err != nil {
		return Domain{}, err
	}
	d, err := s.Get(ctx, r.Project, r.Environment, name.ASCII)
	if err != nil {
		return Domain{}, err
	}
	return s.refresh(ctx, d, checkNothing)
}

// Get returns a domain by name, in any form ParseName understands. Its status
// always has token, records and file, also before the reconciler has seen it.
// Errors: NotFound.
func (s *Service) Get(ctx context.Context, project, environment, domain string) (Domain, error) {
	name, err := ParseName(domain)
	if err != nil {
		return Domain{}, notFound(domain)
	}
	r, err := s.find(ctx, project, environment, name.ASCII)
	if err != nil {
		return Domain{}, err
	}
	return s.decode(ctx, r)
}

// List returns a page of domains in order of ID.
func (s *Service) List(ctx context.Context, project, environment string, limit int, cursor string) ([]Domain, string, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	list := make([]Domain, 0, len(page.Items))
	for _, r := range page.Items {
		d, err := s.decode(ctx, r)
		if err != nil {
			return nil, "", err
		}
		list = append(list, d)
	}
	return list, page.Next, nil
}

// PlanUpdate plans a change: patch is a JSON merge patch (RFC 7396) of the spec.
// The name cannot change. Where the records are no longer set at a provider, the
// credentials for that go too, unless the patch names some. Errors: NotFound, Stale,
// Invalid.
func (s *Service) PlanUpdate(ctx context.Context, project, environment, domain string, patch json.RawMessage, ifRevision int64) (resource.Plan, error) {
	current, err := s.current(ctx, project, environment, domain, ifRevision)
	if err != nil {
		return resource.Plan{}, err
	}
	base, err := withoutFormerMode(current.Spec, patch)
	if err != nil {
		return resource.Plan{}, err
	}
	merged, err := resource.MergePatch(base, patch, `{"redirect_https": false}`)
	if err != nil {
		return resource.Plan{}, err
	}
	spec, err := decodeSpec(current.Name, merged)
	if err != nil {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(project, environment)
	there, err := s.CDNs.Exists(ctx, project, environment, spec.CDN)
	if err != nil {
		return resource.Plan{}, err
	}
	if !there && spec.CDN != defaultCDN {
		return resource.Plan{}, fault.InvalidField("/cdn", fmt.Sprintf("there is no CDN configuration %q", spec.CDN), "create it first")
	}
	if err := guard(current.Name, current.Spec, spec.encode()); err != nil {
		return resource.Plan{}, err
	}
	plan.Update(current, spec.encode())
	return plan, nil
}

// Update changes a domain.
func (s *Service) Update(ctx context.Context, project, environment, domain string, patch json.RawMessage, ifRevision int64, cause resource.Cause) (Domain, error) {
	plan, err := s.PlanUpdate(ctx, project, environment, domain, patch, ifRevision)
	if err != nil {
		return Domain{}, err
	}
	if !plan.Empty() {
		if _, err := s.Store.Commit(ctx, plan.Commit(cause)); err != nil {
			return Domain{}, err
		}
	}
	return s.Get(ctx, project, environment, domain)
}

// PlanRemove plans to remove a domain, and with it what exists for it alone:
// its claim, its certificate, and the CDN configuration of its name. Errors:
// NotFound, Stale.
func (s *Service) PlanRemove(ctx context.Context, project, environment, domain string, ifRevision int64) (resource.Plan, error) {
	current, err := s.current(ctx, project, environment, domain, ifRevision)
	if err != nil {
		return resource.Plan{}, err
	}
	if err := guard(current.Name, current.Spec, nil); err != nil {
		return resource.Plan{}, err
	}
	plan := resource.NewPlan(project, environment)
	plan.Delete(current)
	if r, err := s.findClaim(ctx, current.Name); err == nil {
		if claim, err := DecodeClaim(r); err == nil && claim.Spec.DomainID == current.ID {
			plan.Delete(r)
		}
	} else if !fault.Is(err, fault.NotFound) {
		return resource.Plan{}, err
	}
	if err := s.planRemoveOwned(ctx, &plan, current); err != nil {
		return resource.Plan{}, err
	}
	return plan, nil
}

// planRemoveOwned adds the certificate that covers nothing but this domain and
// the CDN configuration that was made for it.
func (s *Service) planRemoveOwned(ctx context.Context, plan *resource.Plan, d resource.Resource) error {
	page, err := s.Store.List(ctx, resource.Query{Kind: kindCertificate, Project: d.Project, Environment: d.Environment, Name: d.Name, Limit: 1})
	if err != nil {
		return err
	}
	for _, r := range page.Items {
		var spec struct {
			Domains []string `json:"domains"`
		}
		if json.Unmarshal(r.Spec, &spec) == nil && len(spec.Domains) == 1 && spec.Domains[0] == d.Name {
			plan.Delete(r)
		}
	}
	page, err = s.Store.List(ctx, resource.Query{Kind: kindCDN, Project: d.Project, Environment: d.Environment, Name: d.Name, Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return err
	}
	users, err := Users{s.Store}.UsersOfCDN(ctx, d.Project, d.Environment, d.Name, 2)
	if err != nil {
		return err
	}
	if len(users) == 0 || len(users) == 1 && users[0] == d.Name {
		plan.Delete(page.Items[0])
	}
	return nil
}

// Remove removes a domain.
func (s *Service) Remove(ctx context.Context, project, environment, domain string, ifRevision int64, cause resource.Cause) error {
	plan, err := s.PlanRemove(ctx, project, environment, domain, ifRevision)
	if err != nil {
		return err
	}
	if err := s.spend(ctx, plan.Actions[0].ID); err != nil {
		return err
	}
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	return err
}

// Verified reports whether the project and environment hold the claim on a
// name. certificates asks it before it issues.
func (s *Service) Verified(ctx context.Context, project, environment, domain string) (bool, error) {
	claim, err := s.claimOf(ctx, domain)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && claim.Spec.Project == project && claim.Spec.Environment == environment, err
}

func (s *Service) current(ctx context.Context, project, environment, domain string, ifRevision int64) (resource.Resource, error) {
	name, err := ParseName(domain)
	if err != nil {
		return resource.Resource{}, notFound(domain)
	}
	r, err := s.find(ctx, project, environment, name.ASCII)
	if err != nil {
		return resource.Resource{}, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return resource.Resource{}, fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", r.Revision, ifRevision).About("domain " + r.Name)
	}
	return r, nil
}

func (s *Service) find(ctx context.Context, project, environment, name string) (resource.Resource, error) {
	page, err := s.Store.List(ctx, resource.Query{Kind: Kind, Project: project, Environment: environment, Name: name, Limit: 1})
	if err != nil {
		return resource.Resource{}, err
	}
	if len(page.Items) == 0 {
		return resource.Resource{}, notFound(name)
	}
	return page.Items[0], nil
}

func notFound(domain string) error {
	return fault.New(fault.NotFound, "there is no such domain in this project and environment: add it with POST /api/v1/infrastructure/domains").About("domain " + domain)
}

// namesCDN reports whether a user's spec says which configuration it wants.
func namesCDN(raw json.RawMessage) bool {
	var spec struct {
		CDN string `json:"cdn"`
	}
	return len(raw) > 0 && json.Unmarshal(raw, &spec) == nil && spec.CDN != ""
}

// Users tells which domains use a CDN configuration.
type Users struct{ Store resource.Store }

// UsersOfCDN returns the names of the domains that use a configuration, in order
// of their IDs, at most limit.
func (u Users) UsersOfCDN(ctx context.Context, project, environment, name string, limit int) ([]string, error) {
	return u.users(ctx, project, environment, func(d Domain) bool { return d.Spec.CDN == name }, limit)
}

// UsersOfDNSProvider returns the names of the domains whose records are set with
// credentials of a name, or with whatever fits their provider, which the driver
// is for, or whose records are still there; at most limit. Domains count as they
// are once the plan is carried out; records go only after that.
func (u Users) UsersOfDNSProvider(ctx context.Context, project, environment, name, driver string, plan []resource.Action, limit int) ([]string, error) {
	use := func(d Domain) bool {
		if d.Spec.DNS != DNSProvider {
			return false
		}
		fits := d.Status.Setup == nil || d.Status.Setup.Provider == "" || d.Status.Setup.Provider == driver
		return d.Spec.DNSAccount == name || d.Spec.DNSAccount == "" && fits
	}
	planned := map[string]resource.Action{}
	var users []string
	for _, a := range plan {
		if a.Kind != Kind || a.Project != project || a.Environment != environment {
			continue
		}
		planned[a.ID] = a
		if a.Op != resource.Create || len(users) == limit {
			continue
		}
		d, err := Decode(resource.Resource{Meta: resource.Meta{Name: a.Name}, Spec: a.After})
		if err != nil {
			return nil, err
		}
		if use(d) {
			users = append(users, d.Name)
		}
	}
	if len(users) == limit {
		return users, nil
	}
	there, err := u.users(ctx, project, environment, func(d Domain) bool {
		if a, touched := planned[d.ID]; touched {
			d.Spec = Spec{}
			if a.Op == resource.Delete || json.Unmarshal(a.After, &d.Spec) != nil {
				return false
			}
		}
		return use(d)
	}, limit-len(users))
	if err != nil {
		return nil, err
	}
	users = append(users, there...)
	q := resource.Query{Kind: KindPlacement, Project: project, Environment: environment, Limit: 1000}
	for {
		page, err := u.Store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			domain, of := strings.CutPrefix(r.Name, placementName(name, ""))
			if of && len(users) < limit && !slices.Contains(users, domain) {
				users = append(users, domain)
			}
		}
		if q.Cursor = page.Next; page.Next == "" || len(users) == limit {
			return users, nil
		}
	}
}

func (u Users) users(ctx context.Context, project, environment string, use func(Domain) bool, limit int) ([]string, error) {
	var users []string
	q := resource.Query{Kind: Kind, Project: project, Environment: environment, Limit: 1000}
	for {
		page, err := u.Store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			d, err := Decode(r)
			if err != nil {
				return nil, err
			}
			if use(d) {
				if users = append(users, d.Name); len(users) == limit {
					return users, nil
				}
			}
		}
		if page.Next == "" {
			return users, nil
		}
		q.Cursor = page.Next
	}
}
