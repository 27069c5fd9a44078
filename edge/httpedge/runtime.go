package httpedge

import (
	"github.com/edgewright/edgewright/edge/balance"
	"github.com/edgewright/edgewright/edge/cache"
	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edge/telemetry"
)

// Runtime is the configuration in force. It is immutable, and its methods
// allocate nothing.
type Runtime interface {
	// Site returns the site of a normalised host name, nil when it is unknown.
	Site(host string) *Site
	// Covers reports whether the certificate that serverName gets is valid for
	// host too.
	Covers(serverName, host string) bool
	// Challenge returns the key authorization of an ACME HTTP-01 challenge.
	Challenge(host, token string) (string, bool)
	// Revision returns the revision of a document in force; of one that was
	// deleted, that of its tombstone.
	Revision(key string) (revision int64, ok bool)
	// HTTPSPort is the port that redirects point to, "" for 443.
	HTTPSPort() string
}

// Site is one site, compiled for the request path. It is immutable.
type Site struct {
	ID            string
	Revision      int64
	RedirectHTTPS bool
	HSTS          []string // the Strict-Transport-Security field, nil for none
	MaxBody       int64    // bytes of a request body; 0: no bound
	Pool          *balance.Pool
	Rules         *cache.Rules
	Counters      *telemetry.Site
	TLS           certs.Policy
}
