package cache

import (
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func (w *world) getOf(site, target string) string {
	v := viewOf("GET", target)
	res := w.cache.Lookup(site, v, w.rules.Match(v), time.Now())
	resp, err := w.cache.Fetch(w.t.Context(), site, v, &res, w.originFor(v, &res))
	if err != nil {
		w.t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	settled()
	return resp.Outcome.String()
}

func (w *world) checkBound() {
	w.t.Helper()
	if s := w.cache.Stats(); s.Bytes+s.InFlight+s.Pinned > s.MaxBytes {
		w.t.Errorf("the bound is exceeded: %+v", s)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	timed(t, Options{MaxBytes: 1 << 20}, func(w *world) {
		w.script(func(r *asked) reply {
			n, _ := strconv.Atoi(r.path[1:])
			return reply{header: []string{"Cache-Control: max-age=1000"}, body: strings.Repeat("x", n%7*1000)}
		})
		for i := range 2000 {
			w.getOf(testSite, "/"+strconv.Itoa(i))
			w.checkBound()
		}
		s := w.cache.Stats()
		if s.Bytes < s.MaxBytes/2 || s.Evicted == 0 || s.Objects == 0 {
			t.Errorf("%+v", s)
		}
		if n := int64(s.Objects) + s.Evicted; n != 2000 {
			t.Errorf("%d stored and evicted of 2000", n)
		}
	})
}

func TestScanDoesNotEvictWhatIsUsed(t *testing.T) {
	timed(t, Options{MaxBytes: 1 << 20}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=1000"}, body: strings.Repeat("x", 4000)})
		for range 4 {
			for i := range 50 {
				w.getOf(testSite, "/hot/"+strconv.Itoa(i))
			}
		}
		for i := range 5000 {
			w.getOf(testSite, "/scan/"+strconv.Itoa(i))
		}
		hits := 0
		for i := range 50 {
			if w.getOf(testSite, "/hot/"+strconv.Itoa(i)) == "hit" {
				hits++
			}
		}
		if hits < 45 {
			t.Errorf("%d of 50 survive a scan of twenty times the memory", hits)
		}
	})
}

func TestOneSiteCannotEvictEveryone(t *testing.T) {
	timed(t, Options{MaxBytes: 1 << 20, SiteShare: 0.25}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=1000"}, body: strings.Repeat("x", 4000)})
		for i := range 60 { // some 300 KiB, used once
			w.getOf("modest", "/"+strconv.Itoa(i))
		}
		for range 3 { // everything used again and again, four times the memory
			for i := range 1000 {
				w.getOf("greedy", "/"+strconv.Itoa(i))
				w.getOf("greedy", "/"+strconv.Itoa(i))
				w.getOf("greedy", "/"+strconv.Itoa(i))
			}
		}
		w.checkBound()
		if share := int64(1<<20) / 4; w.cache.SiteBytes("modest") < share {
			t.Errorf("the modest site keeps %d bytes, its share is %d", w.cache.SiteBytes("modest"), share)
		}
		if w.cache.SiteBytes("greedy") < 1<<19 {
			t.Errorf("what nobody else needs may be used: %d bytes", w.cache.SiteBytes("greedy"))
		}
	})
}

func TestFillsAreBounded(t *testing.T) {
	timed(t, Options{MaxBytes: 4 << 20}, func(w *world) {
		var pipes []*pipe
		var responses []*Response
		w.script(func(r *asked) reply {
			p := newPipe()
			pipes = append(pipes, p)
			return reply{header: []string{"Cache-Control: max-age=10"}, reader: p.bind(r.ctx)}
		})
		chunk := strings.Repeat("x", 256<<10)
		for i := range 20 {
			resp, err := w.begin(w.t.Context(), viewOf("GET", "/"+strconv.Itoa(i)))
			if err != nil {
				t.Fatal(err)
			}
			responses = append(responses, resp)
			go func() { pipes[i].w.Write([]byte(chunk)); pipes[i].w.Close() }()
			settled()
			w.checkBound()
		}
		if s := w.cache.Stats(); s.InFlight > s.MaxBytes/2 {
			t.Errorf("%+v", s)
		}
		for i, resp := range responses {
			if b, err := io.ReadAll(resp.Body); len(b) != len(chunk) || err != nil {
				t.Errorf("response %d: %d bytes, %v", i, len(b), err)
			}
			resp.Body.Close()
			settled()
		}
		w.checkBound()
		if s := w.cache.Stats(); s.InFlight != 0 || s.Pinned != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPinnedMemoryCounts(t *testing.T) {
	timed(t, Options{MaxBytes: 1 << 20}, func(w *world) {
		w.always(reply{header: []string{"Cache-Control: max-age=1000"}, body: strings.Repeat("x", 100_000)})
		var slow []*Response
		for i := range 20 {
			target := "/" + strconv.Itoa(i)
			w.getOf(testSite, target)
			if resp, err := w.begin(w.t.Context(), viewOf("GET", target)); err == nil {
				slow = append(slow, resp)
			}
			settled()
			w.checkBound()
		}
		if s := w.cache.Stats(); s.Pinned == 0 {
			t.Errorf("%+v", s)
		}
		for _, resp := range slow {
			if b, _ := io.ReadAll(resp.Body); len(b) != 100_000 {
				t.Errorf("%d bytes", len(b))
			}
			resp.Body.Close()
			resp.Body.Close()
		}
		settled()
		if s := w.cache.Stats(); s.Pinned != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestAccountingIsHonest compares what the cache says it holds with the heap.
func TestAccountingIsHonest(t *testing.T) {
	for _, size := range []int{0, 200, 10_000, 70_000} {
		const objects = 2000
		w := newWorld(t, Options{MaxBytes: 1 << 30})
		body := strings.Repeat("x", size)
		w.script(func(*asked) reply {
			w.seen = nil
			return reply{header: []string{"Cache-Control: max-age=100000", "Content-Type: text/html", "ETag: \"0123456789\"", "Last-Modified: Fri, 31 Dec 1999 12:00:00 GMT", "Server: x", "X-Request: 0123456789abcdef"}, body: body}
		})
		w.get("/warm")
		heap := func() int64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before, counted := heap(), w.cache.Stats().Bytes
		for i := range objects {
			target := "/some/path/of/a/page/" + strconv.Itoa(i)
			w.get(target)
			w.get(target) // rendered as it is sent
		}
		for deadline := time.Now().Add(10 * time.Second); w.cache.Stats().Objects < objects+1 && time.Now().Before(deadline); {
			runtime.Gosched()
		}
		real, counted := heap()-before, w.cache.Stats().Bytes-counted
		t.Logf("%d bytes of content: %d bytes an object on the heap, %d accounted", size, real/objects, counted/objects)
		if float64(counted) < 0.85*float64(real) || float64(counted) > 1.5*float64(real) {
			t.Errorf("%d bytes of content: the heap grew by %d, %d are accounted", size, real, counted)
		}
		w.cache.Close()
	}
}

func TestChunks(t *testing.T) {
	reserved := int64(0)
	grow := func(n int64) bool { reserved += n; return true }
	for _, c := range []struct{ expected, size int64 }{{0, 0}, {1, 1}, {-1, 0}, {-1, 1}, {-1, firstChunk}, {-1, firstChunk + 1}, {-1, chunkSize}, {-1, chunkSize + 1}, {-1, 5*chunkSize - 3}, {chunkSize, chunkSize}, {3*chunkSize + 17, 3*chunkSize + 17}} {
		reserved = 0
		sink := memory{}.Create(c.expected, grow)
		for written := int64(0); written < c.size; {
			space, err := sink.Space()
			if err != nil || len(space) == 0 {
				t.Fatal(err)
			}
			n := min(int64(len(space)), 1000, c.size-written)
			for i := range space[:n] {
				space[i] = byte((written + int64(i)) % 251)
			}
			sink.Advance(int(n))
			written += n
		}
		if err := sink.Commit(); err != nil {
			t.Fatal(err)
		}
		content := sink.Content()
		for off := int64(0); off < c.size; {
			b, err := content.Chunk(off)
			if err != nil || len(b) == 0 {
				t.Fatalf("%+v at %d: %v", c, off, err)
			}
			for i := range b {
				if b[i] != byte((off+int64(i))%251) {
					t.Fatalf("%+v: wrong byte at %d", c, off+int64(i))
				}
			}
			off += int64(len(b))
		}
		if content.Size() != c.size || content.Cost() < c.size || content.Cost() > c.size+c.size/7 || content.Cost() > reserved {
			t.Errorf("%+v: size %d, cost %d, reserved %d", c, content.Size(), content.Cost(), reserved)
		}
	}
	sink := memory{}.Create(-1, func(int64) bool { return false })
	if _, err := sink.Space(); err != errFull {
		t.Errorf("%v", err)
	}
}
