package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxHeaderBytes bounds the stored header of one response.
const maxHeaderBytes = 64 << 10

// Why a response is not stored; shown as detail in Cache-Status.
const (
	whyMethod        = "method"
	whyStatus        = "status"
	whyNoStore       = "no-store"
	whyPrivate       = "private"
	whyAuthorization = "authorization"
	whySetCookie     = "set-cookie"
	whyVary          = "vary"
	whyFreshness     = "not-fresh"
	whyDelimited     = "close-delimited"
	whyTrailers      = "trailers"
	whyHeaderSize    = "header-size"
	whyTooLarge      = "too-large"
	whyRequest       = "request-no-store"
	whyPurged        = "purged"
	whyMemory        = "memory"
)

// control reads what a response says about caching: the first usable targeted
// field (RFC 9213 section 2.2), else Surrogate-Control where it is enabled,
// else Cache-Control.
func (c *Cache) control(h http.Header) (cc responseControl, targeted bool) {
	for _, name := range c.options.TargetedFields {
		if lines := h[name]; len(lines) > 0 {
			if cc, ok := parseTargeted(lines); ok {
				return cc, true
			}
		}
	}
	if c.options.SurrogateControl {
		if lines := h["Surrogate-Control"]; len(lines) > 0 {
			if cc := parseSurrogate(lines); cc.present {
				return cc, true
			}
		}
	}
	return parseResponseControl(h["Cache-Control"]), false
}

// parseSurrogate reads Surrogate-Control (Edge Architecture Specification): its
// max-age may carry, after "+", for how long the response may be served stale.
func parseSurrogate(lines []string) responseControl {
	cc := newResponseControl()
	for _, line := range lines {
		s := scanner{line}
		for d, ok := s.next(); ok; d, ok = s.next() {
			if d.id == dMaxAge {
				fresh, stale, _ := strings.Cut(d.value, "+")
				d.value = fresh
				if n, ok := deltaSeconds(stale); ok {
					cc.staleWhileRevalidate = n
				}
			}
			cc.add(&d)
		}
	}
	return cc
}

// judge decides whether a response may be stored (RFC 9111 section 3) and is
// worth it. why says why not, "" when it may be. What is known of the response
// is returned in either case, for the answer to the request that caused it.
func (c *Cache) judge(a *asker, r *received) (m *meta, why string) {
	cc, targeted := c.control(r.header)
	now := r.responseTime
	date, dated := time.Time{}, false
	if lines := r.header["Date"]; len(lines) > 0 {
		date, dated = parseDate(lines[0], now)
	}
	if !dated { // RFC 9110 section 6.6.1
		date = now.UTC().Truncate(time.Second)
	}
	m = &meta{
		status: r.status, date: date.Unix(), responseTime: now.UnixNano(),
		initialAge: int64(r.initialAge(date)),
		noCache:    cc.noCache, immutable: cc.immutable,
		mustRevalidate: cc.mustRevalidate || cc.proxyRevalidate, sharedLifetime: cc.sMaxage != absent,
		whileRevalidate: cc.staleWhileRevalidate, ifError: cc.staleIfError,
		etag: entityTag(r.header["Etag"]),
	}
	var modified time.Time
	if lines := r.header["Last-Modified"]; len(lines) > 0 {
		if t, ok := parseDate(lines[0], now); ok {
			m.lastModified, m.modified, modified = lines[0], t.Unix(), t
		}
	}
	explicit := false
	m.lifetime, explicit = explicitly(&cc, r.header, targeted, date, now)
	switch {
	case explicit && r.status >= 500:
		m.lifetime = min(m.lifetime, int64(errorTTL/time.Second))
	case !explicit && (cacheableByDefault(r.status) || cc.public) && r.status < 500 && len(a.view.Header.Values("Cookie")) == 0:
		m.lifetime = heuristically(modified, date, c.options.MaxHeuristic)
	}
	var varies bool
	m.names, varies = variesOn(r.header)
	m.vary = varyOf(m.names, a.view, a.rule)
	m.block = c.storedBlock(r.header, &cc, date)
	switch _, overridden := m.override(a.rule); {
	case forbidden(a, r, &cc) != "":
		why = forbidden(a, r, &cc)
	case !varies:
		why = whyVary
	case !explicit && !cacheableByDefault(r.status) && !cc.public && !overridden:
		why = whyFreshness
	case !m.useful(a.rule, now.UnixNano()):
		why = whyFreshness
	case len(m.block.text) > maxHeaderBytes:
		why = whyHeaderSize
	}
	return m, why
}

// forbidden says why a response must not be stored, "" when it may.
func forbidden(a *asker, r *received, cc *responseControl) string {
	switch {
	case a.control.noStore:
		return whyRequest
	case r.status < 200, r.status == http.StatusPartialContent, r.status == http.StatusNotModified, shapedByOthers(r.status):
		return whyStatus
	case cc.mustUnderstand && !understood(r.status):
		return whyStatus
	case cc.noStore && !cc.mustUnderstand: // RFC 9111 section 5.2.2.3
		return whyNoStore
	case cc.private:
		return whyPrivate
	case len(a.view.Header.Values("Authorization")) > 0 && !cc.public && cc.sMaxage == absent && !cc.mustRevalidate:
		return whyAuthorization // RFC 9111 section 3.5
	case len(r.header["Set-Cookie"]) > 0 && !slices.Contains(cc.privateFields, "Set-Cookie") && !slices.Contains(cc.noCacheFields, "Set-Cookie"):
		return whySetCookie
	case r.trailers:
		return whyTrailers
	case r.closeDelim:
		return whyDelimited
	}
	return ""
}

// useful reports whether a response can ever be used again: it is fresh, or may
// be stale, or can be validated.
func (m *meta) useful(rule *Rule, now int64) bool {
	if m.hasValidator() {
		return true
	}
	if m.validate(rule) {
		return false
	}
	remaining := m.remaining(rule, now)
	return remaining > 0 || !m.mustRevalidate && -remaining < time.Duration(max(m.whileRevalidate, m.ifError))*time.Second
}

// variesOn are the fields a response varies on. One that comes encoded without
// naming Accept-Encoding is taken to vary on it all the same, so that nobody
// gets a coding that they did not ask for.
func variesOn(h http.Header) ([]string, bool) {
	names, ok := parseVary(h["Vary"])
	if !ok {
		return nil, false
	}
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") && !slices.Contains(names, "Accept-Encoding") {
		names = append(names, "Accept-Encoding")
	}
	return names, true
}

// storedBlock lays out the header that is stored (RFC 9111 section 3.1). The
// header has no hop-by-hop fields any more.
func (c *Cache) storedBlock(h http.Header, cc *responseControl, date time.Time) block {
	fields := fieldList(h, func(name string) bool {
		switch name {
		case "Age", "Content-Length", "Date":
			return true
		case "Surrogate-Control":
			return c.options.SurrogateControl
		}
		return slices.Contains(cc.privateFields, name) || slices.Contains(cc.noCacheFields, name)
	})
	at, _ := slices.BinarySearchFunc(fields, "Date", func(f Field, name string) int { return strings.Compare(f.Name, name) })
	fields = slices.Insert(fields, at, Field{"Date", []string{date.UTC().Format(http.TimeFormat)}})
	return newBlock(fields)
}
