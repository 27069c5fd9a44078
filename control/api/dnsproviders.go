package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/resource"
)

// DNSProviders are the use cases of DNS providers. dnsproviders.Service is one.
type DNSProviders interface {
	PlanCreate(ctx context.Context, project, environment, name, driver string, c dnsproviders.Credentials) (resource.Plan, error)
	Create(ctx context.Context, project, environment, name, driver string, c dnsproviders.Credentials, cause resource.Cause) (dnsproviders.Provider, error)
	PlanReplace(ctx context.Context, project, environment, name string, c dnsproviders.Credentials, ifRevision int64) (resource.Plan, error)
	Replace(ctx context.Context, project, environment, name string, c dnsproviders.Credentials, ifRevision int64, cause resource.Cause) (dnsproviders.Provider, error)
	Get(ctx context.Context, project, environment, name string) (dnsproviders.Provider, error)
	List(ctx context.Context, project, environment string, limit int, cursor string) ([]dnsproviders.Provider, string, error)
	PlanDelete(ctx context.Context, project, environment, name string, ifRevision int64) (resource.Plan, error)
	Delete(ctx context.Context, project, environment, name string, ifRevision int64, cause resource.Cause) error
	Test(ctx context.Context, project, environment, name string) (dnsproviders.Provider, error)
	Zones(ctx context.Context, project, environment, name string) ([]dnsproviders.Zone, error)
}

// DNSProvider is an account at a DNS provider. Its credentials are never shown.
type DNSProvider struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Project     string      `json:"project_id"`
	Environment string      `json:"environment"`
	Driver      string      `json:"driver"`
	Generation  int         `json:"generation" doc:"Of the credentials: grows when they are replaced; 0: none were set"`
	Revision    int64       `json:"revision"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	Zones       int         `json:"zones" doc:"That the credentials reached when they were tested last"`
	CheckedAt   *time.Time  `json:"checked_at,omitempty" doc:"When the credentials were tested last; absent: not since they were set"`
	Conditions  []Condition `json:"conditions" doc:"Ready: the provider accepts the credentials"`
}

// NewDNSProvider is a provider to be made.
type NewDNSProvider struct {
	BodyProject
	Name        string            `json:"name" maxLength:"63"`
	Driver      string            `json:"driver" doc:"One of GET /dns/drivers" maxLength:"64"`
	Credentials map[string]string `json:"credentials" doc:"By the names of the driver's fields. Kept encrypted, never shown again" writeOnly:"true"`
}

// NewCredentials replace those of a provider.
type NewCredentials struct {
	Credentials map[string]string `json:"credentials" doc:"By the names of the driver's fields. Kept encrypted, never shown again" writeOnly:"true"`
}

// DNSProviderAnswer holds one provider.
type DNSProviderAnswer struct {
	Provider DNSProvider `json:"provider"`
}

// DNSProviderList is a page of providers.
type DNSProviderList struct {
	Providers  []DNSProvider `json:"providers"`
	NextCursor string        `json:"next_cursor"`
}

// DNSZone is a zone at a provider.
type DNSZone struct {
	ID          string   `json:"id" doc:"The provider's"`
	Name        string   `json:"name"`
	NameServers []string `json:"name_servers" doc:"That the provider gave it, where it says"`
}

// DNSZoneList lists zones at a provider.
type DNSZoneList struct {
	Zones []DNSZone `json:"zones"`
}

// DNSDriver is a kind of provider that can be used.
type DNSDriver struct {
	Name   string           `json:"name"`
	Title  string           `json:"title"`
	Fields []DNSDriverField `json:"fields" doc:"The credentials that it needs"`
}

// DNSDriverField is one credential.
type DNSDriverField struct {
	Name     string `json:"name"`
	Help     string `json:"help"`
	Required bool   `json:"required"`
	Secret   bool   `json:"secret"`
}

// DNSDriverList lists the drivers.
type DNSDriverList struct {
	Drivers []DNSDriver `json:"drivers"`
}

type createDNSProviderInput struct {
	InProject
	InDryRun
	InKey
	Body NewDNSProvider
}

func (in createDNSProviderInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

// DNSProviderPath names a provider in the path.
type DNSProviderPath struct {
	InProject
	Name string `path:"name" maxLength:"63"`
}

type replaceCredentialsInput struct {
	DNSProviderPath
	InDryRun
	InMatch
	Body NewCredentials
}

type deleteDNSProviderInput struct {
	DNSProviderPath
	InDryRun
	InMatch
}

type testDNSProviderInput struct {
	DNSProviderPath
	InKey
}

// providerTimeout is for what asks a provider, which may throttle us.
const providerTimeout = 2 * time.Minute

func (s *Server) addDNSProviders() {
	const tag, path = "DNS", infrastructure + "/dns/providers"
	one := []answerDoc{{http.StatusOK, DNSProviderAnswer{}, ""}}
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/dns/drivers", id: "dns-drivers-list", tag: tag, summary: "DNS providers that can be used, and what credentials they need",
		level: anyProject, resource: access.DNSProviders, verb: access.Read, answers: []answerDoc{{http.StatusOK, DNSDriverList{}, ""}},
	}, s.listDNSDrivers)
	add(s, op{
		method: http.MethodGet, path: path, id: "dns-providers-list", tag: tag, summary: "DNS providers of an environment",
		level: onProject, resource: access.DNSProviders, verb: access.Read, answers: []answerDoc{{http.StatusOK, DNSProviderList{}, ""}},
	}, s.listDNSProviders)
	add(s, op{
		method: http.MethodPost, path: path, id: "dns-providers-create", tag: tag, summary: "Keep the credentials of a DNS provider",
		level: onProject, resource: access.DNSProviders, verb: access.Write, answers: []answerDoc{{http.StatusCreated, DNSProviderAnswer{}, ""}},
	}, s.createDNSProvider)
	add(s, op{
		method: http.MethodGet, path: path + "/{name}", id: "dns-providers-get", tag: tag, summary: "One DNS provider",
		level: onProject, resource: access.DNSProviders, verb: access.Read, answers: one,
	}, s.getDNSProvider)
	add(s, op{
		method: http.MethodPut, path: path + "/{name}/credentials", id: "dns-providers-credentials", tag: tag, summary: "Replace a DNS provider's credentials",
		level: onProject, resource: access.DNSProviders, verb: access.Write, answers: one,
	}, s.replaceCredentials)
	add(s, op{
		method: http.MethodPost, path: path + "/{name}/test", id: "dns-providers-test", tag: tag, summary: "Use the credentials once, and keep what was found",
		level: onProject, resource: access.DNSProviders, verb: access.Write, timeout: providerTimeout, audit: "dns_provider.test", answers: one,
	}, s.testDNSProvider)
	add(s, op{
		method: http.MethodGet, path: path + "/{name}/zones", id: "dns-providers-zones", tag: tag, summary: "Zones that the credentials reach, asked now",
		level: onProject, resource: access.DNSProviders, verb: access.Read, timeout: providerTimeout, answers: []answerDoc{{http.StatusOK, DNSZoneList{}, ""}},
	}, s.listDNSZones)
	add(s, op{
		method: http.MethodDelete, path: path + "/{name}", id: "dns-providers-delete", tag: tag, summary: "Forget a DNS provider and its credentials; records stay",
		level: onProject, resource: access.DNSProviders, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.deleteDNSProvider)
}

func dnsProviderOf(p dnsproviders.Provider) DNSProvider {
	out := DNSProvider{
		ID: p.ID, Name: p.Name, Project: p.Project, Environment: p.Environment, Driver: p.Spec.Driver, Generation: p.Spec.Credentials,
		Revision: p.Revision, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Conditions: []Condition{},
	}
	if p.Status.Generation == p.Spec.Credentials { // else it is of credentials that were replaced
		out.Zones, out.CheckedAt, out.Conditions = p.Status.Zones, p.Status.CheckedAt, conditionsOf(p.Status.Conditions)
	}
	return out
}

func dnsProviderAnswer(p dnsproviders.Provider, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(p.Revision), Body: DNSProviderAnswer{dnsProviderOf(p)}}, nil
}

func (s *Server) listDNSDrivers(context.Context, *call, *empty) (*answer, error) {
	out := DNSDriverList{Drivers: []DNSDriver{}}
	for _, d := range s.options.DNSDrivers {
		one := DNSDriver{Name: d.Name, Title: d.Title, Fields: []DNSDriverField{}}
		for _, f := range d.Fields {
			one.Fields = append(one.Fields, DNSDriverField{Name: f.Name, Help: f.Help, Required: f.Required, Secret: f.Secret})
		}
		out.Drivers = append(out.Drivers, one)
	}
	return &answer{Body: out}, nil
}

func (s *Server) listDNSProviders(ctx context.Context, c *call, in *listDomainsInput) (*answer, error) {
	list, next, err := s.options.DNSProviders.List(ctx, c.project, c.environment, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := DNSProviderList{Providers: []DNSProvider{}, NextCursor: next}
	for _, p := range list {
		out.Providers = append(out.Providers, dnsProviderOf(p))
	}
	return &answer{Body: out}, nil
}

func (s *Server) createDNSProvider(ctx context.Context, c *call, in *createDNSProviderInput) (*answer, error) {
	b := in.Body
	if c.dryRun {
		return planAnswer(s.options.DNSProviders.PlanCreate(ctx, c.project, c.environment, b.Name, b.Driver, b.Credentials))
	}
	made, err := s.options.DNSProviders.Create(ctx, c.project, c.environment, b.Name, b.Driver, b.Credentials, c.cause)
	a, err := dnsProviderAnswer(made, err)
	if err == nil {
		a.Location = infrastructure + "/dns/providers/" + url.PathEscape(made.Name)
	}
	return a, err
}

func (s *Server) getDNSProvider(ctx context.Context, c *call, in *DNSProviderPath) (*answer, error) {
	return dnsProviderAnswer(s.options.DNSProviders.Get(ctx, c.project, c.environment, in.Name))
}

func (s *Server) replaceCredentials(ctx context.Context, c *call, in *replaceCredentialsInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.options.DNSProviders.PlanReplace(ctx, c.project, c.environment, in.Name, in.Body.Credentials, c.ifRevision))
	}
	return dnsProviderAnswer(s.options.DNSProviders.Replace(ctx, c.project, c.environment, in.Name, in.Body.Credentials, c.ifRevision, c.cause))
}

func (s *Server) testDNSProvider(ctx context.Context, c *call, in *testDNSProviderInput) (*answer, error) {
	p, err := s.options.DNSProviders.Test(ctx, c.project, c.environment, in.Name)
	c.target = "dnsprovider " + p.ID
	return dnsProviderAnswer(p, err)
}

func (s *Server) listDNSZones(ctx context.Context, c *call, in *DNSProviderPath) (*answer, error) {
	zones, err := s.options.DNSProviders.Zones(ctx, c.project, c.environment, in.Name)
	if err != nil {
		return nil, err
	}
	out := DNSZoneList{Zones: []DNSZone{}}
	for _, z := range zones {
		out.Zones = append(out.Zones, DNSZone{ID: z.ID, Name: z.Name, NameServers: append([]string{}, z.NameServers...)})
	}
	return &answer{Body: out}, nil
}

func (s *Server) deleteDNSProvider(ctx context.Context, c *call, in *deleteDNSProviderInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.options.DNSProviders.PlanDelete(ctx, c.project, c.environment, in.Name, c.ifRevision))
	}
	return &answer{}, s.options.DNSProviders.Delete(ctx, c.project, c.environment, in.Name, c.ifRevision, c.cause)
}
