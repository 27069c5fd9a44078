package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/cloudflare"
	"github.com/edgewright/edgewright/control/dnsproviders/route53"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// dnsDrivers is the table of DNS providers that projects can use. Whatever
// implements libdns can have a row, by way of libdnsbridge.
func dnsDrivers(client *http.Client) []dnsproviders.DriverType {
	return []dnsproviders.DriverType{
		cloudflare.Type(cloudflare.Options{HTTP: client}),
		route53.Type(route53.Options{HTTP: client}),
	}
}

// installation is what tells our records at DNS providers from those of another
// installation: made on the first start, kept in the vault.
func installation(ctx context.Context, vault resource.Vault) (string, error) {
	const name = "installation"
	id, err := vault.Secret(ctx, name)
	if fault.Is(err, fault.NotFound) {
		if err = vault.PutSecret(ctx, name, []byte(resource.NewID("ins"))); err == nil {
			id, err = vault.Secret(ctx, name) // another control plane may have started too
		}
	}
	return string(id), err
}

func newDNSProviders(db *store.DB, policy *netguard.Policy, log *slog.Logger) *dnsproviders.Service {
	return dnsproviders.New(dnsproviders.Options{Store: db, Vault: db, Drivers: dnsDrivers(dnsproviders.NewHTTPClient(policy)), Users: domains.Users{Store: db}, Logger: log})
}
