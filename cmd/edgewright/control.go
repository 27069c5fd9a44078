package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// runControl is the command control: a control plane that edges on other
// machines join.
func runControl(ctx context.Context, o cli.ControlOptions) error {
	log := newLogger(o.LogOptions, o.Streams)
	lock, err := lockData(ctx, o.Data, false)
	if err != nil {
		return err
	}
	defer lock.release()
	origins, err := netguard.New(o.OriginRanges)
	if err != nil {
		return err
	}
	bus, err := busOptions(o)
	if err != nil {
		return err
	}
	p, err := openPlane(ctx, planeOptions{
		data: o.Data, database: o.Database, listenAPI: o.ListenAPI, publicURL: o.PublicURL, https: true, tlsCert: o.TLSCert, tlsKey: o.TLSKey,
		issuer: o.IssuerOptions, domains: o.DomainOptions, zones: o.ZoneOptions, platformDomain: o.PlatformDomain, origins: origins, originRanges: o.OriginRanges, bus: bus, log: log,
	})
	if err != nil {
		return err
	}
	if o.NATSURL != "" {
		err = p.keepBusConfig()
	}
	if err == nil {
		err = p.serve(ctx)
	}
	if err == nil {
		err = p.keepClient(ctx)
	}
	if err == nil {
		log.Info("control plane serving", "api", p.url(), "bus", p.fleet.BusAddr())
		r := ready{API: p.listener.Addr().String(), Dashboard: p.url(), Login: p.login()}
		if err = r.print(o.Stdout); err == nil {
			<-ctx.Done()
		}
	}
	return errors.Join(err, p.close())
}

// busOptions places the bus beside the API: edges that reach one by a name
// reach the other by the same.
func busOptions(o cli.ControlOptions) (fleet.BusOptions, error) {
	b := fleet.BusOptions{Listen: o.ListenBus, Advertise: o.BusAdvertise}
	if o.NATSURL != "" {
		external := fleet.BusOptions{External: o.NATSURL}
		if o.NATSRootCA != "" {
			root, err := os.ReadFile(o.NATSRootCA)
			if err != nil {
				return b, fault.New(fault.Invalid, "--nats-root-ca: %w", err)
			}
			external.ExternalRootPEM = string(root)
		}
		return external, nil
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Hostname() == "" {
			return b, fault.New(fault.Invalid, "--public-url: %q is no URL; write it like https://control.example.com:7070", o.PublicURL)
		}
		b.Names = append(b.Names, u.Hostname())
		if b.Advertise == "" {
			if _, port, err := net.SplitHostPort(o.ListenBus); err == nil && port != "0" {
				b.Advertise = net.JoinHostPort(u.Hostname(), port)
			}
		}
	}
	return b, nil
}

// demoClient reaches the demo at an edge of this process, whatever its name
// resolves to.
func demoClient(address string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // only whether it answers
	}}
}

// keepBusConfig writes what the servers of an external cluster need to accept
// this control plane and its edges.
func (p *plane) keepBusConfig() error {
	config, err := p.fleet.BusConfig()
	if err != nil {
		return err
	}
	file := filepath.Join(p.options.data, busConfigFile)
	p.options.log.Info("the external bus is expected to run with this configuration", "file", file)
	return writePrivate(file, []byte(config))
}
