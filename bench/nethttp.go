package main

import (
	"flag"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// serveNetHTTP is the floor a Go program is measured against: hits answered by
// a bare handler from memory, proxying by net/http's own ReverseProxy.
func serveNetHTTP(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder with cert.pem, key.pem and www")
	origin := flags.String("origin", "", "origin address")
	hitPlain := flags.String("hit-plain", "", "address")
	hitTLS := flags.String("hit-tls", "", "address")
	proxyPlain := flags.String("proxy-plain", "", "address")
	proxyTLS := flags.String("proxy-tls", "", "address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	bodies := map[string][]byte{}
	for _, name := range []string{"1k", "64k"} {
		body, err := os.ReadFile(filepath.Join(*dir, "www", name))
		if err != nil {
			return err
		}
		bodies["/"+name] = body
	}
	hit := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodies[r.URL.Path]
		h := w.Header()
		h["Content-Type"] = []string{"application/octet-stream"}
		h["Cache-Control"] = []string{"max-age=36000"}
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = w.Write(body)
	})
	target, err := url.Parse("http://" + *origin)
	if err != nil {
		return err
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	proxy.BufferPool = &buffers{}
	cert, key := filepath.Join(*dir, "cert.pem"), filepath.Join(*dir, "key.pem")
	failed := make(chan error, 4)
	go func() { failed <- (&http.Server{Addr: *hitPlain, Handler: hit}).ListenAndServe() }()
	go func() { failed <- (&http.Server{Addr: *hitTLS, Handler: hit}).ListenAndServeTLS(cert, key) }()
	go func() { failed <- (&http.Server{Addr: *proxyPlain, Handler: proxy}).ListenAndServe() }()
	go func() { failed <- (&http.Server{Addr: *proxyTLS, Handler: proxy}).ListenAndServeTLS(cert, key) }()
	return <-failed
}

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// originHandler answers /1k and /64k as every server under test finds them.
func originHandler(bodies map[string][]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h["Content-Type"] = []string{"application/octet-stream"}
		h["Cache-Control"] = []string{"max-age=36000"}
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = w.Write(body)
	})
}
