package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/edge/balance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origin is a server that answers with bytes. It tells the connections apart.
type origin struct {
	ln    net.Listener
	wg    sync.WaitGroup
	conns atomic.Int64
	mu    sync.Mutex
	open  []net.Conn
}

// serve answers every request with what f writes; f returns false to close.
func serve(t *testing.T, f func(c net.Conn, r *http.Request) bool) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{ln: ln}
	o.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.conns.Add(1)
			o.mu.Lock()
			o.open = append(o.open, c)
			o.mu.Unlock()
			o.wg.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					if !f(c, r) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		o.mu.Lock()
		for _, c := range o.open {
			c.Close()
		}
		o.mu.Unlock()
		o.wg.Wait()
	})
	return o
}

func (o *origin) spec() balance.Spec {
	return balance.Spec{Scheme: "http", Address: o.ln.Addr().String(), ConnectTimeout: 5 * time.Second, ResponseTimeout: 20 * time.Second}
}

func transportTo(t *testing.T, spec balance.Spec) balance.Transport {
	t.Helper()
	tr := New(spec, (&net.Dialer{}).DialContext)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func get(ctx context.Context, spec balance.Spec, method, path string) *http.Request {
	r := &http.Request{
		Method: method, URL: &url.URL{Scheme: spec.Scheme, Host: spec.Address, Path: path, RawPath: path}, Host: "shop.test", Header: http.Header{"X-A": {"1", "2"}, "User-Agent": nil},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return r.WithContext(ctx)
}

type result struct {
	Status  int
	Header  http.Header
	Body    string
	Length  int64
	Trailer http.Header
	Err     string
}

func ask(t *testing.T, tr balance.Transport, r *http.Request) (out result) {
	t.Helper()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return result{Err: err.Error()}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	out = result{Status: resp.StatusCode, Header: resp.Header, Body: string(b), Length: resp.ContentLength, Trailer: resp.Trailer}
	if err != nil {
		out.Err = err.Error()
	}
	return out
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name, method, answer string
		want                 result
		reused               bool
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", result{Status: 200, Header: http.Header{"Content-Length": {"5"}, "X": {"y"}}, Body: "hello", Length: 5}, true},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", result{Status: 200, Header: http.Header{"Content-Length": {"0"}}}, true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", result{Status: 200, Header: http.Header{}, Body: "hello world", Length: -1}, true},
		{"trailers", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Late: 2\r\n\r\n", result{Status: 200, Header: http.Header{}, Body: "a", Length: -1, Trailer: http.Header{"X-Sum": {"1"}, "X-Late": {"2"}}}, true},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nall of it", result{Status: 200, Header: http.Header{}, Body: "all of it", Length: -1}, false},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"Connection": {"close"}, "Content-Length": {"2"}}, Body: "ok", Length: 2}, false},
		{"1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"Content-Length": {"2"}}, Body: "ok", Length: 2}, false},
		{"1.0 kept", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"Connection": {"Keep-Alive"}, "Content-Length": {"2"}}, Body: "ok", Length: 2}, true},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", result{Status: 200, Header: http.Header{"Content-Length": {"5"}}, Length: 5}, true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", result{Status: 204, Header: http.Header{}}, true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nEtag: x\r\nContent-Length: 9\r\n\r\n", result{Status: 304, Header: http.Header{"Etag": {"x"}, "Content-Length": {"9"}}, Length: 9}, true},
		{"100 first", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"Content-Length": {"2"}}, Body: "ok", Length: 2}, true},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"Content-Length": {"2"}}, Body: "ok", Length: 2}, true},
		{"bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", result{Status: 200, Header: http.Header{"Content-Length": {"2"}}, Body: "ok", Length: 2}, true},
		{"folded", "GET", "HTTP/1.1 200 OK\r\nX: a\r\n  b\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"X": {"a b"}, "Content-Length": {"2"}}, Body: "ok", Length: 2}, true},
		{"several values", "GET", "HTTP/1.1 200 OK\r\nset-cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", result{Status: 200, Header: http.Header{"Set-Cookie": {"a", "b"}, "Content-Length": {"0"}}}, true},
		{"equal lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"Content-Length": {"2", "2"}}, Body: "ok", Length: 2}, true},
		{"coding and length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", result{Status: 200, Header: http.Header{}, Body: "ok", Length: -1}, false},
		{"long header", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100_000) + "\r\nContent-Length: 2\r\n\r\nok", result{Status: 200, Header: http.Header{"X": {strings.Repeat("x", 100_000)}, "Content-Length": {"2"}}, Body: "ok", Length: 2}, true},

		{"cut", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", result{Status: 200, Header: http.Header{"Content-Length": {"5"}}, Body: "hel", Length: 5, Err: "unexpected EOF"}, false},
		{"cut chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", result{Status: 200, Header: http.Header{}, Body: "hel", Length: -1, Err: "unexpected EOF"}, false},
		{"cut between chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", result{Status: 200, Header: http.Header{}, Body: "hel", Length: -1, Err: "unexpected EOF"}, false},
		{"bad chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nhel\r\n0\r\n\r\n", result{Status: 200, Header: http.Header{}, Length: -1, Err: malformed("the size of a chunk").Error()}, false},
		{"long chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhel\r\n0\r\n\r\n", result{Status: 200, Header: http.Header{}, Body: "h", Length: -1, Err: malformed("a chunk is longer than it said").Error()}, false},
		{"cut head", "GET", "HTTP/1.1 200 OK\r\nContent-Le", result{Err: "unexpected EOF"}, false},
		{"not HTTP", "GET", "SSH-2.0-x\r\n\r\n", result{Err: malformed("its status line").Error()}, false},
		{"bad status", "GET", "HTTP/1.1 2x0 OK\r\n\r\n", result{Err: malformed("its status").Error()}, false},
		{"space in a name", "GET", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", result{Err: malformed("the name of a field").Error()}, false},
		{"differing lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", result{Err: malformed("two lengths that differ").Error()}, false},
		{"bad length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", result{Err: malformed("its length").Error()}, false},
		{"other coding", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", result{Err: malformed("a transfer coding other than chunked").Error()}, false},
		{"coding in 1.0", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", result{Err: malformed("a transfer coding in HTTP/1.0").Error()}, false},
		{"101 unasked", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", result{Err: "the origin switched protocols unasked"}, false},
		{"bare CR", "GET", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", result{Err: malformed("a field with a control character").Error()}, false},
		{"endless head", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300_000), result{Err: "the header of the answer is too large"}, false},
	} {
		for _, size := range []int{1 << 20, 7, 1} { // how the answer is cut into writes
			if size == 1 && len(c.answer) > 1000 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				o := serve(t, func(conn net.Conn, r *http.Request) bool {
					for rest := c.answer; rest != ""; {
						n := min(size, len(rest))
						if _, err := io.WriteString(conn, rest[:n]); err != nil {
							return false
						}
						rest = rest[n:]
					}
					return c.reused
				})
				tr := transportTo(t, o.spec())
				for range 3 {
					got := ask(t, tr, get(t.Context(), o.spec(), c.method, "/"))
					if d := cmp.Diff(c.want, got); d != "" {
						t.Fatalf("(-want +got):\n%s", d)
					}
				}
				if n := o.conns.Load(); c.reused != (n == 1) {
					t.Errorf("three requests took %d connections", n)
				}
			})
		}
	}
}

// TestUnaskedAnswer: what an origin sends beyond its answer is nobody's.
func TestUnaskedAnswer(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for _, later := range []bool{false, true} {
		sent := make(chan struct{}, 3)
		o := serve(t, func(c net.Conn, r *http.Request) bool {
			answer, rest := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", poison
			if !later {
				answer, rest = answer+rest, ""
			}
			_, _ = io.WriteString(c, answer)
			_, _ = io.WriteString(c, rest)
			sent <- struct{}{}
			return true
		})
		tr := transportTo(t, o.spec())
		for range 3 {
			if got := ask(t, tr, get(t.Context(), o.spec(), "GET", "/")); got.Err != "" || got.Body != "ok" {
				t.Errorf("later %v: %+v", later, got)
			}
			<-sent
		}
		if n := o.conns.Load(); n != 3 {
			t.Errorf("later %v: three requests took %d connections", later, n)
		}
	}
}

func TestRequestHead(t *testing.T) {
	heads := make(chan string, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			heads <- string(b[:n])
			_, _ = io.WriteString(c, "HTTP/1.1 204 x\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	}()
	spec := balance.Spec{Scheme: "http", Address: ln.Addr().String()}
	tr := transportTo(t, spec)
	r := get(t.Context(), spec, "POST", "//a%2Fb")
	r.URL.RawQuery = "x=y"
	r.Header = http.Header{"X-A": {"1", "2"}, "User-Agent": nil, "Content-Length": {"99"}, "Transfer-Encoding": {"chunked"}}
	if got := ask(t, tr, r); got.Err != "" {
		t.Fatal(got.Err)
	}
	if got, want := <-heads, "POST //a%2Fb?x=y HTTP/1.1\r\nHost: shop.test\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	r.Header = http.Header{"X": {"a\r\nInjected: b"}}
	if got := ask(t, tr, r); got.Err != errValue.Error() {
		t.Errorf("a line break in a value: %+v", got)
	}
}

func TestInterimResponses(t *testing.T) {
	o := serve(t, func(c net.Conn, r *http.Request) bool {
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return true
	})
	for _, method := range []string{"GET", "POST"} { // direct, and by net/http
		var seen []string
		ctx := WithInterim(t.Context(), func(code int, h http.Header) { seen = append(seen, fmt.Sprint(code, h.Get("Link"))) })
		r := get(ctx, o.spec(), method, "/")
		if method == "POST" {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
		}
		if got := ask(t, transportTo(t, o.spec()), r); got.Body != "ok" || len(seen) != 1 || seen[0] != "103</a>" {
			t.Errorf("%s: %+v, interim %q", method, got, seen)
		}
	}
}

// TestDeadIdleConnections: an idempotent request is sent again, another one is
// not, but finds out before it is sent when the connection was closed.
func TestDeadIdleConnections(t *testing.T) {
	closed := make(chan struct{}, 10)
	var served atomic.Int64
	o := serve(t, func(c net.Conn, r *http.Request) bool {
		served.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.Close()
		closed <- struct{}{}
		return false
	})
	tr := transportTo(t, o.spec())
	for i, method := range []string{"GET", "GET", "POST", "POST", "GET", "DELETE"} {
		if got := ask(t, tr, get(t.Context(), o.spec(), method, "/")); got.Body != "ok" {
			t.Fatalf("request %d, %s: %+v", i, method, got)
		}
		<-closed
	}
	if n := served.Load(); n != 6 {
		t.Errorf("six requests were served %d times", n)
	}
}

// TestNoAnswerIsNotRepeatedForever: one more try, no more.
func TestNoAnswerIsNotRepeatedForever(t *testing.T) {
	var served atomic.Int64
	o := serve(t, func(c net.Conn, r *http.Request) bool {
		if served.Add(1) == 1 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			return true
		}
		return false
	})
	tr := transportTo(t, o.spec())
	ask(t, tr, get(t.Context(), o.spec(), "GET", "/"))
	if got := ask(t, tr, get(t.Context(), o.spec(), "GET", "/")); got.Err == "" {
		t.Errorf("%+v", got)
	}
	if n := served.Load(); n != 3 {
		t.Errorf("served %d times, want the first, the dead one's and one more", n)
	}
}

func TestConnectErrors(t *testing.T) {
	refused := balance.Spec{Scheme: "http", Address: "127.0.0.1:1"}
	_, err := transportTo(t, refused).RoundTrip(get(t.Context(), refused, "GET", "/"))
	var connect *ConnectError
	if !errors.As(err, &connect) || connect.Timeout() {
		t.Errorf("%v", err)
	}
	slow := New(balance.Spec{Scheme: "http", Address: "x:1", ConnectTimeout: time.Millisecond}, func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for _, method := range []string{"GET", "POST"} {
		r := get(t.Context(), refused, method, "/")
		if method == "POST" {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
		}
		_, err = slow.RoundTrip(r)
		if !errors.As(err, &connect) || !connect.Timeout() {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestCancellation(t *testing.T) {
	begun, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	o := serve(t, func(c net.Conn, r *http.Request) bool {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		}
		begun <- struct{}{}
		_, _ = c.Read(make([]byte, 1))
		gone <- struct{}{}
		return false
	})
	tr := transportTo(t, o.spec())
	for _, path := range []string{"/head", "/body"} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			resp, err := tr.RoundTrip(get(ctx, o.spec(), "GET", path))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			done <- err
		}()
		<-begun
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
		<-gone // the origin sees it
	}
}

func TestTimeout(t *testing.T) {
	o := serve(t, func(c net.Conn, r *http.Request) bool {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
			time.Sleep(100 * time.Millisecond) // longer than the timeout, which is over
			_, _ = io.WriteString(c, "bodily")
			return true
		}
		_, _ = c.Read(make([]byte, 1))
		return false
	})
	spec := o.spec()
	spec.ResponseTimeout = 30 * time.Millisecond
	tr := transportTo(t, spec)
	if got := ask(t, tr, get(t.Context(), spec, "GET", "/body")); got.Body != "bodily" {
		t.Errorf("a slow body: %+v", got)
	}
	_, err := tr.RoundTrip(get(t.Context(), spec, "GET", "/"))
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v", err)
	}
}

func TestCloseBreaksAReadOff(t *testing.T) {
	o := serve(t, func(c net.Conn, r *http.Request) bool {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		_, _ = c.Read(make([]byte, 1))
		return false
	})
	resp, err := transportTo(t, o.spec()).RoundTrip(get(t.Context(), o.spec(), "GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadFull(resp.Body, make([]byte, 4))
	failed := make(chan error, 1)
	go func() {
		_, err := resp.Body.Read(make([]byte, 10))
		failed <- err
	}()
	resp.Body.Close()
	if err := <-failed; err == nil {
		t.Error("the read went on")
	}
	if _, err := resp.Body.Read(make([]byte, 10)); err == nil || err == io.EOF {
		t.Errorf("a read after Close: %v", err)
	}
}

func TestConcurrentRequests(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chunked" {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, strings.Repeat(r.Header.Get("X-Mine"), 3000))
	}))
	defer server.Close()
	spec := balance.Spec{Scheme: "http", Address: strings.TrimPrefix(server.URL, "http://"), ResponseTimeout: 20 * time.Second}
	tr := transportTo(t, spec)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				mine := fmt.Sprintf("%d-%d,", w, i)
				ctx, cancel := context.WithCancel(t.Context())
				r := get(ctx, spec, "GET", []string{"/", "/chunked"}[i%2])
				r.Header = http.Header{"X-Mine": {mine}}
				resp, err := tr.RoundTrip(r)
				if err != nil {
					t.Error(err)
				} else {
					if i%7 == 0 {
						cancel()
					}
					b, err := io.ReadAll(resp.Body)
					if err == nil && string(b) != strings.Repeat(mine, 3000) {
						t.Errorf("got another's answer: %.40q", b)
					}
					if err != nil && i%7 != 0 {
						t.Error(err)
					}
					resp.Body.Close()
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// TestALPNDecides: an origin that speaks HTTP/2 is never asked directly; one
// that does not is, from the second request on.
func TestALPNDecides(t *testing.T) {
	for _, h2 := range []bool{true, false} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
		server.EnableHTTP2 = h2
		server.TLS = &tls.Config{}
		server.StartTLS()
		spec := balance.Spec{Scheme: "https", Address: strings.TrimPrefix(server.URL, "https://"), SkipVerify: true, ServerName: "x.test"}
		tr := transportTo(t, spec).(*transport)
		want := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[h2]
		for i := range 4 {
			if got := ask(t, tr, get(t.Context(), spec, "GET", "/")); got.Body != want {
				t.Errorf("request %d: %+v, want %s", i, got, want)
			}
		}
		if n := len(tr.direct.idle); n != map[bool]int{true: 0, false: 1}[h2] {
			t.Errorf("HTTP/2 %v: %d direct connections", h2, n)
		}
		tr.CloseIdleConnections()
		server.Close()
	}
}

// FuzzAnswer compares with net/http's own client: where both accept an answer
// they agree on what it is.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 200\n\nx", "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 204 y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nx: c\r\n\r\n",
	} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, answer string, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		near, far := net.Pipe()
		defer near.Close()
		go func() {
			_, _ = io.WriteString(far, answer)
			far.Close()
		}()
		d := &direct{dial: func(context.Context, string, string) (net.Conn, error) { return readOnly{near}, nil }}
		defer d.CloseIdleConnections()
		resp, err := d.RoundTrip(get(context.Background(), balance.Spec{}, method, "/"))
		if err != nil {
			return
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return
		}
		in := bufio.NewReader(strings.NewReader(answer))
		theirs, err := http.ReadResponse(in, &http.Request{Method: method})
		for err == nil && theirs.StatusCode < 200 {
			theirs, err = http.ReadResponse(in, &http.Request{Method: method})
		}
		if err != nil {
			return
		}
		theirBody, err := io.ReadAll(theirs.Body)
		if err != nil {
			return
		}
		if resp.StatusCode != theirs.StatusCode || string(body) != string(theirBody) {
			t.Fatalf("%q:\n%d %q\n%d %q", answer, resp.StatusCode, body, theirs.StatusCode, theirBody)
		}
	})
}

// readOnly takes writes without anybody reading them.
type readOnly struct{ net.Conn }

func (readOnly) Write(p []byte) (int, error) { return len(p), nil }
