package domains

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// Bounds of fetching a verification file.
const (
	fetchTimeout   = 10 * time.Second // redirects included
	fetchMaxBytes  = 4 << 10
	fetchRedirects = 3
	pageMaxBytes   = 64 << 10 // of a page that is searched
)

// WebFetcher is a Fetcher over HTTP. NewFetcher makes one.
type WebFetcher struct {
	client *http.Client
}

// NewFetcher returns a Fetcher that reaches ports 80 and 443 of what the policy
// allows. Redirects are followed within the registrable domain only: a page
// elsewhere proves nothing about the name.
func NewFetcher(policy *netguard.Policy) *WebFetcher {
	guard := *policy
	guard.Ports = []uint16{80, 443}
	return &WebFetcher{client: &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:       nil, // a proxy would dial for us, past the check
			DialContext: guard.DialContext,
			// The proof counts over plain HTTP too, so a certificate that is not
			// there yet must not stand in the way.
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: true},
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  5 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > fetchRedirects {
				return fault.New(fault.Forbidden, "more than %d redirects: serve the file at its own address", fetchRedirects)
			}
			if err := guard.CheckURL(next.URL); err != nil {
				return err
			}
			if first := via[0].URL.Hostname(); !sameOwner(first, next.URL.Hostname()) {
				return fault.New(fault.Forbidden, "it redirects to %s, which is another domain: serve the file at its own address", next.URL.Hostname())
			}
			return nil
		},
	}}
}

// sameOwner reports whether two hosts lie in one registrable domain.
func sameOwner(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := publicsuffix.EffectiveTLDPlusOne(a)
	y, errY := publicsuffix.EffectiveTLDPlusOne(b)
	return errX == nil && errY == nil && x == y
}

// Fetch implements Fetcher. What a server answers is never part of the error:
// it would show a tenant what only this machine can reach.
func (f *WebFetcher) Fetch(ctx context.Context, address string) ([]byte, error) {
	response, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone {
		return nil, fault.New(fault.NotFound, "the server answered %d, not 200", response.StatusCode)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "the server answered %d, not 200", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, fetchMaxBytes+1))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the answer broke off: %w", err)
	}
	if len(body) > fetchMaxBytes {
		return nil, fault.New(fault.TooLarge, "the answer is larger than %d bytes, so it is not the file", fetchMaxBytes)
	}
	return body, nil
}

func (f *WebFetcher) get(ctx context.Context, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q cannot be fetched: %w", address, err)
	}
	request.Header.Set("User-Agent", "Edgewright-Verification/1")
	request.Header.Set("Accept", "text/plain, */*;q=0.1")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, explain(err)
	}
	return response, nil
}

// Page returns the beginning of what stands at an address, whatever its status.
// It is never shown to anybody.
func (f *WebFetcher) Page(ctx context.Context, address string) ([]byte, error) {
	response, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(io.LimitReader(response.Body, pageMaxBytes))
}

func explain(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return fault.New(fault.Unavailable, "the server did not answer in time")
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fault.New(fault.Unavailable, "cannot connect: %v", op.Err)
	}
	return fault.New(fault.Unavailable, "%s", fmt.Sprintf("the server's answer cannot be used: %v", err))
}
