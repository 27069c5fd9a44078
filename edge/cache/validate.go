package cache

import (
	"net/http"
	"slices"
)

// extra is what a fill changes in the request that is sent on: the client's own
// preconditions and ranges go, since the whole current response is wanted,
// validators of what is stored come (RFC 9111 section 4.3.1), Accept-Encoding
// is what the key says, and under an overriding rule only keyed cookies go.
func (f *fill) extra(stored *Entry) http.Header {
	h := http.Header{
		"If-None-Match": nil, "If-Modified-Since": nil, "If-Range": nil, "Range": nil,
		"Accept-Encoding": nil,
	}
	view := f.asker.view
	if accepted := acceptedCodings(view.Header.Values("Accept-Encoding")).String(); accepted != "" {
		h["Accept-Encoding"] = []string{accepted}
	}
	if f.asker.rule.stripsCookies() {
		h["Cookie"] = nil
		if cookies := appendCookies(nil, view.Header.Values("Cookie"), f.asker.rule.cookies); len(cookies) > 0 {
			h["Cookie"] = []string{string(cookies[1:])}
		}
	}
	if stored != nil {
		if stored.etag != "" {
			h["If-None-Match"] = []string{stored.etag}
		}
		if stored.lastModified != "" {
			h["If-Modified-Since"] = []string{stored.lastModified}
		}
	}
	return h
}

// confirms reports whether a 304 is about the stored response (RFC 9111 section
// 4.3.4): its validators, where it has any, are those that are stored.
func (f *fill) confirms(resp *http.Response) bool {
	if !f.stored.hasValidator() {
		return false
	}
	if lines := resp.Header["Etag"]; len(lines) > 0 {
		return weakEqual(entityTag(lines), f.stored.etag)
	}
	if lines := resp.Header["Last-Modified"]; len(lines) > 0 {
		t, ok := parseDate(lines[0], f.cache.options.Now())
		return ok && t.Unix() == f.stored.modified
	}
	return true
}

// confirm brings the stored response up to date with a 304 (RFC 9111 section
// 4.3.4) and answers everyone who waits with it.
func (f *fill) confirm(r *received) {
	e, why := f.update(r)
	f.fresh, f.why = e, why
	f.own = http.Header{}
	cc, _ := f.cache.control(r.header)
	for _, name := range append(append(slices.Clone(cc.privateFields), cc.noCacheFields...), "Set-Cookie") {
		if values := r.header[name]; len(values) > 0 {
			f.own[name] = values
		}
	}
	if why == "" && !e.useNow(f.asker.rule) {
		f.avoidWaiting()
	}
	f.settle(validated, nil)
	f.finish(nil, nil)
}

// notUpdated are the fields of a 304 that leave the stored ones alone (RFC 9111
// section 3.2): they describe the stored content, which did not change, or
// concern one client only.
func notUpdated(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Set-Cookie":
		return true
	}
	return false
}

// update makes the entry that a confirmation leads to and stores it in the
// place of the old one. why is not empty when it could not be stored; the entry
// then answers the request that caused it.
func (f *fill) update(r *received) (*Entry, string) {
	old := f.stored
	merged := headerOf(old.block.fields)
	delete(merged, "Date")
	for name, values := range r.header {
		if !notUpdated(name) {
			merged[name] = values
		}
	}
	m, why := f.cache.judge(&f.asker, &received{status: old.status, header: merged, requestTime: r.requestTime, responseTime: r.responseTime})
	e := &Entry{meta: m, content: old.content, size: old.size, site: f.site, hash: f.hash}
	if why != "" {
		if why != whyRequest {
			f.remove(old)
		}
		return e, why
	}
	f.site.mu.Lock()
	removed, ok := f.site.insert(e, f, f.cache.options.MaxVariants)
	f.site.mu.Unlock()
	if !ok {
		return e, whyPurged
	}
	evicted(f.cache.policy.replace(removed, old, e))
	return e, ""
}

// supersede deals with what is stored when the origin answers with a response
// that is not stored in its place.
func (f *fill) supersede(resp *http.Response, r *received, why string) {
	switch {
	case f.stored == nil:
	case f.asker.view.Method == "HEAD" && resp.StatusCode == http.StatusOK:
		// RFC 9111 section 4.3.5: a HEAD tells whether the stored GET is current.
		if f.sameRepresentation(resp) {
			f.update(r)
		} else {
			f.remove(f.stored)
		}
	case why == whyPrivate, why == whyAuthorization, why == whySetCookie, why == whyRequest:
		// About this client; it says nothing of what others get.
	case resp.StatusCode < 400 && resp.StatusCode != http.StatusPartialContent, resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone:
		f.remove(f.stored)
	}
}

// sameRepresentation compares a HEAD's validators and length with the stored
// response's.
func (f *fill) sameRepresentation(resp *http.Response) bool {
	h := resp.Header
	if h.Get("Etag") != "" && !weakEqual(entityTag(h["Etag"]), f.stored.etag) {
		return false
	}
	if h.Get("Last-Modified") != "" && h.Get("Last-Modified") != f.stored.lastModified {
		return false
	}
	return resp.ContentLength < 0 || h.Get("Content-Length") == "" || resp.ContentLength == f.stored.size
}

// remove drops an entry that is known to be out of date.
func (f *fill) remove(e *Entry) {
	e.dead.Store(true)
	if e.resource != nil {
		f.site.drop([]*Entry{e})
	}
	f.cache.policy.remove(e)
}
