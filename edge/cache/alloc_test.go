package cache

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

// stocked is a cache with objects that stay fresh.
func stocked(t testing.TB, objects int, rules ...edgeconfig.CacheRule) *world {
	w := newWorld(t, Options{MaxBytes: 2 << 30}, rules...)
	w.script(func(*asked) reply {
		w.mu.Lock()
		w.seen = w.seen[:0]
		w.mu.Unlock()
		return reply{header: []string{"Cache-Control: max-age=1000000", "Content-Type: text/html", "ETag: \"a\"", "Vary: Accept-Encoding, Foo"}, body: strings.Repeat("x", 1024)}
	})
	for i := range objects {
		w.do(browser(i))
	}
	for deadline := time.Now().Add(time.Minute); w.cache.Stats().Objects < objects; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", w.cache.Stats())
		}
	}
	return w
}

// browser is a request as browsers send it.
func browser(i int) *request.View {
	return viewOf("GET", "/some/path/of/a/page/"+strconv.Itoa(i)+"?id=1&utm_id=2", "Accept-Encoding: gzip, deflate, br, zstd",
		"Accept: text/html,application/xhtml+xml", "User-Agent: Mozilla/5.0", "Cookie: a=b; c=d", "Foo: bar")
}

var keyedRule = edgeconfig.CacheRule{Pattern: "/some/**", Key: edgeconfig.CacheKey{
	Query: edgeconfig.QueryKey{Mode: "exclude", Names: []string{"utm_id"}}, Headers: []string{"Accept"}, Cookies: []string{"c"},
}}

func TestFreshHitDoesNotAllocate(t *testing.T) {
	for _, rules := range [][]edgeconfig.CacheRule{nil, {keyedRule}} {
		w := stocked(t, 10, rules...)
		v, now := browser(3), time.Now()
		block := make([]byte, 0, 4096)
		header := make(http.Header, 16)
		if n := testing.AllocsPerRun(1000, func() {
			res := w.cache.Lookup(testSite, v, w.rules.Match(v), now)
			if res.Outcome != Hit || !res.Direct {
				t.Fatal(res.Outcome)
			}
			block = res.AppendVarying(append(block[:0], res.HeaderBlock()...))
			res.SetHeader(header)
			if _, err := res.Entry.WriteTo(io.Discard); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if n := testing.AllocsPerRun(1000, func() { w.cache.Lookup(testSite, browserMiss, w.rules.Match(browserMiss), now) }); n != 0 {
			t.Errorf("%v allocations for a look-up that misses", n)
		}
	}
}

var browserMiss = browser(1 << 20)

func BenchmarkLookup(b *testing.B) {
	for _, objects := range []int{1, 10_000, 100_000} {
		w := stocked(b, objects)
		views := make([]*request.View, min(objects, 4096))
		for i := range views {
			views[i] = browser(i * (objects / len(views)))
		}
		now := time.Now()
		b.Run(strconv.Itoa(objects), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				v := views[i&(len(views)-1)]
				if res := w.cache.Lookup(testSite, v, w.rules.Match(v), now); res.Outcome != Hit {
					b.Fatal(res.Outcome)
				}
			}
		})
		b.Run(strconv.Itoa(objects)+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					v := views[i&(len(views)-1)]
					w.cache.Lookup(testSite, v, w.rules.Match(v), now)
				}
			})
		})
	}
}

func BenchmarkHit(b *testing.B) {
	w := stocked(b, 1000, keyedRule)
	v, now := browser(3), time.Now()
	b.Run("block", func(b *testing.B) {
		b.ReportAllocs()
		block := make([]byte, 0, 4096)
		for b.Loop() {
			res := w.cache.Lookup(testSite, v, w.rules.Match(v), now)
			block = res.AppendVarying(append(block[:0], res.HeaderBlock()...))
		}
	})
	b.Run("header", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			res := w.cache.Lookup(testSite, v, w.rules.Match(v), now)
			res.SetHeader(make(http.Header, 16))
		}
	})
}

func BenchmarkPurge(b *testing.B) {
	for _, objects := range []int{10_000, 100_000} {
		w := stocked(b, objects)
		for _, path := range []string{"/some/path/of/a/page/7", "/none/*"} {
			b.Run(path+" of "+strconv.Itoa(objects), func(b *testing.B) {
				for b.Loop() {
					w.cache.Purge([]string{testSite}, []string{path}, false)
				}
			})
		}
	}
}
