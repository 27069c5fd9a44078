package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/acme"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/preflight"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/revocation"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// certificateRoom wires the room of certificates to the store, to DNS and to
// CAs' responders.
func (p *plane) certificateRoom(owner certificates.Ownership, mode certificates.Mode) (*provision.Service, error) {
	checker := revocation.New(responderClient(), nil)
	o := certificates.Room{
		Store: p.db, Vault: p.db, Ownership: owner, Mode: mode, Ledger: p.db,
		Revocation: checker, Issuers: checker, NameServers: p.options.zones.NameServers,
		Addresses: func(ctx context.Context) ([]string, error) {
			_, addresses, err := targets{p}.Targets(ctx)
			return addresses, err
		},
	}
	resolver, err := preflight.NewResolver(p.options.issuer.Resolvers)
	if err != nil {
		return nil, err
	}
	p.resolver = resolver
	if p.options.issuer.Preflight != "off" {
		o.Preflight = &preflight.Checker{Resolver: resolver, Targets: targets{p}}
	}
	return provision.New(o), nil
}

// responderClient asks OCSP responders and fetches CRLs. Uploaded certificates
// name them, so that it dials public addresses only.
func responderClient() *http.Client {
	guard, err := netguard.New(nil)
	if err != nil {
		panic("edgewright: " + err.Error()) // no ranges, none wrong
	}
	guard.Ports = []uint16{80, 443}
	return &http.Client{
		Timeout: 15 * time.Second,
		Transport: &http.Transport{
			DialContext: guard.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > 2 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// acmeIssuer is the CA of the flags, and those that the operator has added.
func (p *plane) acmeIssuer(txt []acme.TXTChooser) (certificates.Issuer, error) {
	flags := p.options.issuer
	o := acme.Options{
		Vault: p.db, Directory: flags.ACMEDirectory, Email: flags.ACMEContact, EABKeyID: flags.ACMEEABKeyID, Profile: flags.ACMEProfile,
		Presenter: p.fleet, TXT: txt, Resolver: p.resolver, Logger: p.options.log,
	}
	for _, f := range []struct {
		flag, name string
		to         *string
	}{{"acme-root", flags.ACMERoot, &o.RootPEM}, {"acme-eab-mac-file", flags.ACMEEABMACKey, &o.EABMACKey}} {
		if f.name == "" {
			continue
		}
		text, err := os.ReadFile(f.name)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--%s: %w", f.flag, err)
		}
		*f.to = strings.TrimSpace(string(text))
	}
	staging := flags.ACMEStaging
	switch {
	case staging == "none":
		staging = ""
	case staging == "" && (o.Directory == "" || o.Directory == acme.LetsEncrypt):
		staging = acme.LetsEncryptStaging
	}
	return acme.NewSet(acme.SetOptions{
		Default: o, Staging: staging, Store: p.db,
		Internal: flags.Preflight == "auto" && flags.ACMERoot != "",
	})
}
