package cache

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/request"
)

// TestRealOrigin runs against net/http's server and transport, for what a
// scripted origin would only imitate: how contents end.
func TestRealOrigin(t *testing.T) {
	content := strings.Repeat("0123456789", 20_000)
	// raw answers with bytes and hangs up.
	raw := func(w http.ResponseWriter, text string) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(buffered, text)
		buffered.Flush()
	}
	const head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\n"
	mux := http.NewServeMux()
	mux.HandleFunc("/whole", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=100")
		http.ServeContent(w, r, "", time.Unix(946684800, 0), strings.NewReader(content))
	})
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=100")
		for i := 0; i < len(content); i += 1000 {
			io.WriteString(w, content[i:i+1000])
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/cut-length", func(w http.ResponseWriter, r *http.Request) {
		raw(w, head+"Content-Length: 100\r\n\r\nhalf")
	})
	mux.HandleFunc("/cut-chunked", func(w http.ResponseWriter, r *http.Request) {
		raw(w, head+"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	})
	mux.HandleFunc("/close-delimited", func(w http.ResponseWriter, r *http.Request) {
		raw(w, "HTTP/1.0 200 OK\r\nCache-Control: max-age=100\r\n\r\nwhole?")
	})
	mux.HandleFunc("/nothing", func(w http.ResponseWriter, r *http.Request) { raw(w, "") })
	server := httptest.NewServer(mux)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	c := New(Options{})
	t.Cleanup(c.Close)

	get := func(path string, lines ...string) (answered, bool) {
		v := viewOf("GET", path, lines...)
		res := c.Lookup(testSite, v, nil, time.Now())
		resp, err := c.Fetch(t.Context(), testSite, v, &res, func(ctx context.Context, extra http.Header) (*http.Response, error) {
			req, err := http.NewRequestWithContext(ctx, v.Method, server.URL+v.Path, nil)
			if err != nil {
				return nil, err
			}
			for name, values := range v.Header.(request.Fields) {
				req.Header[name] = values
			}
			ApplyExtra(req.Header, extra)
			return transport.RoundTrip(req)
		})
		if err != nil {
			return answered{err: err}, false
		}
		defer resp.Body.Close()
		b, cut := io.ReadAll(bufio.NewReader(resp.Body))
		return answered{status: resp.Status, header: resp.Header, body: string(b), outcome: resp.Outcome.String(), cut: cut}, cut == nil
	}
	// stored polls until the fill, which ends a moment after its content, is in.
	stored := func(path string, lines ...string) answered {
		for deadline := time.Now().Add(10 * time.Second); ; {
			got, _ := get(path, lines...)
			if got.outcome == "hit" || time.Now().After(deadline) {
				return got
			}
		}
	}
	for _, path := range []string{"/whole", "/chunked"} {
		if got, ok := get(path); !ok || got.body != content || got.outcome != "miss" {
			t.Errorf("%s: %s, %d bytes, %v", path, got.outcome, len(got.body), got.cut)
		}
		if got := stored(path); got.outcome != "hit" || got.body != content || got.header.Get("Content-Length") != "200000" {
			t.Errorf("%s: %s, %d bytes", path, got.outcome, len(got.body))
		}
		if got := stored(path, "Range: bytes=199990-"); got.status != 206 || got.body != "0123456789" {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
	if got, _ := get("/whole", "Cache-Control: no-cache"); got.outcome != "revalidated" || got.body != content {
		t.Errorf("%s, %d bytes", got.outcome, len(got.body))
	}
	for _, path := range []string{"/cut-length", "/cut-chunked", "/nothing"} {
		for range 2 {
			if got, ok := get(path); ok || got.outcome == "hit" {
				t.Errorf("%s looks complete: %d %q %s", path, got.status, got.body, got.outcome)
			}
		}
	}
	for range 2 {
		if got, ok := get("/close-delimited"); !ok || got.body != "whole?" || got.outcome != "miss" {
			t.Errorf("close-delimited: %s %q %v", got.outcome, got.body, got.cut)
		}
	}
	// An origin that refuses the connection.
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down.Close()
	server.URL = "http://" + down.Addr().String()
	if got, _ := get("/other"); got.err == nil {
		t.Errorf("%d from nobody", got.status)
	}
	if got := stored("/whole"); got.outcome != "hit" {
		t.Errorf("%s", got.outcome)
	}
}
