package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

const within = 30 * time.Second

var cause = resource.Cause{Actor: "test", Via: "test"}

func start(t *testing.T, change func(*fleet.Options)) *fleettest.Fleet {
	t.Helper()
	f, err := fleettest.Start(t.Context(), fleettest.Options{Dir: t.TempDir(), Change: func(o *fleet.Options) {
		o.ManifestEvery = 50 * time.Millisecond
		if change != nil {
			change(o)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Stop() })
	return f
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := fleettest.Eventually(ctx, is); err != nil {
		t.Fatalf("never: %s", what)
	}
}

func joined(t *testing.T, f *fleettest.Fleet, dir string) *agent.Identity {
	t.Helper()
	id, err := f.JoinEdge(t.Context(), dir, "fra", "")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func put(t *testing.T, f *fleettest.Fleet, name, origin string) int64 {
	t.Helper()
	revision, err := f.Put(t.Context(), name, origin)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func inSync(t *testing.T, f *fleettest.Fleet, id *agent.Identity) {
	t.Helper()
	eventually(t, "the edge is in sync", func() bool {
		e, err := f.Edge(t.Context(), id.Edge)
		return err == nil && e.Connected && e.InSync
	})
}

func quick(o *agent.Options) { o.HeartbeatEvery = 50 * time.Millisecond }

func TestKillAtAnyInstant(t *testing.T) {
	f := start(t, func(o *fleet.Options) { o.Bus.Listen = "127.0.0.1:0" })
	dir := t.TempDir()
	joined(t, f, dir)
	agent.RunKillTest(t, dir, agent.KillFleet{
		Put:     func(name, origin string) int64 { return put(t, f, name, origin) },
		Applied: func(revision int64) bool { return f.Rollout(revision).Applied == 1 },
	}, 12)
}

// Control plane, database and bus are gone: the edge starts and serves what it
// had, and counts on; when they come back everything comes together.
func TestEverythingElseIsDead(t *testing.T) {
	control, dir := t.TempDir(), t.TempDir()
	sink := &counter{}
	options := fleettest.Options{Dir: control, Change: func(o *fleet.Options) {
		o.ManifestEvery = 50 * time.Millisecond
		o.Bus.Listen = "127.0.0.1:0"
		o.Traffic = sink
	}}
	f, err := fleettest.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	id := joined(t, f, dir)
	address := f.BusAddr()
	for i := range 50 {
		put(t, f, fmt.Sprint(i), "http://origin")
	}
	node := &fleettest.Node{}
	run := func(node *fleettest.Node) *fleettest.Edge {
		o := agent.Options{Identity: id, Dir: dir, Node: node, RollupEvery: time.Second}
		quick(&o)
		return fleettest.RunAgent(o, node)
	}
	e := run(node)
	inSync(t, f, id)
	if _, err := f.Drain(t.Context(), id.Edge, true, cause); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge drains", node.Draining)
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	// It goes on, and it starts again.
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		node = &fleettest.Node{}
		e = run(node)
		eventually(t, "50 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 50 })
		if !node.Draining() {
			t.Error("the edge has forgotten that it drains")
		}
		node.Count("site_1", 3)
		eventually(t, "the rollup is spooled", func() bool { return node.Taken(time.Second) > 0 })
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := os.ReadDir(filepath.Join(dir, "rollups")); err != nil || len(files) < 2 {
		t.Errorf("%d rollups are spooled, %v", len(files), err)
	}
	// One started while everything is dead sees everything come back.
	node = &fleettest.Node{}
	e = run(node)
	defer e.Stop()
	eventually(t, "50 sites", func() bool { return node.Keys(edgeconfig.KindSite) == 50 })
	options.Change = func(o *fleet.Options) {
		o.ManifestEvery = 50 * time.Millisecond
		o.Bus.Listen = address
		o.Traffic = sink
	}
	f, err = fleettest.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	put(t, f, "new", "http://new")
	eventually(t, "the new site", func() bool { return node.Origin("new") != "" })
	inSync(t, f, id)
	eventually(t, "all traffic is stored, once", func() bool { return sink.total("site_1") == 6 })
	eventually(t, "the spool is empty", func() bool {
		files, err := os.ReadDir(filepath.Join(dir, "rollups"))
		return err == nil && len(files) == 0
	})
	if sink.total("site_1") != 6 {
		t.Errorf("%d requests are stored, 6 were counted", sink.total("site_1"))
	}
}

// counter adds rollups up, each ID once, as a store does.
type counter struct {
	mu   sync.Mutex
	seen map[string]bool
	sum  map[string]int64
}

func (c *counter) Ingest(_ context.Context, r edgeconfig.Rollup) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen, c.sum = map[string]bool{}, map[string]int64{}
	}
	if c.seen[r.ID] {
		return nil
	}
	c.seen[r.ID] = true
	for site, n := range r.Sites {
		c.sum[site] += n.Requests
	}
	return nil
}

func (c *counter) total(site string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum[site]
}

// After a restart only what has changed crosses the bus.
func TestRestartFetchesOnlyWhatChanged(t *testing.T) {
	f := start(t, nil)
	dir := t.TempDir()
	id := joined(t, f, dir)
	for i := range 300 {
		put(t, f, fmt.Sprint(i), "http://origin")
	}
	node := &fleettest.Node{}
	e := f.Run(id, node, func(o *agent.Options) { quick(o); o.Dir = dir })
	inSync(t, f, id)
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	put(t, f, "7", "http://changed")
	bus := &fleettest.FaultyBus{InProcessConnProvider: f.InProcess()}
	var bytes atomic.Int64
	bus.SetRule(func(_ string, payload []byte) (int, bool) { bytes.Add(int64(len(payload))); return 1, false })
	node = &fleettest.Node{}
	e = f.Run(id, node, func(o *agent.Options) {
		quick(o)
		o.Dir, o.InProcess = dir, bus
		o.HeartbeatEvery = 10 * time.Millisecond
	})
	defer e.Stop()
	eventually(t, "the changed site", func() bool { return node.Origin("7") == "http://changed" })
	if node.Keys(edgeconfig.KindSite) != 300 {
		t.Errorf("%d sites", node.Keys(edgeconfig.KindSite))
	}
	if n := bytes.Load(); n > 60_000 {
		t.Errorf("%d bytes crossed the bus for one changed site", n)
	}
}

func TestBrokenLinkAndReconnect(t *testing.T) {
	f := start(t, nil)
	id := joined(t, f, "")
	bus := &fleettest.FaultyBus{InProcessConnProvider: f.InProcess()}
	node := &fleettest.Node{}
	e := f.Run(id, node, func(o *agent.Options) { quick(o); o.InProcess = bus })
	defer e.Stop()
	inSync(t, f, id)
	for i := range 5 {
		bus.Cut(true)
		eventually(t, "the edge is away", func() bool { e, err := f.Edge(t.Context(), id.Edge); return err == nil && !e.Connected })
		put(t, f, "a", fmt.Sprintf("http://origin-%d", i))
		bus.Cut(false)
		eventually(t, "the site", func() bool { return node.Origin("a") == fmt.Sprintf("http://origin-%d", i) })
	}
}

// An edge that starts before there is a control plane at all.
func TestStartsBeforeTheControlPlane(t *testing.T) {
	dir := t.TempDir()
	control := t.TempDir()
	change := func(listen string) func(*fleet.Options) {
		return func(o *fleet.Options) { o.ManifestEvery = 50 * time.Millisecond; o.Bus.Listen = listen }
	}
	f, err := fleettest.Start(t.Context(), fleettest.Options{Dir: control, Change: change("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	id := joined(t, f, dir)
	address := f.BusAddr()
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	node := &fleettest.Node{}
	o := agent.Options{Identity: id, Dir: dir, Node: node}
	quick(&o)
	e := fleettest.RunAgent(o, node)
	defer e.Stop()
	f, err = fleettest.Start(t.Context(), fleettest.Options{Dir: control, Change: change(address)})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	put(t, f, "a", "http://one")
	eventually(t, "the site", func() bool { return node.Origin("a") != "" })
}

// A directory that was another edge's is not served from.
func TestAnotherEdgesDirectory(t *testing.T) {
	f := start(t, nil)
	dir := t.TempDir()
	first := joined(t, f, dir)
	put(t, f, "a", "http://one")
	e := f.Run(first, &fleettest.Node{}, func(o *agent.Options) { quick(o); o.Dir = dir })
	inSync(t, f, first)
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "identity.json")); err != nil {
		t.Fatal(err)
	}
	second := joined(t, f, dir)
	node := &fleettest.Node{}
	e = f.Run(second, node, func(o *agent.Options) { quick(o); o.Dir = dir })
	defer e.Stop()
	inSync(t, f, second)
	if _, has := node.Document(edgeconfig.KindKeys + "/" + first.Edge); has {
		t.Error("the edge has another's keys")
	}
	if node.Origin("a") == "" {
		t.Error("the edge has no site")
	}
}

func TestVerificationIsTriedAgain(t *testing.T) {
	f := start(t, nil)
	id := joined(t, f, "")
	node := &fleettest.Node{}
	var asked atomic.Int64
	verifying := fleettest.Verifying{Node: node, Deny: func(key string, revision int64) error {
		if strings.HasPrefix(key, "site/") && asked.Add(1) < 3 {
			return fault.New(fault.Unavailable, "not yet")
		}
		return nil
	}}
	e := f.Run(id, node, func(o *agent.Options) { quick(o); o.Node = verifying })
	defer e.Stop()
	inSync(t, f, id)
	revision := put(t, f, "a", "http://one")
	eventually(t, "verified", func() bool { return f.Rollout(revision).Verified == 1 })
	if asked.Load() != 3 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// What a node refuses for want of keys is tried again when they come.
func TestRefusedIsTriedAgainWithNewKeys(t *testing.T) {
	f := start(t, nil)
	id := joined(t, f, "")
	var haveKeys atomic.Bool
	node := &fleettest.Node{Refuse: func(d edgeconfig.Document) string {
		if d.Kind() == edgeconfig.KindSite && !haveKeys.Load() {
			return "no key"
		}
		return ""
	}}
	e := f.Run(id, node, quick)
	defer e.Stop()
	inSync(t, f, id)
	revision := put(t, f, "a", "http://one")
	eventually(t, "refused", func() bool { return f.Rollout(revision).Rejected == 1 })
	haveKeys.Store(true)
	// Another edge that is revoked makes everybody get new keys.
	other := joined(t, f, "")
	if err := f.Revoke(t.Context(), other.Edge, cause); err != nil {
		t.Fatal(err)
	}
	eventually(t, "applied", func() bool { return node.Origin("a") == "http://one" && f.Rollout(revision).Applied == 1 })
	inSync(t, f, id)
}

func TestOptionsAreChecked(t *testing.T) {
	f := start(t, nil)
	id := joined(t, f, "")
	noTrust, badTrust, noBus := *id, *id, *id
	noTrust.TrustKeys = nil
	badTrust.TrustKeys = [][]byte{{1}}
	noBus.BusURL = ""
	for name, o := range map[string]agent.Options{
		"no identity": {Node: &fleettest.Node{}},
		"no node":     {Identity: id},
		"no trust":    {Identity: &noTrust, Node: &fleettest.Node{}},
		"bad trust":   {Identity: &badTrust, Node: &fleettest.Node{}},
		"no bus":      {Identity: &noBus, Node: &fleettest.Node{}},
	} {
		if err := agent.Run(t.Context(), o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := agent.Run(t.Context(), agent.Options{Identity: id, Node: &fleettest.Node{}, Dir: file}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a directory that is a file: %v", err)
	}
	if _, err := agent.LoadIdentity(t.TempDir()); !fault.Is(err, fault.NotFound) {
		t.Errorf("no identity: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "identity.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.LoadIdentity(dir); !fault.Is(err, fault.Invalid) {
		t.Errorf("a damaged identity: %v", err)
	}
}

func TestHTTPJoinerSaysWhatIsWrong(t *testing.T) {
	for url, code := range map[string]fault.Code{"nonsense": fault.Invalid, "ftp://x": fault.Invalid, "http://127.0.0.1:1": fault.Unavailable} {
		if _, err := (agent.HTTPJoiner{URL: url}).Join(t.Context(), edgeconfig.JoinRequest{}); !fault.Is(err, code) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestHTTPJoinerKnowsTheOtherScheme: the commonest mistake in a join URL.
func TestHTTPJoinerKnowsTheOtherScheme(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a page", http.StatusBadRequest) })
	secure, plain := httptest.NewUnstartedServer(page), httptest.NewServer(page)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	defer plain.Close()
	for _, c := range []struct {
		url  string
		code fault.Code
		says string
	}{
		{"http://" + secure.Listener.Addr().String(), fault.Invalid, "join with --join https://" + secure.Listener.Addr().String()},
		{"https://" + plain.Listener.Addr().String(), fault.Invalid, "--join http://" + plain.Listener.Addr().String()},
		{plain.URL, fault.Unavailable, "is it the address of the API"},
	} {
		joiner := agent.HTTPJoiner{URL: c.url, Client: secure.Client()}
		if _, err := joiner.Join(t.Context(), edgeconfig.JoinRequest{}); !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}

// FuzzWhatTheBusSays gives a running edge anything at all: it must stay as it
// is.
func FuzzWhatTheBusSays(f *testing.F) {
	running, err := fleettest.Start(context.Background(), fleettest.Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = running.Stop() })
	id, err := running.JoinEdge(context.Background(), "", "fra", "")
	if err != nil {
		f.Fatal(err)
	}
	for _, message := range []any{
		edgeconfig.Document{Key: "site/a", Scope: "all", Revision: 1, Body: json.RawMessage(`{}`)},
		edgeconfig.Manifest{Seq: 1, PurgeSeq: -4, Digests: json.RawMessage(`{"-1":"x","1073741824":"y"}`), Live: &edgeconfig.LiveRequest{Seconds: -1}},
		edgeconfig.Purge{Seq: -1, All: true},
		edgeconfig.Entries{Entries: []edgeconfig.Entry{{Key: "", Revision: 1 << 62}}, Buckets: []int{-5, 900}},
		edgeconfig.Documents{Documents: []edgeconfig.Document{{}}},
		edgeconfig.Purges{Gap: true, Last: -1, Purges: []edgeconfig.Purge{{}}},
	} {
		data, _ := json.Marshal(message)
		for kind := range 9 {
			f.Add(uint8(kind), data)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		if applied := agent.Feed(t, id, kind, data); applied != 0 {
			t.Errorf("the node was given %d documents that nobody signed", applied)
		}
	})
}
