package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// DNSProvider is an account at a DNS provider. Its credentials are never shown.
type DNSProvider struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Driver     string      `json:"driver"`
	Generation int         `json:"generation"` // of the credentials; 0: none were set
	Revision   int64       `json:"revision"`
	CreatedAt  time.Time   `json:"created_at"`
	UpdatedAt  time.Time   `json:"updated_at"`
	Zones      int         `json:"zones"`                // that the last test reached
	CheckedAt  *time.Time  `json:"checked_at,omitempty"` // nil: not since the credentials were set
	Conditions []Condition `json:"conditions"`
}

// NewDNSProvider is a provider to be made.
type NewDNSProvider struct {
	Name        string            `json:"name"`
	Driver      string            `json:"driver"`
	Credentials map[string]string `json:"credentials"`
}

// DNSZone is a zone at a provider.
type DNSZone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	NameServers []string `json:"name_servers"`
}

// DNSDriver is a kind of provider that can be used.
type DNSDriver struct {
	Name   string           `json:"name"`
	Title  string           `json:"title"`
	Fields []DNSDriverField `json:"fields"`
}

// DNSDriverField is one credential that a driver needs.
type DNSDriverField struct {
	Name     string `json:"name"`
	Help     string `json:"help"`
	Required bool   `json:"required"`
	Secret   bool   `json:"secret"`
}

const dnsProviders = infra + "/dns/providers"

func dnsProviderPath(name string) string { return dnsProviders + "/" + segment(name) }

// DNSDrivers lists the kinds of providers that the control plane knows.
func (c *Client) DNSDrivers(ctx context.Context) ([]DNSDriver, error) {
	var out struct {
		Drivers []DNSDriver `json:"drivers"`
	}
	_, err := c.do(ctx, call{method: http.MethodGet, path: infra + "/dns/drivers"}, &out)
	return out.Drivers, err
}

// DNSProviders walks the DNS providers of the project and environment.
func (c *Client) DNSProviders(ctx context.Context) iter.Seq2[DNSProvider, error] {
	return pages(ctx, func(ctx context.Context, cursor string) (Page[DNSProvider], error) {
		return list[DNSProvider](ctx, c, dnsProviders, "providers", paged(c.scoped()), cursor)
	})
}

// DNSProvider returns one provider, or fault.NotFound.
func (c *Client) DNSProvider(ctx context.Context, name string) (*DNSProvider, error) {
	return c.dnsProviderCall(ctx, call{method: http.MethodGet, path: dnsProviderPath(name)})
}

// CreateDNSProvider keeps the credentials of a provider.
func (c *Client) CreateDNSProvider(ctx context.Context, p NewDNSProvider) (*DNSProvider, error) {
	return c.dnsProviderCall(ctx, call{method: http.MethodPost, path: dnsProviders, body: p})
}

// SetDNSCredentials replaces the credentials of a provider that the caller saw
// at the given revision.
func (c *Client) SetDNSCredentials(ctx context.Context, name string, revision int64, credentials map[string]string) (*DNSProvider, error) {
	body := map[string]any{"credentials": credentials}
	return c.dnsProviderCall(ctx, call{method: http.MethodPut, path: dnsProviderPath(name) + "/credentials", body: body, match: revision})
}

// TestDNSProvider uses the credentials once. That the provider refuses them is
// no error: the condition Ready says so.
func (c *Client) TestDNSProvider(ctx context.Context, name string) (*DNSProvider, error) {
	return c.dnsProviderCall(ctx, call{method: http.MethodPost, path: dnsProviderPath(name) + "/test"})
}

// DNSZones asks a provider for the zones that the credentials reach.
func (c *Client) DNSZones(ctx context.Context, name string) ([]DNSZone, error) {
	var out struct {
		Zones []DNSZone `json:"zones"`
	}
	_, err := c.do(ctx, call{method: http.MethodGet, path: dnsProviderPath(name) + "/zones", query: c.scoped()}, &out)
	return out.Zones, err
}

// RemoveDNSProvider forgets a provider and its credentials.
func (c *Client) RemoveDNSProvider(ctx context.Context, name string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: dnsProviderPath(name), query: c.scoped(), match: revision}, nil)
	return err
}

func (c *Client) dnsProviderCall(ctx context.Context, k call) (*DNSProvider, error) {
	k.query = merge(c.scoped(), k.query)
	out := new(DNSProvider)
	if _, err := c.do(ctx, k, &wrap[DNSProvider]{name: "provider", out: out}); err != nil {
		return nil, err
	}
	return out, nil
}
