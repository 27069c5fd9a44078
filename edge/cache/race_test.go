package cache

import (
	"context"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// versioned is a content that shows which version it is of, in every part.
func versioned(version int64, blocks int) string {
	return strings.Repeat(strconv.FormatInt(1_000_000+version, 10)+"|", blocks)
}

// versionOf checks that a content is of one version throughout; whole tells
// whether it must have all its blocks.
func versionOf(t testing.TB, body string) int64 {
	t.Helper()
	if len(body) < 8 {
		t.Errorf("content %q", body)
		return 0
	}
	block := body[:8]
	if strings.Repeat(block, len(body)/8)+block[:len(body)%8] != body {
		t.Errorf("content of several versions: %.40q...", body)
	}
	n, err := strconv.ParseInt(block[:7], 10, 64)
	if err != nil {
		t.Errorf("content %.40q", body)
	}
	return n - 1_000_000
}

// TestNothingStaleAfterPurge is the promise of a purge under load: the origin's
// content changes, then it is purged, and no request that begins after the
// purge returned gets what the content was before, while clients come and go,
// origins fail, and memory is short.
func TestNothingStaleAfterPurge(t *testing.T) {
	const paths, blocks = 5, 3000
	timed(t, Options{MaxBytes: 512 << 10, MaxObjectBytes: 100 << 10}, func(w *world) {
		var version, floor [paths]atomic.Int64
		jitter := func() { time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond) }
		w.script(func(r *asked) reply {
			w.mu.Lock()
			w.seen = w.seen[:0]
			w.mu.Unlock()
			i, _ := strconv.Atoi(r.path[1:])
			jitter()
			v := version[i].Load()
			jitter()
			tag := "\"" + strconv.FormatInt(v, 10) + "\""
			header := []string{"ETag: " + tag, "Cache-Control: max-age=5, stale-while-revalidate=5, stale-if-error=5"}
			if r.header.Get("If-None-Match") == tag {
				return reply{status: 304, header: header}
			}
			switch rand.IntN(12) {
			case 0:
				header[1] = "Cache-Control: no-store"
			case 1:
				return reply{err: errOrigin}
			case 2:
				return reply{status: 503}
			case 3:
				p := newPipe()
				go func() { p.w.Write([]byte(versioned(v, 10))); p.w.CloseWithError(io.ErrUnexpectedEOF) }()
				return reply{header: header, reader: p.bind(r.ctx)}
			case 4:
				header = append(header, "Vary: Foo")
			case 5: // slow, and large enough to outgrow what may be stored, sometimes
				p := newPipe()
				size := blocks * (1 + rand.IntN(8))
				go func() {
					for range size / 100 {
						p.w.Write([]byte(versioned(v, 100)))
						time.Sleep(time.Millisecond)
					}
					p.w.Close()
				}()
				return reply{header: header, reader: p.bind(r.ctx)}
			}
			return reply{header: header, body: versioned(v, blocks)}
		})
		stop := make(chan struct{})
		var clients, purgers sync.WaitGroup
		answers, refused := atomic.Int64{}, atomic.Int64{}
		for range 20 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					i := rand.IntN(paths)
					lines := []string{"Foo: " + strconv.Itoa(rand.IntN(2))}
					switch rand.IntN(10) {
					case 0:
						lines = append(lines, "Cache-Control: no-cache")
					case 1:
						lines = append(lines, "Range: bytes=0-79")
					case 2:
						lines = append(lines, "Range: bytes=800-879")
					}
					ctx, cancel := context.WithCancel(context.Background())
					if rand.IntN(5) == 0 {
						time.AfterFunc(time.Duration(rand.IntN(1000))*time.Millisecond, cancel)
					}
					least := floor[i].Load()
					got := w.doCtx(ctx, viewOf("GET", "/"+strconv.Itoa(i), lines...))
					cancel()
					if got.err != nil || got.status == 503 || got.cut != nil && got.body == "" {
						refused.Add(1)
						jitter()
						continue
					}
					answers.Add(1)
					if v := versionOf(w.t, got.body); v < least {
						w.t.Errorf("/%d: version %d after the purge of %d (%d %s, %q)", i, v, least, got.status, got.outcome, got.header["Cache-Status"])
					}
					if got.status == 200 && got.cut == nil && len(got.body)%(8*100) != 0 {
						w.t.Errorf("/%d: %d bytes look complete", i, len(got.body))
					}
					jitter()
				}
			})
		}
		for i := range paths {
			purgers.Go(func() {
				for range 300 {
					jitter()
					v := version[i].Add(1)
					path := "/" + strconv.Itoa(i)
					switch rand.IntN(5) {
					case 0:
						w.cache.Purge([]string{testSite}, nil, true)
					case 1:
						w.cache.Purge([]string{testSite}, []string{"/*"}, false)
					case 2:
						w.cache.Purge([]string{testSite}, []string{"https://example.com" + path}, false)
					case 3:
						w.do(viewOf("POST", path)) // an unsafe request invalidates too
						continue                   // but it may fail, so it promises nothing here
					default:
						w.cache.Purge([]string{testSite}, []string{path}, false)
					}
					floor[i].Store(v)
					if s := w.cache.Stats(); s.Bytes+s.InFlight+s.Pinned > s.MaxBytes {
						w.t.Errorf("the bound is exceeded: %+v", s)
					}
				}
			})
		}
		purgers.Wait()
		close(stop)
		clients.Wait()
		settled()
		time.Sleep(minute)
		w.cache.PurgeEverything()
		settled()
		if s := w.cache.Stats(); s.Bytes != 0 || s.InFlight != 0 || s.Pinned != 0 {
			t.Errorf("something is left: %+v", s)
		}
		if answers.Load() < 1500 {
			t.Errorf("only %d answers, %d refused", answers.Load(), refused.Load())
		}
		t.Logf("%d answers, %d refused", answers.Load(), refused.Load())
	})
}

// TestTableUnderWriters checks that readers of the table always find what is in
// it all the time, whatever else comes and goes.
func TestTableUnderWriters(t *testing.T) {
	var table table[int]
	fixed := make([]int, 100)
	for i := range fixed {
		fixed[i] = i
		table.insert(uint64(i*i), &fixed[i])
	}
	var readers sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				i := rand.IntN(len(fixed))
				found := false
				for n := table.first(uint64(i * i)); n != nil; n = n.next.Load() {
					found = found || n.value == &fixed[i]
				}
				if !found {
					t.Errorf("%d is lost", i)
					return
				}
			}
		})
	}
	for range 20 {
		coming := make([]int, 1000)
		hashes := make([]uint64, len(coming))
		for i := range coming {
			hashes[i] = rand.Uint64N(2000)
			table.insert(hashes[i], &coming[i])
		}
		seen := 0
		table.each(func(*int) { seen++ })
		if seen != len(fixed)+len(coming) || table.count != seen {
			t.Errorf("%d values of %d", seen, table.count)
		}
		for i := range coming {
			if !table.remove(hashes[i], &coming[i]) || table.remove(hashes[i], &coming[i]) {
				t.Errorf("%d was not there once", i)
			}
		}
	}
	stop.Store(true)
	readers.Wait()
	if table.count != len(fixed) {
		t.Errorf("%d values are left", table.count)
	}
}
