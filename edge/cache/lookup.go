package cache

import (
	"hash/maphash"
	"time"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Result is what Lookup found. It is valid for the request it was made for.
type Result struct {
	Outcome Outcome
	Entry   *Entry // of Hit, Stale and Revalidate
	// Direct says that the stored response is the answer as it is: SetHeader
	// (or HeaderBlock and AppendVarying), then the content unless the request
	// is a HEAD. There are no preconditions or ranges to look at.
	Direct bool

	cache     *Cache
	rule      *Rule
	now       int64 // Unix nanoseconds
	hash      uint64
	forwarded string // why the origin is asked, for Cache-Status
	detail    string
	control   requestControl
	wants     wants
	unsafe    bool // a method that may change things
	passes    bool // Lookup said Bypass
}

// Lookup finds what is stored for a request. It takes no lock, and for a fresh
// hit it does not allocate. A nil rule is the fallback of CompilePolicy.
func (c *Cache) Lookup(siteID string, v *request.View, rule *Rule, now time.Time) Result {
	if rule == nil {
		rule = bare
	}
	r := Result{cache: c, rule: rule, now: now.UnixNano()}
	if r.bypasses(v) {
		r.Outcome, r.passes = Bypass, true
		return r
	}
	r.control = parseRequestControl(v.Header)
	if c.options.IgnoreRequestDirectives {
		r.control = requestControl{noStore: r.control.noStore, onlyIfCached: r.control.onlyIfCached, maxAge: absent, minFresh: absent, maxStale: absent, staleIfError: absent}
	}
	r.wants = wantsOf(v)
	r.forwarded = fwdURIMiss

	var space [keySpace]byte
	key := appendURI(space[:0], v.Scheme, v.Authority, v.Path, v.Query, rule)
	key = appendKeyed(key, v, rule)
	r.hash = maphash.Bytes(c.seed, key)
	s := c.site(siteID)
	if s == nil {
		return r
	}
	stored := s.find(r.hash, key)
	if stored == nil {
		return r
	}
	e := stored.choose(v, rule)
	if e == nil {
		r.forwarded = fwdVaryMiss
		return r
	}
	r.take(e)
	return r
}

// take decides how an entry serves the request.
func (r *Result) take(e *Entry) {
	outcome, byRequest := e.use(r.rule, &r.control, r.now)
	r.Entry, r.Outcome = e, outcome
	switch {
	case outcome == Hit:
		r.Direct = r.wants == 0
		e.noteUse()
	case byRequest:
		r.forwarded = fwdRequest
	default:
		r.forwarded = fwdStale
	}
}

// bypasses tells the requests that the cache takes no part in, and why.
func (r *Result) bypasses(v *request.View) bool {
	switch {
	case v.Method != "GET" && v.Method != "HEAD":
		r.forwarded, r.unsafe = fwdMethod, v.Method != "OPTIONS" && v.Method != "TRACE"
	case r.rule.action == edgeconfig.CacheBypass:
		r.forwarded = fwdBypass
	case v.HasBody:
		r.forwarded, r.detail = fwdBypass, "content"
	case len(v.Header.Values("Upgrade")) > 0:
		r.forwarded, r.detail = fwdBypass, "upgrade"
	case passesThrough(v):
		r.forwarded, r.detail = fwdRequest, "precondition"
	default:
		return false
	}
	return true
}
