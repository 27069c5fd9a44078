package cache

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
	"unsafe"
)

// Entry is one stored, complete response. What it says never changes; a
// validation replaces it with another entry for the same content.
type Entry struct {
	*meta
	content Content
	size    int64

	site     *site
	resource *resource
	hash     uint64 // of the key

	dead      atomic.Bool  // purged or invalidated: not used for any further request
	retryAt   atomic.Int64 // Unix nanoseconds before which no background validation starts
	rendered  atomic.Pointer[rendered]
	changing  atomic.Pointer[changing]
	residence residence
}

// entryOverhead is what an entry costs beside key, header and content: the
// structures themselves, measured by TestAccountingIsHonest.
const entryOverhead = int64(unsafe.Sizeof(Entry{})+unsafe.Sizeof(meta{})+unsafe.Sizeof(resource{})+unsafe.Sizeof(rendered{})+unsafe.Sizeof(memoryContent{})) + 320

// cost is the memory that the entry accounts for, in bytes.
func (e *Entry) cost() int64 {
	n := entryOverhead + e.content.Cost() + int64(len(e.resource.key)) + 2*e.block.cost()
	for _, f := range e.vary {
		n += int64(len(f.value)) + int64(unsafe.Sizeof(f))
	}
	return n
}

// gone reports whether a purge or an invalidation covers the entry.
func (e *Entry) gone() bool { return e.dead.Load() || e.site.dead.Load() }

// Status is the stored status code.
func (e *Entry) Status() int { return e.status }

// Size is the length of the content in bytes.
func (e *Entry) Size() int64 { return e.size }

// Content is the content in chunks, for a lane that writes them itself. Such a
// lane calls Pin before it keeps chunks beyond the current event, and Unpin
// afterwards, so that memory held by slow clients is accounted for.
func (e *Entry) Content() Content { return e.content }

// WriteTo writes the content, chunk by chunk.
func (e *Entry) WriteTo(w io.Writer) (int64, error) {
	e.Pin()
	defer e.Unpin()
	return writeContent(w, e.content, 0, e.size)
}

// Open returns the content as a Response's Body.
func (e *Entry) Open() io.ReadCloser { return e.section(0, e.size) }

// rendered is the header of an entry under one rule, with Content-Length.
type rendered struct {
	browserTTL int64
	block      block
	control    string // with a browser TTL: Cache-Control up to max-age's number
	upstream   string // Cache-Status of caches before this one
}

// render returns the header under a rule. It allocates only when the rule's
// browser TTL is not the one the entry was last rendered for.
func (e *Entry) render(rule *Rule) *rendered {
	if r := e.rendered.Load(); r != nil && r.browserTTL == rule.browserTTL {
		return r
	}
	r := renderHeader(e.meta, rule, e.size)
	e.rendered.Store(r)
	return r
}

// renderHeader makes the header that is sent; size is below 0 when unknown.
func renderHeader(m *meta, rule *Rule, size int64) *rendered {
	r := &rendered{browserTTL: rule.browserTTL}
	fields := make([]Field, 0, len(m.block.fields)+1)
	for _, f := range m.block.fields {
		if f.Name == "Cache-Status" {
			r.upstream = joined(f.Values)
			continue
		}
		fields = append(fields, f)
	}
	if rule.browserTTL != noBrowserTTL {
		fields, r.control = browserFields(fields)
	}
	if size >= 0 && bodyAllowed(m.status) {
		fields = append(fields, Field{"Content-Length", []string{decimal(size)}})
	}
	r.block = newBlock(fields)
	return r
}

// changing holds the field values that depend on the second of the answer, so
// that a hot entry makes them once a second and not once a request.
type changing struct {
	second  int64
	rule    *Rule
	outcome Outcome
	age     []string
	status  []string
	control []string
}

// varying returns the changing fields of a direct answer.
func (r *Result) varying() *changing {
	e := r.Entry
	second := int64(e.age(r.now) / time.Second)
	if c := e.changing.Load(); c != nil && c.second == second && c.rule == r.rule && c.outcome == r.Outcome {
		return c
	}
	shown := e.render(r.rule)
	c := &changing{second: second, rule: r.rule, outcome: r.Outcome, age: []string{decimal(second)}}
	c.status = []string{string(r.appendStatus(nil, shown.upstream))}
	if shown.control != "" {
		c.control = []string{shown.control + decimal(browserAge(r.rule, second))}
	}
	e.changing.Store(c)
	return c
}

// browserAge is the max-age that leaves a browser the rule's TTL: its freshness
// is counted from the response's Age (RFC 9111 section 4.2.3), so that is added.
func browserAge(rule *Rule, age int64) int64 {
	if rule.browserTTL == 0 {
		return 0
	}
	return rule.browserTTL + age
}

// SetHeader puts the header of a direct hit into h, values shared.
func (r *Result) SetHeader(h http.Header) {
	shown := r.Entry.render(r.rule)
	for i := range shown.block.fields {
		h[shown.block.fields[i].Name] = shown.block.fields[i].Values
	}
	c := r.varying()
	h["Age"] = c.age
	h["Cache-Status"] = c.status
	if c.control != nil {
		h["Cache-Control"] = c.control
	}
}

// HeaderBlock is the part of a direct hit's header that stays the same, as
// HTTP/1.1 lines with CRLF, Content-Length included, without status line. The
// caller must not change it.
func (r *Result) HeaderBlock() []byte { return r.Entry.render(r.rule).block.text }

// AppendVarying appends the lines of a direct hit's header that depend on time:
// Age, Cache-Status, and Cache-Control under a browser TTL.
func (r *Result) AppendVarying(b []byte) []byte {
	c := r.varying()
	b = appendField(b, "Age", c.age[0])
	b = appendField(b, "Cache-Status", c.status[0])
	if c.control != nil {
		b = appendField(b, "Cache-Control", c.control[0])
	}
	return b
}

func joined(values []string) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	}
	s := values[0]
	for _, v := range values[1:] {
		s += ", " + v
	}
	return s
}

// bodyAllowed reports whether a response of that status has content (RFC 9110
// section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
