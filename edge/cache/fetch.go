package cache

import (
	"context"
	"hash/maphash"
	"io"
	"net/http"
	"strings"

	"github.com/edgewright/edgewright/edge/request"
)

// maxAttempts is how often a request waits for others before it goes alone.
const maxAttempts = 3

// Fetch answers a request that Lookup has seen: from what is stored, or by
// asking the origin. The view must not be recycled: a fill may look at it after
// Fetch has returned. The error is the origin's, or the context's when the
// client went first; a response that the cache can give in its place (RFC 5861)
// has been given. Outcome of res tells nothing new afterwards; the Response's
// does.
func (c *Cache) Fetch(ctx context.Context, siteID string, v *request.View, res *Result, origin Origin) (*Response, error) {
	switch {
	case res.Outcome == Bypass:
		return c.pass(ctx, siteID, v, res, origin)
	case res.Entry != nil && res.Entry.gone():
		res.Entry, res.Outcome, res.forwarded = nil, Miss, fwdURIMiss
	case res.Outcome == Hit:
		return c.answerStored(v, res, res.Entry, cacheStatus{})
	case res.Outcome == Stale:
		c.validateBehind(ctx, siteID, v, res, origin)
		return c.answerStored(v, res, res.Entry, cacheStatus{})
	}
	if res.control.onlyIfCached {
		return c.notCached(), nil
	}
	for attempt := 0; ; attempt++ {
		f, e, leader := c.join(c.siteFor(siteID), v, res, origin, attempt)
		switch {
		case e != nil:
			return c.answerStored(v, res, e, cacheStatus{collapsed: attempt > 0})
		case f == nil && res.detail != "":
			return c.passAsIs(ctx, res, origin)
		case f == nil: // the site was purged meanwhile: begin with its new state
			continue
		case leader:
			f.start(ctx)
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			f.leave(leader)
			return nil, ctx.Err()
		}
		res.now = c.options.Now().UnixNano()
		resp, done, err := c.take(ctx, f, leader, v, res)
		if done {
			return resp, err
		}
		res.Outcome, res.forwarded = Miss, fwdURIMiss
	}
}

// join finds the fill that a request waits for, or begins one that it leads,
// or finds that the answer has been stored since the look-up.
func (c *Cache) join(s *site, v *request.View, res *Result, origin Origin, attempt int) (f *fill, e *Entry, leader bool) {
	key, uriLength := buildKey(v, res.rule)
	byRequest := res.forwarded == fwdRequest
	solo := attempt >= maxAttempts || v.Method != "GET" || res.control.noStore || byRequest ||
		len(v.Header.Values("Authorization")) > 0 || c.solo.has(res.hash, res.now)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead.Load() {
		return nil, nil, false
	}
	res.Entry = nil
	var known []string
	if stored := s.find(res.hash, []byte(key)); stored != nil {
		known = stored.varies()
		if res.Entry = stored.choose(v, res.rule); res.Entry != nil {
			if outcome, _ := res.Entry.use(res.rule, &res.control, res.now); outcome == Hit {
				res.Outcome = Hit
				res.Entry.noteUse()
				return nil, res.Entry, false
			}
			if !byRequest {
				res.Outcome, res.forwarded = Revalidate, fwdStale
			}
		}
	}
	uri := maphash.String(c.seed, key[:uriLength])
	if !solo {
		for _, f := range s.fills[uri] {
			if f.key == key && f.admits(v, res) {
				return f, nil, false
			}
		}
	}
	if res.detail = c.asIs(v, res); res.detail != "" {
		res.Outcome = Miss
		return nil, nil, false
	}
	f = &fill{
		cache: c, site: s, key: key, hash: res.hash, uri: uri, origin: origin, stored: res.Entry, solo: solo,
		asker: asker{view: v, rule: res.rule, control: res.control},
		vary:  varyOf(known, v, res.rule), ready: make(chan struct{}), users: 1,
	}
	s.register(f)
	return f, nil, true
}

// asIs says why a request with preconditions or ranges had better be sent on
// with them than turned into a fill of the whole; "" when it should not. Without
// anything stored, and without hope that what comes can be, asking for the whole
// only to answer 304 or a part would make the origin work for nothing.
func (c *Cache) asIs(v *request.View, res *Result) string {
	switch {
	case res.Entry != nil || res.wants == 0:
		return ""
	case res.wants&wantsRange != 0 && !fromStart(v.Header.Values("Range")):
		return "range"
	case c.solo.has(res.hash, res.now):
		return "not-shared"
	case res.control.noStore:
		return whyRequest
	case len(v.Header.Values("Authorization")) > 0:
		return whyAuthorization
	}
	return ""
}

// buildKey returns the key and how much of it is the URI's.
func buildKey(v *request.View, rule *Rule) (string, int) {
	key := appendURI(make([]byte, 0, keySpace), v.Scheme, v.Authority, v.Path, v.Query, rule)
	n := len(key)
	return string(appendKeyed(key, v, rule)), n
}

// farAhead is how much of the content a range may wait for.
const farAhead = 1 << 20

// admits counts a request among the fill's users when its response may answer
// it. The site's lock is held.
func (f *fill) admits(v *request.View, res *Result) bool {
	if f.solo || f.outdated.Load() || !matches(f.vary, v, res.rule) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done || f.tail != nil {
		return false
	}
	headed := false
	select {
	case <-f.ready:
		headed = true
		if f.kind != streaming || !matches(f.meta.vary, v, res.rule) {
			return false
		}
	default:
	}
	if res.wants&wantsRange != 0 && !fromStart(v.Header.Values("Range")) {
		if !headed || f.expected < 0 {
			return false
		}
		ranges, verdict := parseRange(v.Header.Values("Range"), f.expected)
		if verdict == rangeSatisfiable && (len(ranges) > 1 || ranges[0].start > f.written+farAhead) {
			return false
		}
	}
	f.users++
	return true
}

// take turns a settled fill into the answer of one of its users. done is false
// when the request has to ask anew.
func (c *Cache) take(ctx context.Context, f *fill, leader bool, v *request.View, res *Result) (resp *Response, done bool, err error) {
	if !leader && f.outdated.Load() {
		f.leave(leader)
		return nil, false, nil
	}
	status := cacheStatus{forwarded: res.forwarded, status: f.status, collapsed: !leader}
	switch f.kind {
	case failed, erring:
		f.leave(leader)
		if e := res.Entry; e != nil && !e.gone() && e.staleAfterError(res.rule, &res.control, res.now) {
			res.Outcome = Stale
			status.forwarded, status.detail = fwdStale, "stale-if-error"
			resp, err = c.answerStored(v, res, e, status)
			return resp, true, err
		}
		return nil, f.kind == failed, f.err
	case private:
		if leader {
			resp, err = c.answerPrivate(ctx, f, v, res, status)
			return resp, true, err
		}
	case validated:
		if leader || f.why == "" && !f.fresh.gone() && usable(f.fresh.meta, v, res) {
			res.Outcome = Revalidate
			status.stored = f.why == ""
			resp, err = c.answerUpdated(f, leader, v, res, status)
			f.leave(leader)
			return resp, true, err
		}
	case streaming:
		if leader || usable(f.meta, v, res) {
			res.Outcome = Miss
			status.stored, status.detail = f.why == "", f.why
			resp, err = c.answerStreaming(ctx, f, leader, v, res, status)
			if err == nil || leader {
				return resp, true, err
			}
			return nil, false, nil // the user has been taken out
		}
	}
	f.leave(leader)
	return nil, false, nil
}

// usable reports whether a response that another request caused answers this
// one (RFC 9111 section 4).
func usable(m *meta, v *request.View, res *Result) bool {
	if !matches(m.vary, v, res.rule) {
		return false
	}
	outcome, _ := m.use(res.rule, &res.control, res.now)
	return outcome == Hit || outcome == Stale
}

// validateBehind starts a background validation of a stale response, unless one
// is under way, the last one failed a moment ago, or too many are.
func (c *Cache) validateBehind(ctx context.Context, siteID string, v *request.View, res *Result, origin Origin) {
	if res.Entry.retryAt.Load() > res.now {
		return
	}
	select {
	case c.background <- struct{}{}:
	default:
		return
	}
	if f := c.joinBehind(c.site(siteID), v, res, origin); f != nil {
		f.start(ctx)
	} else {
		<-c.background
	}
}

func (c *Cache) joinBehind(s *site, v *request.View, res *Result, origin Origin) *fill {
	if s == nil {
		return nil
	}
	key, uriLength := buildKey(v, res.rule)
	uri := maphash.String(c.seed, key[:uriLength])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s != res.Entry.site || res.Entry.gone() {
		return nil
	}
	for _, f := range s.fills[uri] {
		if f.key == key && !f.outdated.Load() && matches(f.vary, v, res.rule) {
			return nil
		}
	}
	f := &fill{
		cache: c, site: s, key: key, hash: res.hash, uri: uri, origin: origin, stored: res.Entry,
		solo: v.Method != "GET", background: true,
		asker: asker{view: v, rule: res.rule, control: requestControl{maxAge: absent, minFresh: absent, maxStale: absent, staleIfError: absent}},
		vary:  varyOf(res.Entry.names, v, res.rule), ready: make(chan struct{}),
	}
	s.register(f)
	return f
}

// pass sends a request on that the cache takes no part in, and invalidates what
// an unsafe method changed.
func (c *Cache) pass(ctx context.Context, siteID string, v *request.View, res *Result, origin Origin) (*Response, error) {
	resp, err := origin(ctx, nil) //nolint:bodyclose // the Response carries it on
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		stripHopByHop(resp.Header)
	}
	if res.unsafe && resp.StatusCode >= 200 && resp.StatusCode < 400 {
		c.invalidate(siteID, v, res.rule, resp.Header)
	}
	status := cacheStatus{name: c.statusName, forwarded: res.forwarded, detail: res.detail}
	return passed(resp, Bypass, &status), nil
}

// passAsIs sends a request on with its preconditions and ranges. The answer may
// be a part, or nothing but 304, and is not stored.
func (c *Cache) passAsIs(ctx context.Context, res *Result, origin Origin) (*Response, error) {
	resp, err := origin(ctx, nil) //nolint:bodyclose // the Response carries it on
	if err != nil {
		return nil, err
	}
	stripHopByHop(resp.Header)
	status := cacheStatus{name: c.statusName, forwarded: res.forwarded, detail: res.detail}
	return passed(resp, Miss, &status), nil
}

func passed(resp *http.Response, outcome Outcome, status *cacheStatus) *Response {
	body := resp.Body
	if body == nil {
		body = http.NoBody
	}
	resp.Header["Cache-Status"] = []string{string(status.append(nil, joined(resp.Header["Cache-Status"])))}
	return &Response{
		Status: resp.StatusCode, Header: resp.Header, Body: body, ContentLength: resp.ContentLength,
		Outcome: outcome, Upstream: resp,
	}
}

// notCached answers only-if-cached when nothing stored may be used (RFC 9111
// section 5.2.1.7).
func (c *Cache) notCached() *Response {
	const text = "Nothing stored answers this request, and it asks not to go to the origin (only-if-cached).\n"
	return &Response{
		Status: http.StatusGatewayTimeout,
		Header: http.Header{
			"Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {decimal(int64(len(text)))},
			"Cache-Control": {"no-store"}, "Cache-Status": {c.statusName + "; detail=only-if-cached"},
		},
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Outcome: Miss,
	}
}
