package httpedge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, name)
	}
}

func TestRequestsGoRound(t *testing.T) {
	e := nodetest.Start(t)
	e.Serve(nodetest.Site("dom_shop", "shop.test", originServer(t, named("a")), originServer(t, named("b"))))
	count := map[string]int{}
	for range 20 {
		count[get(t, e.Client(1), "http://shop.test/").body]++
	}
	if count["a"] != 10 || count["b"] != 10 {
		t.Errorf("%v", count)
	}
}

func TestFailover(t *testing.T) {
	e := nodetest.Start(t)
	e.Serve(nodetest.Site("dom_shop", "shop.test", "http://127.0.0.1:1", originServer(t, named("b"))))
	for range 10 {
		// A request whose content has not been read yet goes to the next origin
		// too, since the first was never reached.
		for _, method := range []string{"GET", "POST"} {
			body := ""
			if method == "POST" {
				body = "content"
			}
			if a := do(t, e.Client(1), request(t, method, "http://shop.test/", body)); a.body != "b" {
				t.Fatalf("%s: %d %q", method, a.status, a.body)
			}
		}
	}
}

// breaking answers the first requests of a connection and breaks off in the
// middle of the others.
func breaking(t *testing.T, served *atomic.Int64) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	over := make(chan struct{})
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				<-over
				c.Close()
			})
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for i := range 2 {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					served.Add(1)
					if i == 0 {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\n\r\nok")
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		close(over)
		ln.Close()
		wg.Wait()
	})
	return "http://" + ln.Addr().String()
}

// TestDeadIdleConnection: an origin that closes a connection it has answered on
// must not cost a request that can be sent again.
func TestDeadIdleConnection(t *testing.T) {
	var served atomic.Int64
	e := nodetest.Start(t)
	e.Serve(nodetest.Site("dom_shop", "shop.test", breaking(t, &served)))
	for i := range 10 {
		if a := get(t, e.Client(1), "http://shop.test/"); a.body != "ok" {
			t.Fatalf("request %d: %d %s", i, a.status, a.body)
		}
	}
}

// TestUnsafeRequestsAreSentOnce: what may have had an effect is not repeated.
func TestUnsafeRequestsAreSentOnce(t *testing.T) {
	var served atomic.Int64
	e := nodetest.Start(t)
	e.Serve(nodetest.Site("dom_shop", "shop.test", breaking(t, &served), originServer(t, func(w http.ResponseWriter, r *http.Request) { served.Add(1) })))
	for range 6 {
		before := served.Load()
		do(t, e.Client(1), request(t, "POST", "http://shop.test/", "order"))
		if n := served.Load() - before; n != 1 {
			t.Errorf("a POST was sent %d times", n)
		}
	}
}

func TestPrivateOriginsAreRefused(t *testing.T) {
	e := nodetest.Start(t, func(o *node.Options) { o.OriginRanges = nil })
	e.Serve(nodetest.Site("dom_shop", "shop.test", originServer(t, named("secret"))))
	if a := get(t, e.Client(1), "http://shop.test/"); a.status != 502 {
		t.Errorf("a loopback origin was asked: %d %q", a.status, a.body)
	}
	e.MustApply(e.Document("platform/settings", edgeconfig.Platform{OriginRanges: []string{"127.0.0.0/8"}}))
	if a := get(t, e.Client(1), "http://shop.test/"); a.body != "secret" {
		t.Errorf("an allowed origin was not asked: %d %q", a.status, a.body)
	}
}

func TestChallenges(t *testing.T) {
	at := atomic.Int64{}
	at.Store(time.Now().Unix())
	e := nodetest.Start(t, func(o *node.Options) { o.Now = func() time.Time { return time.Unix(at.Load(), 0) } })
	s := nodetest.Site("dom_shop", "shop.test", originServer(t, named("origin")))
	s.RedirectHTTPS = true
	e.Serve(s)
	e.MustApply(
		e.Document("challenge/1", edgeconfig.Challenge{Host: "shop.test", Token: "tok", KeyAuthorization: "tok.thumb", ExpiresAt: at.Load() + 60}),
		e.Document("challenge/2", edgeconfig.Challenge{Host: "new.test", Token: "tok2", KeyAuthorization: "tok2.thumb", ExpiresAt: at.Load() + 60}),
	)
	check := func(host, token string, status int, body string) {
		t.Helper()
		a := get(t, e.Client(1), "http://"+host+"/.well-known/acme-challenge/"+token)
		if a.status != status || body != "" && a.body != body {
			t.Errorf("%s %s: %d %q, want %d %q", host, token, a.status, a.body, status, body)
		}
	}
	check("shop.test", "tok", 200, "tok.thumb")
	check("new.test", "tok2", 200, "tok2.thumb") // not a site yet
	check("shop.test", "tok2", 308, "")
	check("new.test", "tok", 421, "")
	e.MustApply(e.Document("challenge/1", nil))
	check("shop.test", "tok", 308, "")
	at.Add(61)
	check("new.test", "tok2", 421, "")
}

func TestCountersAndAccessLog(t *testing.T) {
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/missing" {
			w.WriteHeader(404)
			return
		}
		_, _ = io.WriteString(w, "0123456789")
	})
	dead := nodetest.Site("dom_dead", "dead.test", "http://127.0.0.1:1")
	e.Serve(dead)
	records, cancel := e.AccessLog(100)
	e.Take(time.Minute)
	for _, u := range []string{"http://shop.test/a?x=1", "http://shop.test/a?x=1", "http://shop.test/missing", "http://dead.test/", "http://nowhere.test/"} {
		get(t, e.Client(1), u, "User-Agent", "tester", "Referer", "here")
	}
	var got []string
	for range 5 {
		r := <-records
		got = append(got, fmt.Sprint(r.Site, " ", r.Status, " ", r.Path, " ", r.Query, " ", r.Bytes > 0, " ", r.Cache, " ", r.Origin, " ", r.Fault, " ", r.UserAgent, " ", r.ClientIP, " ", r.RequestID != ""))
	}
	cancel()
	want := []string{
		"dom_shop 200 /a x=1 true miss dom_shop_oa  tester 127.0.0.1 true",
		"dom_shop 200 /a x=1 true hit   tester 127.0.0.1 true",
		"dom_shop 404 /missing  false miss dom_shop_oa  tester 127.0.0.1 true",
		"dom_dead 502 /  true none  origin tester 127.0.0.1 true",
		" 421 /  true none  client tester 127.0.0.1 true",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("record %d: %q\nwant      %q", i, got[i], want[i])
		}
	}
	rollup := e.Take(time.Minute)
	shop, none := rollup.Sites["dom_shop"], rollup.Sites[""]
	if shop.Requests != 3 || shop.Bytes != 20 || shop.OriginBytes != 10 || shop.Status != [6]int64{2: 2, 4: 1} || shop.Cache["hit"] != 1 || shop.Cache["miss"] != 2 {
		t.Errorf("shop: %+v", shop)
	}
	if d := rollup.Sites["dom_dead"]; d.OriginErrors != 1 || d.Status[5] != 1 {
		t.Errorf("dead: %+v", d)
	}
	if none.Requests != 1 || none.Status[4] != 1 {
		t.Errorf("none: %+v", none)
	}
}

func TestDrainAsksClientsToLeave(t *testing.T) {
	e := edgeWith(t, named("x"))
	if a := get(t, e.Client(1), "http://shop.test/"); a.resp.Close {
		t.Error("closed before the drain")
	}
	e.Drain(true)
	if !e.Info().Draining {
		t.Error("a heartbeat must say so")
	}
	if a := get(t, e.Client(1), "http://shop.test/"); !a.resp.Close {
		t.Error("HTTP/1.1 was not asked to leave")
	}
	e.Drain(false)
	if a := get(t, e.Client(1), "http://shop.test/"); a.resp.Close {
		t.Error("still asked to leave")
	}
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	eachVersion(t, func(t *testing.T, version int) {
		begun, finish := make(chan struct{}, 1), make(chan struct{})
		e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			<-finish
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
		})
		got := make(chan answer, 1)
		c := e.Client(version)
		go func() { got <- get(t, c, "https://shop.test/slow") }()
		<-begun
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			ended <- e.Shutdown(ctx)
		}()
		poll(t, "the end of accepting", func() bool {
			conn, err := net.Dial("tcp", e.HTTPAddr())
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
		close(finish)
		if a := <-got; a.status != 200 || len(a.body) != 100_000 {
			t.Errorf("%d, %d bytes", a.status, len(a.body))
		}
		if err := <-ended; err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
}
