package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgewright/edgewright/control/compile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// lead is what the holder of the lease has in addition.
type lead struct {
	f         *Fleet
	bus       *bus
	ledger    *ledger
	publisher *publisher
	bodies    bodies
	ended     chan struct{} // closed when this term of leading is over

	// making is held from the making of documents to their being queued: of two
	// that are made with other keys, the later made one must be published last.
	making sync.Mutex

	// sealed is which group keys each edge's Keys document holds; sealing is
	// random, so the document cannot be compared by its hash.
	sealed map[string][]string

	// unsettled are zones that are published and not made in this term yet, strays
	// checks that may be theirs. Both are used under making.
	unsettled map[string]bool
	strays    map[string]documentMeta

	repeatMu sync.Mutex
	repeated map[string]time.Time // when a document was last published again for an edge that was ahead
}

// Lead publishes: it turns store events into documents, sends the manifest and
// answers edges, until ctx ends or another leader has published. It always
// returns an error: ctx's, or why it cannot go on. Only the holder of the lease
// may call it.
func (f *Fleet) Lead(ctx context.Context) error {
	b := f.bus()
	if b == nil {
		return errNotStarted
	}
	if err := f.reloadKeys(ctx); err != nil {
		return err
	}
	l := &lead{f: f, bus: b, ledger: newLedger(), ended: make(chan struct{}), sealed: map[string][]string{}, repeated: map[string]time.Time{}}
	if err := l.ledger.load(ctx, f.options.Documents); err != nil {
		return err
	}
	l.publisher = &publisher{
		documents: f.options.Documents, ledger: l.ledger, tracker: f.tracker, registry: f.registry,
		keys: f.keys, send: b.conn.Publish, log: f.log, now: f.now,
		report: func(h Held) { f.hub.publish(Event{Type: EventHeld, Held: &h}) },
		wake:   make(chan struct{}, 1), space: make(chan struct{}),
		held: map[string]change{}, recent: map[string][]time.Time{},
	}
	if err := l.loadSealed(ctx); err != nil {
		return err
	}
	// Challenges of a leader before this one belong to orders that nobody
	// pursues any more.
	if err := l.publisher.enqueue(ctx, 0, l.staleChallenges()...); err != nil {
		return err
	}
	if !f.lead.CompareAndSwap(nil, l) {
		return fault.New(fault.Conflict, "this fleet leads already")
	}
	defer close(l.ended)
	defer f.lead.Store(nil)
	f.challenges.reset()
	f.askManifest() // edges that have asked while nobody led need not wait

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.publisher.run(ctx) })
	group.Go(func() error { return l.watch(ctx) })
	group.Go(func() error { return l.sendManifests(ctx) })
	group.Go(func() error { return l.keepStatus(ctx) })
	group.Go(func() error { return l.keepHandshake(ctx) })
	return group.Wait()
}

// watch turns the store's resources into documents: first all that there is,
// then every event.
func (l *lead) watch(ctx context.Context) error {
	since, err := l.f.options.Documents.WatchedSeq(ctx)
	if err != nil {
		return err
	}
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	// From before the listing, so that nothing written meanwhile is missed. What
	// is seen twice changes nothing the second time.
	take := func(event resource.Event) error {
		l.making.Lock()
		defer l.making.Unlock()
		changes, err := l.changes(ctx, event)
		if err != nil {
			return err
		}
		// All resources of a commit share a number: this one is done when the
		// next begins.
		return l.publisher.enqueue(ctx, event.Seq-1, changes...)
	}
	err = l.f.options.Store.Watch(ctx, since, take)
	if fault.Is(err, fault.Stale) { // the store was restored from a backup
		err = l.f.options.Store.Watch(ctx, 0, take)
	}
	return err
}

// edgeSettings is the document by which an edge is told what is wanted of it.
func (f *Fleet) edgeSettings(id string, spec EdgeSpec) (change, error) {
	body, err := json.Marshal(edgeconfig.EdgeSettings{Edge: id, Draining: spec.Draining, TrustKeys: f.keys().trusted()})
	return change{Output: Output{Key: edgeconfig.KindEdge + "/" + id, Scope: id, Body: body}}, err
}

// catchUp compiles everything that is declared and publishes what differs from
// what was published, in one batch: what a compiler says half-way through, when
// it has seen a site but not yet its origin, must not reach an edge.
func (l *lead) catchUp(ctx context.Context) error {
	l.making.Lock()
	defer l.making.Unlock()
	started := map[string]documentMeta{}
	l.ledger.keys(func(key string, meta documentMeta) bool {
		if !meta.deleted && guarded(key) {
			started[key] = meta
		}
		return true
	})
	last := map[string]change{}
	take := func(changes []change) {
		for _, c := range changes {
			if entry, meta, known := l.ledger.get(c.Key); known && !c.Deleted && !meta.deleted {
				if c.normalise() == nil && edgeconfig.HashBody(c.Body) == entry.Hash {
					c.Body = nil // as published; held for its key only
					last[c.Key] = c
					continue
				}
			}
			last[c.Key] = c
		}
	}
	if r, can := l.f.options.Compiler.(Rekeyer); can {
		group := l.f.keys().group()
		take(fromOutputs(r.SetGroupKey(group.Name, group.Key), 0, time.Time{}, ""))
	}
	recaller, recalls := l.f.options.Compiler.(Recaller)
	var zones []compile.PublishedZone
	if recalls {
		var err error
		if zones, err = l.publishedZones(ctx); err != nil {
			return err
		}
		recaller.Recall(zones)
		maps.DeleteFunc(started, func(key string, _ documentMeta) bool { return ofZone(key) }) // it says which of them go
	}
	for _, kind := range append([]resource.Kind{KindEdge}, l.f.options.Kinds...) {
		for page := (resource.Query{Kind: kind, Limit: 1000}); ; {
			list, err := l.f.options.Store.List(ctx, page)
			if err != nil {
				return err
			}
			for _, r := range list.Items {
				changes, err := l.changes(ctx, resource.Event{Seq: r.Seq, Type: resource.Put, Resource: r})
				if err != nil {
					return err
				}
				take(changes)
			}
			if page.Cursor = list.Next; list.Next == "" {
				break
			}
		}
	}
	if recalls {
		take(fromOutputs(recaller.Missing(), 0, time.Time{}, ""))
	}
	var batch []change
	for key, c := range last {
		if !c.Deleted && c.Body == nil {
			delete(started, key)
			continue
		}
		if !c.Deleted {
			delete(started, key)
		}
		batch = append(batch, c)
	}
	// Published, and nothing declares it any more. The publisher's guard looks
	// at how many these are. What is declared but cannot be compiled just now
	// stays as edges have it.
	var problems map[string]string
	if d, can := l.f.options.Compiler.(Doubter); can {
		problems = d.Problems()
	}
	l.unsettle(zones, problems)
	for key, meta := range started {
		_, said := last[key]
		if !said && l.stray(key, meta) {
			continue
		}
		id, _, _ := strings.Cut((&edgeconfig.Document{Key: key}).Name(), "/") // parts of a zone have its ID
		_, doubtful := problems[id]
		if !said && !doubtful {
			batch = append(batch, change{Output: Output{Key: key, Scope: meta.scope, Deleted: true}})
		}
	}
	slices.SortFunc(batch, func(a, b change) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return l.publisher.enqueue(ctx, 0, batch...)
}

// changes tells which documents change with an event.
func (l *lead) changes(ctx context.Context, event resource.Event) ([]change, error) {
	r := &event.Resource
	if r.Kind == KindEdge {
		return l.edgeChanges(ctx, event)
	}
	if !slices.Contains(l.f.options.Kinds, r.Kind) {
		return nil, nil
	}
	cause, accepted, removed := r.Revision, r.UpdatedAt, ""
	switch event.Type {
	case resource.Deleted:
		// The resource is as it last was; the deletion's revision is the event's
		// number.
		cause, accepted, removed = event.Seq, time.Time{}, r.ID
	case resource.Status:
		accepted = time.Time{}
	}
	changes := fromOutputs(l.f.options.Compiler.Apply(event), cause, accepted, removed)
	changes = append(changes, l.settle(changes)...)
	if removed == "" {
		return changes, nil
	}
	// A compiler that has never seen the resource has nothing to say of its
	// deletion, but its document may be published.
	for _, kind := range []string{edgeconfig.KindSite, edgeconfig.KindCertificate} {
		key := kind + "/" + removed
		_, meta, known := l.ledger.get(key)
		if known && !meta.deleted && !slices.ContainsFunc(changes, func(c change) bool { return c.Key == key }) {
			changes = append(changes, change{Output: Output{Key: key, Scope: meta.scope, Deleted: true}, cause: cause, asked: true})
		}
	}
	if _, _, published := l.ledger.get(edgeconfig.ZoneKey(removed)); published && !l.keeps(removed) {
		changes = append(changes, l.zoneGone(removed, cause, changes)...)
	}
	return changes, nil
}

// keeps asks the compiler whether a deleted zone's documents stay for now.
func (l *lead) keeps(id string) bool {
	k, can := l.f.options.Compiler.(Keeper)
	return can && k.Keeps(id)
}

// zoneGone removes what is published of a zone that was deleted, as far as the
// compiler has not said so.
func (l *lead) zoneGone(id string, cause int64, said []change) []change {
	var changes []change
	l.ledger.keys(func(key string, meta documentMeta) bool {
		part, isPart := strings.CutPrefix(key, edgeconfig.KindZonePart+"/"+id+"/")
		if (key == edgeconfig.ZoneKey(id) || key == edgeconfig.ZoneKeysKey(id) || isPart && part != "") && !meta.deleted && !slices.ContainsFunc(said, func(c change) bool { return c.Key == key }) {
			changes = append(changes, change{Output: Output{Key: key, Scope: meta.scope, Deleted: true}, cause: cause, asked: true})
		}
		return true
	})
	return changes
}

// fromOutputs makes changes of what a compiler says. removed is the ID of the
// resource whose deletion it says it of, "" for other events. Who deletes a
// resource means its document to go, and one document of each kind that it
// carried (the site and the certificate of a claim); a deletion that takes more
// with it has not been asked for all of that. A document that comes from another
// revision than cause is counted to that, from when it could be published.
func fromOutputs(outputs []Output, cause int64, accepted time.Time, removed string) []change {
	changes := make([]change, len(outputs))
	carried := map[string]bool{}
	for i, o := range outputs {
		changes[i] = change{Output: o, cause: cmp.Or(o.Cause, cause), accepted: accepted, asked: o.Asked}
		if removed == "" || !o.Deleted {
			continue
		}
		kind, name := kindOf(o.Key), (&edgeconfig.Document{Key: o.Key}).Name()
		changes[i].asked = o.Asked || name == removed || !carried[kind]
		carried[kind] = true
	}
	return changes
}

// edgeChanges keeps the registry, and the two documents that are each edge's
// own.
func (l *lead) edgeChanges(ctx context.Context, event resource.Event) ([]change, error) {
	edge, err := resource.Decode[EdgeSpec, EdgeStatus](event.Resource)
	if err != nil {
		l.f.log.Error("edge cannot be read", "edge", event.Resource.ID, "error", err)
		return nil, nil
	}
	if event.Type == resource.Deleted {
		return l.edgeGone(ctx, edge.ID, edge.Spec, event.Seq)
	}
	l.f.edgeSeen(edge)
	if event.Type == resource.Status {
		return nil, nil
	}
	return l.ownDocuments(edge.ID, edge.Spec, edge.Revision)
}

// ownDocuments are the documents of one edge alone.
func (l *lead) ownDocuments(id string, spec EdgeSpec, cause int64) ([]change, error) {
	keys := l.f.keys()
	settings, err := l.f.edgeSettings(id, spec)
	if err != nil {
		return nil, err
	}
	settings.cause = cause
	changes := []change{settings}
	if slices.Equal(l.sealed[id], keys.groupNames()) {
		return changes, nil
	}
	sealed := edgeconfig.Keys{Edge: id, Groups: map[string][]byte{}}
	for _, group := range keys.Groups {
		box, err := secrets.SealTo(spec.SealingKey, edgeconfig.KeyContext(id, group.Name), group.Key[:])
		if err != nil {
			// Join checks the key; an edge without one serves plain HTTP.
			l.f.log.Error("edge cannot be given its keys", "edge", id, "error", err)
			return changes, nil
		}
		sealed.Groups[group.Name] = box
	}
	body, err := json.Marshal(sealed)
	if err != nil {
		return nil, err
	}
	l.sealed[id] = keys.groupNames()
	return append(changes, change{Output: Output{Key: edgeconfig.KindKeys + "/" + id, Scope: id, Body: body}, cause: cause}), nil
}

// edgeGone voids what an edge held: its credentials, its documents, and the
// group key it knew.
func (l *lead) edgeGone(ctx context.Context, id string, spec EdgeSpec, cause int64) ([]change, error) {
	l.f.edgeRemoved(id)
	delete(l.sealed, id)
	var changes []change
	for _, key := range []string{edgeconfig.KindEdge + "/" + id, edgeconfig.KindKeys + "/" + id} {
		changes = append(changes, change{Output: Output{Key: key, Scope: id, Deleted: true}, cause: cause, asked: true})
	}
	if err := l.f.voidCredentials(ctx, spec.BusKey); err != nil {
		return nil, err
	}
	rotated, err := l.rotateGroup(ctx, spec.BusKey, cause)
	return append(changes, rotated...), err
}

// rotateGroup makes a new group key, once for each edge that is gone, gives it
// to the edges that remain, and seals all certificates with it. The key before
// is kept beside it, so that an edge which gets its new keys before the new
// certificates can still open the old.
func (l *lead) rotateGroup(ctx context.Context, goneKey string, cause int64) ([]change, error) {
	rotated := false
	err := l.f.changeKeys(ctx, func(k *keyset) bool {
		if slices.Contains(k.Rotated, goneKey) {
			return false
		}
		rotated = true
		k.addGroup(l.f.now())
		k.newHandshake(l.f.now(), l.f.options.ECHName)
		k.Groups = k.Groups[max(0, len(k.Groups)-2):]
		k.Rotated = append(k.Rotated, goneKey)
		return true
	})
	if err != nil || !rotated {
		return nil, err
	}
	var changes []change
	for id, spec := range l.f.registry.all() {
		own, err := l.ownDocuments(id, spec, cause)
		if err != nil {
			return nil, err
		}
		changes = append(changes, own...)
	}
	if r, can := l.f.options.Compiler.(Rekeyer); can {
		group := l.f.keys().group()
		changes = append(changes, fromOutputs(r.SetGroupKey(group.Name, group.Key), cause, time.Time{}, "")...)
	}
	shared, err := l.handshake()
	return append(changes, shared), err
}

// loadSealed reads which group keys the published Keys documents hold.
func (l *lead) loadSealed(ctx context.Context) error {
	var keys []string
	l.ledger.keys(func(key string, meta documentMeta) bool {
		if !meta.deleted && kindOf(key) == edgeconfig.KindKeys {
			keys = append(keys, key)
		}
		return true
	})
	order := l.f.keys().groupNames()
	for part := range slices.Chunk(keys, documentsAtOnce) {
		docs, err := l.f.options.Documents.DocumentBodies(ctx, part)
		if err != nil {
			return err
		}
		for i := range docs {
			var k edgeconfig.Keys
			if json.Unmarshal(docs[i].Body, &k) != nil {
				continue // sealed anew
			}
			var names []string
			for _, name := range order {
				if _, has := k.Groups[name]; has {
					names = append(names, name)
				}
			}
			if len(names) == len(k.Groups) {
				l.sealed[docs[i].Name()] = names
			}
		}
	}
	return nil
}

// sendManifests sends the manifest at a fixed cadence, whatever has changed.
func (l *lead) sendManifests(ctx context.Context) error {
	ticker := time.NewTicker(l.f.options.ManifestEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-l.f.manifestNow:
		}
		if err := l.sendManifest(ctx); err != nil {
			l.f.log.Warn("manifest not sent", "error", err)
		}
	}
}

func (l *lead) sendManifest(ctx context.Context) error {
	_, _, purges, err := l.f.options.Purges.PurgesSince(ctx, 0, 0)
	if err != nil {
		return err
	}
	l.publisher.sending.Lock()
	defer l.publisher.sending.Unlock()
	data, err := json.Marshal(l.manifest(purges))
	if err != nil {
		return err
	}
	return l.bus.conn.Publish(edgeconfig.SubjectManifest, data)
}

// manifest is the summary of what is published now, purges being the number of
// the last purge.
func (l *lead) manifest(purges int64) edgeconfig.Manifest {
	m := l.ledger.manifest()
	m.PurgeSeq, m.Live = purges, l.f.liveRequest()
	return m
}

// statusEvery is how often changes of edges being there are written down.
const statusEvery = 2 * time.Second

// statusAtOnce writes share a transaction when a whole fleet comes or goes.
const statusAtOnce = 32

// keepStatus writes down which edges come and go. What changes by the second
// stays in memory.
func (l *lead) keepStatus(ctx context.Context) error {
	ticker := time.NewTicker(statusEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		var group errgroup.Group
		group.SetLimit(statusAtOnce)
		for _, t := range l.f.registry.transitions() {
			group.Go(func() error {
				l.writeStatus(ctx, t)
				return nil
			})
		}
		_ = group.Wait()
	}
}

func (l *lead) writeStatus(ctx context.Context, t transition) {
	status, err := json.Marshal(t.status)
	if err == nil {
		_, err = l.f.options.Store.PutStatus(ctx, KindEdge, t.id, status, 0)
	}
	if err != nil && !fault.Is(err, fault.NotFound) && !errors.Is(err, context.Canceled) {
		l.f.log.Warn("edge's status not written", "edge", t.id, "error", err)
	}
	l.f.hub.publish(Event{Type: EventEdge, Edge: &t.edge})
}
