package httpedge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// TestSmuggling sends requests that two readers could read in two ways. None
// may reach the origin, and nothing after them on the connection either.
func TestSmuggling(t *testing.T) {
	reached := make(chan string, 10)
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil { // a body that breaks off has reached nobody
			reached <- r.RequestURI + " " + string(b)
		}
	})
	const next = "GET /smuggled HTTP/1.1\r\nHost: shop.test\r\n\r\n"
	for _, c := range []struct{ name, request, status string }{
		{"CL.TE", "POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", "400"},
		{"TE.CL", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST", "400"},
		{"TE.TE", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", "501"},
		{"TE obfuscated", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
		{"TE space before colon", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		{"TE with leading space", "POST /a HTTP/1.1\r\nHost: shop.test\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"TE vertical tab", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400"},
		{"TE in 1.0", "POST /a HTTP/1.0\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"CL.CL", "POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n", "400"},
		{"CL list", "POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0,44\r\n\r\n", "400"},
		{"CL plus", "POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: +0\r\n\r\n", "400"},
		{"CL negative", "POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: -1\r\n\r\n", "400"},
		{"two hosts", "GET /a HTTP/1.1\r\nHost: shop.test\r\nHost: other.test\r\n\r\n", "400"},
		{"no host", "GET /a HTTP/1.1\r\nX: y\r\n\r\n", "400"},
		{"bare LF", "GET /a HTTP/1.1\nHost: shop.test\n\n", "400"},
		{"bare LF between fields", "GET /a HTTP/1.1\r\nHost: shop.test\nContent-Length: 44\r\n\r\n", "400"},
		{"bare CR", "GET /a HTTP/1.1\r\nHost: shop.test\r\nX: a\rContent-Length: 44\r\n\r\n", "400"},
		{"folded", "GET /a HTTP/1.1\r\nHost: shop.test\r\nX: a\r\n Content-Length: 44\r\n\r\n", "400"},
		{"NUL", "GET /a HTTP/1.1\r\nHost: shop.test\r\nX: a\x00\r\n\r\n", "400"},
		{"HTTP/0.9", "GET /a\r\n\r\n", "400"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
		{"userinfo in host", "GET /a HTTP/1.1\r\nHost: x@shop.test\r\n\r\n", "400"},
		{"bad percent", "GET /%zz HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "400"},
		{"encoded NUL", "GET /%00 HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "400"},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "400"},
		{"absolute form of another scheme", "GET https://shop.test/ HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "421"},
		{"CONNECT", "CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\nConnection: close\r\n\r\n", "405"},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "405"},
		{"chunk size with a plus", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n", "400"},
		{"chunk without CRLF", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX0\r\n\r\n", "400"},
		{"chunk line with bare LF", "POST /a HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n", "400"},
		{"upgrade that is none", "POST /a HTTP/1.1\r\nHost: shop.test\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "400"},
		{"long target", "GET /" + strings.Repeat("a", 20_000) + " HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "414"},
		{"long header", "GET /a HTTP/1.1\r\nHost: shop.test\r\nX: " + strings.Repeat("a", 100_000) + "\r\n\r\n", "431"},
		{"many fields", "GET /a HTTP/1.1\r\nHost: shop.test\r\n" + strings.Repeat("X: y\r\n", 200) + "\r\n", "431"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := raw(t, e.HTTPAddr(), c.request+next)
			if !strings.HasPrefix(out, "HTTP/1.1 "+c.status+" ") || strings.Count(out, "X-Request-Id: ") != 1 {
				t.Errorf("answered %q, want one %s", out, c.status)
			}
			if !strings.Contains(out, `"failed":"client"`) {
				t.Errorf("not an error page: %q", out)
			}
			select {
			case got := <-reached:
				t.Errorf("the origin got %q", got)
			default:
			}
		})
	}
}

// TestHTTP2Smuggling covers what a request of HTTP/2 can carry that means
// something else in HTTP/1.1.
func TestHTTP2Smuggling(t *testing.T) {
	reached := make(chan string, 10)
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) { reached <- r.RequestURI })
	for name, fields := range map[string][]string{
		"transfer-encoding":   {"transfer-encoding", "chunked"},
		"connection":          {"connection", "close"},
		"newline in a value":  {"x", "a\r\ncontent-length: 3"},
		"newline in a name":   {"x\r\ny", "a"},
		"space in a name":     {"content-length ", "3"},
		"another host":        {"host", "other.test"},
		"two hosts":           {"host", "shop.test", "host", "other.test"},
		"length that is none": {"content-length", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			status := rawH2(t, e, append([]string{":method", "POST", ":scheme", "https", ":authority", "shop.test", ":path", "/"}, fields...))
			if status != "400" && status != "reset" {
				t.Errorf("answered %s", status)
			}
			select {
			case got := <-reached:
				t.Errorf("the origin got %q", got)
			default:
			}
		})
	}
	if status := rawH2(t, e, []string{":method", "GET", ":scheme", "https", ":authority", "shop.test", ":path", "/ok"}); status != "200" {
		t.Errorf("a good request was answered %s", status)
	}
}

// rawH2 sends one HEADERS frame and returns the status, or "reset".
func rawH2(t *testing.T, e *nodetest.Edge, fields []string) string {
	t.Helper()
	config := e.TLS("h2")
	config.ServerName = "shop.test"
	conn, err := tls.Dial("tcp", e.HTTPSAddr(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, http2.ClientPreface)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return "reset"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "reset"
		}
	}
}

func TestBodyLimit(t *testing.T) {
	e := edgeWith(t, echo, func(s *edgeconfig.Site) { s.Limits.MaxBodyBytes = 1000 })
	eachVersion(t, func(t *testing.T, version int) {
		c := e.Client(version)
		if a := do(t, c, request(t, "POST", "https://shop.test/", strings.Repeat("x", 1000))); a.status != 200 {
			t.Errorf("at the bound: %d", a.status)
		}
		if a := do(t, c, request(t, "POST", "https://shop.test/", strings.Repeat("x", 1001))); a.status != 413 {
			t.Errorf("declared above the bound: %d", a.status)
		}
		r := request(t, "POST", "https://shop.test/", "")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 100_000))), -1
		if a := do(t, c, r); a.status != 413 {
			t.Errorf("above the bound without saying so: %d", a.status)
		}
	})
}

func TestSlowClients(t *testing.T) {
	e := nodetest.Start(t, func(o *node.Options) {
		o.Limits = httpedge.Limits{HeadTimeout: 50 * time.Millisecond, BodyTimeout: 50 * time.Millisecond, IdleTimeout: 50 * time.Millisecond, HandshakeTimeout: 50 * time.Millisecond}
	})
	origin := originServer(t, echo)
	e.Serve(nodetest.Site("dom_shop", "shop.test", origin))
	for name, c := range map[string]struct{ input, status string }{
		"head":           {"GET / HTTP/1.1\r\nHost: shop.te", "HTTP/1.1 408 "},
		"body":           {"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 408 "},
		"chunked body":   {"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "HTTP/1.1 408 "},
		"nothing at all": {"", ""},
	} {
		if out := raw(t, e.HTTPAddr(), c.input); !strings.HasPrefix(out, c.status) {
			t.Errorf("%s: %q", name, out)
		}
	}
	if out := raw(t, e.HTTPAddr(), "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 200 ") {
		t.Errorf("an idle connection must be closed after its answer, got %q", out)
	}
	if out := raw(t, e.HTTPSAddr(), "\x16\x03\x01"); out != "" {
		t.Errorf("a handshake that stops was answered %q", out)
	}
}

// After an answer, a content that nobody wants does not keep the connection: what
// comes of it later is not read as a request.
func TestContentThatNobodyWants(t *testing.T) {
	early := earlyOrigin(t)
	for name, c := range map[string]struct {
		bodyTimeout   time.Duration
		input, status string
	}{
		"too large":        {time.Hour, "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5000\r\n\r\nabc", "HTTP/1.1 413 "},
		"of another site":  {time.Hour, "POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: 500\r\n\r\nabc", "HTTP/1.1 421 "},
		"answered already": {time.Second, "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 500\r\n\r\nabc", "HTTP/1.1 200 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := nodetest.Start(t, func(o *node.Options) {
				o.Limits = httpedge.Limits{BodyTimeout: c.bodyTimeout, IdleTimeout: time.Hour}
			})
			site := nodetest.Site("dom_shop", "shop.test", early)
			site.Limits.MaxBodyBytes = 1000
			e.Serve(site)
			conn, err := net.Dial("tcp", e.HTTPAddr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, c.input); err != nil {
				t.Fatal(err)
			}
			out, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(out), c.status) {
				t.Errorf("answered %q, and then %v", out, err)
			}
		})
	}
}

// earlyOrigin answers each request as soon as something of it has come, reads no
// more and holds the connection.
func earlyOrigin(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 4096)); err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		served.Wait()
	})
	return "http://" + ln.Addr().String()
}

// originServer is a real server without the test's site.
func originServer(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: f}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return "http://" + ln.Addr().String()
}

func TestClientThatDoesNotReadIsCut(t *testing.T) {
	e := nodetest.Start(t, func(o *node.Options) {
		o.Limits = httpedge.Limits{WriteTimeout: 100 * time.Millisecond}
	})
	gone := make(chan struct{}, 1)
	e.Serve(nodetest.Site("dom_shop", "shop.test", originServer(t, func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 1<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				gone <- struct{}{}
				return
			}
		}
	})))
	eachVersion(t, func(t *testing.T, version int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := e.Client(version).Do(request(t, "GET", "https://shop.test/", "").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		<-gone // without a byte of the body being read
	})
}

func TestLoopsAreFound(t *testing.T) {
	e := edgeWith(t, echo)
	for field, want := range map[string]int{
		"other":                           200,
		"edgewright; id=another":          200,
		"x, edgewright; id=edge_test":     508,
		strings.Repeat("edgewright, ", 9): 508,
	} {
		if a := get(t, e.Client(1), "http://shop.test/", "CDN-Loop", field); a.status != want {
			t.Errorf("%q: %d, want %d", field, a.status, want)
		}
	}
	e.Serve(nodetest.Site("dom_self", "self.test", "http://"+e.HTTPAddr()))
	if a := get(t, e.Client(1), "http://self.test/"); a.status != 508 {
		t.Errorf("a site that is its own origin: %d %s", a.status, a.body)
	}
}

func TestAbsoluteFormAndAsterisk(t *testing.T) {
	e := edgeWith(t, echo)
	out := raw(t, e.HTTPAddr(), "GET http://SHOP.test./x HTTP/1.1\r\nHost: ignored.test\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 200 ") || !strings.Contains(out, `"Target":"/x"`) {
		t.Errorf("absolute form: %q", out)
	}
	out = raw(t, e.HTTPAddr(), "OPTIONS * HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 200 ") || !strings.Contains(out, "Allow: ") {
		t.Errorf("OPTIONS *: %q", out)
	}
	out = raw(t, e.HTTPAddr(), "OPTIONS * HTTP/1.1\r\nHost: unknown.test\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 421 ") {
		t.Errorf("OPTIONS * of an unknown host: %q", out)
	}
}

func TestHTTP10(t *testing.T) {
	e := edgeWith(t, echo)
	out := raw(t, e.HTTPAddr(), "GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.0 200 ") || strings.Contains(out, "Transfer-Encoding") {
		t.Errorf("%q", out)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	e := edgeWith(t, echo)
	var in strings.Builder
	for i := range 20 {
		fmt.Fprintf(&in, "POST /%d HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 3\r\n\r\nabc", i)
	}
	in.WriteString("GET /last HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
	out := bufio.NewReader(strings.NewReader(raw(t, e.HTTPAddr(), in.String())))
	for i := range 21 {
		resp, err := http.ReadResponse(out, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		b, _ := io.ReadAll(resp.Body)
		want := fmt.Sprintf(`"Target":"/%d"`, i)
		if i == 20 {
			want = `"Target":"/last"`
		}
		if resp.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("answer %d: %d %s", i, resp.StatusCode, b)
		}
	}
}

func TestUnknownServerNameGetsNoCertificate(t *testing.T) {
	e := edgeWith(t, echo)
	for _, name := range []string{"unknown.test", ""} {
		_, err := tls.Dial("tcp", e.HTTPSAddr(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	config := e.TLS()
	config.ServerName = "unknown.test"
	_, err := e.Client(3).Get("https://unknown.test/")
	var alert tls.AlertError
	if err == nil || !errors.As(err, &alert) && !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("HTTP/3: %v", err)
	}
	var failed int64
	poll(t, "counting failed handshakes", func() bool {
		failed += e.Take(time.Minute).Sites[""].HandshakeErr
		return failed >= 2
	})
}

// TestConnectionBound: one connection too many is closed, and there is room
// again when another ends.
func TestConnectionBound(t *testing.T) {
	e := nodetest.Start(t, func(o *node.Options) { o.Limits = httpedge.Limits{Connections: 2} })
	var open []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", e.HTTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if b := raw(t, e.HTTPAddr(), ""); b != "" {
		t.Errorf("a connection too many was answered %q", b)
	}
	open[0].Close()
	poll(t, "room for another connection", func() bool {
		c, err := net.Dial("tcp", e.HTTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: nowhere.test\r\nConnection: close\r\n\r\n")
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil
	})
}
