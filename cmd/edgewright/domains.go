package main

import (
	"strings"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/lookup"
	"github.com/edgewright/edgewright/control/domains/registry"
	"github.com/edgewright/edgewright/control/domains/watch"
	"github.com/edgewright/edgewright/control/mail"
	"github.com/edgewright/edgewright/control/resource"
)

// domainRooms is the room of domains with what it looks at the world with.
type domainRooms struct {
	*domains.Service
	watch *watch.Watcher
}

// openDomains wires the room of domains. base has what the rest of the plane
// gives it.
func (p *plane) openDomains(base domains.Options) (*domainRooms, error) {
	o := p.options
	resolvers, err := domains.NewResolvers(o.issuer.Resolvers)
	if err != nil {
		return nil, err
	}
	network, err := lookup.New(lookup.Options{Resolvers: resolvers.Addresses(), Policy: o.origins})
	if err != nil {
		return nil, err
	}
	// Proof by file is looked for where the same resolvers say that the name is.
	reach := *o.origins
	if len(o.issuer.Resolvers) > 0 {
		reach.Resolver = resolvers
	}
	pages := domains.NewFetcher(&reach)
	base.Resolvers, base.Fetcher, base.Authorities, base.PublicURL, base.CAA = resolvers, pages, network, p.url, caaIdentities(o.issuer)
	if o.domains.SMTPURL != "" {
		if base.Mailer, err = mail.New(mail.Options{URL: o.domains.SMTPURL, From: o.domains.MailFrom}); err != nil {
			return nil, err
		}
	}
	room, err := domains.New(base)
	if err != nil {
		return nil, err
	}
	w := watch.Options{Domains: room, Resolvers: resolvers, Network: network, Pages: pages, Logger: o.log}
	if !o.domains.NoRegistryLookups {
		w.Registry = registry.New(registry.Options{})
	}
	return &domainRooms{room, watch.New(w)}, nil
}

// caaIdentities are the names by which the platform's public CA is known in CAA
// records (RFC 8659), as far as they are known before it is asked.
func caaIdentities(o cli.IssuerOptions) []string {
	if o.Issuer == string(certificates.ModeLocal) || o.ACMEDirectory != "" && !strings.Contains(o.ACMEDirectory, "letsencrypt.org") {
		return nil
	}
	return []string{"letsencrypt.org"}
}

// follow names the rooms whose resources move with a domain.
func (r *domainRooms) follow(rooms ...resource.Follower) { r.Followers = append(r.Followers, rooms...) }
