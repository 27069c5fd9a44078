package node_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

func origin(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func fetch(t *testing.T, e *nodetest.Edge, url string) string {
	t.Helper()
	resp, err := e.Client(1).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		return fmt.Sprint(resp.StatusCode)
	}
	return string(b)
}

func items(t *testing.T, got []edgeconfig.AckItem, want ...edgeconfig.AckState) {
	t.Helper()
	for i := range want {
		if got[i].State != want[i] {
			t.Errorf("document %s revision %d: %s (%s), want %s", got[i].Key, got[i].Revision, got[i].State, got[i].Reason, want[i])
		}
		if got[i].State == edgeconfig.Rejected && got[i].Reason == "" {
			t.Errorf("document %s: rejected without a reason", got[i].Key)
		}
	}
}

func TestApply(t *testing.T) {
	e := nodetest.Start(t)
	a, b := origin(t, "a"), origin(t, "b")
	site := nodetest.Site("dom_1", "one.test", a)
	doc := func(revision int64, body any) edgeconfig.Document {
		return nodetest.Document(t, "site/dom_1", revision, body)
	}
	items(t, e.Apply([]edgeconfig.Document{doc(5, site)}), edgeconfig.Applied)
	if got := fetch(t, e, "http://one.test/"); got != "a" {
		t.Fatal(got)
	}
	if e.Info().Sites != 1 {
		t.Errorf("%d sites", e.Info().Sites)
	}

	// The same again, an older one, another one of the same revision.
	changed := nodetest.Site("dom_1", "one.test", b)
	items(t, e.Apply([]edgeconfig.Document{doc(5, site), doc(4, changed), doc(5, changed), doc(3, nil)}), edgeconfig.Applied, edgeconfig.Rejected, edgeconfig.Rejected, edgeconfig.Rejected)
	if got := fetch(t, e, "http://one.test/x"); got != "a" {
		t.Errorf("an older document took effect: %s", got)
	}

	// A broken newer one leaves the last good.
	broken := nodetest.Site("dom_1", "one.test")
	items(t, e.Apply([]edgeconfig.Document{doc(6, broken), {Key: "site/dom_1", Revision: 7, Body: []byte("{")}, nodetest.Document(t, "site/dom_other", 8, site), {Key: "zebra/x", Revision: 1, Body: []byte("{}")}}),
		edgeconfig.Rejected, edgeconfig.Rejected, edgeconfig.Rejected, edgeconfig.Rejected)
	if got := fetch(t, e, "http://one.test/y"); got != "a" {
		t.Errorf("after broken documents: %s", got)
	}

	// A change of hosts and origin at once.
	changed.Hosts = []string{"two.test", "*.two.test"}
	items(t, e.Apply([]edgeconfig.Document{doc(9, changed)}), edgeconfig.Applied)
	for host, want := range map[string]string{"one.test": "421", "two.test": "b", "x.two.test": "b", "a.b.two.test": "421"} {
		if got := fetch(t, e, "http://"+host+"/z"); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}

	// Another site cannot take a host, unless it is given up in the same batch.
	thief := nodetest.Site("dom_2", "two.test", a)
	take := nodetest.Document(t, "site/dom_2", 10, thief)
	items(t, e.Apply([]edgeconfig.Document{take}), edgeconfig.Rejected)
	items(t, e.Apply([]edgeconfig.Document{take, doc(11, nil)}), edgeconfig.Applied, edgeconfig.Applied)
	if got := fetch(t, e, "http://two.test/w"); got != "a" || e.Info().Sites != 1 {
		t.Errorf("%s, %d sites", got, e.Info().Sites)
	}
	// A host moves between two sites that both stay, whatever comes first.
	thief.Hosts = []string{"three.test"}
	heir := nodetest.Site("dom_3", "two.test", b)
	items(t, e.Apply([]edgeconfig.Document{nodetest.Document(t, "site/dom_3", 12, heir), nodetest.Document(t, "site/dom_2", 13, thief)}), edgeconfig.Applied, edgeconfig.Applied)
	if got := fetch(t, e, "http://two.test/v") + fetch(t, e, "http://three.test/v"); got != "ba" {
		t.Error(got)
	}
	// A tombstone is final for older revisions.
	items(t, e.Apply([]edgeconfig.Document{doc(9, changed)}), edgeconfig.Rejected)
}

func TestCertificates(t *testing.T) {
	e := nodetest.Start(t)
	e.MustApply(e.Document("site/dom_1", nodetest.Site("dom_1", "one.test", origin(t, "a"))))
	if _, err := e.Client(1).Get("https://one.test/"); err == nil {
		t.Error("a handshake without a certificate succeeded")
	}
	crt := e.Certificate("crt_1", "one.test")
	stranger := *crt
	stranger.KeyGroup = "others"
	items(t, e.Apply([]edgeconfig.Document{e.Document("certificate/crt_1", &stranger)}), edgeconfig.Rejected)
	e.MustApply(e.Document("certificate/crt_1", crt))
	if got := fetch(t, e, "https://one.test/"); got != "a" {
		t.Error(got)
	}
	// Renewed: new connections get the new one.
	renewed := e.Certificate("crt_1", "one.test")
	e.MustApply(e.Document("certificate/crt_1", renewed))
	resp, err := e.Client(1).Get("https://one.test/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := fmt.Sprintf("%x", sha(resp.TLS.PeerCertificates[0].Raw)); got != renewed.Fingerprint {
		t.Error("the old certificate is still served")
	}
	e.MustApply(e.Document("certificate/crt_1", nil))
	if _, err := e.Client(1).Get("https://one.test/"); err == nil {
		t.Error("a deleted certificate is still served")
	}
}

// TestKeysArriveWithTheCertificates in one batch, in whatever order.
func TestKeysArriveWithTheCertificates(t *testing.T) {
	groupKey := secrets.NewGroupKey()
	identity, keys := nodetest.Keys(t, groupKey)
	e := nodetest.Start(t)
	n, err := node.New(node.Options{HTTPSAddr: "127.0.0.1:0", Identity: identity, EdgeID: nodetest.EdgeID})
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown(t, n)
	crt := nodetest.Sealed(t, e.CA.Issue(t, "one.test"), groupKey, "crt_1", "one.test")
	other := keys
	other.Edge = "edge_other"
	items(t, n.Apply([]edgeconfig.Document{
		nodetest.Document(t, "certificate/crt_1", 1, crt),
		nodetest.Document(t, "keys/edge_test", 1, keys),
		nodetest.Document(t, "keys/edge_other", 1, other),
		nodetest.Document(t, "keys/edge_test", 2, nil),
	}), edgeconfig.Applied, edgeconfig.Applied, edgeconfig.Rejected, edgeconfig.Rejected)
}

func shutdown(t *testing.T, n *node.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	for _, noPlain := range []bool{false, true} {
		e := nodetest.Start(t, func(o *node.Options) {
			if noPlain {
				o.HTTPAddr = ""
			}
		})
		site := nodetest.Site("dom_1", "*.one.test", origin(t, "a"))
		site.RedirectHTTPS = true
		docs := []edgeconfig.Document{
			e.Document("certificate/crt_1", e.Certificate("crt_1", "*.one.test", "edgewright.invalid", "new.test")),
			e.Document("site/dom_1", site),
			e.Document("challenge/chl_1", edgeconfig.Challenge{Host: "new.test", Token: "t", KeyAuthorization: "t.k", ExpiresAt: time.Now().Unix() + 60}),
			e.Document("platform/settings", edgeconfig.Platform{}),
		}
		e.MustApply(docs...)
		for _, d := range docs {
			if err := e.Verify(t.Context(), d.Key, d.Revision); err != nil {
				t.Errorf("without HTTP %v: %s: %v", noPlain, d.Key, err)
			}
			if err := e.Verify(t.Context(), d.Key, d.Revision+1); err == nil {
				t.Errorf("without HTTP %v: a revision of %s that is not in force was verified", noPlain, d.Key)
			}
		}
		if err := e.Verify(t.Context(), "site/none", 1); !fault.Is(err, fault.NotFound) {
			t.Errorf("unknown: %v", err)
		}
		gone := e.Document("site/dom_1", nil)
		e.MustApply(gone)
		if err := e.Verify(t.Context(), gone.Key, gone.Revision); err != nil {
			t.Errorf("tombstone: %v", err)
		}
		// Asking oneself is not traffic.
		if got := e.Take(time.Minute).Sites[""].Requests; got != 0 {
			t.Errorf("%d requests counted", got)
		}
	}
}

// TestVerifyPathIsClosed: without the process's secret it is a path like any.
func TestVerifyPathIsClosed(t *testing.T) {
	e := nodetest.Start(t)
	e.MustApply(e.Document("site/dom_1", nodetest.Site("dom_1", "one.test", origin(t, "from the origin"))))
	for _, secret := range []string{"", "guess"} {
		r, _ := http.NewRequest("GET", "http://one.test/.well-known/edgewright/verify?key=site/dom_1", nil)
		r.Header.Set("X-Edgewright-Verify", secret)
		resp, err := e.Client(1).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "from the origin" || resp.Header.Get("X-Edgewright-Revision") != "" {
			t.Errorf("secret %q: %d %v", secret, resp.StatusCode, resp.Header)
		}
	}
}

func TestPurge(t *testing.T) {
	e := nodetest.Start(t)
	one, two := nodetest.Site("dom_1", "one.test", origin(t, "a")), nodetest.Site("dom_2", "two.test", origin(t, "b"))
	two.Environment = "staging"
	e.MustApply(e.Document("site/dom_1", one), e.Document("site/dom_2", two))
	fill := func() {
		for _, u := range []string{"http://one.test/a", "http://one.test/b", "http://two.test/a"} {
			fetch(t, e, u)
		}
	}
	for _, c := range []struct {
		purge edgeconfig.Purge
		want  int
	}{
		{edgeconfig.Purge{Project: "prj_1", Environment: "production", All: true}, 2},
		{edgeconfig.Purge{Project: "prj_1", Environment: "staging", All: true}, 1},
		{edgeconfig.Purge{Project: "prj_2", Environment: "production", All: true}, 0},
		{edgeconfig.Purge{Project: "prj_1", Environment: "production", Paths: []string{"/a"}}, 1},
		{edgeconfig.Purge{Project: "prj_1", Environment: "production", Sites: []string{"dom_2"}, All: true}, 1},
	} {
		e.DropCache()
		fill()
		if got := e.Purge(c.purge); got != c.want {
			t.Errorf("%+v: %d objects, want %d", c.purge, got, c.want)
		}
	}
	e.DropCache()
	fill()
	if got := e.DropCache(); got != 3 {
		t.Errorf("%d objects dropped, want 3", got)
	}
	// A site that is deleted leaves nothing behind.
	fill()
	e.MustApply(e.Document("site/dom_1", nil))
	if got := e.DropCache(); got != 1 {
		t.Errorf("%d objects left, want the other site's", got)
	}
}

// TestChangesUnderLoad applies changes while requests run: none may fail.
func TestChangesUnderLoad(t *testing.T) {
	e := nodetest.Start(t)
	a, b := origin(t, "a"), origin(t, "b")
	e.Serve(nodetest.Site("dom_1", "one.test", a))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := e.Client(1)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Get(fmt.Sprintf("http://one.test/%d", i%50))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
		})
	}
	for i := range 300 {
		u := a
		if i%2 == 0 {
			u = b
		}
		e.MustApply(e.Document("site/dom_1", nodetest.Site("dom_1", "one.test", u)), e.Document("certificate/crt_dom_1", e.Certificate("crt_dom_1", "one.test")))
	}
	close(stop)
	wg.Wait()
}

func TestCollectors(t *testing.T) {
	e := nodetest.Start(t)
	e.Serve(nodetest.Site("dom_1", "one.test", origin(t, "a")))
	fetch(t, e, "http://one.test/")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(e.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, want := range []string{"edgewright_edge_requests_total", "edgewright_edge_sites", "edgewright_edge_cache_bytes"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("%s is missing among %v", want, names)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := node.New(node.Options{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no address: %v", err)
	}
	if _, err := node.New(node.Options{HTTPAddr: "127.0.0.1:0", OriginRanges: []string{"x"}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("bad range: %v", err)
	}
	e := nodetest.Start(t)
	for _, o := range []node.Options{{HTTPAddr: e.HTTPAddr()}, {HTTPSAddr: e.HTTPSAddr()}} {
		if _, err := node.New(o); !fault.Is(err, fault.Unavailable) {
			t.Errorf("an address in use: %v", err)
		}
	}
}

// fleet makes n sites with a certificate each, all of one key to save time.
func fleet(t testing.TB, e *nodetest.Edge, n int) []edgeconfig.Document {
	t.Helper()
	issued := e.CA.Issue(t, "site-0.example.test")
	docs := make([]edgeconfig.Document, 0, 2*n)
	for i := range n {
		host := fmt.Sprintf("site-%d.example.test", i)
		id := fmt.Sprintf("dom_%026d", i)
		s := nodetest.Site(id, host, "http://127.0.0.1:3000")
		s.CacheRules = []edgeconfig.CacheRule{{ID: "r1", Pattern: "/assets/**", Action: edgeconfig.CacheOverride, EdgeTTL: 3600}, {ID: "r2", Pattern: "/api/**", Action: edgeconfig.CacheBypass}}
		docs = append(docs, e.Document("site/"+id, s))
		if i == 0 {
			docs = append(docs, e.Document("certificate/crt_0", nodetest.Sealed(t, issued, e.GroupKey, "crt_0", host)))
		}
	}
	return docs
}

// TestTenThousandSites: they load at once, cost little, and one change among
// them is small.
func TestTenThousandSites(t *testing.T) {
	e := nodetest.Start(t)
	docs := fleet(t, e, 10_000)
	before := heap()
	e.MustApply(docs...)
	each := int(heap()-before) / 10_000
	t.Logf("%d bytes a site", each)
	if each > 8<<10 {
		t.Errorf("a site takes %d bytes", each)
	}
	for _, d := range docs[9_990:] {
		if err := e.Verify(t.Context(), d.Key, d.Revision); err != nil {
			t.Error(err)
		}
	}
	runtime.KeepAlive(docs)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("all of %d", n), func(b *testing.B) {
			e := nodetest.Start(b)
			docs := fleet(b, e, n)
			for b.Loop() {
				for i := range docs {
					docs[i].Revision += 100_000
				}
				e.Apply(docs)
			}
		})
		b.Run(fmt.Sprintf("one of %d", n), func(b *testing.B) {
			e := nodetest.Start(b)
			docs := fleet(b, e, n)
			e.MustApply(docs...)
			for b.Loop() {
				docs[5].Revision += 100_000
				e.Apply(docs[5:6])
			}
		})
	}
}

func BenchmarkCertificates(b *testing.B) {
	e := nodetest.Start(b)
	var docs []edgeconfig.Document
	for i := range 1000 {
		id, host := fmt.Sprintf("crt_%d", i), fmt.Sprintf("site-%d.test", i)
		docs = append(docs, e.Document("certificate/"+id, e.Certificate(id, host)))
	}
	for b.Loop() {
		for i := range docs {
			docs[i].Revision += 100_000
		}
		e.MustApply(docs...)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "us/certificate")
}

func sha(b []byte) [32]byte { return sha256.Sum256(b) }
