package main

import (
	"log/slog"
	"net/http"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/cloudflare"
	"github.com/edgewright/edgewright/control/dnsproviders/route53"
	"github.com/edgewright/edgewright/control/store"
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

func newDNSProviders(db *store.DB, policy *netguard.Policy, log *slog.Logger) *dnsproviders.Service {
	return dnsproviders.New(dnsproviders.Options{Store: db, Vault: db, Drivers: dnsDrivers(dnsproviders.NewHTTPClient(policy)), Logger: log})
}
