package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/api"
	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/preflight"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/replacement"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/compile"
	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/localca"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
	"github.com/edgewright/edgewright/web"
)

// leaseTime is how long a control plane that vanished still leads.
const leaseTime = 15 * time.Second

// planeOptions say what up and control differ in.
type planeOptions struct {
	data, database string
	listenAPI      string
	publicURL      string // "": as bound
	tlsCert        string // files; "": of the local CA when https
	tlsKey         string
	https          bool

	issuer         cli.IssuerOptions
	domains        cli.DomainOptions
	zones          cli.ZoneOptions
	platformDomain string
	origins        *netguard.Policy // where origins may be
	originRanges   []string         // the same, for edges
	bus            fleet.BusOptions
	httpsPort      func() int // where sites are served, for their URLs; nil: 443
	log            *slog.Logger
}

// joinFlags are what an edge needs to trust the API: the file of the local CA,
// where that signs the API's certificate.
func (o planeOptions) joinFlags() string {
	if o.https && o.tlsCert == "" {
		return " --root-ca " + controlCAFile
	}
	return ""
}

// plane is a running control plane.
type plane struct {
	options  planeOptions
	db       *store.DB
	access   *access.Service
	local    *localca.CA
	resolver *preflight.Resolver
	fleet    *fleet.Fleet
	compiler *compile.Compiler
	loop     *reconcile.Loop
	traffic  *traffic.Service
	zones    *zones.Reconciler
	types    resource.Types
	metrics  *prometheus.Registry
	listener net.Listener
	api      *api.Server
	server   *http.Server
	firstRun access.Started

	dnsProviders *dnsproviders.Service
	issued       *provision.Service

	stop    context.CancelFunc
	running sync.WaitGroup
}

// openPlane opens the store, wires the rooms and listens. serve starts it; close
// ends it, also after an error here.
func openPlane(ctx context.Context, o planeOptions) (p *plane, err error) {
	p = &plane{options: o, metrics: prometheus.NewRegistry()}
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.db, err = openStore(ctx, o.data, o.database, o.log); err != nil {
		return p, err
	}
	if p.access, err = access.New(access.Options{Store: p.db}); err != nil {
		return p, err
	}
	if p.firstRun, err = p.access.Bootstrap(ctx, os.Getenv("EDGEWRIGHT_ADMIN_TOKEN")); err != nil {
		return p, err
	}
	mode, err := certificates.ParseMode(o.issuer.Issuer)
	if err != nil {
		return p, err
	}
	p.types = resource.Types{
		projects.Type(), projects.EnvironmentType(),
		cdn.Type(o.origins), domains.Type(), domains.ClaimType(), domains.TransferType(), domains.PlacementType(), certificates.Type(mode),
		dnsproviders.Type(dnsDrivers(nil)),
		zones.Type(), zones.RRsetType(), zones.DelegationType(), tsig.Type(),
	}
	projectRoom := projects.New(p.db, p.types.Kinds(resource.ScopeEnvironment))
	if err := projectRoom.Bootstrap(ctx); err != nil {
		return p, err
	}

	cdnRoom := cdn.New(p.db, o.origins, domains.Users{Store: p.db})
	domainRoom, err := p.openDomains(domains.Options{Store: p.db, Vault: p.db, CDNs: cdnRoom, Targets: targets{p}, Platform: o.platformDomain})
	if err != nil {
		return p, err
	}
	zoneRoom := p.zoneRoom(domainRoom)
	p.types = p.types.With(zoneRoom.Types()...)
	certificateRoom, err := p.certificateRoom(domainRoom, mode)
	if err != nil {
		return p, err
	}
	p.issued = certificateRoom
	replacements := replacement.New(replacement.Options{Store: p.db, Room: certificateRoom.PlannedPerHour})
	domainRoom.follow(certificateRoom, zoneRoom)
	p.dnsProviders = newDNSProviders(p.db, o.origins, o.log)
	p.types = p.types.With(p.dnsProviders.Types()...)
	owner, err := installation(ctx, p.db)
	if err != nil {
		return p, err
	}
	domainRoom.Providers = dnsproviders.Records{Service: p.dnsProviders, Installation: owner}
	p.local = localca.New(p.db, nil)
	if o.publicURL != "" {
		p.local.ListsAt(strings.TrimSuffix(o.publicURL, "/") + "/api/v1/trust/crls")
	}
	p.traffic = traffic.New(p.db, nil)

	p.compiler = compile.New(certificateRoom, p.platformSettings())
	p.compiler.SetZones(zoneRoom)
	keyRoom := p.tsigRoom(zoneRoom)
	p.compiler.SetSecrets(keyRoom)
	p.fleet, err = fleet.New(ctx, fleet.Options{
		Store: p.db, Vault: p.db, Documents: p.db, Purges: p.db, Tokens: p.db,
		Compiler: p.compiler,
		Kinds:    compile.Kinds(), Traffic: p.traffic, Noticed: noticed(zoneRoom), Bus: o.bus, ECHName: o.platformDomain, Logger: o.log,
	})
	if err != nil {
		return p, err
	}
	acmeIssuer, err := p.acmeIssuer(p.txtChoosers(domainRoom, zoneRoom))
	if err != nil {
		return p, err
	}
	p.zones = p.zoneReconciler(zoneRoom)
	p.loop = reconcile.New(reconcile.Options{Store: p.db, Logger: o.log},
		domains.NewReconciler(domainRoom.Service, certificateRoom, siteRollout{p.fleet}, o.log),
		domains.NewWithdrawer(domainRoom.Service, o.log), domainRoom.watch,
		upkeep.NewReconciler(certificateRoom.Room, certificateRoom.Judge, map[certificates.CertType]certificates.Issuer{
			certificates.TypeLocal: p.local, certificates.TypeACME: acmeIssuer,
		}, o.log),
		p.zones, zones.NewLeftovers(zoneRoom, domainRoom.Service, o.log), p.secondaries(zoneRoom, keyRoom), tsig.NewReconciler(keyRoom),
		replacement.NewReconciler(replacements, o.log), dnsproviders.NewReconciler(p.dnsProviders),
	)

	if err := p.listen(ctx); err != nil {
		return p, err
	}
	p.api = api.New(api.Options{
		DB: p.db, Types: p.types, Access: p.access, Projects: projectRoom,
		Domains: domainRoom.Service, Watch: domainRoom.watch, CDN: cdnRoom, Certificates: certificateRoom, Authorities: authority.New(p.db, p.db), Replacements: replacements, Zones: zoneRoom, TSIG: keyRoom, Fleet: p.fleet, Traffic: p.traffic,
		Version: version, PlatformDomain: o.platformDomain, PublicURL: o.publicURL, JoinFlags: o.joinFlags(), HTTPSPort: o.httpsPort,
		DNSProviders: p.dnsProviders, DNSDrivers: p.dnsProviders.Drivers,
		RootPEM: p.local.RootPEM, CRL: p.local.CRL, Dashboard: web.Handler(), Ready: p.ready, Metrics: p.metrics, Logger: o.log,
	})
	p.server = api.NewHTTPServer(p.api, o.log)
	return p, nil
}

// serve starts the bus, the API and, whenever this control plane holds the
// lease, publishing and reconciling. It returns when the API answers.
func (p *plane) serve(ctx context.Context) error {
	ctx, p.stop = context.WithCancel(ctx)
	if err := p.fleet.Start(ctx); err != nil {
		return err
	}
	p.running.Go(func() {
		err := p.db.Lead(ctx, "leader", resource.NewID("plane"), leaseTime, p.lead)
		if err != nil && ctx.Err() == nil {
			p.options.log.Error("this control plane no longer publishes or reconciles", "error", err)
		}
	})
	p.running.Go(func() {
		if err := p.api.Run(ctx); err != nil && ctx.Err() == nil {
			p.options.log.Error("the API's event streams have ended", "error", err)
		}
	})
	p.running.Go(func() {
		if err := p.server.Serve(p.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			p.options.log.Error("the API no longer answers", "error", err)
		}
	})
	return nil
}

// lead does what only one control plane may do, again after a failure, until
// the lease is lost.
func (p *plane) lead(ctx context.Context, _ store.Lease) error {
	for {
		p.compiler.Reset() // another may have led since, and what it saw is not here
		p.zones.Reset()
		group, term := errgroup.WithContext(ctx)
		group.Go(func() error { return p.fleet.Lead(term) })
		group.Go(func() error { return p.loop.Run(term) })
		group.Go(func() error { return p.pruneTraffic(term) })
		group.Go(func() error { return p.certifyNameServers(term) })
		err := group.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.options.log.Error("leading failed; starting again", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// pruneTraffic forgets old rollups, each hour.
func (p *plane) pruneTraffic(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := p.traffic.Prune(ctx); err != nil && ctx.Err() == nil {
			p.options.log.Warn("old traffic numbers could not be forgotten", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// ready tells whether requests can be answered.
func (p *plane) ready(ctx context.Context) error {
	_, err := p.db.List(ctx, resource.Query{Kind: projects.Kind, Limit: 1})
	return err
}

// close ends the control plane: the API first, then the rest. Event streams end
// with the context that serve was given or with stop.
func (p *plane) close() error {
	var errs []error
	if p.stop != nil {
		p.stop()
	}
	if p.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		errs = append(errs, p.server.Shutdown(ctx))
		cancel()
	}
	if p.listener != nil {
		_ = p.listener.Close() // where serve was not reached; else closed already
	}
	p.running.Wait()
	if p.fleet != nil {
		errs = append(errs, p.fleet.Close())
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(errs...)
}

// listen binds the API's address, with TLS where it is asked for.
func (p *plane) listen(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.options.listenAPI)
	if err != nil {
		return fault.New(fault.Unavailable, "the API cannot listen on %s; choose another address with --listen-api: %w", p.options.listenAPI, err)
	}
	p.listener = l
	if !p.options.https {
		return nil
	}
	certificate, err := p.certificates(ctx)
	if err != nil {
		return err
	}
	p.listener = tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: certificate,
	})
	return nil
}

// certificates returns what finds the API's own certificate: the operator's
// files, or one of the local CA, renewed when two thirds of its life are over.
func (p *plane) certificates(ctx context.Context) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	if p.options.tlsCert != "" {
		c, err := tls.LoadX509KeyPair(p.options.tlsCert, p.options.tlsKey)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--tls-cert and --tls-key: %w", err)
		}
		return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c, nil }, nil
	}
	root, err := p.local.RootPEM(ctx)
	if err != nil {
		return nil, err
	}
	if err := writePrivate(filepath.Join(p.options.data, controlCAFile), root); err != nil {
		return nil, err
	}
	names := planeNames(p.options.publicURL, p.listener.Addr())
	var mu sync.Mutex
	var current tls.Certificate
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if current.Leaf == nil || time.Until(current.Leaf.NotAfter) < localca.LeafLife/3 {
			fresh, err := p.local.ServerCertificate(context.WithoutCancel(ctx), names)
			if err != nil {
				return nil, err
			}
			current = fresh
		}
		served := current
		return &served, nil
	}, nil
}

// url is how this machine reaches the API.
func (p *plane) url() string {
	if p.options.publicURL != "" {
		return p.options.publicURL
	}
	scheme := "http"
	if p.options.https {
		scheme = "https"
	}
	return scheme + "://" + reachable(p.listener.Addr().String())
}

// login is the page to sign in: with a one-time link until an owner has a password.
func (p *plane) login() string {
	if p.firstRun.Link == "" {
		return p.url() + "/login"
	}
	return api.LoginURL(p.url(), p.firstRun.Link)
}

// keepClient leaves in the data directory what the command line of this machine
// needs: where the API is, and a token of its owner.
func (p *plane) keepClient(ctx context.Context) error {
	file := filepath.Join(p.options.data, clientFile)
	var kept struct {
		URL    string `json:"url"`
		Token  string `json:"token"`
		RootCA string `json:"root_ca_pem,omitempty"`
	}
	if raw, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(raw, &kept) // damaged: written anew
	}
	if kept.Token != "" {
		if _, err := p.access.AuthenticateToken(ctx, kept.Token, access.Client{}); err != nil {
			kept.Token = ""
		}
	}
	if kept.Token == "" {
		operator := &access.Principal{Kind: access.ByToken, ID: "local", Name: "data directory", Grants: map[string]access.Role{access.Platform: access.Owner}}
		_, secret, err := p.access.CreateToken(ctx, operator, access.NewToken{Name: "command line on this machine", Project: access.Platform, Role: access.Owner},
			access.Caller{Actor: "system data directory"})
		if err != nil {
			return err
		}
		kept.Token = secret
	}
	kept.URL = p.url()
	if p.options.https && p.options.tlsCert == "" {
		root, err := p.local.RootPEM(ctx)
		if err != nil {
			return err
		}
		kept.RootCA = string(root)
	}
	raw, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(file, append(raw, '\n'))
}

// targets tells domains where to point: at the edges that others can reach.
type targets struct{ plane *plane }

func (t targets) Targets(ctx context.Context) (hostname string, addresses []string, err error) {
	edges, err := t.plane.fleet.Edges(ctx)
	if err != nil {
		return "", nil, err
	}
	for _, e := range edges {
		host, _, err := net.SplitHostPort(e.HTTPS)
		if err != nil || e.Spec.Draining {
			continue
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsGlobalUnicast() && !ip.IsPrivate() {
			addresses = append(addresses, host)
		}
	}
	return "", addresses, nil
}

// siteRollout tells domains how far their sites have come.
type siteRollout struct{ fleet *fleet.Fleet }

func (r siteRollout) Site(_ context.Context, domainID string) (edges, applied, verified int, refused string) {
	state := r.fleet.DocumentState(edgeconfig.KindSite + "/" + domainID)
	if len(state.Rejections) > 0 {
		refused = state.Rejections[0].Reason
	}
	return state.Edges, state.Applied, state.Verified, refused
}
