package fleet

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// What edges send, the last token of the subject.
const (
	upAck       = "ack"
	upPurged    = "purged"
	upHeartbeat = "heartbeat"
	upRollup    = "rollup"
	upManifest  = "manifest"
	upEntries   = "entries"
	upDocuments = "documents"
	upPurges    = "purges"
	upLeave     = "leave"
	upProbe     = "probe"
	upNotice    = "notice"
)

// serveWithin bounds the work on one request of an edge.
const serveWithin = 10 * time.Second

// listen subscribes to everything that edges send: one subscription, and so one
// goroutine, per sort, so that a slow sort holds up no other. Until ctx ends it
// answers.
func (f *Fleet) listen(ctx context.Context, b *bus) error {
	for _, what := range []string{upAck, upPurged, upHeartbeat, upRollup, upManifest, upEntries, upDocuments, upPurges, upLeave, upProbe, upNotice} {
		serve := func(edge string, m *nats.Msg) {
			if reply, send := f.handle(edge, what, m.Reply, m.Data); send {
				f.reply(b, edge, m.Reply, reply)
			}
			if what == upLeave {
				f.farewell(b, edge)
			}
		}
		if isQuestion(what) {
			asked, answer := newQuestions(), serve
			serve = func(edge string, m *nats.Msg) {
				if m.Reply != "" && f.registry.seen(edge) {
					asked.put(edge, m)
				}
			}
			for range answerers {
				f.running.Go(func() { asked.serve(ctx, answer) })
			}
		}
		s, err := b.conn.Subscribe(edgeconfig.SubjectUp+"*."+what, func(m *nats.Msg) {
			if edge, ok := senderOf(m.Subject); ok {
				serve(edge, m)
			}
		})
		if err != nil {
			return fault.New(fault.Unavailable, "the bus does not let the control plane listen: %w", err)
		}
		// A burst of 10,000 edges must fit.
		if err := s.SetPendingLimits(1<<20, 256<<20); err != nil {
			return err
		}
	}
	for _, event := range []string{"CONNECT", "DISCONNECT"} {
		_, err := b.system.Subscribe("$SYS.ACCOUNT."+b.account+"."+event, func(m *nats.Msg) {
			f.connection(m.Data, event == "CONNECT")
		})
		if err != nil {
			return fault.New(fault.Unavailable, "the bus does not tell of its connections: %w", err)
		}
	}
	for _, conn := range []*nats.Conn{b.conn, b.system} {
		if err := conn.FlushTimeout(busConnectWithin); err != nil {
			return fault.New(fault.Unavailable, "the bus does not answer: %w", err)
		}
	}
	return nil
}

// isQuestion tells whether an edge only wants to know something.
func isQuestion(what string) bool {
	return what == upManifest || what == upEntries || what == upDocuments || what == upPurges
}

// senderOf is the edge that a subject belongs to. The bus lets an edge publish
// below its own name only, so this, never a message's content, says who spoke.
func senderOf(subject string) (edge string, ok bool) {
	rest, ok := strings.CutPrefix(subject, edgeconfig.SubjectUp)
	if !ok {
		return "", false
	}
	edge, what, ok := strings.Cut(rest, ".")
	return edge, ok && edge != "" && what != ""
}

// reply answers an edge. Where the answer goes is the asker's choice, so it is
// bounded to the asker's own inboxes: otherwise an edge could have the control
// plane speak to others.
func (f *Fleet) reply(b *bus, edge, to string, answer any) {
	if !strings.HasPrefix(to, edgeconfig.InboxPrefix(edge)+".") {
		return
	}
	var data []byte
	if answer != nil {
		var err error
		if data, err = json.Marshal(answer); err != nil {
			f.log.Error("answer to an edge cannot be written", "edge", edge, "error", err)
			return
		}
	}
	if err := b.conn.Publish(to, data); err != nil {
		f.log.Warn("edge not answered", "edge", edge, "error", err)
	}
}

// handle does what an edge's message asks for. send tells whether answer shall
// be sent; a request that is not understood gets none.
func (f *Fleet) handle(edge, what, reply string, data []byte) (answer any, send bool) {
	if !f.registry.seen(edge) {
		return nil, false
	}
	switch what { // what a whole fleet says at once waits for nothing
	case upAck:
		f.acknowledged(edge, data)
		return nil, false
	case upPurged:
		var r edgeconfig.PurgeReport
		if f.decode(edge, what, data, &r) {
			f.purgeReported(edge, r.Seq, r.Count)
		}
		return nil, false
	case upHeartbeat:
		f.heartbeat(edge, data)
		return nil, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), serveWithin)
	defer cancel()
	switch what {
	case upRollup:
		return nil, f.rollup(ctx, edge, data) && reply != ""
	case upNotice:
		f.noticed(ctx, edge, data)
	case upProbe:
		return f.probed(edge, data), reply != ""
	case upLeave:
		_, err := f.removeEdge(ctx, edge, resource.Cause{Actor: "edge " + edge, Via: "system", Reason: "the edge left"})
		if err != nil {
			f.log.Warn("edge could not leave", "edge", edge, "error", err)
		}
		return nil, err == nil && reply != ""
	default:
		return f.answer(ctx, edge, what, data)
	}
	return nil, false
}

// farewell closes the connection of an edge that has left, after its answer is
// on the way.
func (f *Fleet) farewell(b *bus, edge string) {
	e, known := f.registry.find(edge)
	if !known {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), serveWithin)
	defer cancel()
	if _, err := f.options.Store.Get(ctx, KindEdge, edge); !fault.Is(err, fault.NotFound) {
		return
	}
	if err := b.conn.FlushWithContext(ctx); err != nil {
		f.log.Debug("bus not flushed", "error", err)
	}
	if err := f.voidCredentials(ctx, e.Spec.BusKey); err != nil {
		f.log.Warn("credentials of an edge that left not voided", "edge", edge, "error", err)
	}
	f.edgeRemoved(edge)
}

// answer reads what the leader knows.
func (f *Fleet) answer(ctx context.Context, edge, what string, data []byte) (answer any, send bool) {
	l := f.lead.Load()
	if l == nil {
		return nil, false
	}
	var err error
	switch what {
	case upManifest:
		var purges int64
		if _, _, purges, err = f.options.Purges.PurgesSince(ctx, 0, 0); err == nil {
			answer = l.manifest(purges)
		}
	case upEntries:
		var r edgeconfig.EntriesRequest
		if !f.decode(edge, what, data, &r) {
			return nil, false
		}
		answer = l.ledger.entries(edge, r)
	case upDocuments:
		var r edgeconfig.DocumentsRequest
		if !f.decode(edge, what, data, &r) {
			return nil, false
		}
		answer, err = l.documents(ctx, edge, r.Keys)
	case upPurges:
		var r edgeconfig.PurgesRequest
		if !f.decode(edge, what, data, &r) {
			return nil, false
		}
		answer, err = f.purgesSince(ctx, r.Since)
	default:
		return nil, false
	}
	if err != nil {
		f.log.Warn("edge's request failed", "edge", edge, "request", what, "error", err)
		return nil, false
	}
	return answer, true
}

// documents reads what the edge may have, as much as fits one reply, but at
// least one.
func (l *lead) documents(ctx context.Context, edge string, keys []string) (edgeconfig.Documents, error) {
	reply := edgeconfig.Documents{Documents: []edgeconfig.Document{}}
	entries := l.ledger.permitted(edge, keys[:min(len(keys), maxRequestKeys)])
	size := 0
	for len(entries) > 0 {
		part := entries[:min(len(entries), documentsAtOnce)]
		entries = entries[len(part):]
		docs, err := l.read(ctx, part)
		if err != nil {
			return reply, err
		}
		for _, d := range docs {
			// The ledger may be a moment behind the record: look at the scope again.
			if d.Scope != edgeconfig.ScopeAll && d.Scope != edge {
				continue
			}
			if size += documentBytes + len(d.Key) + len(d.Body); size > maxReplyBytes && len(reply.Documents) > 0 {
				return reply, nil
			}
			reply.Documents = append(reply.Documents, d)
		}
	}
	return reply, nil
}

// read returns documents, of each the version that its entry names or a newer
// one, from memory as far as they were read lately.
func (l *lead) read(ctx context.Context, entries []edgeconfig.Entry) ([]edgeconfig.Document, error) {
	docs := make([]edgeconfig.Document, 0, len(entries))
	var missing []string
	for _, entry := range entries {
		if d, has := l.bodies.get(entry); has {
			docs = append(docs, d)
		} else {
			missing = append(missing, entry.Key)
		}
	}
	if len(missing) == 0 {
		return docs, nil
	}
	read, err := l.f.options.Documents.DocumentBodies(ctx, missing)
	if err != nil {
		return nil, err
	}
	for _, d := range read {
		if d.Scope == edgeconfig.ScopeAll { // others have one reader
			l.bodies.put(d)
		}
	}
	return append(docs, read...), nil
}

func (f *Fleet) decode(edge, what string, data []byte, into any) bool {
	if err := json.Unmarshal(data, into); err != nil {
		f.log.Warn("edge's message not understood", "edge", edge, "message", what, "error", err)
		return false
	}
	return true
}

// acknowledged takes in an edge's acknowledgement.
func (f *Fleet) acknowledged(edge string, data []byte) {
	var a edgeconfig.Acknowledgement
	if !f.decode(edge, upAck, data, &a) {
		return
	}
	f.tracker.acknowledge(edge, a.Items)
	f.registry.setInSync(edge, a.Verified, func() bool {
		inSync, _ := f.holdsAll(edge, a.Digest, a.Own)
		return inSync
	})
	for _, item := range a.Items {
		switch item.State {
		case edgeconfig.Rejected:
			f.log.Warn("edge rejects a document", "edge", edge, "key", item.Key, "revision", item.Revision, "reason", item.Reason)
		case edgeconfig.Ahead:
			if l := f.lead.Load(); l != nil {
				l.ahead(edge, item)
			}
		}
	}
}

// noticed passes on what an edge heard from a primary. One control plane is
// enough.
func (f *Fleet) noticed(ctx context.Context, edge string, data []byte) {
	var n edgeconfig.Notice
	if f.options.Noticed == nil || f.lead.Load() == nil || !f.decode(edge, upNotice, data, &n) || len(n.Zone) > 64 {
		return
	}
	if err := f.options.Noticed(ctx, n); err != nil {
		f.log.Warn("a primary's notice was not taken in; the zone is looked at when its refresh timer ends", "edge", edge, "zone", n.Zone, "error", err)
	}
}

// heartbeat takes in that an edge lives and what it holds.
func (f *Fleet) heartbeat(edge string, data []byte) {
	var beat edgeconfig.Heartbeat
	if !f.decode(edge, upHeartbeat, data, &beat) {
		return
	}
	var inSync bool
	var seq int64
	known := f.registry.heartbeat(edge, beat, func() bool {
		inSync, seq = f.holdsAll(edge, beat.Digest, beat.Own)
		return inSync
	})
	if !known {
		return
	}
	if inSync {
		f.tracker.holdsAll(edge, seq, beat.Verified)
	}
	f.purges.caughtUp(edge, beat.PurgeSeq)
}

// holdsAll tells whether an edge that says these digests of itself holds exactly
// what is published, up to seq. Only the leader knows.
func (f *Fleet) holdsAll(edge, digest, own string) (inSync bool, seq int64) {
	l := f.lead.Load()
	if l == nil || digest == "" {
		return false, 0
	}
	wantAll, wantOwn, seq := l.ledger.rootDigests(edge)
	return digest == wantAll && own == wantOwn, seq
}

// rollup takes in what an edge counted. It tells whether the edge may forget it.
func (f *Fleet) rollup(ctx context.Context, edge string, data []byte) (stored bool) {
	var r edgeconfig.Rollup
	if !f.decode(edge, upRollup, data, &r) {
		return false
	}
	e, known := f.registry.find(edge)
	if !known {
		return false
	}
	if r.Seconds < 1 || r.Seconds > 3600 {
		return true // nothing that waiting would mend
	}
	// An edge speaks for itself only, in its IDs too: one must not use up
	// another's.
	r.Edge, r.Region = edge, e.Spec.Region
	if !strings.HasPrefix(r.ID, edge+"/") {
		return true
	}
	if r.Seconds < 60 {
		f.live.put(r, f.now())
		return true
	}
	if f.options.Traffic == nil {
		return true
	}
	if err := f.options.Traffic.Ingest(ctx, r); err != nil {
		if fault.Is(err, fault.Invalid) {
			f.log.Warn("edge's rollup refused", "edge", edge, "rollup", r.ID, "error", err)
			return true
		}
		f.log.Warn("edge's rollup not stored; it will send it again", "edge", edge, "rollup", r.ID, "error", err)
		return false
	}
	return true
}

// connection takes in the bus's own word on who connects and goes.
func (f *Fleet) connection(data []byte, up bool) {
	var event struct {
		Server struct {
			ID string `json:"id"`
		} `json:"server"`
		Client struct {
			ID   json.Number `json:"id"`
			User string      `json:"user"`
			Host string      `json:"host"`
		} `json:"client"`
	}
	if err := json.Unmarshal(data, &event); err != nil || event.Client.User == "" {
		return
	}
	if up {
		defer f.registry.from(event.Client.User, event.Client.Host)
	}
	edge, changed := f.registry.connection(event.Client.User, event.Server.ID+"/"+event.Client.ID.String(), up)
	if edge != "" && !up && changed {
		f.purges.gone(edge)
	}
}

// aheadAtMost bounds how far above the control plane's clock an edge's number
// may be to be believed, and how often one document is published again for it.
const (
	aheadAtMost = 24 * time.Hour
	aheadEvery  = 10 * time.Second
	aheadKeys   = 10_000
)

// ahead answers an edge that holds a number the control plane has not given:
// the database was restored from a backup that is older than what was
// published. The document is published again above that number; one that is not
// known any more is removed, which the publisher's guard watches.
func (l *lead) ahead(edge string, item edgeconfig.AckItem) {
	ctx, cancel := context.WithTimeout(context.Background(), serveWithin)
	defer cancel()
	now := l.f.now()
	if item.Revision <= 0 || item.Revision > now.Add(aheadAtMost).UnixMilli() || len(item.Key) > 256 {
		l.f.log.Warn("edge claims a revision that cannot be", "edge", edge, "key", item.Key, "revision", item.Revision)
		return
	}
	entry, meta, known := l.ledger.get(item.Key)
	switch kindOf(item.Key) {
	case edgeconfig.KindSite, edgeconfig.KindCertificate, edgeconfig.KindChallenge, edgeconfig.KindPlatform, edgeconfig.KindHandshake:
	case edgeconfig.KindKeys, edgeconfig.KindEdge:
		if !known || meta.scope != edge {
			return
		}
	default:
		return
	}
	if known && (entry.Revision > item.Revision || meta.scope != edgeconfig.ScopeAll && meta.scope != edge) {
		return // what is on its way to the edge is newer
	}
	if !l.mayRepeat(item.Key, now) {
		return
	}
	c := change{Output: Output{Key: item.Key, Scope: edgeconfig.ScopeAll, Deleted: true}, again: true, atLeast: item.Revision + 1}
	if known {
		c.Scope, c.Deleted, c.cause, c.asked = meta.scope, meta.deleted, meta.cause, true
		if !meta.deleted {
			docs, err := l.f.options.Documents.DocumentBodies(ctx, []string{item.Key})
			if err != nil || len(docs) != 1 {
				l.f.log.Warn("document cannot be published again", "key", item.Key, "error", err)
				return
			}
			c.Body = docs[0].Body
		}
	}
	l.f.log.Warn("edge holds a revision that this control plane has not given; publishing above it",
		"edge", edge, "key", item.Key, "revision", item.Revision, "known", known)
	if err := l.publisher.enqueue(ctx, 0, c); err != nil {
		l.f.log.Warn("document cannot be published again", "key", item.Key, "error", err)
	}
}

// mayRepeat tells whether a document may be published again, at most every
// aheadEvery, for a bounded number of keys.
func (l *lead) mayRepeat(key string, now time.Time) bool {
	l.repeatMu.Lock()
	defer l.repeatMu.Unlock()
	if now.Sub(l.repeated[key]) < aheadEvery {
		return false
	}
	if len(l.repeated) >= aheadKeys {
		for k, at := range l.repeated {
			if now.Sub(at) >= aheadEvery {
				delete(l.repeated, k)
			}
		}
		if len(l.repeated) >= aheadKeys {
			return false
		}
	}
	l.repeated[key] = now
	return true
}
