package cache

import (
	"strconv"
	"time"
)

// The reasons for which a request was forwarded (RFC 9211 section 2.2).
const (
	fwdNone     = ""
	fwdBypass   = "bypass"
	fwdMethod   = "method"
	fwdURIMiss  = "uri-miss"
	fwdVaryMiss = "vary-miss"
	fwdRequest  = "request"
	fwdStale    = "stale"
)

// cacheStatus is this cache's member of the Cache-Status field (RFC 9211).
type cacheStatus struct {
	name      string // as a structured string or token, ready to send
	forwarded string // fwd; "" for a hit
	status    int    // fwd-status; 0 when it is the response's or nothing came
	ttl       time.Duration
	hasTTL    bool
	stored    bool
	collapsed bool
	detail    string // a token
}

// append appends the member, after those of caches nearer to the origin.
func (s *cacheStatus) append(b []byte, upstream string) []byte {
	if upstream != "" {
		b = append(b, upstream...)
		b = append(b, ", "...)
	}
	b = append(b, s.name...)
	if s.forwarded == fwdNone {
		b = append(b, "; hit"...)
	} else {
		b = append(b, "; fwd="...)
		b = append(b, s.forwarded...)
	}
	if s.status != 0 {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(s.status), 10)
	}
	if s.hasTTL {
		b = append(b, "; ttl="...)
		b = strconv.AppendInt(b, int64(s.ttl/time.Second), 10)
	}
	if s.stored {
		b = append(b, "; stored"...)
	}
	if s.collapsed {
		b = append(b, "; collapsed"...)
	}
	if s.detail != "" {
		b = append(b, "; detail="...)
		b = append(b, s.detail...)
	}
	return b
}

// appendStatus appends the Cache-Status value of an answer from the entry as it
// is stored.
func (r *Result) appendStatus(b []byte, upstream string) []byte {
	s := cacheStatus{name: r.cache.statusName, ttl: r.Entry.remaining(r.rule, r.now), hasTTL: true}
	return s.append(b, upstream)
}

// statusName makes a cache's name fit for Cache-Status: a token as it is, else
// a string with what may not stand in one left out.
func statusName(name string) string {
	if isToken(name) && (name[0] >= 'a' && name[0] <= 'z' || name[0] >= 'A' && name[0] <= 'Z' || name[0] == '*') {
		return name
	}
	b := []byte{'"'}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20 && c <= 0x7e:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
