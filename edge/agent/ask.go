package agent

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
)

// asking is what the agent wants to know and the one question that is under
// way. Questions go out one after the other, the most urgent first: purges, the
// manifest, documents, entries, rollups to be stored. What is known to be missing
// is fetched before it is asked what else is: so each question that is answered
// brings an edge nearer, however often manifests come meanwhile.
type asking struct {
	manifest bool
	own      bool
	purges   bool
	buckets  map[int]struct{} // that were seen to differ
	digests  map[int]string   // of the newest manifest
	keys     []string
	keySet   map[string]struct{}
	rollupAt time.Time // when the spool may be sent; zero: nothing to send

	number   int    // of the question under way
	what     string // "" when there is none
	asked    []string
	rollup   string // ID of the rollup under way
	deadline time.Time
	notYet   time.Time // after a failure, when to ask again
	failures int

	manifests int // seen, for ownEvery
	lower     int // manifests in a row that know fewer purges than this edge
}

// Bounds of questions.
const (
	askWithin      = 5 * time.Second
	askAgain       = 500 * time.Millisecond // after the first failure; doubled up to askAgainAtMost
	askAgainAtMost = 30 * time.Second
	keysPerAsk     = 1000
	// healWithin spreads the questions of a fleet that finds something missing
	// in the same manifest.
	healWithin = 250 * time.Millisecond
)

// want has a document fetched by its key.
func (q *asking) want(key string) {
	if q.keySet == nil {
		q.keySet = map[string]struct{}{}
	}
	if _, wanted := q.keySet[key]; !wanted {
		q.keySet[key] = struct{}{}
		q.keys = append(q.keys, key)
	}
}

// next is when the loop must look at the questions again; zero for never.
func (q *asking) next() time.Time {
	if q.what != "" {
		return q.deadline
	}
	if q.urgent() {
		return q.notYet // in the past: at once
	}
	if q.rollupAt.After(q.notYet) {
		return q.rollupAt
	}
	if !q.rollupAt.IsZero() {
		return q.notYet
	}
	return time.Time{}
}

func (q *asking) urgent() bool {
	return q.purges || q.manifest || q.own || len(q.buckets) > 0 || len(q.keys) > 0
}

// ask sends the next question, when none is under way.
func (a *agent) ask() {
	q, now := &a.asking, a.now()
	if q.what != "" {
		if now.Before(q.deadline) {
			return
		}
		a.log.Debug("no answer", "question", q.what)
		a.askFailed()
	}
	if now.Before(q.notYet) || !a.conn.IsConnected() {
		return
	}
	switch {
	case q.purges && a.purgeSeq >= 0:
		a.put("purges", edgeconfig.PurgesRequest{Since: a.purgeSeq})
	case q.manifest || q.purges:
		a.put("manifest", nil)
	case len(q.keys) > 0:
		q.asked = slices.Clone(q.keys[:min(len(q.keys), keysPerAsk)])
		a.put("documents", edgeconfig.DocumentsRequest{Keys: q.asked})
	case q.own || a.stillDiffer():
		r := edgeconfig.EntriesRequest{Own: q.own}
		for n := range q.buckets {
			r.Buckets = append(r.Buckets, n)
		}
		slices.Sort(r.Buckets)
		a.put("entries", r)
	case !q.rollupAt.IsZero() && !now.Before(q.rollupAt):
		r, id, ok := a.spool.oldest()
		if !ok {
			q.rollupAt = time.Time{}
			return
		}
		q.rollup = id
		a.put("rollup", r)
	}
}

// stillDiffer forgets the buckets that documents have mended since they were
// seen to differ, and tells whether any are left.
func (a *agent) stillDiffer() bool {
	q := &a.asking
	if len(q.buckets) == 0 {
		return false
	}
	differ := a.all.Differs(q.digests)
	for n := range q.buckets {
		if !slices.Contains(differ, n) {
			delete(q.buckets, n)
		}
	}
	return len(q.buckets) > 0
}

// put sends one question.
func (a *agent) put(what string, request any) {
	q := &a.asking
	var data []byte
	var err error
	if request != nil {
		data, err = json.Marshal(request)
	}
	q.number++
	if err == nil {
		err = a.conn.PublishRequest(edgeconfig.SubjectUpOf(a.id.Edge, what),
			edgeconfig.InboxPrefix(a.id.Edge)+"."+strconv.Itoa(q.number), data)
	}
	// Who has waited in vain waits longer next time: a control plane that has
	// many edges to answer is not asked the more for it.
	q.what, q.deadline = what, a.now().Add(askWithin<<min(q.failures, 3))
	if err != nil {
		a.log.Debug("question not sent", "question", what, "error", err)
		a.askFailed()
	}
}

// askFailed waits before the next question, longer after each failure.
func (a *agent) askFailed() {
	q := &a.asking
	wait := min(askAgain<<min(q.failures, 10), askAgainAtMost)
	q.failures++
	q.what, q.asked = "", nil
	q.notYet = a.now().Add(wait/2 + jitter(wait))
}

// answered takes in the answer to the question under way; documents in it are
// returned.
func (a *agent) answered(number string, m *nats.Msg) []edgeconfig.Document {
	q := &a.asking
	if q.what == "" || number != strconv.Itoa(q.number) {
		return a.late(m)
	}
	if m.Header.Get("Status") == "503" { // nobody listens on the other side
		a.askFailed()
		return nil
	}
	what, asked := q.what, q.asked
	var docs []edgeconfig.Document
	ok := true
	switch what {
	case "manifest":
		var manifest edgeconfig.Manifest
		if ok = a.decode(m, &manifest); ok {
			a.compare(manifest)
			q.notYet = time.Time{} // asked for by this edge alone: no fleet to spread
		}
	case "entries":
		var e edgeconfig.Entries
		if ok = a.decode(m, &e); ok {
			a.heal(e)
		}
	case "documents":
		var d edgeconfig.Documents
		if ok = a.decode(m, &d); ok {
			docs = a.fetched(asked, d.Documents)
		}
	case "purges":
		var p edgeconfig.Purges
		if ok = a.decode(m, &p); ok {
			a.catchUp(p)
		}
	case "rollup":
		a.spool.remove(q.rollup)
	}
	if !ok {
		a.askFailed()
		return nil
	}
	q.what, q.asked, q.failures = "", nil, 0
	return docs
}

// late takes in an answer that was given up. Documents speak for themselves,
// whenever they come; other answers were true then.
func (a *agent) late(m *nats.Msg) []edgeconfig.Document {
	var d edgeconfig.Documents
	if json.Unmarshal(m.Data, &d) != nil || len(d.Documents) == 0 {
		return nil
	}
	return a.fetched(nil, d.Documents)
}

// compare looks for differences between a manifest and what the edge holds.
func (a *agent) compare(m edgeconfig.Manifest) {
	q, now := &a.asking, a.now()
	if q.manifest = false; q.what == "manifest" {
		q.what = "" // this one will do; the answer may never come
	}
	a.watch(m.Live, now)
	if a.purgeSeq < 0 {
		// What was purged before this is not known, so nothing that was stored
		// before this may be served.
		a.node.DropCache()
		a.purgeSeq = m.PurgeSeq
		a.write(nil, a.purgeSeq)
		q.purges = false
	} else if q.lower++; m.PurgeSeq >= a.purgeSeq {
		q.lower = 0
		q.purges = q.purges || m.PurgeSeq > a.purgeSeq
	} else if q.lower > 1 {
		// Once may be a manifest that a purge has overtaken; twice is a control
		// plane that knows less than this edge.
		q.purges = true
	}
	if q.manifests++; q.manifests%ownEvery == 1 {
		q.own = true
	}
	if m.Root == a.all.Root() {
		clear(q.buckets)
		return
	}
	digests, err := m.ReadDigests()
	if err != nil {
		a.log.Warn("message not understood", "subject", edgeconfig.SubjectManifest, "error", err)
		return
	}
	differ := a.all.Differs(digests)
	q.digests = digests
	if len(differ) == 0 {
		return
	}
	for _, n := range differ {
		q.buckets[n] = struct{}{}
	}
	if q.what == "" && !q.urgentBefore(now) {
		q.notYet = now.Add(jitter(healWithin))
	}
}

// urgentBefore tells that something else is about to be asked anyway.
func (q *asking) urgentBefore(now time.Time) bool {
	return q.purges || q.manifest || q.notYet.After(now)
}

// heal compares entries with what the edge holds: newer ones are fetched; what
// the control plane does not know, or knows in an older version only, it is
// told of, so that it can publish above it.
func (a *agent) heal(e edgeconfig.Entries) {
	q := &a.asking
	listed := make(map[string]struct{}, len(e.Entries))
	var ahead []edgeconfig.AckItem
	for _, entry := range e.Entries {
		listed[entry.Key] = struct{}{}
		held, has := a.held(entry.Key)
		switch {
		case !has || held.Revision < entry.Revision:
			q.want(entry.Key)
		case held.Revision > entry.Revision:
			ahead = append(ahead, edgeconfig.AckItem{Key: held.Key, Revision: held.Revision, State: edgeconfig.Ahead})
		}
	}
	missing := func(held edgeconfig.Entry) {
		if _, has := listed[held.Key]; !has {
			ahead = append(ahead, edgeconfig.AckItem{Key: held.Key, Revision: held.Revision, State: edgeconfig.Ahead})
		}
	}
	for _, n := range e.Buckets {
		for _, held := range a.all.Bucket(n) {
			missing(held)
		}
		delete(q.buckets, n)
	}
	if e.Own {
		q.own = false
		a.own.All(func(held edgeconfig.Entry) bool { missing(held); return true })
	} else if len(e.Buckets) == 0 {
		clear(q.buckets) // an answer that answers nothing must not be asked for for ever
	}
	a.acknowledge(ahead)
}

// fetched takes in documents that were asked for. What did not fit is asked for
// again; when nothing came, the documents are gone, and the next manifest tells.
func (a *agent) fetched(asked []string, docs []edgeconfig.Document) []edgeconfig.Document {
	q := &a.asking
	came := make(map[string]struct{}, len(docs))
	for i := range docs {
		came[docs[i].Key] = struct{}{}
	}
	done := came
	if len(docs) == 0 {
		done = make(map[string]struct{}, len(asked))
		for _, key := range asked {
			done[key] = struct{}{}
		}
	}
	q.keys = slices.DeleteFunc(q.keys, func(key string) bool {
		_, is := done[key]
		if is {
			delete(q.keySet, key)
		}
		return is
	})
	return docs
}

// catchUp carries out purges that were missed.
func (a *agent) catchUp(p edgeconfig.Purges) {
	q := &a.asking
	q.purges = false
	if p.Gap {
		count := a.node.DropCache()
		a.purgeSeq = p.Last
		clear(a.purged)
		a.write(nil, a.purgeSeq)
		a.send("purged", edgeconfig.PurgeReport{Edge: a.id.Edge, Seq: p.Last, Count: count, At: a.now().UTC()})
		a.due.soon(a.now())
		return
	}
	before := a.purgeSeq
	for _, purge := range p.Purges {
		a.purge(purge)
	}
	// More may be waiting; a purge that is not good stops here, and the next
	// manifest asks again.
	q.purges = a.purgeSeq > before && p.Last > a.purgeSeq
	a.due.soon(a.now())
}

// linked takes in that the connection came or went.
func (a *agent) linked(up bool) {
	q := &a.asking
	q.what, q.asked = "", nil
	if !up {
		a.log.Warn("the bus is away; serving what is here")
		return
	}
	a.log.Info("connected to the bus")
	q.notYet, q.failures = time.Time{}, 0
	q.manifest, q.own = true, true
	if a.spool.len() > 0 {
		q.rollupAt = a.now().Add(jitter(time.Second))
	}
	a.retryRefused()
	a.heartbeat(a.now())
}
