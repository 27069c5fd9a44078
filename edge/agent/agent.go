// Package agent is the edge's side of the bridge: it joins, receives signed
// documents, verifies them, keeps the last good ones on disk, hands them to the
// node, acknowledges, compares manifests, sends heartbeats and rollups.
//
// Types: Identity (who this edge is; a 0600 file), Options, and the small
// interfaces of what it drives: Node, and optionally Verifier, Reporter,
// Drainer, Prober and Listener. edge/node.Node is all of them.
//
// Phases of Run:
//
//	open the journal on disk -> apply what it holds (no control plane needed)
//	-> connect, for ever, with jitter
//	-> each document: scope, revision, signature -> Node.Apply -> journal -> acknowledge -> verify -> acknowledge
//	-> each purge: number, signature -> Node.Purge -> report
//	-> each manifest: compare 256 digests, ask for what differs, one question at a time
//	-> heartbeats; rollups every minute, spooled while the bus is away
//
// One goroutine owns all state and has one timer for everything that is due; so
// there is nothing to lock and ten thousand agents fit into one process.
//
// What an agent refuses: documents that are not its own, not signed by a key it
// trusts, or not newer than what it holds. What it never does: remove something
// because it is missing somewhere, or stop serving because the control plane is
// away, restored or wrong.
package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Node is what the agent drives.
type Node interface {
	// Apply takes documents whose signatures are verified, in any order, and
	// returns one item for each: Applied, or Rejected with the reason.
	Apply(docs []edgeconfig.Document) []edgeconfig.AckItem
	// Purge removes stored responses and returns how many objects; after it
	// returns no stale byte is served.
	Purge(p edgeconfig.Purge) int
	// DropCache removes every stored response: the edge was away for longer
	// than purges are remembered.
	DropCache() int
}

// Verifier is a Node that can ask itself over its own listener whether a
// document is in force in that revision or a later one.
type Verifier interface {
	Verify(ctx context.Context, key string, revision int64) error
}

// Reporter is a Node that counts.
type Reporter interface {
	// Info fills in what a heartbeat says of the node: StartedAt, Version,
	// HTTP, HTTPS, Draining, Sites, Live.
	Info() edgeconfig.Heartbeat
	// Take closes the rollup of span: what was counted since the last Take of
	// the same span.
	Take(span time.Duration) edgeconfig.Rollup
}

// Listener is a Node that hears from primaries of secondary zones.
type Listener interface {
	Notices() <-chan edgeconfig.Notice
}

// Drainer is a Node that can send its clients elsewhere.
type Drainer interface {
	Drain(on bool)
}

// Options of an agent.
type Options struct {
	Identity *Identity // from Join or LoadIdentity
	Dir      string    // where documents, purge number and rollups are kept; "" keeps nothing
	Node     Node
	// InProcess connects to a bus in this process; nil dials Identity.BusURL.
	InProcess nats.InProcessConnProvider

	Logger         *slog.Logger     // nil: discard
	Now            func() time.Time // nil: time.Now
	HeartbeatEvery time.Duration    // 0: 10 s
	RollupEvery    time.Duration    // 0: 60 s
	ProbeEvery     time.Duration    // 0: 10 s
	// Queue is how many messages may wait; what comes while it is full is lost
	// and fetched later. 0: 1024.
	Queue int
	// Ready, when not nil, is called once when what is on disk is in force.
	Ready func()
}

// Run drives the node until ctx ends; it then returns nil. An error means that
// the edge cannot work at all: its identity is not complete (Invalid), or its
// directory is not usable (Unavailable).
func Run(ctx context.Context, o Options) error {
	a, err := newAgent(o)
	if err != nil {
		return err
	}
	defer a.release()
	if err := a.loadDisk(); err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready()
	}
	if err := a.connect(); err != nil {
		return err
	}
	a.startProber()
	defer a.startListener()()
	a.run(ctx)
	return nil
}

// agent is the state of Run; only Run's goroutine touches it, but for what
// verify.go says.
type agent struct {
	o        Options
	id       *Identity
	log      *slog.Logger
	now      func() time.Time
	node     Node
	trusted  []ed25519.PublicKey
	journal  *journal // nil without Dir
	started  time.Time
	boot     string // tells rollups of this run from those of an earlier one
	settings edgeconfig.EdgeSettings

	all, own edgeconfig.Index // the newest version seen of each document, refused ones included
	refused  map[string]refusedDoc
	scopes   map[string]bool // keys that are in own

	purgeSeq int64               // all purges up to this are done; -1: unknown
	purged   map[int64]purgeDone // purges beyond it that are done, and the last few before

	conn     *nats.Conn
	messages chan *nats.Msg
	links    chan bool // the connection came (true) or went
	closed   chan struct{}

	asking   asking
	verifier verifier
	prober   *prober // nil when the node cannot look
	spool    *spool
	due      schedule
}

// purgeDone is a purge that was carried out.
type purgeDone struct {
	id    string
	count int
}

// refusedDoc is a version that the node refuses. The one before stays in force.
type refusedDoc struct {
	item   edgeconfig.AckItem
	good   edgeconfig.Entry
	isGood bool // there is one before
}

// Cadences and bounds.
const (
	defaultHeartbeat = 10 * time.Second
	defaultRollup    = time.Minute
	defaultQueue     = 1024
	applyAtOnce      = 256 // documents handed to the node together
	maxAckItems      = 2000
	rememberPurges   = 64
	// ownEvery is how many manifests pass between looks at the documents of this
	// edge alone, which the manifest does not cover.
	ownEvery = 12
)

func newAgent(o Options) (*agent, error) {
	if o.Identity == nil || o.Identity.Edge == "" || o.Node == nil {
		return nil, fault.New(fault.Invalid, "the edge has no identity: it has to join first")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HeartbeatEvery <= 0 {
		o.HeartbeatEvery = defaultHeartbeat
	}
	if o.RollupEvery <= 0 {
		o.RollupEvery = defaultRollup
	}
	if o.ProbeEvery <= 0 {
		o.ProbeEvery = defaultProbe
	}
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	var boot [4]byte
	rand.Read(boot[:])
	a := &agent{
		o: o, id: o.Identity, log: o.Logger.With("edge", o.Identity.Edge), now: o.Now, node: o.Node,
		started: o.Now(), boot: hex.EncodeToString(boot[:]),
		refused: map[string]refusedDoc{}, scopes: map[string]bool{},
		purgeSeq: -1, purged: map[int64]purgeDone{},
		messages: make(chan *nats.Msg, o.Queue), links: make(chan bool, 16), closed: make(chan struct{}),
	}
	if err := a.trust(o.Identity.TrustKeys); err != nil {
		return nil, err
	}
	a.asking.buckets = map[int]struct{}{}
	a.verifier.init(a)
	return a, nil
}

// trust sets the keys that documents must be signed by.
func (a *agent) trust(keys [][]byte) error {
	trusted := make([]ed25519.PublicKey, 0, len(keys))
	for _, k := range keys {
		if len(k) != ed25519.PublicKeySize {
			return fault.New(fault.Invalid, "a key that the edge shall trust has %d bytes, not %d", len(k), ed25519.PublicKeySize)
		}
		trusted = append(trusted, slices.Clone(k))
	}
	if len(trusted) == 0 {
		return fault.New(fault.Invalid, "the edge trusts no control plane: it has to join again")
	}
	a.trusted = trusted
	return nil
}

// loadDisk brings what is on disk into force.
func (a *agent) loadDisk() error {
	if a.o.Dir == "" {
		a.spool = newSpool("", a.log)
		return nil
	}
	if err := os.MkdirAll(a.o.Dir, 0o700); err != nil {
		return fault.New(fault.Unavailable, "the edge's directory cannot be made: %w", err)
	}
	j, damaged, err := openJournal(a.o.Dir)
	if err != nil {
		return err
	}
	a.journal, a.purgeSeq = j, j.purge
	if damaged > 0 {
		a.log.Warn("configuration on disk was damaged; the rest is used, the control plane brings back what is missing", "bytes", damaged)
	}
	strangers := 0
	unreadable := j.load(applyAtOnce, func(docs []edgeconfig.Document) {
		docs = slices.DeleteFunc(docs, func(d edgeconfig.Document) bool {
			if a.mine(&d) {
				return false
			}
			strangers++ // this directory was another edge's
			return true
		})
		a.applyBatch(docs, false)
	})
	if strangers > 0 {
		if err := j.reset(); err != nil {
			return err
		}
		a.all, a.own, a.purgeSeq = edgeconfig.Index{}, edgeconfig.Index{}, -1
	}
	if unreadable > 0 {
		a.log.Warn("documents on disk could not be read; the control plane brings them back", "documents", unreadable)
	}
	a.spool = newSpool(a.o.Dir, a.log)
	a.log.Info("configuration from disk in force", "documents", a.all.Len()+a.own.Len(), "refused", len(a.refused))
	return nil
}

func (a *agent) release() {
	a.verifier.stop()
	a.prober.stop()
	if a.conn != nil {
		a.conn.Close()
		<-a.closed
	}
	if a.journal != nil {
		if err := a.journal.close(); err != nil {
			a.log.Warn("configuration on disk not closed", "error", err)
		}
	}
}

// run is the loop.
func (a *agent) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	a.due.begin(a.now(), a.o.HeartbeatEvery, a.o.RollupEvery)
	a.verifier.begin()
	for {
		select {
		case <-ctx.Done():
			a.finish()
			return
		case m := <-a.messages:
			a.receive(m)
		case up := <-a.links:
			a.linked(up)
		case item := <-a.verifier.done:
			a.acknowledge(a.moreVerified(item))
		case <-timer.C:
			a.tick(a.now())
		}
		a.ask()
		timer.Reset(max(a.nextDue().Sub(a.now()), 0))
	}
}

// receive takes in a message and what has queued up behind it, so that a burst
// of documents is one call of the node and one write.
func (a *agent) receive(m *nats.Msg) {
	var docs []edgeconfig.Document
	for more := true; more; {
		docs = a.sort(m, docs)
		if len(docs) >= applyAtOnce {
			a.take(docs)
			docs = nil
		}
		select {
		case m = <-a.messages:
		default:
			more = false
		}
	}
	a.take(docs)
}

// sort deals with one message; a document is added to docs instead. A purge
// does not wait for the documents before it.
func (a *agent) sort(m *nats.Msg, docs []edgeconfig.Document) []edgeconfig.Document {
	switch m.Subject {
	case edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(a.id.Edge):
		var d edgeconfig.Document
		if a.decode(m, &d) {
			docs = append(docs, d)
		}
	case edgeconfig.SubjectPurge, edgeconfig.SubjectPurgeTo(a.id.Edge):
		var p edgeconfig.Purge
		if a.decode(m, &p) {
			a.purge(p)
		}
	case edgeconfig.SubjectManifest:
		var manifest edgeconfig.Manifest
		if a.decode(m, &manifest) {
			a.compare(manifest)
		}
	default:
		if number, ok := strings.CutPrefix(m.Subject, edgeconfig.InboxPrefix(a.id.Edge)+"."); ok {
			docs = append(docs, a.answered(number, m)...)
		}
	}
	return docs
}

func (a *agent) decode(m *nats.Msg, into any) bool {
	if err := json.Unmarshal(m.Data, into); err != nil {
		a.log.Warn("message not understood", "subject", m.Subject, "error", err)
		return false
	}
	return true
}

// take checks documents that have arrived and applies those that are good.
func (a *agent) take(docs []edgeconfig.Document) {
	if len(docs) == 0 {
		return
	}
	newest := map[string]int{}
	for i := range docs {
		if j, has := newest[docs[i].Key]; !has || docs[j].Revision < docs[i].Revision {
			newest[docs[i].Key] = i
		}
	}
	good := make([]edgeconfig.Document, 0, len(docs))
	for i := range docs {
		d := &docs[i]
		if newest[d.Key] != i {
			continue
		}
		if held, has := a.held(d.Key); has && held.Revision >= d.Revision {
			continue // a repeat, or older
		}
		if err := a.check(d); err != nil {
			a.log.Warn("document refused", "key", d.Key, "revision", d.Revision, "error", err)
			a.acknowledge([]edgeconfig.AckItem{{Key: d.Key, Revision: d.Revision, State: edgeconfig.Rejected, Reason: err.Error()}})
			continue
		}
		good = append(good, *d)
	}
	slices.SortStableFunc(good, func(x, y edgeconfig.Document) int { return rank(x.Key) - rank(y.Key) })
	a.acknowledge(a.applyBatch(good, true))
}

// check tells whether a document may be applied at all.
func (a *agent) check(d *edgeconfig.Document) error {
	if !a.mine(d) {
		return fault.New(fault.Forbidden, "document %s is for %q, not for this edge", d.Key, d.Scope)
	}
	if d.Name() == "" || len(d.Key) > maxKeyBytes || d.Revision <= 0 || d.Deleted && len(d.Body) > 0 {
		return fault.New(fault.Invalid, "document %q is not well formed", d.Key)
	}
	return d.Verify(a.trusted)
}

func (a *agent) mine(d *edgeconfig.Document) bool {
	return d.Scope == edgeconfig.ScopeAll || d.Scope == a.id.Edge
}

// applyBatch hands documents to the node and notes what came of it. keep writes
// those that are good to the journal.
func (a *agent) applyBatch(docs []edgeconfig.Document, keep bool) []edgeconfig.AckItem {
	if len(docs) == 0 {
		return nil
	}
	refused := len(a.refused)
	items := make([]edgeconfig.AckItem, 0, len(docs))
	var forNode []edgeconfig.Document
	for i := range docs {
		if docs[i].Kind() == edgeconfig.KindEdge {
			items = append(items, a.applySettings(&docs[i], keep))
		} else {
			forNode = append(forNode, docs[i])
		}
	}
	if len(forNode) > 0 {
		items = append(items, a.node.Apply(forNode)...)
	}
	outcome := make(map[string]edgeconfig.AckItem, len(items))
	for _, item := range items {
		outcome[item.Key] = item
	}
	applied := make([]edgeconfig.Document, 0, len(docs))
	keysCame, sitesChanged := false, false
	for i := range docs {
		d := &docs[i]
		item, told := outcome[d.Key]
		if !told || item.Revision != d.Revision {
			item = edgeconfig.AckItem{Key: d.Key, Revision: d.Revision, State: edgeconfig.Rejected, Reason: "the node did not say what became of it"}
			items = append(items, item)
		}
		if item.State == edgeconfig.Rejected {
			a.refuse(d, item)
			continue
		}
		delete(a.refused, d.Key)
		_, had := a.held(d.Key)
		sitesChanged = sitesChanged || d.Kind() == edgeconfig.KindSite && (!had || d.Deleted)
		a.hold(d)
		applied = append(applied, *d)
		keysCame = keysCame || d.Kind() == edgeconfig.KindKeys
		if keep {
			a.verifier.add(d.Key, d.Revision)
		} else {
			a.verifier.addLater(d.Key, d.Revision)
		}
	}
	if keep && len(applied) > 0 {
		a.write(applied, -1)
	}
	if keysCame {
		a.retryRefused()
	}
	if sitesChanged || len(a.refused) != refused {
		a.due.soon(a.now()) // how many, only a heartbeat tells
	}
	return items
}

// write keeps documents and the number of the last purge on disk. When the disk
// does not take them the edge goes on without: it serves, and after a restart
// the manifest brings back what is missing.
func (a *agent) write(docs []edgeconfig.Document, purge int64) {
	if a.journal == nil {
		return
	}
	if err := a.journal.append(docs, purge); err != nil {
		a.log.Error("configuration not kept on disk", "error", err)
	}
	a.journal.sync(a.now())
}

// applySettings carries out what is wanted of the edge as a whole.
func (a *agent) applySettings(d *edgeconfig.Document, keep bool) edgeconfig.AckItem {
	item := edgeconfig.AckItem{Key: d.Key, Revision: d.Revision, State: edgeconfig.Applied}
	if d.Deleted {
		return item // the edge was removed; it serves what it has until it is stopped
	}
	reject := func(reason string) edgeconfig.AckItem {
		item.State, item.Reason = edgeconfig.Rejected, reason
		return item
	}
	var s edgeconfig.EdgeSettings
	if err := json.Unmarshal(d.Body, &s); err != nil {
		return reject("the settings are not understood: " + err.Error())
	}
	if s.Edge != a.id.Edge || d.Scope != a.id.Edge {
		return reject("the settings are another edge's")
	}
	if keep { // what is on disk may be older than the identity
		if err := a.trust(s.TrustKeys); err != nil {
			return reject(err.Error())
		}
		if !slices.EqualFunc(a.id.TrustKeys, s.TrustKeys, slices.Equal) {
			a.id.TrustKeys = s.TrustKeys
			if err := a.id.save(a.o.Dir); err != nil {
				a.log.Error("trusted keys not kept on disk", "error", err)
			}
		}
	}
	if drainer, can := a.node.(Drainer); can && s.Draining != a.settings.Draining {
		drainer.Drain(s.Draining)
	}
	a.settings = s
	return item
}

// held is the newest version seen of a document.
func (a *agent) held(key string) (edgeconfig.Entry, bool) {
	if a.scopes[key] {
		return a.own.Get(key)
	}
	return a.all.Get(key)
}

// hold notes the newest version seen of a document.
func (a *agent) hold(d *edgeconfig.Document) {
	a.holdEntry(edgeconfig.Entry{Key: d.Key, Revision: d.Revision, Hash: d.Hash}, d.Scope != edgeconfig.ScopeAll)
}

func (a *agent) holdEntry(e edgeconfig.Entry, own bool) {
	if own {
		a.all.Remove(e.Key)
		a.own.Put(e)
		a.scopes[e.Key] = true
		return
	}
	if a.scopes[e.Key] {
		a.own.Remove(e.Key)
		delete(a.scopes, e.Key)
	}
	a.all.Put(e)
}

// refuse notes a version that the node does not take. It counts as seen, so
// that it is not fetched again and again.
func (a *agent) refuse(d *edgeconfig.Document, item edgeconfig.AckItem) {
	r, has := a.refused[d.Key]
	if !has {
		r.good, r.isGood = a.held(d.Key)
	}
	r.item = item
	a.refused[d.Key] = r
	a.hold(d)
	a.log.Warn("the node refuses a document and keeps what it has", "key", d.Key, "revision", d.Revision, "reason", item.Reason)
}

// retryRefused fetches what was refused once more: the keys it needed may be
// there now.
func (a *agent) retryRefused() {
	for key, r := range a.refused {
		own := a.scopes[key]
		if r.isGood {
			a.holdEntry(r.good, own)
		} else {
			a.all.Remove(key)
			a.own.Remove(key)
			delete(a.scopes, key)
		}
		delete(a.refused, key)
		a.asking.want(key)
	}
}

// acknowledge tells the control plane how far documents have come. What is lost
// heartbeats make good.
func (a *agent) acknowledge(items []edgeconfig.AckItem) {
	for len(items) > 0 {
		part := items[:min(len(items), maxAckItems)]
		items = items[len(part):]
		ack := edgeconfig.Acknowledgement{Edge: a.id.Edge, Items: part, At: a.now().UTC()}
		if len(items) == 0 {
			ack.Digest, ack.Own, ack.Verified = a.holds()
		}
		a.send("ack", ack)
	}
}

// send publishes on one of the edge's own subjects, when the bus is there.
func (a *agent) send(what string, message any) bool {
	data, err := json.Marshal(message)
	if err == nil {
		err = a.conn.Publish(edgeconfig.SubjectUpOf(a.id.Edge, what), data)
	}
	if err != nil {
		a.log.Debug("not sent", "message", what, "error", err)
	}
	return err == nil
}

// purge carries out a purge that was announced. One whose number is known but
// not its ID is carried out too: after the control plane was restored from a
// backup a number may come again and mean something else.
func (a *agent) purge(p edgeconfig.Purge) {
	done, has := a.purged[p.Seq]
	if !has || done.id != p.ID {
		if err := p.Verify(a.trusted); err != nil {
			a.log.Warn("purge refused", "purge", p.ID, "error", err)
			return
		}
		done = purgeDone{id: p.ID, count: a.node.Purge(p)}
		a.notePurge(p.Seq, done)
	}
	a.send("purged", edgeconfig.PurgeReport{Edge: a.id.Edge, Seq: p.Seq, Count: done.count, At: a.now().UTC()})
}

// notePurge notes a purge, and how far there is no hole.
func (a *agent) notePurge(seq int64, done purgeDone) {
	before := a.purgeSeq
	a.purged[seq] = done
	if a.purgeSeq < 0 {
		// Nothing is known of earlier purges, and what they were about may have
		// been stored since the process started.
		a.node.DropCache()
		a.purgeSeq = seq
	}
	for {
		if _, done := a.purged[a.purgeSeq+1]; !done {
			break
		}
		a.purgeSeq++
	}
	if len(a.purged) > 2*rememberPurges {
		for old := range a.purged {
			if old <= a.purgeSeq-rememberPurges {
				delete(a.purged, old)
			}
		}
	}
	if a.purgeSeq != before {
		a.write(nil, a.purgeSeq)
	}
	if seq > a.purgeSeq {
		a.asking.purges = true // there is a hole before this one
	}
}

// finish leaves in good order: the last rollup is kept or sent.
func (a *agent) finish() {
	a.rollUp(a.now())
	if a.o.Dir == "" {
		for _, r := range a.spool.memory {
			a.send("rollup", r)
		}
	}
	if a.conn.IsConnected() {
		_ = a.conn.FlushTimeout(time.Second)
	}
}

// schedule is what is due when.
type schedule struct {
	heartbeat, rollup, live time.Time
	every, rollupEvery      time.Duration
	rollupFrom              time.Time

	liveSpan  time.Duration
	liveUntil time.Time
}

func (s *schedule) begin(now time.Time, heartbeat, rollup time.Duration) {
	s.every, s.rollupEvery = heartbeat, rollup
	s.heartbeat = now.Add(jitter(heartbeat))
	s.rollupFrom = now.Truncate(rollup)
	s.rollup = s.rollupFrom.Add(rollup)
}

// soon brings the next heartbeat forward, because it has something to tell that
// no acknowledgement does: within a quarter of its cadence, spread so that a whole fleet does
// not speak at once.
func (s *schedule) soon(now time.Time) {
	if at := now.Add(jitter(s.every / 4)); at.Before(s.heartbeat) && s.heartbeat.Sub(now) > s.every/4 {
		s.heartbeat = at
	}
}

// jitter is a random part of d.
func jitter(d time.Duration) time.Duration {
	return time.Duration(mathrand.Int64N(int64(max(d, 1))))
}

// nextDue is when the loop must look again without being woken.
func (a *agent) nextDue() time.Time {
	next := a.due.heartbeat
	question := time.Time{}
	if a.conn.IsConnected() { // otherwise being connected again wakes the loop
		question = a.asking.next()
	}
	for _, at := range []time.Time{a.due.rollup, a.due.live, question} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// tick does what is due.
func (a *agent) tick(now time.Time) {
	if !now.Before(a.due.heartbeat) {
		a.heartbeat(now)
	}
	if !now.Before(a.due.rollup) {
		a.rollUp(now)
		a.due.rollup = now.Truncate(a.due.rollupEvery).Add(a.due.rollupEvery)
	}
	if !a.due.live.IsZero() && !now.Before(a.due.live) {
		a.liveRollup(now)
	}
	if a.journal != nil {
		a.journal.sync(now)
	}
}

// heartbeat tells that the edge lives and what it holds.
func (a *agent) heartbeat(now time.Time) {
	a.due.heartbeat = now.Add(a.o.HeartbeatEvery - a.o.HeartbeatEvery/10 + jitter(a.o.HeartbeatEvery/5))
	if !a.conn.IsConnected() {
		return
	}
	beat := edgeconfig.Heartbeat{StartedAt: a.started}
	if r, can := a.node.(Reporter); can {
		beat = r.Info()
	}
	beat.Edge, beat.Region, beat.At, beat.Simulated = a.id.Edge, a.id.Region, now.UTC(), a.id.Simulated
	beat.PurgeSeq, beat.Rejected = a.purgeSeq, len(a.refused)
	beat.Digest, beat.Own, beat.Verified = a.holds()
	a.send("heartbeat", beat)
}

// holds is what the control plane compares to know that this edge is in sync;
// empty while something was refused. verified: the edge has asked itself about
// every document of it.
func (a *agent) holds() (all, own string, verified bool) {
	if len(a.refused) > 0 {
		return "", "", false
	}
	return a.all.Root(), a.own.Root(), a.verifier.all()
}

// rollUp closes the rollup that is running and puts it into the spool.
func (a *agent) rollUp(now time.Time) {
	r, can := a.node.(Reporter)
	if !can {
		return
	}
	rollup := r.Take(a.o.RollupEvery)
	from := a.due.rollupFrom
	a.due.rollupFrom = now.Truncate(a.o.RollupEvery)
	if len(rollup.Sites)+len(rollup.Zones)+len(rollup.Fetches) == 0 {
		return
	}
	rollup.Edge, rollup.Region, rollup.Start = a.id.Edge, a.id.Region, from.UTC()
	rollup.Seconds = max(int(a.o.RollupEvery/time.Second), 60)
	rollup.ID = a.rollupID(rollup)
	a.spool.add(rollup)
	// A whole fleet closes its rollups at once; they are sent over some seconds.
	a.asking.rollupAt = now.Add(jitter(a.o.RollupEvery / 8))
}

func (a *agent) rollupID(r edgeconfig.Rollup) string {
	return a.id.Edge + "/" + r.Start.Format("20060102T150405Z") + "/" + a.boot
}

// liveRollup sends a short rollup while somebody watches. Nobody waits for it.
func (a *agent) liveRollup(now time.Time) {
	r, can := a.node.(Reporter)
	if !can || now.After(a.due.liveUntil) {
		a.due.live = time.Time{}
		return
	}
	rollup := r.Take(a.due.liveSpan)
	rollup.Edge, rollup.Region = a.id.Edge, a.id.Region
	rollup.Start, rollup.Seconds = now.Add(-a.due.liveSpan).UTC(), int(a.due.liveSpan/time.Second)
	rollup.ID = a.rollupID(rollup)
	a.send("rollup", rollup)
	a.due.live = now.Add(a.due.liveSpan)
}

// watch begins, goes on with or ends sending short rollups.
func (a *agent) watch(l *edgeconfig.LiveRequest, now time.Time) {
	if l == nil || l.Seconds < 1 || l.Seconds > 59 || l.Until.Before(now) {
		a.due.live = time.Time{}
		return
	}
	a.due.liveUntil = l.Until
	if limit := now.Add(time.Minute); l.Until.After(limit) {
		a.due.liveUntil = limit
	}
	span := time.Duration(l.Seconds) * time.Second
	if r, can := a.node.(Reporter); can && (a.due.live.IsZero() || a.due.liveSpan != span) {
		r.Take(span) // what was counted before nobody has asked for
		a.due.liveSpan, a.due.live = span, now.Add(span)
	}
}
