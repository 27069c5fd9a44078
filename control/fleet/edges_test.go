package fleet_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/fleet/fleettest"
	"github.com/edgewright/edgewright/edge/agent"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

func newKey() (ed25519.PublicKey, ed25519.PrivateKey, error) { return ed25519.GenerateKey(nil) }

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, "master.key"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// connectAs opens a raw connection with an edge's credentials and collects what
// the server complains of.
func connectAs(t *testing.T, f *fleettest.Fleet, id *agent.Identity) (*nats.Conn, func() string) {
	t.Helper()
	user, err := nkeys.FromSeed(id.BusSeed)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var complaints []string
	conn, err := f.ConnectAs(
		nats.UserJWT(func() (string, error) { return id.BusJWT, nil }, user.Sign),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			mu.Lock()
			defer mu.Unlock()
			complaints = append(complaints, err.Error())
		}), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(complaints, "\n")
	}
}

func TestEdgesCannotReadOrSpeakForOneAnother(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	one, two := join(t, f, "one"), join(t, f, "two")
	for _, subject := range []string{
		edgeconfig.SubjectDownTo(two.Edge), "edgewright.down.*", "edgewright.>", ">", "edgewright.up.>", edgeconfig.SubjectUp + two.Edge + ".ack",
		edgeconfig.InboxPrefix(two.Edge) + ".>", "_INBOX.>", "$SYS.>",
	} {
		conn, complaints := connectAs(t, f, one)
		s, err := conn.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "subscribing to "+subject+" is refused", func() bool {
			_ = conn.Flush()
			return strings.Contains(strings.ToLower(complaints()), "permissions violation for subscription")
		})
		_ = s.Unsubscribe()
		conn.Close()
	}
	for _, subject := range []string{
		edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(two.Edge), edgeconfig.SubjectDownTo(one.Edge), edgeconfig.SubjectPurge, edgeconfig.SubjectManifest,
		edgeconfig.SubjectUpOf(two.Edge, "ack"), edgeconfig.SubjectUpOf(two.Edge, "leave"), edgeconfig.InboxPrefix(two.Edge) + ".1", "$SYS.REQ.CLAIMS.UPDATE",
	} {
		conn, complaints := connectAs(t, f, one)
		if err := conn.Publish(subject, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "publishing on "+subject+" is refused", func() bool {
			_ = conn.Flush()
			return strings.Contains(strings.ToLower(complaints()), "permissions violation for publish")
		})
		conn.Close()
	}
	// What it may do works.
	conn, complaints := connectAs(t, f, one)
	for _, subject := range []string{edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(one.Edge), edgeconfig.SubjectManifest, edgeconfig.SubjectPurge, edgeconfig.InboxPrefix(one.Edge) + ".>"} {
		if _, err := conn.SubscribeSync(subject); err != nil {
			t.Error(err)
		}
	}
	if err := conn.Flush(); err != nil || complaints() != "" {
		t.Errorf("%v %s", err, complaints())
	}
}

// Where an answer goes is the asker's choice; it must not make the control plane
// speak to others.
func TestAnswersGoToTheAskerOnly(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	one, two := join(t, f, "one"), join(t, f, "two")
	victim, _ := connectAs(t, f, two)
	heard := make(chan *nats.Msg, 10)
	for _, subject := range []string{edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(two.Edge), edgeconfig.SubjectPurge, edgeconfig.InboxPrefix(two.Edge) + ".>"} {
		if _, err := victim.ChanSubscribe(subject, heard); err != nil {
			t.Fatal(err)
		}
	}
	own := make(chan *nats.Msg, 10)
	attacker, complaints := connectAs(t, f, one)
	if _, err := attacker.ChanSubscribe(edgeconfig.InboxPrefix(one.Edge)+".>", own); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(victim.Flush(), attacker.Flush()); err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{
		edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(two.Edge), edgeconfig.SubjectPurge, edgeconfig.InboxPrefix(two.Edge) + ".1",
		edgeconfig.InboxPrefix(one.Edge) + "x.1", "edgewright.up." + two.Edge + ".leave", edgeconfig.InboxPrefix(one.Edge) + ".good",
	} {
		// Answered one by one; of questions the last alone is answered.
		if err := attacker.PublishRequest(edgeconfig.SubjectUpOf(one.Edge, "probe"), reply, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case m := <-own:
		if m.Subject != edgeconfig.InboxPrefix(one.Edge)+".good" {
			t.Errorf("an answer to %s", m.Subject)
		}
	case <-time.After(within):
		t.Fatalf("a good question is not answered: %s", complaints())
	}
	if err := victim.Flush(); err != nil {
		t.Fatal(err)
	}
	for len(heard) > 0 {
		m := <-heard
		if !strings.HasPrefix(string(m.Data), `{"key":`) { // a document that was published meanwhile
			t.Errorf("the victim heard %s on %s", m.Data, m.Subject)
		}
	}
	if _, err := f.Edge(t.Context(), two.Edge); err != nil {
		t.Errorf("the victim was made to leave: %v", err)
	}
}

// One edge's own documents are not given to another, whatever it asks.
func TestOwnDocumentsStayOwn(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	one, two := join(t, f, "one"), join(t, f, "two")
	put(t, f, "a", "http://one")
	keys := []string{edgeconfig.KindKeys + "/" + one.Edge, edgeconfig.KindKeys + "/" + two.Edge, edgeconfig.KindEdge + "/" + two.Edge, fleettest.SiteKey("a"), "site/none"}
	request, _ := json.Marshal(edgeconfig.DocumentsRequest{Keys: keys})
	eventually(t, "both keys documents are published", func() bool {
		return f.DocumentState(keys[0]).Documents == 1 && f.DocumentState(keys[1]).Documents == 1 && f.DocumentState(keys[3]).Documents == 1
	})
	answer, ok := f.Handle(one.Edge, "documents", "x", request)
	if !ok {
		t.Fatal("no answer")
	}
	got := map[string]bool{}
	for _, d := range answer.(edgeconfig.Documents).Documents {
		got[d.Key] = true
	}
	if len(got) != 2 || !got[keys[0]] || !got[fleettest.SiteKey("a")] {
		t.Errorf("edge one was given %v", got)
	}
	entries, ok := f.Handle(one.Edge, "entries", "x", []byte(`{"own":true}`))
	if !ok {
		t.Fatal("no answer")
	}
	for _, e := range entries.(edgeconfig.Entries).Entries {
		if strings.Contains(e.Key, two.Edge) {
			t.Errorf("edge one learns of %s", e.Key)
		}
	}
	if _, ok := f.Handle("edge_nobody", "documents", "x", request); ok {
		t.Error("an edge that is not there is answered")
	}
}

func TestRevokedEdgeIsCutOff(t *testing.T) {
	f := start(t, fleettest.Options{Change: listening})
	node, rest := &fleettest.Node{}, &fleettest.Node{}
	e := run(t, f, join(t, f, "stolen"), node, nil)
	stays := run(t, f, join(t, f, "stays"), rest, nil)
	raw, _ := connectAs(t, f, e.Identity)
	gone := make(chan struct{})
	raw.SetClosedHandler(func(*nats.Conn) { close(gone) })
	group, key := f.GroupKey()
	if err := f.Revoke(t.Context(), "stolen", testCause); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(within):
		t.Fatal("the connection of a revoked edge stays")
	}
	put(t, f, "after", "http://secret")
	eventually(t, "the other edge goes on", func() bool { return rest.Origin("after") != "" })
	if node.Origin("after") != "" {
		t.Error("the revoked edge still receives")
	}
	if conn, err := dial(e.Identity); err == nil {
		conn.Close()
		t.Error("a revoked edge can connect")
	}
	// The group key is another, and the edges that stay have it beside the old.
	eventually(t, "the group key is another", func() bool { g, _ := f.GroupKey(); return g != group })
	fresh, freshKey := f.GroupKey()
	if freshKey == key {
		t.Error("the new group key is the old one")
	}
	private, err := stays.Identity.Secrets()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other edge has the new key", func() bool {
		d, ok := rest.Document(edgeconfig.KindKeys + "/" + stays.Identity.Edge)
		var keys edgeconfig.Keys
		if !ok || json.Unmarshal(d.Body, &keys) != nil || len(keys.Groups) != 2 {
			return false
		}
		got, err := private.Open(edgeconfig.KeyContext(stays.Identity.Edge, fresh), keys.Groups[fresh])
		return err == nil && string(got) == string(freshKey[:])
	})
	if _, err := f.Edge(t.Context(), "stolen"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the revoked edge is still listed: %v", err)
	}
	// A restart does not rotate again, also when it sees the removal once more.
	_ = f.Resign()
	if err := f.Store.SetWatchedSeq(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	f.Lead()
	put(t, f, "later", "http://later")
	eventually(t, "after a restart", func() bool { return rest.Origin("later") != "" })
	if g, _ := f.GroupKey(); g != fresh {
		t.Errorf("rotated again to %s", g)
	}
}

func TestRevocationSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	f := start(t, fleettest.Options{Dir: dir, Change: quick})
	id := join(t, f, "stolen")
	stays := join(t, f, "stays")
	if err := f.Revoke(t.Context(), id.Edge, testCause); err != nil {
		t.Fatal(err)
	}
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	again, err := fleettest.Start(t.Context(), fleettest.Options{Dir: dir, Change: listening})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	// It cannot come in by the door either, in the same process least of all.
	rejoin := func(id *agent.Identity) (edgeconfig.JoinReply, error) {
		return again.JoinLocal(t.Context(), edgeconfig.JoinRequest{Region: "fra", BusKey: busKey(t, id), SealingKey: sealingKey(t, id)})
	}
	if _, err := rejoin(id); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a revoked edge joins again: %v", err)
	}
	reply, err := rejoin(stays)
	if err != nil || reply.Edge != stays.Edge {
		t.Fatalf("%+v, %v", reply, err)
	}
	id.BusURL, stays.BusURL = reply.BusURL, reply.BusURL
	if conn, err := dial(id); err == nil {
		conn.Close()
		t.Error("a revoked edge can connect after a restart")
	}
	conn, err := dial(stays)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// api serves the join endpoint as control/api does.
func api(t *testing.T, f *fleettest.Fleet) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agent.JoinPath, func(w http.ResponseWriter, r *http.Request) {
		var request edgeconfig.JoinRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply, err := f.Join(r.Context(), request)
		if err != nil {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]string{"code": string(fault.CodeOf(err)), "detail": err.Error()})
			return
		}
		_ = json.NewEncoder(w).Encode(reply)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// An edge on another machine: token, TLS bus, restart, leave.
func TestRemoteEdge(t *testing.T) {
	f := start(t, fleettest.Options{Change: func(o *fleet.Options) { quick(o); o.Bus.Listen = ":0" }})
	server := api(t, f)
	token, err := f.NewJoinToken(t.Context(), "nyc", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	options := agent.JoinOptions{Dir: dir, Region: "fra", Name: "far", Token: token.Token, Join: agent.HTTPJoiner{URL: server.URL}.Join}
	// It is told what is wrong, and the token is still good.
	if _, err := agent.Join(t.Context(), options); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "the join token is for region nyc, and this edge says that it is in fra") {
		t.Errorf("a token for another region: %v", err)
	}
	if edges, err := f.Edges(t.Context()); err != nil || len(edges) != 0 {
		t.Errorf("edges %v, %v", edges, err)
	}
	options.Region = "nyc"
	id, err := agent.Join(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if id.Region != "nyc" || id.Name != "far" || !strings.HasPrefix(id.BusURL, "tls://127.0.0.1:") {
		t.Errorf("%+v", id)
	}
	if info, err := os.Stat(filepath.Join(dir, "identity.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the identity's file: %v, %v", info.Mode(), err)
	}
	put(t, f, "a", "http://one")
	node := &fleettest.Node{}
	runRemote := func(id *agent.Identity) *fleettest.Edge {
		o := agent.Options{Identity: id, Node: node, Dir: dir}
		quickAgent(&o)
		return fleettest.RunAgent(o, node)
	}
	e := runRemote(id)
	inSync(t, f, id.Edge)
	// In sync may mean that the site was not published yet when it was looked.
	eventually(t, "the site", func() bool { return node.Origin("a") == "http://one" })
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}

	// Again from what was saved: no token is needed, the spent one does no harm.
	id, err = agent.Join(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	e = runRemote(id)
	inSync(t, f, id.Edge)
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}

	// The token was for one.
	options.Dir = t.TempDir()
	if _, err := agent.Join(t.Context(), options); !fault.Is(err, fault.Unauthenticated) || !strings.Contains(err.Error(), "used already") {
		t.Errorf("a second edge with the same token: %v", err)
	}
	// Another's root is not believed.
	stranger := start(t, fleettest.Options{Change: func(o *fleet.Options) { o.Bus.Listen = "127.0.0.1:0" }})
	misled := *id
	misled.BusURL = "tls://" + stranger.BusAddr()
	if conn, err := dial(&misled); err == nil {
		conn.Close()
		t.Error("an edge speaks to a bus of another root")
	}
	// Without TLS nothing is said.
	if conn, err := nats.Connect("nats://"+f.BusAddr(), nats.NoReconnect(), nats.Secure()); err == nil {
		conn.Close()
		t.Error("the bus's certificate is believed by the system")
	}

	if err := agent.Leave(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.LoadIdentity(dir); !fault.Is(err, fault.NotFound) {
		t.Errorf("the identity is still there: %v", err)
	}
	eventually(t, "the edge is gone", func() bool { _, err := f.Edge(t.Context(), id.Edge); return fault.Is(err, fault.NotFound) })
	eventually(t, "its credentials are void", func() bool {
		conn, err := dial(id)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

// listening has a bus with a listener: in the same process a refused connection
// takes ten seconds to be closed, the pipe being full on both sides.
func listening(o *fleet.Options) {
	quick(o)
	o.Bus.Listen = "127.0.0.1:0"
}

func busKey(t *testing.T, id *agent.Identity) string {
	t.Helper()
	user, err := nkeys.FromSeed(id.BusSeed)
	if err != nil {
		t.Fatal(err)
	}
	key, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sealingKey(t *testing.T, id *agent.Identity) []byte {
	t.Helper()
	private, err := id.Secrets()
	if err != nil {
		t.Fatal(err)
	}
	return private.Public()
}

func dial(id *agent.Identity) (*nats.Conn, error) {
	user, err := nkeys.FromSeed(id.BusSeed)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "root")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(id.BusRootPEM); err != nil {
		return nil, err
	}
	return nats.Connect(id.BusURL, nats.RootCAs(file.Name()), nats.NoReconnect(),
		nats.UserJWT(func() (string, error) { return id.BusJWT, nil }, user.Sign))
}

func TestJoinRefuses(t *testing.T) {
	f := start(t, fleettest.Options{})
	ctx := t.Context()
	good := func() edgeconfig.JoinRequest {
		user, _ := nkeys.CreateUser()
		key, _ := user.PublicKey()
		sealing, _ := secrets.GenerateIdentity()
		token, err := f.NewJoinToken(ctx, "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return edgeconfig.JoinRequest{Token: token.Token, Region: "fra", BusKey: key, SealingKey: sealing.Public()}
	}
	first := good()
	first.Name = "taken"
	first.Simulated = true
	reply, err := f.Join(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	// Its answer got lost: it asks again, and gets the same edge.
	again, err := f.Join(ctx, first)
	if err != nil || again.Edge != reply.Edge {
		t.Errorf("joining again: %v, %v", again.Edge, err)
	}
	if e, _ := f.Edge(ctx, "taken"); e.Spec.Simulated {
		t.Error("an edge on another machine says that it is simulated, and is believed")
	}
	for name, c := range map[string]struct {
		change func(*edgeconfig.JoinRequest)
		code   fault.Code
	}{
		"no token":      {func(r *edgeconfig.JoinRequest) { r.Token = "" }, fault.Unauthenticated},
		"false token":   {func(r *edgeconfig.JoinRequest) { r.Token += "x" }, fault.Unauthenticated},
		"spent token":   {func(r *edgeconfig.JoinRequest) { r.Token = first.Token }, fault.Unauthenticated},
		"region":        {func(r *edgeconfig.JoinRequest) { r.Region = "Fra!" }, fault.Invalid},
		"name":          {func(r *edgeconfig.JoinRequest) { r.Name = "a b" }, fault.Invalid},
		"taken name":    {func(r *edgeconfig.JoinRequest) { r.Name = "taken" }, fault.Invalid},
		"bus key":       {func(r *edgeconfig.JoinRequest) { r.BusKey = "U" }, fault.Invalid},
		"account key":   {func(r *edgeconfig.JoinRequest) { p, _ := nkeys.CreateAccount(); r.BusKey, _ = p.PublicKey() }, fault.Invalid},
		"sealing key":   {func(r *edgeconfig.JoinRequest) { r.SealingKey = []byte{1} }, fault.Invalid},
		"subject trick": {func(r *edgeconfig.JoinRequest) { r.Name = "*" }, fault.Invalid},
	} {
		r := good()
		c.change(&r)
		if _, err := f.Join(ctx, r); !fault.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, ttl := range []time.Duration{0, time.Second, 31 * 24 * time.Hour} {
		if _, err := f.NewJoinToken(ctx, "", ttl); !fault.Is(err, fault.Invalid) {
			t.Errorf("a token for %s: %v", ttl, err)
		}
	}
	if _, err := f.NewJoinToken(ctx, "no such", time.Hour); !fault.Is(err, fault.Invalid) {
		t.Errorf("a token for a bad region: %v", err)
	}
}

// What `up` does after a restore: the database knows the edge of this process,
// the directory with its identity is gone.
func TestLocalEdgeWithoutItsIdentity(t *testing.T) {
	f := start(t, fleettest.Options{Change: quick})
	first := join(t, f, "local")
	e := f.Run(first, &fleettest.Node{}, quickAgent)
	inSync(t, f, first.Edge)
	if _, err := f.JoinEdge(t.Context(), "", "fra", "local"); !fault.Is(err, fault.Invalid) {
		t.Errorf("the name of an edge that is there was taken over: %v", err)
	}
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge is away", func() bool { e, err := f.Edge(t.Context(), first.Edge); return err == nil && !e.Connected })
	second := join(t, f, "local")
	if second.Edge == first.Edge {
		t.Error("other keys are the same edge")
	}
	run(t, f, second, &fleettest.Node{}, nil)
	if _, err := f.Edge(t.Context(), first.Edge); !fault.Is(err, fault.NotFound) {
		t.Errorf("the edge that lost its identity is still there: %v", err)
	}

	// An edge of another machine keeps its name, away or not.
	user, _ := nkeys.CreateUser()
	key, _ := user.PublicKey()
	sealing, _ := secrets.GenerateIdentity()
	token, err := f.NewJoinToken(t.Context(), "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Fleet.Join(t.Context(), edgeconfig.JoinRequest{Token: token.Token, Name: "far", BusKey: key, SealingKey: sealing.Public()}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.JoinEdge(t.Context(), "", "fra", "far"); !fault.Is(err, fault.Invalid) {
		t.Errorf("the name of another machine's edge was taken over: %v", err)
	}
}

// An external NATS server, configured by what BusConfig says.
func TestExternalBus(t *testing.T) {
	dir := t.TempDir()
	first := start(t, fleettest.Options{Dir: dir})
	config, err := first.BusConfig()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "nats.conf")
	config = strings.Replace(config, "./edgewright-accounts", t.TempDir(), 1)
	if err := os.WriteFile(path, []byte("host: 127.0.0.1\nport: -1\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	external, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	external.Start()
	defer func() { external.Shutdown(); external.WaitForShutdown() }()
	if !external.ReadyForConnections(within) {
		t.Fatal("the server does not start")
	}
	f, err := fleettest.Start(t.Context(), fleettest.Options{Dir: dir, Change: func(o *fleet.Options) {
		quick(o)
		o.Bus.External = external.ClientURL()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Stop()
	if f.InProcess() != nil || f.BusAddr() != "" {
		t.Error("an external bus is served by this process")
	}
	node := &fleettest.Node{}
	id := join(t, f, "one")
	o := agent.Options{Identity: id, Node: node}
	quickAgent(&o)
	e := fleettest.RunAgent(o, node)
	defer e.Stop()
	inSync(t, f, id.Edge)
	put(t, f, "a", "http://one")
	eventually(t, "the site", func() bool { return node.Origin("a") != "" })
	s, err := f.Purge(t.Context(), fleet.PurgeRequest{Project: "p", Environment: "e", All: true})
	if err != nil || s.State != fleet.PurgeAcknowledged || s.Acknowledged != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	// Revocation reaches the external server.
	user, _ := nkeys.FromSeed(id.BusSeed)
	raw, err := nats.Connect(external.ClientURL(), nats.NoReconnect(), nats.UserJWT(func() (string, error) { return id.BusJWT, nil }, user.Sign))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := f.Revoke(t.Context(), "one", testCause); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection is closed", func() bool { return raw.IsClosed() })
}

func TestBusOptionsAreChecked(t *testing.T) {
	for _, listen := range []string{"nonsense", "127.0.0.1:99999", "127.0.0.1:x"} {
		_, err := fleettest.Start(t.Context(), fleettest.Options{Dir: t.TempDir(), Change: func(o *fleet.Options) { o.Bus.Listen = listen }})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", listen, err)
		}
	}
	f := start(t, fleettest.Options{Change: func(o *fleet.Options) { o.Bus.Listen = "127.0.0.1:0" }})
	_, err := fleettest.Start(t.Context(), fleettest.Options{Dir: t.TempDir(), Change: func(o *fleet.Options) { o.Bus.Listen = f.BusAddr() }})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("an address that is taken: %v", err)
	}
}

func TestLiveTrafficAndRollups(t *testing.T) {
	sink := &sink{stored: map[string]edgeconfig.Rollup{}}
	f := start(t, fleettest.Options{Change: func(o *fleet.Options) { quick(o); o.Traffic = sink }})
	node := &fleettest.Node{}
	id := join(t, f, "one")
	sink.fail(true)
	e := run(t, f, id, node, func(o *agent.Options) { o.RollupEvery = 2 * time.Second })
	node.Count("site_a", 7)
	eventually(t, "the sink was asked", func() bool { return sink.calls() > 0 })
	if sink.total() != 0 {
		t.Error("a rollup that was not stored counts")
	}
	sink.fail(false)
	eventually(t, "the rollup is stored", func() bool { return sink.total() == 7 })
	for _, r := range sink.all() {
		if r.Edge != id.Edge || r.Region != "fra" || !strings.HasPrefix(r.ID, id.Edge+"/") || r.Start.IsZero() {
			t.Errorf("%+v", r)
		}
	}
	// An edge cannot use up another's IDs or speak in its name.
	before := sink.calls()
	for _, r := range []edgeconfig.Rollup{
		{ID: "edge_other/1", Edge: "edge_other", Seconds: 60, Start: time.Now()},
		{ID: id.Edge + "/x", Edge: id.Edge, Seconds: 0},
	} {
		data, _ := json.Marshal(r)
		if _, answered := f.Handle(id.Edge, "rollup", "x", data); !answered {
			t.Error("a rollup that never can be stored is asked for again")
		}
	}
	if sink.calls() != before {
		t.Error("a false rollup was stored")
	}

	events, cancel := f.Subscribe(true)
	live := func() *fleet.Live {
		for {
			select {
			case ev := <-events:
				if ev.Type == fleet.EventLive {
					return ev.Live
				}
			case <-time.After(within):
				t.Fatal("no live event")
			}
		}
	}
	seen := false
	for range 20 {
		node.Count("site_a", 5)
		if l := live(); l.Sites["site_a"].Requests > 0 && l.Total.Hits > 0 {
			seen = true
			break
		}
	}
	if !seen {
		t.Error("live numbers never show the site's traffic")
	}
	cancel()
	if _, open := <-events; open {
		for range events {
		}
	}
	_ = e
}

// sink is a traffic store that can fail.
type sink struct {
	mu      sync.Mutex
	stored  map[string]edgeconfig.Rollup
	asked   int
	failing bool
}

func (s *sink) Ingest(_ context.Context, r edgeconfig.Rollup) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.failing {
		return fault.New(fault.Unavailable, "away")
	}
	s.stored[r.ID] = r
	return nil
}

func (s *sink) fail(on bool) { s.mu.Lock(); defer s.mu.Unlock(); s.failing = on }
func (s *sink) calls() int   { s.mu.Lock(); defer s.mu.Unlock(); return s.asked }
func (s *sink) total() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.stored {
		for _, c := range r.Sites {
			n += c.Requests
		}
	}
	return n
}

func (s *sink) all() (list []edgeconfig.Rollup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.stored {
		list = append(list, r)
	}
	return list
}

func FuzzWhatEdgesSay(f *testing.F) {
	dir := f.TempDir()
	running, err := fleettest.Start(context.Background(), fleettest.Options{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = running.Stop() })
	id, err := running.JoinEdge(context.Background(), "", "fra", "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	kinds := []string{"ack", "purged", "heartbeat", "rollup", "manifest", "entries", "documents", "purges", "unknown"}
	for _, message := range []any{
		edgeconfig.Acknowledgement{Items: []edgeconfig.AckItem{{Key: "site/a", Revision: 1, State: edgeconfig.Ahead}, {Key: "x", State: "odd"}}},
		edgeconfig.PurgeReport{Seq: -1, Count: -5},
		edgeconfig.Heartbeat{Digest: "x", PurgeSeq: 1 << 62},
		edgeconfig.Rollup{ID: id.Edge + "/1", Seconds: 1, Sites: map[string]edgeconfig.Counters{"a": {Requests: -1}}},
		edgeconfig.EntriesRequest{Buckets: []int{-1, 0, 255, 256, 1 << 40}, Own: true},
		edgeconfig.DocumentsRequest{Keys: []string{"", "keys/" + id.Edge}},
		edgeconfig.PurgesRequest{Since: -9},
	} {
		data, _ := json.Marshal(message)
		for i := range kinds {
			f.Add(uint8(i), data)
		}
	}
	f.Add(uint8(0), []byte("{"))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		answer, send := running.Handle(id.Edge, kinds[int(kind)%len(kinds)], "x", data)
		if send && answer != nil {
			if _, err := json.Marshal(answer); err != nil {
				t.Error(err)
			}
		}
		running.Connection(data, kind%2 == 0)
	})
}

func TestFuzzSeedsName(t *testing.T) {
	// Subjects that are not an edge's own name nobody.
	f := start(t, fleettest.Options{})
	for _, edge := range []string{"", "edge_x", fmt.Sprint(1)} {
		if _, ok := f.Handle(edge, "manifest", "x", nil); ok {
			t.Errorf("%q was answered", edge)
		}
	}
}
