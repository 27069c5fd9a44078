package edgeconfig

// Site is everything an edge needs to answer for one domain: which hosts it
// is, where its origin is, how it is cached. One domain is one site.
type Site struct {
	ID          string   `json:"id"` // the domain's ID
	Project     string   `json:"project_id"`
	Environment string   `json:"environment"`
	Hosts       []string `json:"hosts"` // lower-case A-labels, no trailing dot; "*.example.com" matches one label

	RedirectHTTPS bool  `json:"redirect_https"` // 308 from http to https
	HSTS          *HSTS `json:"hsts,omitempty"`
	TLS           *TLS  `json:"tls,omitempty"` // nil: intermediate, from 1.2

	Pool       Pool        `json:"pool"`
	CacheRules []CacheRule `json:"cache_rules,omitempty"` // first match wins
	Limits     Limits      `json:"limits"`
}

// HSTS is the Strict-Transport-Security header (RFC 6797).
type HSTS struct {
	MaxAge            int  `json:"max_age"` // seconds
	IncludeSubdomains bool `json:"include_subdomains,omitempty"`
	Preload           bool `json:"preload,omitempty"`
}

// TLS is what a site asks of the TLS of its clients over TCP; HTTP/3 is 1.3
// always.
type TLS struct {
	Policy     string `json:"policy,omitempty"`      // PolicyModern or PolicyIntermediate; "": intermediate
	MinVersion string `json:"min_version,omitempty"` // "1.2" or "1.3"; "": what the policy allows
}

// The policies, after Mozilla's of the same names: modern is TLS 1.3 alone,
// intermediate adds 1.2 with AEAD ciphers and forward secrecy.
const (
	PolicyModern       = "modern"
	PolicyIntermediate = "intermediate"
)

// Pool is an ordered set of origins that can stand in for one another. An
// empty pool is invalid: a site that shall serve nothing is deleted.
type Pool struct {
	ID      string   `json:"id"` // stable: connections and health are kept by it across changes
	Origins []Origin `json:"origins"`

	ConnectTimeoutMS  int `json:"connect_timeout_ms"`  // to connect and finish TLS
	ResponseTimeoutMS int `json:"response_timeout_ms"` // until response headers
	IdleTimeoutMS     int `json:"idle_timeout_ms"`     // between two reads of a body; 0: none (SSE)
}

// Origin is one upstream server.
type Origin struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	URL        string `json:"url"`                   // http or https, host[:port], no path, query or user
	HostHeader string `json:"host_header,omitempty"` // "": the client's host
	ServerName string `json:"server_name,omitempty"` // TLS SNI and verification; "": the URL's host
	HTTP2      string `json:"http2,omitempty"`       // "": by ALPN; "prior_knowledge": h2c (gRPC without TLS)
	SkipVerify bool   `json:"skip_verify,omitempty"` // accept any origin certificate
	RootCAPEM  string `json:"root_ca_pem,omitempty"` // verify against these instead of the system's
}

// CacheAction says what a matched rule does.
type CacheAction string

// The cache actions.
const (
	CacheByHeaders CacheAction = ""       // what the response's headers say (RFC 9111), within the rule's key
	CacheOverride  CacheAction = "cache"  // cache what RFC 9111 lets a shared cache store, for EdgeTTL
	CacheBypass    CacheAction = "bypass" // never look up, never store
)

// CacheRule is the cache policy of the requests it matches.
type CacheRule struct {
	ID         string      `json:"id"`
	Pattern    string      `json:"pattern"` // glob on the normalised path: "*" any run within a segment, "**" any run, "?" one character
	Action     CacheAction `json:"action,omitempty"`
	EdgeTTL    int         `json:"edge_ttl,omitempty"`    // seconds; with CacheOverride
	BrowserTTL *int        `json:"browser_ttl,omitempty"` // seconds; rewrites Cache-Control's max-age to clients; nil leaves it
	Key        CacheKey    `json:"cache_key"`
}

// CacheKey says which parts of a request beyond scheme, authority and path
// distinguish stored responses.
type CacheKey struct {
	Query   QueryKey `json:"query,omitempty"` // zero: the whole query
	Headers []string `json:"headers,omitempty"`
	Cookies []string `json:"cookies,omitempty"`
}

// QueryKey selects query parameters for the key. What is left out of the key
// is left out of the origin request too, so that the key holds everything
// forwarded that may change the answer.
type QueryKey struct {
	Mode  string   `json:"mode,omitempty"`  // "" or "all", "none", "include", "exclude"
	Names []string `json:"names,omitempty"` // for include and exclude
}

// Limits bounds what one request may ask of the edge.
type Limits struct {
	MaxBodyBytes int64 `json:"max_body_bytes"` // request body; 0: no bound
}

// Certificate is one certificate with its key, sealed so that only edges that
// hold the named group key can read it.
type Certificate struct {
	ID          string   `json:"id"`
	Names       []string `json:"names"` // DNS names and IP addresses it is valid for
	ChainPEM    string   `json:"chain_pem"`
	KeyGroup    string   `json:"key_group"`   // which group key seals KeySealed
	KeySealed   []byte   `json:"key_sealed"`  // secrets.SealFor(group key, PKCS#8 DER, context Certificate.ID)
	Fingerprint string   `json:"fingerprint"` // lower-case hex SHA-256 of the leaf
	NotAfter    int64    `json:"not_after"`   // Unix seconds
	// OCSPStaple is the CA's signed word that the leaf is good (RFC 6960), in DER,
	// checked by the control plane; empty when there is none.
	OCSPStaple []byte `json:"ocsp_staple,omitempty"`
}

// Challenge is one ACME answer, served by every edge: for HTTP-01 (RFC 8555
// section 8.3) on port 80 at /.well-known/acme-challenge/Token of Host, for
// TLS-ALPN-01 (RFC 8737) in handshakes for Host that offer acme-tls/1 alone.
type Challenge struct {
	Host             string `json:"host"`
	Token            string `json:"token"`
	KeyAuthorization string `json:"key_authorization"`
	ExpiresAt        int64  `json:"expires_at"` // Unix seconds; not served after
}

// Keys gives one edge the group keys it may hold, each sealed to the edge's own
// public key.
type Keys struct {
	Edge   string            `json:"edge"`
	Groups map[string][]byte `json:"groups"` // group -> secrets.SealTo(edge public key, KeyContext(edge, group), group key)
}

// KeyContext is the context that an edge's copy of a group key is sealed under.
func KeyContext(edge, group string) string { return "group-key/" + edge + "/" + group }

// Handshake is what all edges share so that a TLS session begun with one goes on
// with another. Sealed with a group key; see TicketChain for Tickets.
type Handshake struct {
	KeyGroup string   `json:"key_group"`     // which group key seals what follows
	Hour     int64    `json:"hour"`          // the chain's, in hours since 1970
	Tickets  []byte   `json:"tickets"`       // secrets.SealFor(group key, HandshakeContext, the chain's secret)
	ECH      []ECHKey `json:"ech,omitempty"` // newest first; the first is published
}

// ECHKey is one key for Encrypted Client Hello (RFC 9849).
type ECHKey struct {
	Config    []byte `json:"config"`     // a marshalled ECHConfig
	KeySealed []byte `json:"key_sealed"` // secrets.SealFor(group key, HandshakeContext, X25519 private key)
}

// HandshakeContext is the context that the secrets of a Handshake are sealed
// under.
const HandshakeContext = "handshake"

// Platform is what holds for every site of the platform.
type Platform struct {
	Domain string `json:"domain,omitempty"` // free subdomains live below it
	// OriginRanges lists CIDR ranges that origins may live in although they are
	// loopback, private or link-local. "0.0.0.0/0" and "::/0" allow all.
	OriginRanges []string `json:"origin_ranges,omitempty"`
	HTTPSPort    int      `json:"https_port"`             // where redirects point; 443 is left out of URLs
	NameServers  []string `json:"name_servers,omitempty"` // hosts at which DNS over HTTPS is answered too
	Regions      []Region `json:"regions,omitempty"`      // where edges are: DNS answers are steered by it
}

// Region is where the edges of a region are, in degrees.
type Region struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// EdgeSettings is what the control plane wants of one edge as a whole.
type EdgeSettings struct {
	Edge      string   `json:"edge"`
	Draining  bool     `json:"draining,omitempty"` // send clients elsewhere
	TrustKeys [][]byte `json:"trust_keys"`         // Ed25519 public keys that sign documents, newest first
}
