package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// Identity is who an edge is and whom it trusts. It is kept in identity.json
// (mode 0600) in the edge's directory.
type Identity struct {
	Edge          string   `json:"edge"` // "edge_...", "" before it has joined
	Region        string   `json:"region"`
	Name          string   `json:"name,omitempty"`
	Simulated     bool     `json:"simulated,omitempty"`
	BusURL        string   `json:"bus_url"`
	BusRootPEM    string   `json:"bus_root"`
	BusServerName string   `json:"bus_server_name"`
	BusJWT        string   `json:"bus_jwt"`
	TrustKeys     [][]byte `json:"trust_keys"`

	BusSeed []byte `json:"bus_seed"` // the edge's NKey seed
	Sealing []byte `json:"sealing"`  // secrets.Identity.Marshal
}

const identityName = "identity.json"

// Secrets opens what is sealed to this edge.
func (i *Identity) Secrets() (*secrets.Identity, error) { return secrets.ParseIdentity(i.Sealing) }

// newIdentity makes the keys of an edge that has not joined.
func newIdentity() (*Identity, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, err
	}
	sealing, err := secrets.GenerateIdentity()
	if err != nil {
		return nil, err
	}
	return &Identity{BusSeed: seed, Sealing: sealing.Marshal()}, nil
}

// LoadIdentity reads the identity saved in dir. Errors: NotFound when this
// directory has not joined, Invalid when the file cannot be understood,
// Unavailable when it cannot be read.
func LoadIdentity(dir string) (*Identity, error) {
	i, err := readIdentity(dir)
	if err == nil && i.Edge == "" {
		return nil, notJoined(dir)
	}
	return i, err
}

func notJoined(dir string) error {
	return fault.New(fault.NotFound, "this edge has not joined (%s): make a token with `edgewright edges join-token` and start it with --join and --token", dir)
}

func readIdentity(dir string) (*Identity, error) {
	data, err := os.ReadFile(filepath.Join(dir, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notJoined(dir)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the edge's identity cannot be read: %w", err)
	}
	return parseIdentity(data)
}

func parseIdentity(data []byte) (*Identity, error) {
	var i Identity
	if err := json.Unmarshal(data, &i); err != nil {
		return nil, fault.New(fault.Invalid, "the edge's identity file is damaged: remove it and join again: %w", err)
	}
	if _, err := nkeys.FromSeed(i.BusSeed); err != nil {
		return nil, fault.New(fault.Invalid, "the edge's identity file is damaged: remove it and join again: %w", err)
	}
	if _, err := i.Secrets(); err != nil {
		return nil, fault.New(fault.Invalid, "the edge's identity file is damaged: remove it and join again: %w", err)
	}
	return &i, nil
}

// save writes the identity, all or nothing.
func (i *Identity) save(dir string) error {
	if dir == "" {
		return nil
	}
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, identityName), data); err != nil {
		return fault.New(fault.Unavailable, "the edge's identity cannot be kept: %w", err)
	}
	return nil
}

// writeFile replaces a file by one rename, on disk when it returns.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		os.Remove(path + ".new")
		return err
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()
		d.Close()
	}
	return nil
}

// JoinOptions say how an edge joins.
type JoinOptions struct {
	Dir       string // where the identity is kept; "" keeps it in memory
	Region    string
	Name      string
	Version   string
	Simulated bool

	// Join carries the request to the control plane: an HTTPJoiner's Join, or
	// the fleet's JoinLocal in the same process.
	Join func(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error)
	// Token is the one-time join token. "" joins in the same process, which is
	// repeated at each start: the saved keys stay, the rest is brought up to date.
	Token string
}

// Join returns the identity saved in Dir, or joins: it makes keys, keeps them,
// asks, and keeps the answer. A join whose answer got lost may be repeated with
// the same token. Errors: those of Join, Unavailable when Dir cannot be written.
func Join(ctx context.Context, o JoinOptions) (*Identity, error) {
	var i *Identity
	var err error
	if o.Dir != "" {
		i, err = readIdentity(o.Dir)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if i != nil && i.Edge != "" && o.Token != "" {
			return i, nil
		}
	}
	if i == nil {
		if i, err = newIdentity(); err != nil {
			return nil, err
		}
		if err := i.save(o.Dir); err != nil {
			return nil, err
		}
	}
	request, err := i.request(o)
	if err != nil {
		return nil, err
	}
	reply, err := o.Join(ctx, request)
	if err != nil {
		return nil, err
	}
	if reply.Edge == "" || reply.BusJWT == "" || len(reply.TrustKeys) == 0 {
		return nil, fault.New(fault.Unavailable, "the control plane's answer to the join is not complete: is that an Edgewright control plane?")
	}
	i.Edge, i.Region, i.Name, i.Simulated = reply.Edge, reply.Region, reply.Name, o.Simulated
	i.BusURL, i.BusRootPEM, i.BusServerName, i.BusJWT = reply.BusURL, reply.BusRootPEM, reply.BusServerName, reply.BusJWT
	i.TrustKeys = reply.TrustKeys
	return i, i.save(o.Dir)
}

func (i *Identity) request(o JoinOptions) (edgeconfig.JoinRequest, error) {
	user, err := nkeys.FromSeed(i.BusSeed)
	if err != nil {
		return edgeconfig.JoinRequest{}, err
	}
	key, err := user.PublicKey()
	if err != nil {
		return edgeconfig.JoinRequest{}, err
	}
	sealing, err := i.Secrets()
	if err != nil {
		return edgeconfig.JoinRequest{}, err
	}
	return edgeconfig.JoinRequest{
		Token: o.Token, Region: o.Region, Name: o.Name, BusKey: key, SealingKey: sealing.Public(),
		Version: o.Version, Simulated: o.Simulated,
	}, nil
}

// JoinPath is where the API takes join requests.
const JoinPath = "/api/v1/infrastructure/edges/join"

// joinTimeout bounds one join request over HTTP.
const joinTimeout = 30 * time.Second

// maxJoinReply bounds an answer, in bytes.
const maxJoinReply = 1 << 20

// HTTPJoiner posts join requests to a control plane's API.
type HTTPJoiner struct {
	URL    string       // base URL of the API, "https://control.example.net:7070"
	Client *http.Client // nil: http.DefaultClient
}

// Join posts r. A bus URL without a host is that of the API. Errors: what the
// API answers; Unavailable when it cannot be reached.
func (j HTTPJoiner) Join(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error) {
	var reply edgeconfig.JoinReply
	base, err := url.Parse(strings.TrimRight(j.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return reply, fault.New(fault.Invalid, "%q is no URL of a control plane: give it as https://host:7070", j.URL)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return reply, err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base.String()+JoinPath, bytes.NewReader(body))
	if err != nil {
		return reply, err
	}
	request.Header.Set("Content-Type", "application/json")
	client := j.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if errors.Is(err, http.ErrSchemeMismatch) {
		return reply, fault.New(fault.Invalid, "the control plane at %s speaks HTTP in clear, in which the token could be read on its way: give it an address that speaks HTTPS, or join with --join http://%s where nobody can listen", base, base.Host)
	}
	if err != nil {
		return reply, fault.New(fault.Unavailable, "the control plane at %s cannot be reached: %w", base, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxJoinReply))
	if err != nil {
		return reply, fault.New(fault.Unavailable, "the control plane's answer broke off: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return reply, refusal(base, response.StatusCode, data)
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return reply, fault.New(fault.Unavailable, "the control plane's answer is not understood: is %s an Edgewright control plane? %w", base, err)
	}
	reply.BusURL = fillHost(reply.BusURL, base.Hostname())
	return reply, nil
}

// refusal turns an API problem (RFC 9457) into a fault.
func refusal(base *url.URL, status int, data []byte) error {
	var problem struct {
		Code   fault.Code `json:"code"`
		Title  string     `json:"title"`
		Detail string     `json:"detail"`
	}
	if json.Unmarshal(data, &problem) != nil || problem.Code == "" {
		if base.Scheme == "http" && status == http.StatusBadRequest && bytes.Contains(data, []byte("HTTP request to an HTTPS server")) {
			return fault.New(fault.Invalid, "the control plane at %s speaks HTTPS: join with --join https://%s, and with --root-ca FILE when its certificate is of the local CA", base, base.Host)
		}
		return fault.New(fault.Unavailable, "%s refused the join with status %d, and not as an Edgewright control plane would: is it the address of the API, like https://control.example.net:7070?", base, status)
	}
	if problem.Detail == "" {
		problem.Detail = problem.Title
	}
	return fault.New(problem.Code, "%s", problem.Detail)
}

// fillHost completes a bus URL that leaves its host open.
func fillHost(bus, host string) string {
	u, err := url.Parse(bus)
	if err != nil || u.Hostname() != "" || u.Port() == "" {
		return bus
	}
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}
