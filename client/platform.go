package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Ready returns nil when the control plane can serve, or why it cannot.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/readyz", accept: "*/*"}, nil)
	return err
}

// OpenAPI returns the control plane's OpenAPI 3.1 document.
func (c *Client) OpenAPI(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/openapi.json"}, &out)
	return out, err
}

// maxRootBytes bounds the local CA's PEM.
const maxRootBytes = 64 << 10

// TrustRoot returns the root certificate of the control plane's local CA, in
// PEM. Needs no token.
func (c *Client) TrustRoot(ctx context.Context) ([]byte, error) {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: "/api/v1/trust/root.pem", accept: "application/x-pem-file, */*"})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	pem, err := io.ReadAll(io.LimitReader(resp.Body, maxRootBytes+1))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the root certificate could not be read: %w", err)
	}
	if len(pem) > maxRootBytes {
		return nil, fault.New(fault.TooLarge, "the root certificate is over %d bytes", maxRootBytes)
	}
	return pem, nil
}

// Backup streams a backup of the whole control plane to w, consistent while it
// runs. Secrets stay sealed under the master key, which is not part of it. A
// backup cut short is an error. Only for owners.
func (c *Client) Backup(ctx context.Context, w io.Writer) (int64, error) {
	resp, err := c.send(ctx, call{method: http.MethodGet, path: "/api/v1/backup", accept: "*/*"})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return n, fault.New(fault.Unavailable, "the backup was cut short after %d bytes; run it again: %w", n, err)
	}
	return n, nil
}

// TrafficQuery selects a window of traffic.
type TrafficQuery struct {
	Window time.Duration // 0: one hour
	Step   time.Duration // 0: one minute
	Domain string        // "": all
}

// Traffic is what edges counted in a window.
type Traffic struct {
	Window int64          `json:"window"` // seconds
	Step   int64          `json:"step"`   // seconds; may be larger than asked
	Series []TrafficPoint `json:"series"`
	Totals TrafficTotals  `json:"totals"`
}

// TrafficPoint is one step of a window.
type TrafficPoint struct {
	At time.Time `json:"at"` // beginning of the step
	TrafficTotals
}

// TrafficTotals are sums over some time.
type TrafficTotals struct {
	Requests     int64            `json:"requests"`
	Hits         int64            `json:"hits"`
	Bytes        int64            `json:"bytes"` // to clients, headers left out
	OriginBytes  int64            `json:"origin_bytes"`
	Errors       int64            `json:"errors"` // responses of 500 and above
	OriginErrors int64            `json:"origin_errors"`
	Status       map[string]int64 `json:"status"`             // by class: "2xx"
	Cache        map[string]int64 `json:"cache"`              // by outcome: hit, miss, stale ...
	Handshakes   int64            `json:"handshakes"`         // TLS handshakes completed
	Refused      map[string]int64 `json:"refused_handshakes"` // TLS handshakes that came to nothing, by reason
	P50MS        float64          `json:"p50_ms"`
	P95MS        float64          `json:"p95_ms"`
	P99MS        float64          `json:"p99_ms"`
}

// Traffic returns what was counted.
func (c *Client) Traffic(ctx context.Context, q TrafficQuery) (*Traffic, error) {
	query := c.scoped()
	if q.Window > 0 {
		query.Set("window", strconv.Itoa(int(q.Window/time.Second)))
	}
	if q.Step > 0 {
		query.Set("step", strconv.Itoa(int(q.Step/time.Second)))
	}
	if q.Domain != "" {
		query.Set("domain", q.Domain)
	}
	out := new(Traffic)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: infra + "/traffic", query: query}, out); err != nil {
		return nil, err
	}
	return out, nil
}
