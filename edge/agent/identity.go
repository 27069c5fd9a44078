package agent

import (
	"context"
	"net/http"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Identity is who an edge is and whom it trusts. It is kept in identity.json
// (mode 0600) in the edge's directory.
type Identity struct {
	Edge       string   `json:"edge"` // "edge_...", "" before it has joined
	Region     string   `json:"region"`
	Name       string   `json:"name,omitempty"`
	BusURL     string   `json:"bus_url"`
	BusRootPEM string   `json:"bus_root"`
	BusJWT     string   `json:"bus_jwt"`
	TrustKeys  [][]byte `json:"trust_keys"`

	BusSeed []byte `json:"bus_seed"` // the edge's NKey seed
	Sealing []byte `json:"sealing"`  // secrets.Identity.Marshal
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
	Join  func(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error)
	Token string // one-time join token; "" with JoinLocal
}

// Join returns the identity saved in Dir, or joins: it makes keys, keeps them,
// asks, and keeps the answer. A join whose answer got lost may be repeated with
// the same token.
func Join(ctx context.Context, o JoinOptions) (*Identity, error) {
	return nil, fault.New(fault.Unavailable, "the agent is not built in")
}

// LoadIdentity reads the identity saved in dir. Error: NotFound when this
// directory has not joined.
func LoadIdentity(dir string) (*Identity, error) {
	return nil, fault.New(fault.Unavailable, "the agent is not built in")
}

// HTTPJoiner posts join requests to a control plane's API.
type HTTPJoiner struct {
	URL    string // base URL of the API, "https://control.example.net:7070"
	Client *http.Client
}

// Join posts r.
func (j HTTPJoiner) Join(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error) {
	return edgeconfig.JoinReply{}, fault.New(fault.Unavailable, "the agent is not built in")
}

// Leave tells the control plane that this edge goes for good and removes its
// saved identity.
func Leave(ctx context.Context, dir string) error {
	return fault.New(fault.Unavailable, "the agent is not built in")
}
