package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// Where the world's registries are found.
const (
	ianaBootstrap = "https://data.iana.org/rdap/dns.json"
	ianaWHOIS     = "whois.iana.org:43"
)

const (
	maxAnswer     = 512 << 10 // bytes of one answer
	maxBootstrap  = 4 << 20
	askTimeout    = 15 * time.Second // of one question
	bootstrapLife = 24 * time.Hour
	keepFor       = time.Hour // an answer
	maxKept       = 10_000
)

// Options of a Client.
type Options struct {
	Bootstrap string // URL of the bootstrap file of domains; "": IANA's
	WHOIS     string // host:port of the server that refers to others; "": IANA's, "-": none
	// Policy says which addresses may be asked: servers of registries are found
	// through files and answers of others. nil: public addresses only.
	Policy *netguard.Policy
	Now    func() time.Time // nil: time.Now
}

// Client asks registries. Its methods may be called from any goroutine.
type Client struct {
	options Options
	http    *http.Client

	mu        sync.Mutex
	servers   bootstrap
	serversAt time.Time
	kept      map[string]kept
}

type kept struct {
	state State
	err   error
	at    time.Time
}

// New returns a client. It asks nobody before the first Lookup.
func New(o Options) *Client {
	if o.Bootstrap == "" {
		o.Bootstrap = ianaBootstrap
	}
	if o.WHOIS == "" {
		o.WHOIS = ianaWHOIS
	}
	if o.Policy == nil {
		o.Policy = &netguard.Policy{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{options: o, kept: map[string]kept{}, http: &http.Client{
		Timeout: askTimeout,
		Transport: &http.Transport{
			Proxy: nil, DialContext: o.Policy.DialContext, TLSHandshakeTimeout: 5 * time.Second,
			MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("it redirects without end")
			}
			if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
				return errors.New("it redirects away from TLS")
			}
			return nil
		},
	}}
}

// Lookup returns what the registry holds of a name that Asked has returned.
// Errors: NotFound when nobody has registered it; Unavailable when no server
// could tell, with RetryAfter where one said so.
func (c *Client) Lookup(ctx context.Context, name string) (State, error) {
	c.mu.Lock()
	if k, ok := c.kept[name]; ok && c.options.Now().Sub(k.at) < keepFor {
		c.mu.Unlock()
		return k.state, k.err
	}
	c.mu.Unlock()
	state, err := c.ask(ctx, name)
	if ctx.Err() == nil {
		c.mu.Lock()
		if len(c.kept) >= maxKept {
			clear(c.kept)
		}
		c.kept[name] = kept{state, err, c.options.Now()}
		c.mu.Unlock()
	}
	return state, err
}

func (c *Client) ask(ctx context.Context, name string) (State, error) {
	servers, err := c.bootstrap(ctx)
	trouble := err
	var after time.Duration
	if err == nil {
		for _, base := range servers.servers(name) {
			state, err := c.rdap(ctx, base, name)
			if err == nil || fault.Is(err, fault.NotFound) {
				return state, err
			}
			var f *fault.Error
			if errors.As(err, &f) {
				after = max(after, f.RetryAfter)
			}
			trouble = err
		}
	}
	state, err := c.whois(ctx, name)
	if err == nil || fault.Is(err, fault.NotFound) {
		return state, err
	}
	if trouble == nil {
		trouble = err
	}
	failed := fault.New(fault.Unavailable, "the registry of %s could not be asked: %w", name, trouble)
	failed.RetryAfter = after
	return State{}, failed
}

// bootstrap returns the table of RDAP servers, the old one while a new one
// cannot be had.
func (c *Client) bootstrap(ctx context.Context) (bootstrap, error) {
	c.mu.Lock()
	have, at := c.servers, c.serversAt
	c.mu.Unlock()
	if !at.IsZero() && c.options.Now().Sub(at) < bootstrapLife {
		return have, nil
	}
	body, _, err := c.get(ctx, c.options.Bootstrap, "application/json", maxBootstrap)
	var fresh bootstrap
	if err == nil {
		err = json.Unmarshal(body, &fresh)
	}
	if err == nil && len(fresh.Services) == 0 {
		err = errors.New("the list of RDAP servers is empty")
	}
	if err != nil {
		if len(have.Services) > 0 {
			return have, nil
		}
		return have, fmt.Errorf("the list of RDAP servers could not be had: %w", err)
	}
	c.mu.Lock()
	c.servers, c.serversAt = fresh, c.options.Now()
	c.mu.Unlock()
	return fresh, nil
}

func (c *Client) rdap(ctx context.Context, base, name string) (State, error) {
	address := strings.TrimSuffix(base, "/") + "/domain/" + name
	body, status, err := c.get(ctx, address, "application/rdap+json, application/json;q=0.8", maxAnswer)
	if status == http.StatusNotFound {
		return State{}, unregisteredName(name)
	}
	if err != nil {
		return State{}, err
	}
	state, err := parseRDAP(name, body)
	if err != nil {
		return State{}, err
	}
	state.Server = base
	return state, nil
}

func unregisteredName(name string) error {
	return fault.New(fault.NotFound, "the registry says that nobody has registered %s", name).About("domain " + name)
}

// get returns a body within limit and the status; any status but 200 is an error.
func (c *Client) get(ctx context.Context, address, accept string, limit int64) ([]byte, int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "Edgewright-Registry/1")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		refused := fault.New(fault.Unavailable, "%s answered %d", request.URL.Host, response.StatusCode)
		if seconds, err := time.ParseDuration(response.Header.Get("Retry-After") + "s"); err == nil {
			refused.RetryAfter = min(max(seconds, 0), 24*time.Hour)
		}
		return nil, response.StatusCode, refused
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("the answer of %s is larger than %d bytes", request.URL.Host, limit)
	}
	return body, response.StatusCode, err
}

// whois asks the server that the root of WHOIS refers to.
func (c *Client) whois(ctx context.Context, name string) (State, error) {
	if c.options.WHOIS == "-" {
		return State{}, errors.New("its ending has no RDAP server")
	}
	ending := name[strings.LastIndexByte(name, '.')+1:]
	body, err := c.exchange(ctx, c.options.WHOIS, ending)
	if err != nil {
		return State{}, err
	}
	server := referral(body)
	if server == "" {
		return State{}, fmt.Errorf("names that end in %s have neither RDAP nor WHOIS", ending)
	}
	address := server
	if !strings.Contains(server, ":") {
		address = net.JoinHostPort(server, "43")
	}
	if body, err = c.exchange(ctx, address, name); err != nil {
		return State{}, err
	}
	state, registered, err := parseWHOIS(name, body)
	switch {
	case err != nil:
		return State{}, fmt.Errorf("%s: %w", server, err)
	case !registered:
		return State{}, unregisteredName(name)
	}
	state.Server = server
	return state, nil
}

// exchange sends one line and reads to the end (RFC 3912).
func (c *Client) exchange(ctx context.Context, address, line string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := c.options.Policy.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(conn, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer of %s is larger than %d bytes", address, maxAnswer)
	}
	return body, err
}
