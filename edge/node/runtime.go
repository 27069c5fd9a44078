package node

import (
	"context"
	"net"
	"time"

	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/request/hosts"
)

// runtime is the configuration in force: immutable, found by an atomic pointer,
// kept by a request to its end. It implements httpedge.Runtime.
type runtime struct {
	sites      *hosts.Table[*httpedge.Site]
	certs      *certs.Table
	revisions  *hosts.Table[int64]             // by document key
	challenges map[challengeName]challengeText // few, and copied with every change of them
	proofs     map[string]proof                // by host: the challenge that TLS-ALPN-01 is answered with
	siteCount  int
	httpsPort  string
	now        func() time.Time
}

type challengeName struct{ host, token string }

type challengeText struct {
	answer  string
	expires int64 // Unix seconds
}

func (r *runtime) Site(host string) *httpedge.Site {
	site, _ := r.sites.Lookup(host)
	return site
}

func (r *runtime) Covers(serverName, host string) bool {
	return r.certs.Covers(serverName, host, r.now())
}

func (r *runtime) Challenge(host, token string) (string, bool) {
	c, ok := r.challenges[challengeName{host, token}]
	if !ok || r.now().Unix() >= c.expires {
		return "", false
	}
	return c.answer, true
}

func (r *runtime) Revision(key string) (int64, bool) { return r.revisions.Exact(key) }

func (r *runtime) HTTPSPort() string { return r.httpsPort }

// dial connects to an origin under the policy in force.
func (n *Node) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return n.policy.Load().DialContext(ctx, network, address)
}
