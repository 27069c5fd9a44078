// Package request holds the small read-only view of a request that every rule,
// cache key and look-up works on. Both lanes build one: the general lane from
// net/http, a later fast lane from its own parser. Nothing below the lanes
// sees *http.Request.
package request

// Headers looks up request header fields. Names are given in canonical form
// ("Accept-Encoding"); look-up must not allocate.
type Headers interface {
	// Get returns the first value, "" when the field is absent.
	Get(name string) string
	// Values returns all values in order; the caller must not change the slice.
	Values(name string) []string
}

// View is one request after parsing and normalisation. It is the single
// normalisation that key, rules, shield and origin share: what is matched is
// what is forwarded.
type View struct {
	Method    string // upper case as received
	Scheme    string // "http" or "https"
	Authority string // lower-case host without port, A-labels, no trailing dot
	Path      string // percent-normalised (RFC 3986 section 6.2.2), dot segments removed, begins with "/"
	Query     string // raw, without "?"
	Header    Headers
	HasBody   bool   // content follows, whatever the method: Content-Length above 0, or a transfer coding
	ClientIP  string // textual address of the peer (or of a trusted PROXY header)
	Proto     string // "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"
}
