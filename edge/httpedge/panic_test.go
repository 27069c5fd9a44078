package httpedge

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/cache"
	"github.com/edgewright/edgewright/edge/telemetry"
)

// brokenSites is a configuration with one site that every request stumbles
// over: it has no pool.
type brokenSites struct{ site *Site }

func (b brokenSites) Site(host string) *Site {
	if host == "broken.test" {
		return b.site
	}
	return nil
}
func (brokenSites) Covers(string, string) bool              { return false }
func (brokenSites) Challenge(string, string) (string, bool) { return "", false }
func (brokenSites) Revision(string) (int64, bool)           { return 0, false }
func (brokenSites) HTTPSPort() string                       { return "" }

func TestPanicIsOneAnswer(t *testing.T) {
	tel := telemetry.New("edge", "here", time.Now)
	c := cache.New(cache.Options{})
	defer c.Close()
	s := New(Options{
		Current: func() Runtime {
			return brokenSites{&Site{ID: "dom_broken", Counters: tel.Site("dom_broken"), Rules: cache.CompilePolicy(nil)}}
		},
		Cache: c, Telemetry: tel,
	})
	for _, method := range []string{"GET", "POST"} {
		r := httptest.NewRequest(method, "http://broken.test/", nil)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"failed":"edge"`) {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
	if got := tel.Take(time.Minute).Sites["dom_broken"].Status[5]; got != 2 {
		t.Errorf("%d answers counted", got)
	}
}

// TestPanicAfterTheHead breaks the connection, so that half an answer does not
// look complete.
func TestPanicAfterTheHead(t *testing.T) {
	tel := telemetry.New("edge", "here", time.Now)
	s := New(Options{Current: func() Runtime { return brokenSites{} }, Telemetry: tel})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{s: s, w: w, r: r, runtime: s.o.Current(), conn: &connection{}, start: time.Now()}
		defer x.account()
		w.Header().Set("Content-Length", "10")
		x.head(http.StatusOK)
		_, _ = x.write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic("oops")
	}))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("got %q as if it were all", b)
	}
}
