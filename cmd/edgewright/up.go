package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/demo"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edge/httpedge/handover"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// demoDomain is where `up --demo` serves its site.
const demoDomain = "demo.localhost"

// ownNetworks are where origins of `up` may be beside public addresses: this
// machine is the user's own, and so are its networks. Link-local addresses, where
// clouds keep their metadata, are not among them.
var ownNetworks = []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"}

// demoWait bounds how long READY waits for the demo to be served.
const demoWait = 20 * time.Second

// everything is what `edgewright up` runs: a control plane and its edges.
type everything struct {
	options cli.UpOptions
	log     *slog.Logger
	bus     *lateBus
	plane   *plane
	mu      sync.Mutex // guards edges against the API, which asks for a port
	edges   []*localEdge
	lock    *dataLock
	demo    *http.Server
}

// runUp is the command up. Edges that are known already serve first, from disk,
// before the control plane is there; a process that takes over from another
// serves while the other still ends.
func runUp(ctx context.Context, o cli.UpOptions) error {
	u := &everything{options: o, log: newLogger(o.LogOptions, o.Streams), bus: newLateBus()}
	inherited, err := handover.Inherit()
	if err != nil {
		return err
	}
	if inherited == nil {
		if u.lock, err = lockData(ctx, o.Data, false); err != nil {
			return err
		}
	}
	err = u.start(ctx, inherited)
	if err == nil {
		waitOrUpgrade(ctx, u.log, u.upgrade)
	}
	return errors.Join(err, u.shutdown())
}

func (u *everything) start(ctx context.Context, inherited *handover.Inheritance) error {
	var unknown []int // regions without an identity yet
	for i := range u.options.Regions {
		identity, err := agent.LoadIdentity(u.edgeDir(i))
		if fault.Is(err, fault.NotFound) {
			unknown = append(unknown, i)
			continue
		}
		if err == nil {
			err = u.openEdge(ctx, i, identity, inherited)
		}
		if err != nil {
			return err
		}
	}
	if inherited != nil {
		// The edges serve; the process before may go, and with it its lock.
		if err := inherited.Ready(ctx); err != nil {
			return err
		}
		lock, err := lockData(ctx, u.options.Data, true)
		if err != nil {
			return err
		}
		u.lock = lock
	}

	origins, err := netguard.New(ownNetworks)
	if err != nil {
		return err
	}
	p, err := openPlane(ctx, planeOptions{
		data: u.options.Data, listenAPI: u.options.ListenAPI, issuer: u.options.IssuerOptions, domains: u.options.DomainOptions, zones: u.options.ZoneOptions, platformDomain: u.options.PlatformDomain,
		origins: origins, originRanges: ownNetworks, httpsPort: u.httpsPort, log: u.log,
	})
	if err != nil {
		return err
	}
	u.plane = p
	if err := p.serve(ctx); err != nil {
		return err
	}
	u.bus.set(p.fleet.InProcess())
	for _, i := range unknown {
		identity, err := agent.Join(ctx, agent.JoinOptions{
			Dir: u.edgeDir(i), Region: u.options.Regions[i], Name: u.options.Regions[i], Version: version, Simulated: i > 0, Join: p.fleet.JoinLocal,
		})
		if err == nil {
			err = u.openEdge(ctx, i, identity, nil)
		}
		if err != nil {
			return err
		}
	}
	for _, e := range u.edges {
		p.metrics.MustRegister(e.node.Collectors()...)
	}
	if err := p.keepClient(ctx); err != nil {
		return err
	}
	if u.options.Demo {
		if err := u.startDemo(ctx); err != nil {
			return err
		}
	}
	return u.announce()
}

// httpsPort is the first edge's, for the URLs of sites; 443 until it is bound.
func (u *everything) httpsPort() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.edges) > 0 {
		if _, port, err := net.SplitHostPort(u.edges[0].node.HTTPSAddr()); err == nil {
			if n, err := strconv.Atoi(port); err == nil {
				return n
			}
		}
	}
	return 443
}

func (u *everything) edgeDir(i int) string {
	return filepath.Join(u.options.Data, "edges", u.options.Regions[i])
}

// openEdge opens and starts the edge of a region. The first has the addresses
// of the flags; the others share its machine, on ports the kernel picks, and
// say that they are simulated.
func (u *everything) openEdge(ctx context.Context, i int, identity *agent.Identity, inherited *handover.Inheritance) error {
	o := node.Options{
		CacheBytes: int64(u.options.CacheSize) / int64(len(u.options.Regions)), OriginRanges: ownNetworks,
		Logger: u.log, GeoDB: u.options.GeoDB, HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", DNSAddr: "127.0.0.1:0",
	}
	if i == 0 {
		o.Inherited, o.HTTPAddr, o.HTTPSAddr = inherited, u.options.ListenHTTP, u.options.ListenHTTPS
		o.DoTAddr = u.options.ListenDoT
		o.DNSAddr = dnsAddress(u.options.ListenOptions, inherited, u.log)
		if inherited == nil {
			o.HTTPAddr, o.HTTPSAddr = edgeAddresses(u.options.ListenOptions, u.log)
		}
	}
	e, err := openEdge(identity, u.edgeDir(i), u.bus, o)
	if err != nil {
		return err
	}
	if err := e.serve(ctx); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.edges = append(u.edges, e)
	return nil
}

// startDemo runs the demo site as an origin on loopback and declares it, in the
// default project, for the edge to serve.
func (u *everything) startDemo(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	u.demo = &http.Server{Handler: demo.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = u.demo.Serve(l) }()

	cdnSpec := fmt.Sprintf(`{"origins":[{"name":"demo","url":"http://%s"}],"cache_rules":[]}`, l.Addr())
	domainSpec := fmt.Sprintf(`{"domain":%q,"cdn":"demo","auto_configure":true}`, demoDomain)
	plan, err := resource.PlanApply(ctx, u.plane.db, u.plane.types, resource.Desired{
		Project: "default", Environment: "production",
		Resources: []resource.Declared{
			{Kind: "cdn", Name: "demo", Spec: []byte(cdnSpec)},
			{Kind: "domain", Name: demoDomain, Spec: []byte(domainSpec)},
		},
	})
	if err != nil {
		return err
	}
	if _, err := u.plane.db.Commit(ctx, plan.Commit(resource.Cause{Actor: "system demo", Via: "system", Reason: "up --demo"})); err != nil {
		return err
	}
	return u.awaitDemo(ctx)
}

// awaitDemo waits until the first edge answers for the demo over HTTPS, so that
// READY means what it says. Whether the certificate is trusted is not its
// business.
func (u *everything) awaitDemo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	client := demoClient(reachable(u.edges[0].node.HTTPSAddr()))
	defer client.CloseIdleConnections()
	var last error
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+demoDomain+"/robots.txt", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		last = err
		select {
		case <-ctx.Done():
			u.log.Warn("the demo is not served yet", "domain", demoDomain, "error", last, "hint", "edgewright domains show "+demoDomain+" says what it waits for")
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// announce tells people on stderr and automation on stdout that all is serving.
func (u *everything) announce() error {
	r := ready{API: u.plane.listener.Addr().String(), Dashboard: u.plane.url(), Login: u.plane.login()}
	for i, e := range u.edges {
		r.Edges = append(r.Edges, readyEdge{ID: e.identity.Edge, Region: e.identity.Region, HTTP: e.node.HTTPAddr(), HTTPS: e.node.HTTPSAddr(), DNS: e.node.DNSAddr(), Simulated: i > 0})
	}
	r.HTTP, r.HTTPS, r.DNS = r.Edges[0].HTTP, r.Edges[0].HTTPS, r.Edges[0].DNS
	if u.options.Terminal {
		fmt.Fprintf(u.options.Stderr, "\n  Dashboard  %s\n  Sign in    %s\n", r.Dashboard, r.Login)
		if u.options.Demo {
			_, port, _ := net.SplitHostPort(r.HTTPS)
			site := "https://" + demoDomain
			if port != "443" {
				site += ":" + port
			}
			fmt.Fprintf(u.options.Stderr, "  Demo       %s   (first: edgewright trust)\n", site)
		}
		fmt.Fprintf(u.options.Stderr, "  Your app   edgewright domains add shop.localhost --origin http://127.0.0.1:3000\n\n")
	}
	if u.options.Open {
		openBrowser(r.Login)
	}
	return r.print(u.options.Stdout)
}

// upgrade hands over to a successor. It takes the data directory when this
// process has ended its control plane.
func (u *everything) upgrade(ctx context.Context) error {
	if len(u.edges) != 1 {
		return fault.New(fault.Conflict, "only a process with one edge can be replaced while it runs; this one has %d", len(u.edges))
	}
	return u.edges[0].upgrade(ctx)
}

// shutdown ends the control plane first, so that a successor can take the data
// directory, and lets edges finish their answers.
func (u *everything) shutdown() error {
	var errs []error
	if u.plane != nil {
		for _, e := range u.edges {
			e.endAgent()
		}
		errs = append(errs, u.plane.close())
	}
	u.bus.close()
	if u.lock != nil {
		u.lock.release()
	}
	for _, e := range u.edges {
		errs = append(errs, e.shutdown())
	}
	if u.demo != nil {
		errs = append(errs, u.demo.Close())
	}
	return errors.Join(errs...)
}

// openBrowser is a convenience; when it fails the link is on the screen.
func openBrowser(url string) {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	cmd := exec.Command(program, url) //nolint:noctx // outlives this call
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}

// lateBus is a bus of this process that is not there yet: connections wait.
type lateBus struct {
	ready, closed chan struct{}
	provider      interface{ InProcessConn() (net.Conn, error) }
}

func newLateBus() *lateBus {
	return &lateBus{ready: make(chan struct{}), closed: make(chan struct{})}
}

func (b *lateBus) set(provider interface{ InProcessConn() (net.Conn, error) }) {
	b.provider = provider
	close(b.ready)
}

func (b *lateBus) close() { close(b.closed) }

// InProcessConn implements nats.InProcessConnProvider.
func (b *lateBus) InProcessConn() (net.Conn, error) {
	select {
	case <-b.ready:
		return b.provider.InProcessConn()
	case <-b.closed:
		return nil, os.ErrClosed
	}
}
