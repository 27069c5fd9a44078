package dnsproviders

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// NewHTTPClient returns the client that drivers reach providers with: through
// the policy, past any proxy, and never on to where a redirect points, which
// would be given the credentials.
func NewHTTPClient(policy *netguard.Policy) *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            policy.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  20 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return fault.New(fault.Unavailable, "the provider's API answered with a redirect, which is not followed")
		},
	}
}

// Pause waits, or returns ctx's error when that ends first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
