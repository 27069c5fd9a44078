package checks

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// fake is a target that lives or does not.
type fake struct {
	dead  atomic.Bool
	asked atomic.Int64
}

func (f *fake) dial(context.Context, string, string) (net.Conn, error) {
	f.asked.Add(1)
	if f.dead.Load() {
		return nil, errors.New("refused")
	}
	near, far := net.Pipe()
	_ = far.Close()
	return near, nil
}

func TestFallAndRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := New(f.dial, quiet)
		defer s.Close()
		c := edgeconfig.Check{ID: "hc_1", Type: edgeconfig.CheckTCP, Target: "192.0.2.1:80", IntervalMS: 1000, Fall: 3, Rise: 2}
		alive := func(want bool, when string) {
			t.Helper()
			if s.Alive("hc_1") != want {
				t.Errorf("%s: alive is %v", when, !want)
			}
		}
		// asks waits until the target has been asked n times more.
		asks := func(n int64) {
			for until := f.asked.Load() + n; f.asked.Load() < until; {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
			}
		}
		alive(true, "unknown")
		s.Put(c)
		alive(true, "not asked yet")
		asks(2)
		f.dead.Store(true)
		asks(2)
		alive(true, "two failures")
		f.dead.Store(false)
		asks(1)
		f.dead.Store(true)
		asks(2)
		alive(true, "two failures after a success")
		asks(1)
		alive(false, "three failures")
		if n, dead := s.Len(); n != 1 || dead != 1 {
			t.Errorf("%d checks, %d dead", n, dead)
		}
		// A changed check keeps what is known; the same one goes on as it was.
		c.IntervalMS = 2000
		s.Put(c)
		alive(false, "changed")
		s.Put(c)
		f.dead.Store(false)
		asks(1)
		alive(false, "one success")
		asks(1)
		alive(true, "two successes")
		s.Remove("hc_1")
		before := f.asked.Load()
		time.Sleep(time.Minute)
		if f.asked.Load() != before {
			t.Error("a removed check is asked")
		}
		alive(true, "removed")
	})
}

// An edge that restarts knows nothing, and must not take what is dead for alive
// until it has failed as often as what lived.
func TestTheFirstAnswerCountsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.dead.Store(true)
		s := New(f.dial, quiet)
		defer s.Close()
		s.Put(edgeconfig.Check{ID: "hc_1", Type: edgeconfig.CheckTCP, Target: "192.0.2.1:80", IntervalMS: 10_000, Fall: 3, Rise: 2})
		if !s.Alive("hc_1") {
			t.Error("what has not been asked is dead")
		}
		for f.asked.Load() < 1 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if s.Alive("hc_1") {
			t.Error("what was dead from the first lives")
		}
		f.dead.Store(false)
		for f.asked.Load() < 2 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if s.Alive("hc_1") {
			t.Error("one success after it is enough")
		}
		for f.asked.Load() < 3 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if !s.Alive("hc_1") {
			t.Error("two successes are not enough")
		}
	})
}

func TestAsk(t *testing.T) {
	status := http.StatusOK
	var got *http.Request
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "content")
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	broken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	go func() {
		for {
			c, err := broken.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
			_ = c.Close()
		}
	}()
	s := New((&net.Dialer{}).DialContext, quiet)
	defer s.Close()
	for name, c := range map[string]struct {
		check  edgeconfig.Check
		status int
		ok     bool
	}{
		"TCP":               {edgeconfig.Check{Type: "tcp", Target: plain.Listener.Addr().String()}, 0, true},
		"TCP refused":       {edgeconfig.Check{Type: "tcp", Target: "127.0.0.1:1"}, 0, false},
		"HTTP":              {edgeconfig.Check{Type: "http", Target: plain.Listener.Addr().String(), Host: "shop.test", Path: "/health?x=1"}, 200, true},
		"a redirect":        {edgeconfig.Check{Type: "http", Target: plain.Listener.Addr().String()}, 302, true},
		"not found":         {edgeconfig.Check{Type: "http", Target: plain.Listener.Addr().String()}, 404, false},
		"HTTPS":             {edgeconfig.Check{Type: "https", Target: secure.Listener.Addr().String(), SkipVerify: true}, 200, true},
		"HTTPS, not proved": {edgeconfig.Check{Type: "https", Target: secure.Listener.Addr().String()}, 200, false},
		"breaks off":        {edgeconfig.Check{Type: "http", Target: broken.Addr().String()}, 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			status, got = c.status, nil
			check := defaults(c.check)
			if err := s.ask(t.Context(), &check); (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
			if c.check.Host != "" && (got == nil || got.Host != c.check.Host || got.URL.String() != c.check.Path) {
				t.Errorf("asked %v", got)
			}
		})
	}
}

func TestAliveAllocatesNothing(t *testing.T) {
	s := New((&fake{}).dial, quiet)
	defer s.Close()
	s.Put(edgeconfig.Check{ID: "hc_1", Type: edgeconfig.CheckTCP, Target: "192.0.2.1:80"})
	if n := testing.AllocsPerRun(100, func() { s.Alive("hc_1") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
