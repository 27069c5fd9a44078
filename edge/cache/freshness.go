package cache

import (
	"net/http"
	"time"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

// errorTTL bounds how long negative answers are kept where an attacker might
// have shaped them: 5xx with explicit freshness, 404 and 410 by a rule's TTL.
const errorTTL = 60 * time.Second

// meta is what is known of one stored response besides its content. It is
// immutable; a validation makes another one for the same content.
type meta struct {
	status int
	block  block // without Content-Length and Age
	vary   []varied
	names  []string // the fields of vary

	etag         string
	lastModified string
	modified     int64 // lastModified in Unix seconds, 0 when absent or malformed
	date         int64 // Unix seconds

	responseTime int64 // Unix nanoseconds
	initialAge   int64 // nanoseconds: corrected_initial_age
	lifetime     int64 // seconds; what the response says of a shared cache

	noCache         bool // validate before each use
	mustRevalidate  bool // must-revalidate or proxy-revalidate: never stale
	sharedLifetime  bool // s-maxage: not stale by a client's wish
	immutable       bool
	whileRevalidate int64 // seconds
	ifError         int64 // seconds
}

// age is current_age (RFC 9111 section 4.2.3).
func (m *meta) age(now int64) time.Duration {
	return time.Duration(m.initialAge + max(0, now-m.responseTime))
}

// remaining is how long the response stays fresh under a rule; not above zero
// means stale.
func (m *meta) remaining(rule *Rule, now int64) time.Duration {
	if ttl, overrides := m.override(rule); overrides {
		return ttl - time.Duration(max(0, now-m.responseTime))
	}
	return time.Duration(m.lifetime)*time.Second - m.age(now)
}

// override is the TTL that a rule puts in the place of the response's own. It
// counts from when the edge got the response, whatever its Age.
func (m *meta) override(rule *Rule) (time.Duration, bool) {
	if rule.action != edgeconfig.CacheOverride {
		return 0, false
	}
	switch {
	case m.status < 400:
		return rule.edgeTTL, true
	case m.status == http.StatusNotFound, m.status == http.StatusGone:
		return min(rule.edgeTTL, errorTTL), true
	}
	return 0, false
}

// validate reports whether the response says that it must be validated before
// each use, and no rule says otherwise.
func (m *meta) validate(rule *Rule) bool {
	if _, overrides := m.override(rule); overrides {
		return false
	}
	return m.noCache
}

// hasValidator reports whether the origin can be asked if it has changed.
func (m *meta) hasValidator() bool { return m.etag != "" || m.lastModified != "" }

// staleAfterError reports whether the response may stand in for an origin that
// fails (RFC 5861 section 4), asked for by the response or by the request.
func (m *meta) staleAfterError(rule *Rule, cc *requestControl, now int64) bool {
	if m.validate(rule) || m.mustRevalidate {
		return false
	}
	stale := -m.remaining(rule, now)
	return stale < time.Duration(m.ifError)*time.Second ||
		!m.sharedLifetime && cc.staleIfError != absent && stale < time.Duration(cc.staleIfError)*time.Second
}

// use decides how a stored response serves a request (RFC 9111 sections 4 and
// 5.2.1). byRequest tells that the request's directives, not age, ask for
// validation.
func (m *meta) use(rule *Rule, cc *requestControl, now int64) (o Outcome, byRequest bool) {
	if m.validate(rule) {
		return Revalidate, false
	}
	if cc.noCache {
		return Revalidate, true
	}
	remaining := m.remaining(rule, now)
	// RFC 8246: while fresh, a reload's max-age=0 need not reach the origin.
	unchanging := m.immutable && remaining > 0
	if cc.maxAge != absent && !unchanging && m.age(now) > time.Duration(cc.maxAge)*time.Second {
		return Revalidate, true
	}
	if cc.minFresh != absent && remaining < time.Duration(cc.minFresh)*time.Second {
		return Revalidate, true
	}
	if remaining > 0 {
		return Hit, false
	}
	if m.mustRevalidate {
		return Revalidate, false
	}
	if cc.maxAge != absent && cc.maxStale == absent {
		return Revalidate, false // such a client does not want a stale response
	}
	stale := -remaining
	if stale < time.Duration(m.whileRevalidate)*time.Second {
		return Stale, false
	}
	if !m.sharedLifetime && cc.maxStale != absent && stale <= time.Duration(cc.maxStale)*time.Second {
		return Stale, false
	}
	return Revalidate, false
}

// received is one response from the origin with what is needed to judge it.
type received struct {
	status       int
	header       http.Header
	closeDelim   bool // its content ends with the connection
	trailers     bool
	requestTime  time.Time
	responseTime time.Time
}

func receive(r *http.Response, requestTime, responseTime time.Time) *received {
	chunked := len(r.TransferEncoding) > 0
	return &received{
		status: r.StatusCode, header: r.Header,
		closeDelim:  r.ProtoMajor == 1 && r.ContentLength < 0 && !chunked && !r.Uncompressed,
		trailers:    len(r.Trailer) > 0,
		requestTime: requestTime, responseTime: responseTime,
	}
}

// initialAge is corrected_initial_age (RFC 9111 section 4.2.3).
func (r *received) initialAge(date time.Time) time.Duration {
	apparent := max(0, r.responseTime.Sub(date)).Truncate(time.Second)
	corrected := time.Duration(parseAge(r.header["Age"]))*time.Second + max(0, r.responseTime.Sub(r.requestTime))
	return max(apparent, corrected)
}

// explicitly is freshness that a response states: s-maxage before max-age
// before Expires (RFC 9111 section 4.2.1).
func explicitly(cc *responseControl, header http.Header, targeted bool, date, now time.Time) (seconds int64, ok bool) {
	switch {
	case cc.sMaxage != absent:
		return cc.sMaxage, true
	case cc.maxAge != absent:
		return cc.maxAge, true
	case targeted: // RFC 9213 section 2.2: Expires is ignored
		return 0, false
	}
	lines := header["Expires"]
	if len(lines) == 0 {
		return 0, false
	}
	// RFC 9111 section 5.3: what is no date, "0" above all, is in the past.
	expires, valid := parseDate(lines[0], now)
	if !valid {
		return 0, true
	}
	return max(0, int64(expires.Sub(date)/time.Second)), true
}

// heuristically is a tenth of the time since the response was last modified,
// bounded (RFC 9111 section 4.2.2).
func heuristically(modified, date time.Time, bound time.Duration) int64 {
	if modified.IsZero() || !modified.Before(date) {
		return 0
	}
	return int64(min(date.Sub(modified)/10, bound) / time.Second)
}

// cacheableByDefault are the statuses that may be stored and given a heuristic
// lifetime without a word about it (RFC 9110 section 15.1).
func cacheableByDefault(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// understood are the statuses whose caching this cache implements, for
// must-understand (RFC 9111 section 5.2.2.3).
func understood(status int) bool {
	switch status {
	case 302, 303, 307, 451, 500, 502, 503, 504:
		return true
	}
	return cacheableByDefault(status)
}

// shapedByOthers are statuses that depend on request fields outside the key;
// storing them would let one client spoil the URL for all.
func shapedByOthers(status int) bool {
	switch status {
	case 400, 401, 403, 407, 408, 413, 415, 416, 417, 421, 425, 426, 428, 429, 431:
		return true
	}
	return false
}

// asker is what of a request matters to whether its response may be stored.
type asker struct {
	view    *request.View
	rule    *Rule
	control requestControl
}
