package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSite = "dom_test"

// world is a cache between scripted clients and a scripted origin.
type world struct {
	t     testing.TB
	cache *Cache
	rules *Rules

	mu     sync.Mutex
	origin func(r *asked) reply // nil: an empty 200
	seen   []*asked
}

// asked is one request as the origin gets it.
type asked struct {
	ctx    context.Context
	number int // from 1
	method string
	path   string
	query  string
	header http.Header
}

// reply is the origin's answer.
type reply struct {
	status  int // 0: 200
	header  []string
	body    string
	reader  io.ReadCloser // in the place of body
	length  int64         // of reader; 0: unknown
	proto10 bool          // delimited by the end of the connection
	trailer http.Header
	err     error
}

// answered is what the client gets.
type answered struct {
	status  int
	header  http.Header
	body    string
	outcome string
	length  int64
	err     error // of Fetch
	cut     error // of the content
}

func newWorld(t testing.TB, o Options, rules ...edgeconfig.CacheRule) *world {
	w := &world{t: t, cache: New(o), rules: CompilePolicy(rules)}
	t.Cleanup(w.cache.Close)
	return w
}

// timed runs a test in a bubble of artificial time.
func timed(t *testing.T, o Options, f func(w *world), rules ...edgeconfig.CacheRule) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, o, rules...)
		f(w)
		w.cache.Close()
	})
}

func fields(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		for l := range strings.SplitSeq(line, "\n") {
			if name, value, ok := strings.Cut(l, ":"); ok {
				h.Add(strings.TrimSpace(name), strings.TrimPrefix(value, " "))
			}
		}
	}
	return h
}

func viewOf(method, target string, lines ...string) *request.View {
	v := &request.View{Method: method, Scheme: "https", Authority: "example.com", ClientIP: "192.0.2.7", Proto: "HTTP/1.1"}
	if rest, ok := strings.CutPrefix(target, "http://"); ok {
		v.Scheme = "http"
		v.Authority, target, _ = strings.Cut(rest, "/")
		target = "/" + target
	}
	v.Path, v.Query, _ = strings.Cut(target, "?")
	h := fields(lines...)
	v.Header = request.Fields(h)
	v.HasBody = h.Get("Content-Length") != "" && h.Get("Content-Length") != "0"
	return v
}

// originFor is how the general lane asks an origin.
func (w *world) originFor(v *request.View, res *Result) Origin {
	return func(ctx context.Context, extra http.Header) (*http.Response, error) {
		header := http.Header{}
		for name, values := range v.Header.(request.Fields) {
			header[name] = values
		}
		ApplyExtra(header, extra)
		w.mu.Lock()
		r := &asked{ctx: ctx, number: len(w.seen) + 1, method: v.Method, path: v.Path, query: res.OriginQuery(v), header: header}
		w.seen = append(w.seen, r)
		script := w.origin
		w.mu.Unlock()
		answer := reply{}
		if script != nil {
			answer = script(r)
		}
		return answer.response(r)
	}
}

func (p reply) response(r *asked) (*http.Response, error) {
	if p.err != nil {
		return nil, p.err
	}
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: p.status, ProtoMajor: 1, ProtoMinor: 1, Header: fields(p.header...), Trailer: p.trailer}
	if p.status == 0 {
		resp.StatusCode = http.StatusOK
	}
	switch {
	case p.reader != nil:
		resp.Body, resp.ContentLength = p.reader, p.length
		if p.length == 0 {
			resp.ContentLength = -1
			if !p.proto10 {
				resp.TransferEncoding = []string{"chunked"}
			}
		}
	case r.method == "HEAD" || resp.StatusCode == 304 || resp.StatusCode == 204:
		resp.Body, resp.ContentLength = http.NoBody, int64(len(p.body))
		if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil {
			resp.ContentLength = n
		}
	default:
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(p.body)), int64(len(p.body))
		if p.proto10 {
			resp.ContentLength = -1
		}
	}
	return resp, nil
}

// asks is the number of requests that the origin got.
func (w *world) asks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

func (w *world) last() *asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[len(w.seen)-1]
}

func (w *world) script(f func(r *asked) reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.origin = f
}

// always makes the origin answer the same each time.
func (w *world) always(p reply) { w.script(func(*asked) reply { return p }) }

// begin sends a request and returns the response before its content is read.
func (w *world) begin(ctx context.Context, v *request.View) (*Response, error) {
	res := w.cache.Lookup(testSite, v, w.rules.Match(v), w.cache.options.Now())
	return w.cache.Fetch(ctx, testSite, v, &res, w.originFor(v, &res))
}

func (w *world) do(v *request.View) answered { return w.doCtx(context.Background(), v) }

func (w *world) doCtx(ctx context.Context, v *request.View) answered {
	resp, err := w.begin(ctx, v)
	if err != nil {
		return answered{err: err}
	}
	body, cut := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		w.t.Errorf("closing the content: %v", err)
	}
	return answered{status: resp.Status, header: resp.Header, body: string(body), outcome: resp.Outcome.String(), length: resp.ContentLength, cut: cut}
}

func (w *world) get(target string, lines ...string) answered {
	return w.do(viewOf("GET", target, lines...))
}

// settled waits until all fills have ended, inside a bubble.
func settled() { synctest.Wait() }

var errOrigin = errors.New("connection refused")

// twice is the commonest test of a cache: one request, then another, and how
// the second one was answered.
type twice struct {
	name   string
	first  string // header lines of the first request
	status int    // of the response to it; 0: 200
	resp   string // its header lines
	wait   time.Duration
	second string // header lines of the second request
	want   string // outcome of the second request
}

// run runs cases. The origin answers 304 to whatever has a precondition.
func runTwice(t *testing.T, o Options, cases []twice, rules ...edgeconfig.CacheRule) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			timed(t, o, func(w *world) {
				w.script(func(r *asked) reply {
					if r.header.Get("If-None-Match")+r.header.Get("If-Modified-Since") != "" {
						return reply{status: 304, header: []string{c.resp}}
					}
					return reply{status: c.status, header: []string{strings.ReplaceAll(c.resp, "<now>", now())}, body: "content " + strconv.Itoa(r.number)}
				})
				first := w.get("/a", c.first)
				if first.err != nil {
					t.Fatalf("first request: %v", first.err)
				}
				settled()
				time.Sleep(c.wait)
				second := w.get("/a", c.second)
				if second.err != nil {
					t.Fatalf("second request: %v", second.err)
				}
				if second.outcome != c.want {
					t.Errorf("outcome %s, want %s; Cache-Status %q, first %q", second.outcome, c.want, second.header["Cache-Status"], first.header["Cache-Status"])
				}
				if c.want == "hit" && second.body != first.body {
					t.Errorf("content %q, want %q", second.body, first.body)
				}
				settled()
			}, rules...)
		})
	}
}

func now() string { return time.Now().UTC().Format(http.TimeFormat) }

func at(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }

const (
	second = time.Second
	minute = time.Minute
	hour   = time.Hour
)
