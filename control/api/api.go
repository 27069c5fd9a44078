// Package api is the door of the control plane: REST over HTTP, described by
// OpenAPI 3.1, with events as server-sent events. It turns requests into calls
// of the rooms and their faults into problems (RFC 9457); it decides nothing
// that a room could decide.
//
// Types: Server (an http.Handler), Options (the rooms and adapters it serves),
// op (everything about an operation that is checked before its handler), and
// the JSON types, one file a service. Interfaces: in ports.go, what it needs of
// adapters.
//
// Phases of a request: request ID and panic guard (middleware.go) -> secure
// headers -> route -> credentials, CSRF, If-Match (auth.go) -> Idempotency-Key
// (idempotency.go) -> parse and validate (huma) -> project, environment and
// permission (operation.go) -> handler -> audit record -> answer.
package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/tsig"
)

// infrastructure is the path of the product's own resources.
const infrastructure = "/api/v1/infrastructure"

// Options are what the API serves.
type Options struct {
	DB           Database
	Types        resource.Types // all kinds
	Access       *access.Service
	Projects     *projects.Service
	Domains      *domains.Service
	CDN          *cdn.Service
	Certificates Certificates
	Authorities  Authorities
	Replacements Replacements
	Zones        *zones.Service
	TSIG         *tsig.Service
	Fleet        Fleet
	Traffic      TrafficSource
	Watch        Watch // nil: what goes on around domains is only told from their status
	DNSProviders DNSProviders
	DNSDrivers   []dnsproviders.DriverType // that DNSProviders knows, to be listed

	Version        string
	PlatformDomain string
	// PublicURL is where browsers reach the API, as "https://control.example.com",
	// when a proxy stands before it; "": as requests say.
	PublicURL string

	// JoinFlags are added to the command that joins an edge, with a leading space.
	JoinFlags string

	// HTTPSPort is where sites are served, for their URLs; nil: 443.
	HTTPSPort func() int

	RootPEM   func(ctx context.Context) ([]byte, error)                // the local CA's root; nil: none
	CRL       func(ctx context.Context, issuer string) ([]byte, error) // its lists of revoked certificates; nil: none
	Dashboard http.Handler                                             // mounted at /; nil: none
	Ready     func(ctx context.Context) error                          // for /readyz; nil: always ready
	Metrics   *prometheus.Registry                                     // for /metrics, and for the API's own numbers; nil: none

	Logger *slog.Logger     // nil: discard
	Now    func() time.Time // nil: time.Now

	bodyTimeout time.Duration // to receive a request's body; 0: 30 s
}

// Server is the API. It is an http.Handler.
type Server struct {
	options      Options
	log          *slog.Logger
	now          func() time.Time
	access       *access.Service
	projects     *projects.Service
	domains      *domains.Service
	cdn          *cdn.Service
	certificates Certificates
	cas          Authorities
	replacements Replacements
	fleet        Fleet
	traffic      TrafficSource
	store        resource.Store
	db           Database
	hub          *hub
	metrics      *metrics

	issueWait, purgeWait, heartbeat, bodyTimeout time.Duration // shorter in tests

	mux     *http.ServeMux
	huma    huma.API
	handler http.Handler
}

// New returns the API's server. It starts nothing; see Run.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		options: o, log: o.Logger, now: o.Now, access: o.Access, projects: o.Projects, domains: o.Domains, cdn: o.CDN,
		certificates: o.Certificates, cas: o.Authorities, replacements: o.Replacements, fleet: o.Fleet, traffic: o.Traffic, store: o.DB, db: o.DB,
		mux: http.NewServeMux(), metrics: newMetrics(o.Metrics),
		issueWait: issueWait, purgeWait: purgeWait, heartbeat: heartbeatEvery,
		bodyTimeout: cmp.Or(o.bodyTimeout, bodyTimeout),
	}
	s.hub = newHub(s)
	s.huma = humago.New(s.mux, config(o.Version))
	s.huma.UseMiddleware(s.authenticate, s.idempotent)
	s.addOperations()
	finish(s.huma.OpenAPI())
	s.addPages()
	s.handler = s.chain(s.mux)
	return s
}

func (s *Server) addOperations() {
	s.addAccount()
	s.addProjects()
	s.addMembers()
	s.addTokens()
	s.addDomains()
	s.addRecords()
	s.addZones()
	s.addDNSSEC()
	s.addQueries()
	s.addDomainState()
	s.addTransfers()
	s.addCertificates()
	s.addCDN()
	s.addPurges()
	s.addEdges()
	s.addRevisions()
	s.addPlans()
	s.addEvents()
	s.addPlatform()
	s.addAudit()
	s.addDNSProviders()
	s.addPlacements()
	s.addTSIG()
	s.addZoneTransfers()
}

// Run does what goes on between requests: it feeds the event streams and
// forgets what has expired. It returns nil when ctx ends, and with it end all
// event streams, which http.Server.Shutdown would otherwise wait for.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.tidy(ctx) })
	wg.Go(func() { s.hub.run(ctx) })
	wg.Wait()
	return nil
}

// tidyEvery is how often expired sessions, links, tokens and replays go.
const tidyEvery = 10 * time.Minute

func (s *Server) tidy(ctx context.Context) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		err := errors.Join(s.access.DeleteExpired(ctx), s.db.DeleteOldReplays(ctx, s.now()))
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "what has expired could not be deleted", slog.Any("error", err))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// ServeHTTP serves a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// OpenAPI returns the OpenAPI 3.1 document, indented, the same for the same
// source.
func OpenAPI() ([]byte, error) {
	doc, err := json.MarshalIndent(New(Options{Version: "1"}).huma.OpenAPI(), "", "  ")
	return append(doc, '\n'), err
}

// config is huma's, without the pages that need other hosts and without the
// $schema links in bodies.
func config(version string) huma.Config {
	c := huma.DefaultConfig("Edgewright", version)
	c.Info.Description = "The API of an Edgewright control plane. Errors are application/problem+json with a stable code."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	c.Transformers = []huma.Transformer{reshape}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token, ew_..."},
		"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "Set by login. Writes also need the header X-Edgewright-CSRF: 1"},
	}
	return c
}

// finish corrects what huma cannot be told: arrays are never null.
func finish(doc *huma.OpenAPI) {
	seen := map[*huma.Schema]bool{}
	var walk func(s *huma.Schema)
	walk = func(s *huma.Schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.Type == huma.TypeArray {
			s.Nullable = false
		}
		walk(s.Items)
		for _, p := range s.Properties {
			walk(p)
		}
		for _, one := range s.OneOf {
			walk(one)
		}
	}
	schemas := doc.Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own errors leave as Problem
	delete(schemas, "ErrorDetail")
	for _, s := range schemas {
		walk(s)
	}
}

// LoginURL is the page that spends a one-time link's secret.
func LoginURL(base, secret string) string {
	return strings.TrimSuffix(base, "/") + "/login?" + url.Values{"link": {secret}}.Encode()
}
