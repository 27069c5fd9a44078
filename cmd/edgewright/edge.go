package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edge/httpedge/handover"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// drainTime bounds how long a node that shuts down waits for answers in flight.
const drainTime = 30 * time.Second

// localEdge is one edge of this process: a node that answers and the agent
// that drives it.
type localEdge struct {
	identity *agent.Identity
	node     *node.Node
	agent    agent.Options

	stopAgent context.CancelFunc
	ended     chan struct{} // closed when the agent has ended
	agentErr  error         // why, after that
}

// openEdge binds the node's listeners. serve starts it.
func openEdge(identity *agent.Identity, dir string, inProcess nats.InProcessConnProvider, o node.Options) (*localEdge, error) {
	sealing, err := secrets.ParseIdentity(identity.Sealing)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the edge's identity in %s is damaged; remove the directory and join again: %w", dir, err)
	}
	o.Identity, o.EdgeID, o.Region, o.Version = sealing, identity.Edge, identity.Region, version
	n, err := node.New(o)
	if err != nil {
		return nil, err
	}
	return &localEdge{
		identity: identity, node: n,
		agent: agent.Options{Identity: identity, Dir: dir, Node: n, InProcess: inProcess, Logger: o.Logger},
	}, nil
}

// serve starts the node and its agent, and returns when what is on disk is in
// force.
func (e *localEdge) serve(ctx context.Context) error {
	if err := e.runAgent(ctx); err != nil {
		return err
	}
	return e.node.Start()
}

// runAgent starts the agent and waits until it has applied what is on disk.
func (e *localEdge) runAgent(ctx context.Context) error {
	agentContext, stop := context.WithCancel(ctx)
	e.stopAgent, e.ended = stop, make(chan struct{})
	applied := make(chan struct{})
	o := e.agent
	o.Ready = func() { close(applied) }
	go func() {
		defer close(e.ended)
		if e.agentErr = agent.Run(agentContext, o); e.agentErr != nil {
			o.Logger.Error("the edge no longer takes changes; it serves what it has", "edge", e.identity.Edge, "error", e.agentErr)
		}
	}()
	select {
	case <-applied:
		return nil
	case <-e.ended:
		stop()
		return errors.Join(e.agentErr, ctx.Err())
	}
}

// endAgent stops the agent, which closes its files, and waits for that.
func (e *localEdge) endAgent() {
	e.stopAgent()
	<-e.ended
}

// shutdown ends agent and node; answers in flight finish.
func (e *localEdge) shutdown() error {
	e.endAgent()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return e.node.Shutdown(ctx)
}

// upgrade hands the listeners to a successor, which serves by the time it
// returns. Only one agent may use the directory, so this one's ends first and
// comes back when the successor could not start.
func (e *localEdge) upgrade(ctx context.Context) error {
	e.endAgent()
	if err := e.node.Handover(ctx); err != nil {
		return errors.Join(err, e.runAgent(ctx))
	}
	return nil
}

// runEdge is the command edge.
func runEdge(ctx context.Context, o cli.EdgeOptions) error {
	log := newLogger(o.LogOptions, o.Streams)
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fault.New(fault.Unavailable, "the data directory cannot be made: %w", err)
	}
	inherited, err := handover.Inherit()
	if err != nil {
		return err
	}
	identity, err := edgeIdentity(ctx, o)
	if err != nil {
		return err
	}
	n := node.Options{CacheBytes: int64(o.CacheSize), GeoDB: o.GeoDB, DoTAddr: o.ListenDoT, Logger: log, Inherited: inherited}
	n.HTTPAddr, n.HTTPSAddr, n.DNSAddr = o.ListenHTTP, o.ListenHTTPS, dnsAddress(o.ListenOptions, inherited, log)
	if inherited == nil {
		n.HTTPAddr, n.HTTPSAddr = edgeAddresses(o.ListenOptions, log)
	}
	e, err := openEdge(identity, o.Data, nil, n)
	if err != nil {
		return err
	}
	if err := e.serve(ctx); err != nil {
		return err
	}
	r := ready{HTTP: e.node.HTTPAddr(), HTTPS: e.node.HTTPSAddr(), DNS: e.node.DNSAddr()}
	r.Edges = []readyEdge{{ID: identity.Edge, Region: identity.Region, HTTP: r.HTTP, HTTPS: r.HTTPS, DNS: r.DNS}}
	log.Info("edge serving", "edge", identity.Edge, "region", identity.Region, "http", r.HTTP, "https", r.HTTPS, "dns", r.DNS)
	if err := errors.Join(r.print(o.Stdout), inherited.Ready(ctx)); err != nil {
		return err
	}
	waitOrUpgrade(ctx, log, e.upgrade)
	return e.shutdown()
}

// edgeIdentity is what this directory has joined as, or joins.
func edgeIdentity(ctx context.Context, o cli.EdgeOptions) (*agent.Identity, error) {
	identity, err := agent.LoadIdentity(o.Data)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return identity, err
	}
	if o.Join == "" || o.Token == "" {
		return nil, fault.New(fault.Invalid, "this edge has not joined a control plane: give --join URL and --token TOKEN; `edgewright edges join-token` at the control plane prints both")
	}
	if o.Region == "" {
		return nil, fault.New(fault.Invalid, "say where this edge is with --region, like fra or eu-west")
	}
	roots, err := x509.SystemCertPool()
	if err != nil || o.RootCA != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(o.RootCA)
	joiner := agent.HTTPJoiner{URL: o.Join, Client: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}}
	name := o.Name
	if name == "" {
		name, _ = os.Hostname() // a name is a convenience
	}
	return agent.Join(ctx, agent.JoinOptions{Dir: o.Data, Region: o.Region, Name: name, Version: version, Join: joiner.Join, Token: o.Token})
}

// waitOrUpgrade returns when ctx ends or, after SIGUSR2, when a successor has
// taken over.
func waitOrUpgrade(ctx context.Context, log *slog.Logger, upgrade func(context.Context) error) {
	usr2 := make(chan os.Signal, 1)
	signal.Notify(usr2, syscall.SIGUSR2)
	defer signal.Stop(usr2)
	for {
		select {
		case <-ctx.Done():
			return
		case <-usr2:
			log.Info("upgrading: starting the successor")
			if err := upgrade(ctx); err != nil {
				log.Error("the successor did not take over; this process goes on serving", "error", err)
				continue
			}
			log.Info("the successor serves; finishing what is in flight")
			return
		}
	}
}
