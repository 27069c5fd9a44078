package cache

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edge/request"
)

// source is a whole response that answers are made of.
type source struct {
	m     *meta
	shown *rendered
	size  int64 // -1 when unknown
	// open reads the content from off to end, -1 for its end.
	open func(off, end int64) (io.ReadCloser, error)
	// close is called instead of open when the content is not needed.
	close func()
	// several says that open may be called more than once.
	several bool
}

// answerStored answers from an entry.
func (c *Cache) answerStored(v *request.View, res *Result, e *Entry, status cacheStatus) (*Response, error) {
	if !status.hasTTL {
		status.ttl, status.hasTTL = e.remaining(res.rule, res.now), true
	}
	return c.answer(v, res, entrySource(e, res.rule), nil, true, status)
}

func entrySource(e *Entry, rule *Rule) source {
	return source{
		m: e.meta, shown: e.render(rule), size: e.size, several: true, close: func() {},
		open: func(off, end int64) (io.ReadCloser, error) {
			if end < 0 {
				end = e.size
			}
			return e.section(off, end), nil
		},
	}
}

// answerUpdated answers from what a 304 confirmed. Fields of the 304 that are
// not stored go to the leader alone.
func (c *Cache) answerUpdated(f *fill, leader bool, v *request.View, res *Result, status cacheStatus) (*Response, error) {
	status.ttl, status.hasTTL = f.fresh.remaining(res.rule, res.now), true
	own := f.own
	if !leader {
		own = nil
	}
	return c.answer(v, res, entrySource(f.fresh, res.rule), own, true, status)
}

// answerStreaming answers from a response that is still coming. It takes over
// the caller's place among the fill's users.
func (c *Cache) answerStreaming(ctx context.Context, f *fill, leader bool, v *request.View, res *Result, status cacheStatus) (*Response, error) {
	status.ttl, status.hasTTL = f.meta.remaining(res.rule, res.now), status.stored
	src := source{
		m: f.meta, shown: renderHeader(f.meta, res.rule, f.expected), size: f.expected,
		close: func() { f.leave(leader) },
		open: func(off, end int64) (io.ReadCloser, error) {
			r, err := f.attach(ctx, leader, off, end)
			if err != nil {
				f.leave(leader)
				return nil, err
			}
			return r, nil
		},
	}
	own := f.own
	if !leader {
		own = nil
	}
	return c.answer(v, res, src, own, !leader, status)
}

// answer makes the response to a request out of a whole one: 304, 206, 416 or
// all of it. aged sets Age (RFC 9111 section 4: for every use without
// validation); a first use passes on what the origin said, which is in own.
func (c *Cache) answer(v *request.View, res *Result, src source, own http.Header, aged bool, status cacheStatus) (*Response, error) {
	age := src.m.age(res.now)
	resp := &Response{Status: src.m.status, Outcome: res.Outcome, Age: age, Header: headerOf(src.shown.block.fields), ContentLength: src.size}
	if aged {
		resp.Header["Age"] = []string{decimal(int64(age / time.Second))}
	}
	if src.shown.control != "" {
		shownAge := int64(0)
		if aged || own["Age"] != nil {
			shownAge = int64(age / time.Second)
		}
		resp.Header["Cache-Control"] = []string{src.shown.control + decimal(browserAge(res.rule, shownAge))}
	}
	for name, values := range own {
		resp.Header[name] = values
	}
	status.name = c.statusName
	resp.Header["Cache-Status"] = []string{string(status.append(nil, src.shown.upstream))}

	off, end := int64(0), int64(-1)
	switch {
	case src.m.unmodified(res.wants, v):
		notModified(resp)
	case res.wants&wantsRange != 0 && src.m.status == http.StatusOK && src.size >= 0 && src.m.rangeApplies(v):
		ranges, verdict := parseRange(v.Header.Values("Range"), src.size)
		switch {
		case verdict == rangeUnsatisfiable:
			unsatisfiable(resp, src.size)
		case verdict == rangeSatisfiable && len(ranges) == 1:
			off, end = ranges[0].start, ranges[0].start+ranges[0].length
			partial(resp, ranges[0], src.size)
		case verdict == rangeSatisfiable && src.several:
			return c.answerParts(resp, ranges, src)
		}
	}
	if v.Method == "HEAD" || !bodyAllowed(resp.Status) || resp.Status == http.StatusRequestedRangeNotSatisfiable {
		src.close()
		resp.Body = http.NoBody
		if v.Method != "HEAD" {
			resp.ContentLength = 0
		}
		return resp, nil
	}
	body, err := src.open(off, end)
	if err != nil {
		return nil, err
	}
	resp.Body = body
	return resp, nil
}

// notModified makes a 304 (RFC 9110 section 15.4.5): fields that describe the
// content go, but for those that help to update the client's copy.
func notModified(resp *Response) {
	resp.Status, resp.ContentLength = http.StatusNotModified, 0
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range"} {
		delete(resp.Header, name)
	}
	if resp.Header["Etag"] != nil {
		delete(resp.Header, "Last-Modified")
	}
}

// unsatisfiable makes a 416 (RFC 9110 section 15.5.17).
func unsatisfiable(resp *Response, size int64) {
	h := http.Header{"Content-Range": {"bytes */" + decimal(size)}, "Content-Length": {"0"}}
	for _, name := range []string{"Date", "Age", "Cache-Status"} {
		if values := resp.Header[name]; values != nil {
			h[name] = values
		}
	}
	resp.Status, resp.Header, resp.ContentLength = http.StatusRequestedRangeNotSatisfiable, h, 0
}

// partial makes a 206 with one range (RFC 9110 section 15.3.7).
func partial(resp *Response, r byteRange, size int64) {
	resp.Status, resp.ContentLength = http.StatusPartialContent, r.length
	resp.Header["Content-Range"] = []string{contentRange(r, size)}
	resp.Header["Content-Length"] = []string{decimal(r.length)}
}

// answerParts makes a 206 with several ranges.
func (c *Cache) answerParts(resp *Response, ranges []byteRange, src source) (*Response, error) {
	p := newParts(ranges, resp.Header.Get("Content-Type"), src.size)
	resp.Status, resp.ContentLength = http.StatusPartialContent, p.length
	resp.Header["Content-Type"] = []string{"multipart/byteranges; boundary=" + p.boundary}
	resp.Header["Content-Length"] = []string{decimal(p.length)}
	delete(resp.Header, "Content-Range")
	bodies := make([]io.ReadCloser, 0, len(ranges))
	for _, r := range ranges {
		body, err := src.open(r.start, r.start+r.length)
		if err != nil {
			for _, b := range bodies {
				b.Close()
			}
			return nil, err
		}
		bodies = append(bodies, body)
	}
	resp.Body = p.open(bodies)
	return resp, nil
}

// answerPrivate hands the origin's response to the request that caused it.
func (c *Cache) answerPrivate(ctx context.Context, f *fill, v *request.View, res *Result, status cacheStatus) (*Response, error) {
	f.mu.Lock()
	upstream := f.upstream
	f.claimed = true
	f.mu.Unlock()
	if upstream == nil {
		f.leave(true)
		return nil, errCut
	}
	status.name, status.detail = c.statusName, f.why
	resp := passed(upstream, Miss, &status)
	resp.Age = f.meta.age(res.now)
	if upstream.StatusCode == http.StatusOK && f.meta.unmodified(res.wants, v) {
		// The origin was asked for the whole without the client's conditions.
		notModified(resp)
		upstream.Body.Close()
		f.cancel()
		f.leave(true)
		resp.Body, resp.Upstream = http.NoBody, nil
		return resp, nil
	}
	cutToRange(resp, f.meta, v, res)
	body := &privateBody{ReadCloser: resp.Body, f: f}
	body.stop = context.AfterFunc(ctx, f.cancel)
	resp.Body = body
	return resp, nil
}

// cutToRange makes a 206 out of the whole response to a request whose range was
// left out, when the range begins near the start. A player that probes for
// ranges with the first bytes of a large file needs to see that it gets them.
func cutToRange(resp *Response, m *meta, v *request.View, res *Result) {
	size := resp.ContentLength
	if res.wants&wantsRange == 0 || resp.Status != http.StatusOK || size < 0 || !m.rangeApplies(v) {
		return
	}
	ranges, verdict := parseRange(v.Header.Values("Range"), size)
	if verdict != rangeSatisfiable || len(ranges) > 1 || ranges[0].start > farAhead {
		return
	}
	partial(resp, ranges[0], size)
	resp.Body = &cutBody{ReadCloser: resp.Body, skip: ranges[0].start, left: ranges[0].length}
	resp.Upstream = nil
}

// cutBody is one range of a content that can only be read from its start.
type cutBody struct {
	io.ReadCloser
	skip, left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.skip > 0 {
		n, err := io.CopyN(io.Discard, b.ReadCloser, b.skip)
		b.skip -= n
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// privateBody ends its fill when it is closed.
type privateBody struct {
	io.ReadCloser
	f    *fill
	stop func() bool
	once sync.Once
}

func (b *privateBody) Close() (err error) {
	b.once.Do(func() {
		b.stop()
		err = b.ReadCloser.Close()
		b.f.cancel()
		b.f.leave(true)
	})
	return err
}
