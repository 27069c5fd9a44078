package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// pipe is a content that the test feeds.
type pipe struct {
	*io.PipeReader
	w *io.PipeWriter
}

func newPipe() *pipe {
	r, w := io.Pipe()
	return &pipe{r, w}
}

func (p *pipe) send(s string) {
	p.w.Write([]byte(s))
	settled()
}

func (p *pipe) end(err error) {
	p.w.CloseWithError(err)
	settled()
}

// bind makes reads fail once the request's context ends, as net/http's do.
func (p *pipe) bind(ctx context.Context) *pipe {
	context.AfterFunc(ctx, func() { p.CloseWithError(ctx.Err()) })
	return p
}

func TestConcurrentMissesAreOne(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			time.Sleep(second)
			return reply{header: []string{"Cache-Control: max-age=10"}, body: strings.Repeat("x", 100_000)}
		})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if got := w.get("/a"); got.err != nil || len(got.body) != 100_000 || got.cut != nil {
					t.Errorf("%v, %d bytes, %v", got.err, len(got.body), got.cut)
				}
			})
		}
		all.Wait()
		if n := w.asks(); n != 1 {
			t.Errorf("%d requests to the origin", n)
		}
		if got := w.get("/a"); got.outcome != "hit" {
			t.Errorf("%s", got.outcome)
		}
	})
}

func TestEveryoneReadsWhileItIsStored(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		p := newPipe()
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, reader: p})
		var responses []*Response
		for range 3 {
			resp, err := w.begin(w.t.Context(), viewOf("GET", "/a"))
			if err != nil {
				t.Fatal(err)
			}
			responses = append(responses, resp)
		}
		read := func(n int, want string) {
			t.Helper()
			for i, resp := range responses {
				b := make([]byte, n)
				if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != want {
					t.Errorf("reader %d: %q %v, want %q", i, b, err, want)
				}
			}
		}
		p.send("one")
		read(3, "one")
		resp, err := w.begin(w.t.Context(), viewOf("GET", "/a"))
		if err != nil || !strings.Contains(resp.Header.Get("Cache-Status"), "collapsed") {
			t.Fatalf("%v %q", err, resp.Header["Cache-Status"])
		}
		late := make([]byte, 3)
		if _, err := io.ReadFull(resp.Body, late); string(late) != "one" {
			t.Errorf("who comes later begins at the beginning: %q %v", late, err)
		}
		responses = append(responses, resp)
		p.send("two")
		p.end(nil)
		read(3, "two")
		for _, resp := range responses {
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%d %v at the end", n, err)
			}
			resp.Body.Close()
		}
		settled()
		if got := w.get("/a"); got.outcome != "hit" || got.body != "onetwo" || got.header.Get("Content-Length") != "6" {
			t.Errorf("%s %q %v", got.outcome, got.body, got.header)
		}
		if n := w.asks(); n != 1 {
			t.Errorf("%d requests to the origin", n)
		}
	})
}

func TestWhatIsNotSharedDoesNotSerialise(t *testing.T) {
	for _, header := range []string{"Cache-Control: no-store", "Cache-Control: private", "Set-Cookie: a=b\nCache-Control: max-age=10", "Vary: *\nCache-Control: max-age=10", "Cache-Control: max-age=0, no-cache\nETag: \"a\""} {
		timed(t, Options{}, func(w *world) {
			w.script(func(r *asked) reply {
				time.Sleep(second)
				return reply{header: []string{header}, body: strconv.Itoa(r.number)}
			})
			batch := func() time.Duration {
				start := time.Now()
				var all sync.WaitGroup
				var mu sync.Mutex
				bodies := map[string]bool{}
				for range 20 {
					all.Go(func() {
						got := w.get("/a")
						mu.Lock()
						defer mu.Unlock()
						if got.err != nil || bodies[got.body] {
							t.Errorf("%s: %v, response %q given twice", header, got.err, got.body)
						}
						bodies[got.body] = true
					})
				}
				all.Wait()
				return time.Since(start)
			}
			if d := batch(); d > 2*second {
				t.Errorf("%s: 20 requests took %v, waiting for the first one and then for themselves takes 2s", header, d)
			}
			if d := batch(); d > second {
				t.Errorf("%s: the next 20 took %v, nobody should have waited for another", header, d)
			}
			settled()
		})
	}
}

func TestHitForMissIsForgottenOnceShared(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: no-store"}})
		w.get("/a")
		w.always(reply{header: []string{"Cache-Control: max-age=1"}})
		w.get("/a")
		settled()
		time.Sleep(2 * second)
		w.script(func(*asked) reply { time.Sleep(second); return reply{header: []string{"Cache-Control: max-age=10"}} })
		before := w.asks()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { w.get("/a") })
		}
		all.Wait()
		if n := w.asks() - before; n != 1 {
			t.Errorf("%d requests to the origin", n)
		}
	})
}

func TestWhatOneClientGetsDoesNotStopOthersFromSharing(t *testing.T) {
	for _, first := range []func(w *world) answered{
		func(w *world) answered { return w.get("/a", "Authorization: x") },
		func(w *world) answered { return w.get("/a", "Cache-Control: no-store") },
		func(w *world) answered { return w.do(viewOf("HEAD", "/a")) },
	} {
		timed(t, Options{}, func(w *world) {
			w.script(func(r *asked) reply {
				time.Sleep(second)
				if r.header.Get("Authorization") != "" {
					return reply{header: []string{"Cache-Control: private"}, body: "mine"}
				}
				return reply{header: []string{"Cache-Control: max-age=10"}, body: "all"}
			})
			first(w)
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if got := w.get("/a"); got.body != "all" {
						t.Errorf("%q", got.body)
					}
				})
			}
			all.Wait()
			if n := w.asks(); n != 2 {
				t.Errorf("%d requests to the origin", n)
			}
		})
	}
}

func TestStoredBetweenLookUpAndFetch(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "x"})
		v := viewOf("GET", "/a")
		before := w.cache.Lookup(testSite, v, nil, time.Now())
		w.get("/a")
		settled()
		resp, err := w.cache.Fetch(w.t.Context(), testSite, v, &before, w.originFor(v, &before))
		if err != nil || resp.Outcome != Hit || w.asks() != 1 {
			t.Errorf("%v %+v after %d requests to the origin", err, resp, w.asks())
		}
		resp.Body.Close()
	})
}

func TestFailingOriginIsSoonWaitedForAgain(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{status: 502})
		w.get("/a")
		time.Sleep(2 * second)
		w.script(func(*asked) reply { time.Sleep(second); return reply{header: []string{"Cache-Control: max-age=10"}} })
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { w.get("/a") })
		}
		all.Wait()
		if n := w.asks(); n != 2 {
			t.Errorf("%d requests to an origin that recovers", n)
		}
	})
}

func TestAfterClose(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10, stale-while-revalidate=100"}, body: "x"})
		w.get("/a")
		settled()
		w.cache.Close()
		if got := w.get("/a"); got.outcome != "hit" {
			t.Errorf("what is stored is still found: %s", got.outcome)
		}
		if got := w.get("/b"); got.err == nil {
			t.Errorf("%d", got.status)
		}
		time.Sleep(20 * second)
		for range 100 { // each gives its place among the background validations back
			if got := w.get("/a"); got.outcome != "stale" {
				t.Fatalf("%s", got.outcome)
			}
		}
	})
}

func TestWaitersWhomVaryExcludesGoOn(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(r *asked) reply {
			time.Sleep(second)
			return reply{header: []string{"Cache-Control: max-age=10", "Vary: Foo"}, body: r.header.Get("Foo")}
		})
		var all sync.WaitGroup
		for i := range 30 {
			foo := strconv.Itoa(i % 3)
			all.Go(func() {
				if got := w.get("/a", "Foo: "+foo); got.body != foo {
					t.Errorf("asked for %s, got %q", foo, got.body)
				}
			})
		}
		all.Wait()
		first := w.asks()
		time.Sleep(20 * second)
		for i := range 30 {
			all.Go(func() { w.get("/a", "Foo: "+strconv.Itoa(i%3)) })
		}
		all.Wait()
		if n := w.asks() - first; n != 3 {
			t.Errorf("once it is known what the key varies on, 3 variants took %d requests", n)
		}
	})
}

func TestLeaderLeaves(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		p := newPipe()
		w.script(func(r *asked) reply {
			time.Sleep(second)
			return reply{header: []string{"Cache-Control: max-age=10"}, reader: p.bind(r.ctx)}
		})
		ctx, leave := context.WithCancel(w.t.Context())
		var leader, follower answered
		var both sync.WaitGroup
		both.Go(func() { leader = w.doCtx(ctx, viewOf("GET", "/a")) })
		settled()
		both.Go(func() { follower = w.get("/a") })
		settled()
		leave() // before the response's header
		time.Sleep(2 * second)
		p.send("content")
		p.end(nil)
		both.Wait()
		if !errors.Is(leader.err, context.Canceled) || follower.body != "content" || follower.cut != nil || w.asks() != 1 {
			t.Errorf("leader %v; follower %q %v after %d requests", leader.err, follower.body, follower.cut, w.asks())
		}
		if got := w.get("/a"); got.outcome != "hit" {
			t.Errorf("%s", got.outcome)
		}
	})
}

func TestLeaderLeavesDuringContent(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		p := newPipe()
		w.script(func(r *asked) reply {
			return reply{header: []string{"Cache-Control: max-age=10"}, reader: p.bind(r.ctx)}
		})
		leader, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		follower, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		p.send("con")
		leader.Body.Close()
		p.send("tent")
		p.end(nil)
		if b, err := io.ReadAll(follower.Body); string(b) != "content" || err != nil {
			t.Errorf("%q %v", b, err)
		}
		follower.Body.Close()
	})
}

func TestEveryoneLeaves(t *testing.T) {
	const large = 10 << 20
	for _, c := range []struct {
		name     string
		length   int64
		sent     int
		finished bool
	}{
		{"little is missing", 1000, 10, true},
		{"much is missing", large, 10, false},
		{"the smaller half is missing", large, large/2 + 1, true},
		{"of unknown length", 0, 10, false},
	} {
		timed(t, Options{}, func(w *world) {
			p := newPipe()
			var ctx context.Context
			w.script(func(r *asked) reply {
				ctx = r.ctx
				return reply{header: []string{"Cache-Control: max-age=10"}, reader: p.bind(r.ctx), length: c.length}
			})
			a, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
			b, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
			p.send(strings.Repeat("x", c.sent))
			a.Body.Close()
			settled()
			if ctx.Err() != nil {
				t.Errorf("%s: cancelled while somebody still reads", c.name)
			}
			b.Body.Close()
			settled()
			if (ctx.Err() == nil) != c.finished {
				t.Errorf("%s: cancelled %v", c.name, ctx.Err() != nil)
			}
			if c.finished {
				p.send(strings.Repeat("x", int(c.length)-c.sent))
				p.end(nil)
				if got := w.get("/a"); got.outcome != "hit" || int64(len(got.body)) != c.length {
					t.Errorf("%s: %s %d bytes", c.name, got.outcome, len(got.body))
				}
			}
			if s := w.cache.Stats(); s.InFlight != 0 {
				t.Errorf("%s: %d bytes still reserved", c.name, s.InFlight)
			}
		})
	}
}

func TestLastClientLeavesBeforeTheHeader(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		cancelled := make(chan struct{})
		w.script(func(r *asked) reply { <-r.ctx.Done(); close(cancelled); return reply{err: r.ctx.Err()} })
		ctx, leave := context.WithCancel(w.t.Context())
		go leave()
		if got := w.doCtx(ctx, viewOf("GET", "/a")); !errors.Is(got.err, context.Canceled) {
			t.Errorf("%v", got.err)
		}
		<-cancelled
	})
}

func TestOriginDiesDuringContent(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int64
		err    error
	}{
		{"connection reset", 0, errors.New("connection reset")},
		{"cut chunked content", 0, io.ErrUnexpectedEOF},
		{"less than announced", 10, nil},
	} {
		timed(t, Options{}, func(w *world) {
			p := newPipe()
			w.always(reply{header: []string{"Cache-Control: max-age=10, stale-if-error=100"}, reader: p, length: c.length})
			var got [3]answered
			var all sync.WaitGroup
			for i := range got {
				all.Go(func() { got[i] = w.get("/a") })
			}
			settled()
			p.send("half")
			p.end(c.err)
			all.Wait()
			for i := range got {
				if got[i].body != "half" || got[i].cut == nil {
					t.Errorf("%s: %q ends with %v, which looks complete", c.name, got[i].body, got[i].cut)
				}
			}
			w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "whole"})
			if got := w.get("/a"); got.outcome != "miss" || got.body != "whole" {
				t.Errorf("%s: 9111-3.3 %s %q", c.name, got.outcome, got.body)
			}
			settled()
			if s := w.cache.Stats(); s.InFlight != 0 || s.Objects != 1 {
				t.Errorf("%s: %+v", c.name, s)
			}
		})
	}
}

func TestOriginDiesBeforeContent(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		p := newPipe()
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, reader: p})
		go p.w.CloseWithError(io.ErrUnexpectedEOF)
		got := w.get("/a")
		if got.err == nil && got.cut == nil {
			t.Errorf("%d %q looks complete", got.status, got.body)
		}
		settled()
	})
}

func TestMoreThanAnnounced(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, reader: io.NopCloser(strings.NewReader("abcdef")), length: 3})
		if got := w.get("/a"); got.body != "abc" || got.cut == nil {
			t.Errorf("%q %v", got.body, got.cut)
		}
		settled()
		if n := w.cache.Stats().Objects; n != 0 {
			t.Errorf("%d stored", n)
		}
	})
}

func TestCloseDelimitedIsNotStored(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "x", proto10: true})
		for range 2 {
			if got := w.get("/a"); got.outcome != "miss" || got.body != "x" {
				t.Errorf("%s %q", got.outcome, got.body)
			}
		}
	})
}

func TestTrailersPassThrough(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: "x", trailer: http.Header{"X-Sum": {"1"}}})
		resp, err := w.begin(w.t.Context(), viewOf("GET", "/a"))
		if err != nil || resp.Upstream == nil || resp.Upstream.Trailer.Get("X-Sum") != "1" {
			t.Errorf("%v %+v", err, resp)
		}
		resp.Body.Close()
		settled()
	})
}

func TestOriginErrorIsShared(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(*asked) reply { time.Sleep(second); return reply{err: errOrigin} })
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if got := w.get("/a"); !errors.Is(got.err, errOrigin) {
					t.Errorf("%v", got.err)
				}
			})
		}
		all.Wait()
		if n := w.asks(); n != 1 {
			t.Errorf("%d requests to an origin that refuses", n)
		}
	})
}

func TestPanicOfTheOriginIsOneRequests(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		w.script(func(*asked) reply { panic("boom") })
		if got := w.get("/a"); got.err == nil {
			t.Errorf("%d", got.status)
		}
		w.always(reply{body: "x", header: []string{"Cache-Control: max-age=1"}})
		if got := w.get("/a"); got.body != "x" {
			t.Errorf("%q %v", got.body, got.err)
		}
		settled()
	})
}

func TestTooLargeToStore(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	timed(t, Options{MaxObjectBytes: 100_000}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: content})
		if got := w.get("/known"); got.body != content || !strings.Contains(got.header.Get("Cache-Status"), "too-large") {
			t.Errorf("%d bytes, %q", len(got.body), got.header["Cache-Status"])
		}
		settled()
		w.script(func(*asked) reply {
			return reply{header: []string{"Cache-Control: max-age=10"}, reader: io.NopCloser(strings.NewReader(content))}
		})
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if got := w.get("/unknown"); got.body != content || got.cut != nil {
					t.Errorf("%d bytes, %v", len(got.body), got.cut)
				}
			})
		}
		all.Wait()
		settled()
		if s := w.cache.Stats(); s.Objects != 0 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSlowReaderOfWhatIsTooLarge(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 1<<16)
	timed(t, Options{MaxObjectBytes: 10_000}, func(w *world) {
		p := newPipe()
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, reader: p})
		fast, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		slow, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		go func() { p.w.Write([]byte(content)); p.w.Close() }()
		start := time.Now()
		b, err := io.ReadAll(fast.Body)
		if string(b) != content || err != nil {
			t.Errorf("the fast reader got %d bytes, %v", len(b), err)
		}
		if d := time.Since(start); d < lagging || d > 2*lagging {
			t.Errorf("the slow reader held the fast one up for %v", d)
		}
		if b, err := io.ReadAll(slow.Body); err == nil || len(b) == len(content) {
			t.Errorf("the slow reader got %d bytes, %v", len(b), err)
		}
		fast.Body.Close()
		slow.Body.Close()
	})
	timed(t, Options{MaxObjectBytes: 10_000}, func(w *world) {
		w.script(func(*asked) reply {
			return reply{header: []string{"Cache-Control: max-age=10"}, reader: io.NopCloser(strings.NewReader(content))}
		})
		alone, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		time.Sleep(10 * lagging)
		if b, err := io.ReadAll(alone.Body); string(b) != content || err != nil {
			t.Errorf("a slow reader that holds nobody up got %d bytes, %v", len(b), err)
		}
		alone.Body.Close()
	})
}

func TestRangesOfWhatIsComing(t *testing.T) {
	timed(t, Options{MaxBytes: 100 << 20}, func(w *world) {
		p := newPipe()
		w.script(func(r *asked) reply {
			if r.header.Get("Range") != "" {
				return reply{status: 206, body: "far"}
			}
			return reply{header: []string{"Cache-Control: max-age=10"}, reader: p.bind(r.ctx), length: 8 << 20}
		})
		whole, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		p.send("0123456789")
		near, err := w.begin(w.t.Context(), viewOf("GET", "/a", "Range: bytes=2-11"))
		if err != nil || near.Status != 206 || near.Header.Get("Content-Range") != "bytes 2-11/8388608" {
			t.Fatalf("%v %+v", err, near)
		}
		if far := w.get("/a", "Range: bytes=4000000-4000001"); far.body != "far" {
			t.Errorf("a range far ahead waits: %q", far.body)
		}
		p.send("abcdef")
		if b, err := io.ReadAll(near.Body); string(b) != "23456789ab" || err != nil {
			t.Errorf("%q %v", b, err)
		}
		near.Body.Close()
		whole.Body.Close()
		settled()
	})
}

func TestCloseBreaksOff(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		p := newPipe()
		w.script(func(r *asked) reply {
			return reply{header: []string{"Cache-Control: max-age=10"}, reader: p.bind(r.ctx)}
		})
		resp, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
		w.cache.Close()
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("looks complete")
		}
		resp.Body.Close()
	})
}

func TestWriteTo(t *testing.T) {
	timed(t, Options{}, func(w *world) {
		content := strings.Repeat("0123456789", 20_000)
		w.always(reply{header: []string{"Cache-Control: max-age=10"}, body: content})
		for _, outcome := range []Outcome{Miss, Hit} {
			resp, _ := w.begin(w.t.Context(), viewOf("GET", "/a"))
			var b bytes.Buffer
			n, err := resp.Body.(io.WriterTo).WriteTo(&b)
			if resp.Outcome != outcome || b.String() != content || n != int64(len(content)) || err != nil {
				t.Errorf("%v: %d bytes, %v", resp.Outcome, n, err)
			}
			resp.Body.Close()
			settled()
		}
	})
}
