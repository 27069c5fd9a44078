package httpedge_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// TestStreamingBothWays holds a conversation over one request: each line is
// answered before the next is sent.
func TestStreamingBothWays(t *testing.T) {
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.ProtoMajor == 1 {
			_ = control.EnableFullDuplex()
		}
		_ = control.Flush()
		in := bufio.NewScanner(r.Body)
		for in.Scan() {
			_, _ = fmt.Fprintf(w, "got %s\n", in.Text())
			_ = control.Flush()
		}
	})
	eachVersion(t, func(t *testing.T, version int) {
		near, far := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), "POST", "https://shop.test/talk", near)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := e.Client(version).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answers := bufio.NewScanner(resp.Body)
		for i := range 5 {
			_, _ = fmt.Fprintf(far, "line %d\n", i)
			if !answers.Scan() || answers.Text() != fmt.Sprintf("got line %d", i) {
				t.Fatalf("line %d was answered %q, %v", i, answers.Text(), answers.Err())
			}
		}
		_ = far.Close()
		if answers.Scan() {
			t.Errorf("more: %q", answers.Text())
		}
	})
}

func TestServerSentEventsAreNotHeld(t *testing.T) {
	more := map[string]chan string{"/1": make(chan string), "/2": make(chan string), "/3": make(chan string)}
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		_ = control.Flush()
		for {
			select {
			case event := <-more[r.URL.Path]:
				_, _ = io.WriteString(w, "data: "+event+"\n\n")
				_ = control.Flush()
			case <-r.Context().Done():
				return
			}
		}
	}, func(s *edgeconfig.Site) { s.Pool.IdleTimeoutMS = 1 }) // events are exempt
	eachVersion(t, func(t *testing.T, version int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := e.Client(version).Do(request(t, "GET", fmt.Sprintf("https://shop.test/%d", version), "").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		r := bufio.NewReader(resp.Body)
		for i := range 3 {
			more[fmt.Sprintf("/%d", version)] <- fmt.Sprint(i)
			line, err := r.ReadString('\n')
			if err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("event %d: %q, %v", i, line, err)
			}
			_, _ = r.ReadString('\n')
		}
	})
}

// TestSilentStreamOutlivesTheWriteTimeout: the time that a client may take to
// read does not run while there is nothing to read.
func TestSilentStreamOutlivesTheWriteTimeout(t *testing.T) {
	const timeout = 40 * time.Millisecond
	e := nodetest.Start(t, func(o *node.Options) { o.Limits = httpedge.Limits{WriteTimeout: timeout} })
	e.Serve(nodetest.Site("dom_shop", "shop.test", originServer(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * timeout) // so is the time before the head
		for range 3 {
			_, _ = io.WriteString(w, "event\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(3 * timeout)
		}
	})))
	eachVersion(t, func(t *testing.T, version int) {
		if a := get(t, e.Client(version), fmt.Sprintf("https://shop.test/%d", version)); a.body != "event\nevent\nevent\n" {
			t.Errorf("%q", a.body)
		}
	})
}

func TestOriginThatFallsSilentIsCut(t *testing.T) {
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(s *edgeconfig.Site) { s.Pool.IdleTimeoutMS = 50 })
	eachVersion(t, func(t *testing.T, version int) {
		resp, err := e.Client(version).Do(request(t, "GET", "https://shop.test/", ""))
		if err != nil {
			return // cut before the head was sent
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil || len(b) >= 100 {
			t.Errorf("a cut answer looks complete: %q", b)
		}
	})
}

// TestSlowAnswerIsNotHeldBack has the client wait for a part of an answer of
// known length before the origin sends the rest.
func TestSlowAnswerIsNotHeldBack(t *testing.T) {
	rest := make(chan struct{})
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Header().Set("Cache-Control", r.URL.Query().Get("caching"))
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-rest
		_, _ = io.WriteString(w, " end.")
	})
	eachVersion(t, func(t *testing.T, version int) {
		for _, caching := range []string{"no-store", "max-age=60"} {
			resp, err := e.Client(version).Do(request(t, "GET", fmt.Sprintf("https://shop.test/%d?caching=%s", version, caching), ""))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			part := make([]byte, 5)
			if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != "begin" {
				t.Fatalf("%s: %q, %v", caching, part, err)
			}
			rest <- struct{}{}
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != " end." {
				t.Errorf("%s: %q, %v", caching, b, err)
			}
		}
	})
}

func TestLargeBodies(t *testing.T) {
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.ContentLength >= 0 {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})
	content := make([]byte, 5<<20)
	_, _ = rand.Read(content)
	want := sha256.Sum256(content)
	eachVersion(t, func(t *testing.T, version int) {
		for _, known := range []bool{true, false} {
			var body io.Reader = strings.NewReader(string(content))
			if !known {
				body = io.MultiReader(body)
			}
			r, err := http.NewRequestWithContext(t.Context(), "PUT", "https://shop.test/up", body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := e.Client(version).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, resp.Body); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if [32]byte(sum.Sum(nil)) != want {
				t.Errorf("length known %v: what came back is not what was sent", known)
			}
		}
	})
}

func TestTrailers(t *testing.T) {
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(b)
		_ = http.NewResponseController(w).Flush()
		w.Header().Set("X-Announced", "yes "+r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "too")
	})
	eachVersion(t, func(t *testing.T, version int) {
		r := request(t, "POST", "https://shop.test/", "")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("content")), -1
		r.Trailer = http.Header{"X-Sum": {"12"}}
		a := do(t, e.Client(version), r)
		if a.body != "content" || a.resp.Trailer.Get("X-Announced") != "yes 12" || a.resp.Trailer.Get("X-Late") != "too" {
			t.Errorf("%q, trailers %v", a.body, a.resp.Trailer)
		}
	})
}

func TestExpectContinue(t *testing.T) {
	read := make(chan struct{})
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		<-read
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(b)
	})
	conn, err := net.Dial("tcp", e.HTTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "POST /yes HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	close(read)
	line, err := in.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = in.ReadString('\n')
	_, _ = io.WriteString(conn, "hello")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || string(b) != "hello" {
		t.Errorf("%d %q", resp.StatusCode, b)
	}

	// An origin that refuses is heard without the content being asked for.
	_, _ = io.WriteString(conn, "POST /no HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err = in.ReadString('\n'); err != nil || line != "HTTP/1.1 403 Forbidden\r\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestEarlyHintsPass(t *testing.T) {
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.Header().Set("Connection", "x-hop")
		w.Header().Set("X-Hop", "1")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Connection")
		w.Header().Del("X-Hop")
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "page")
	})
	eachVersion(t, func(t *testing.T, version int) {
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, header.Get("Link"), header.Get("Connection")))
			return nil
		}}
		r := request(t, "GET", fmt.Sprintf("https://shop.test/%d", version), "")
		a := do(t, e.Client(version), r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		if len(hints) != 1 || hints[0] != "103</a.css>; rel=preload" {
			t.Errorf("hints %q", hints)
		}
		if a.body != "page" || a.header.Get("Link") != "" {
			t.Errorf("%q %v", a.body, a.header)
		}
	})
}

func TestHopByHopFieldsEndHere(t *testing.T) {
	got := make(chan http.Header, 1)
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		h := w.Header()
		h.Set("Connection", "X-Origin-Hop")
		h.Set("X-Origin-Hop", "1")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Proxy-Authenticate", "Basic")
		h.Set("Alt-Svc", `h3=":1"`)
		h.Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "x")
	})
	for _, method := range []string{"GET", "POST"} {
		a := do(t, e.Client(1), request(t, method, "http://shop.test/"+method, "", "Connection", "close, X-Hop", "X-Hop", "1", "Keep-Alive", "1", "Proxy-Authorization", "secret", "Upgrade", "h2c", "Http2-Settings", "x", "Te", "gzip"))
		in := <-got
		for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Authorization", "Upgrade", "Http2-Settings", "Te", "Connection"} {
			if in[name] != nil {
				t.Errorf("%s: the origin got %s: %q", method, name, in[name])
			}
		}
		for _, name := range []string{"X-Origin-Hop", "Keep-Alive", "Proxy-Authenticate", "Alt-Svc"} {
			if a.header[name] != nil {
				t.Errorf("%s: the client got %s: %q", method, name, a.header[name])
			}
		}
	}
}

func TestClientThatLeavesFreesTheOrigin(t *testing.T) {
	left := make(chan struct{}, 1)
	begun := make(chan struct{}, 1)
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		begun <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})
	eachVersion(t, func(t *testing.T, version int) {
		for _, method := range []string{"GET", "POST"} {
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				_, err := e.Client(version).Do(request(t, method, "https://shop.test/slow", "").WithContext(ctx))
				failed <- err
			}()
			<-begun
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			<-left
		}
	})
}

func TestOriginTimeouts(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, func(s *edgeconfig.Site) { s.Pool.ResponseTimeoutMS = 100 })
	eachVersion(t, func(t *testing.T, version int) {
		if a := get(t, e.Client(version), "https://shop.test/"); a.status != 504 || !strings.Contains(a.body, "too long to answer") {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

func TestOriginThatBreaksOff(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				switch r.URL.Path {
				case "/garbage":
					_, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n")
				case "/cut":
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
				}
			}
			c.Close()
		}
	}()
	defer func() {
		ln.Close()
		<-done
	}()
	e := nodetest.Start(t)
	e.Serve(nodetest.Site("dom_shop", "shop.test", "http://"+ln.Addr().String()))
	eachVersion(t, func(t *testing.T, version int) {
		for _, path := range []string{"/garbage", "/nothing"} {
			if a := get(t, e.Client(version), "https://shop.test"+path); a.status != 502 || !strings.Contains(a.body, `"origin"`) {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		resp, err := e.Client(version).Do(request(t, "GET", "https://shop.test/cut", ""))
		if err != nil {
			return // cut before the head was sent
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("half an answer looks complete: %q", b)
		}
	})
}

func TestOriginOverTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		origin := httptest.NewUnstartedServer(http.HandlerFunc(echo))
		origin.EnableHTTP2 = h2
		e := nodetest.Start(t)
		origin.TLS = e.TLS()
		origin.TLS.Certificates = append(origin.TLS.Certificates, e.CA.Issue(t, "origin.test"))
		origin.StartTLS()
		t.Cleanup(origin.Close)
		s := nodetest.Site("dom_shop", "shop.test", origin.URL)
		s.Pool.Origins[0].ServerName, s.Pool.Origins[0].RootCAPEM, s.Pool.Origins[0].HostHeader = "origin.test", e.CA.RootPEM(), "internal.test"
		e.Serve(s)
		wrong := nodetest.Site("dom_wrong", "wrong.test", origin.URL)
		wrong.Pool.Origins[0].ServerName, wrong.Pool.Origins[0].RootCAPEM = "another.test", e.CA.RootPEM()
		e.Serve(wrong)
		blind := nodetest.Site("dom_blind", "blind.test", origin.URL)
		blind.Pool.Origins[0].SkipVerify = true
		e.Serve(blind)

		got := do(t, e.Client(2), request(t, "POST", "https://shop.test//x?y", "z")).echoed(t)
		if want := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[h2]; got.Proto != want || got.Body != "z" || got.Host != "internal.test" || got.Target != "//x?y" {
			t.Errorf("h2 %v: %+v", h2, got)
		}
		if a := get(t, e.Client(2), "https://wrong.test/"); a.status != 502 {
			t.Errorf("an origin with another's certificate answered %d", a.status)
		}
		if a := get(t, e.Client(2), "https://blind.test/"); a.status != 200 {
			t.Errorf("an unverified origin answered %d", a.status)
		}
	}
}

// poll waits for a condition that other goroutines bring about.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
