package fleet

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Bounds of the publisher.
const (
	maxQueued   = 16 << 10 // changes that wait; more hold up who makes them
	saveAtOnce  = 256      // documents of one transaction, so that other writers get their turn
	retryAtMost = 5 * time.Second
)

// change is one document that somebody wants published.
type change struct {
	Output
	cause    int64     // the store revision behind it, 0 for none
	accepted time.Time // when that was made; zero for now
	// asked is true for a removal that somebody wanted: the resource that the
	// document is named after was deleted.
	asked bool
	// again publishes although nothing has changed, with a number above atLeast.
	again   bool
	atLeast int64
	done    func(number int64, err error) // nil, or told what became of it
}

// publisher numbers, signs, saves and sends documents, in batches: whatever has
// queued up while the last batch was being saved. Alone, a change waits for
// nothing.
type publisher struct {
	documents DocumentStore
	ledger    *ledger
	tracker   *tracker
	registry  *registry
	keys      func() *keyset
	send      func(subject string, data []byte) error
	report    func(Held)
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	queue   []change
	watched int64 // the store's sequence number up to which events are in the queue or done
	wake    chan struct{}
	space   chan struct{} // closed and replaced when the queue was taken

	sending sync.Mutex // held from a change of the ledger until it is sent

	held   map[string]change      // removals held back, by key
	recent map[string][]time.Time // by kind: removals that nobody asked for, within guardWindow
}

// An unasked removal of more than guardPercent of the documents of a kind,
// counted over guardWindow, is held back when there are at least guardFrom.
const (
	guardPercent = 30
	guardFrom    = 10
	guardWindow  = time.Minute
)

// enqueue adds changes in order, and with watched not 0 notes that events up to
// that sequence number have become changes.
func (p *publisher) enqueue(ctx context.Context, watched int64, changes ...change) error {
	p.mu.Lock()
	for len(p.queue) > maxQueued {
		space := p.space
		p.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.mu.Lock()
	}
	p.queue = append(p.queue, changes...)
	p.watched = max(p.watched, watched)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

func (p *publisher) take() ([]change, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := p.queue
	p.queue = nil
	close(p.space)
	p.space = make(chan struct{})
	return batch, p.watched
}

// run publishes until ctx ends or another leader is found to have published.
func (p *publisher) run(ctx context.Context) error {
	saved := int64(0)
	for {
		select {
		case <-ctx.Done():
			p.abandon(ctx.Err())
			return ctx.Err()
		case <-p.wake:
		}
		batch, watched := p.take()
		if err := p.publish(ctx, batch, watched); err != nil {
			for _, c := range batch {
				c.settle(0, err)
			}
			p.abandon(err)
			return err
		}
		// Events that change no document are not worth a write each: after a
		// restart they are looked at again, to no effect.
		if len(batch) == 0 && watched-saved > 4096 {
			if err := p.documents.SetWatchedSeq(ctx, watched); err == nil {
				saved = watched
			}
		}
	}
}

// abandon tells those who wait that nobody will publish.
func (p *publisher) abandon(err error) {
	batch, _ := p.take()
	for _, c := range batch {
		c.settle(0, err)
	}
}

func (c *change) settle(number int64, err error) {
	if c.done != nil {
		c.done(number, err)
	}
}

// publish does one batch.
func (p *publisher) publish(ctx context.Context, batch []change, watched int64) error {
	batch = p.guard(p.wanted(batch))
	slices.SortStableFunc(batch, func(a, b change) int { return rank(a.Output) - rank(b.Output) })
	for len(batch) > 0 {
		part := batch[:min(len(batch), saveAtOnce)]
		batch = batch[len(part):]
		upTo := int64(0)
		if len(batch) == 0 {
			upTo = watched
		}
		if err := p.publishPart(ctx, part, upTo); err != nil {
			for _, c := range batch {
				c.settle(0, err)
			}
			return err
		}
	}
	return nil
}

// wanted drops what changes nothing: all but the last change of a key, and
// documents that say what the published ones say.
func (p *publisher) wanted(batch []change) []change {
	last := make(map[string]int, len(batch))
	for i := range batch {
		last[batch[i].Key] = i
	}
	wanted := make([]change, 0, len(last))
	for i, c := range batch {
		if c.Scope == "" {
			c.Scope = edgeconfig.ScopeAll
		}
		if c.Deleted {
			c.Body = nil
		}
		if j := last[c.Key]; j != i {
			later := &batch[j]
			later.asked = later.asked || c.asked && later.Deleted // a repeat must not take the consent away
			later.again = later.again || c.again
			later.atLeast = max(later.atLeast, c.atLeast)
			c.settle(0, fault.New(fault.Conflict, "document %s was changed again at the same moment", c.Key))
			continue
		}
		if err := c.normalise(); err != nil {
			p.log.Error("document cannot be published", "key", c.Key, "error", err)
			c.settle(0, err)
			continue
		}
		entry, meta, known := p.ledger.get(c.Key)
		same := known && meta.deleted == c.Deleted && meta.scope == c.Scope && entry.Hash == edgeconfig.HashBody(c.Body)
		if !c.again && (same || !known && c.Deleted) {
			p.mu.Lock()
			delete(p.held, c.Key)
			p.mu.Unlock()
			c.settle(entry.Revision, nil)
			continue
		}
		wanted = append(wanted, c)
	}
	return wanted
}

// normalise brings the body into the form in which it crosses the bus, which is
// what its hash is taken of: encoding/json compacts and escapes what it embeds.
func (c *change) normalise() error {
	if c.Deleted {
		return nil
	}
	body, err := json.Marshal(c.Body)
	if err != nil {
		return fault.New(fault.Internal, "document %s is not JSON: %w", c.Key, err)
	}
	if len(body) > edgeconfig.MaxDocumentBytes {
		return fault.New(fault.TooLarge, "document %s would have %d bytes, the bound is %d: edges keep the version they have", c.Key, len(body), edgeconfig.MaxDocumentBytes)
	}
	c.Body = body
	return nil
}

// guard holds back removals that would empty much of a kind without anyone
// having asked for it: a fault of ours must not take down what is served.
func (p *publisher) guard(batch []change) []change {
	unasked, strangers := map[string]int{}, map[string]int{}
	for _, c := range batch {
		if !c.Deleted || c.asked || !guarded(c.Key) {
			continue
		}
		unasked[kindOf(c.Key)]++
		if _, _, known := p.ledger.get(c.Key); !known {
			strangers[kindOf(c.Key)]++ // edges have it, although nothing here says so
		}
	}
	now := p.now()
	hold := map[string]bool{}
	for kind, n := range unasked {
		p.recent[kind] = slices.DeleteFunc(p.recent[kind], func(at time.Time) bool { return now.Sub(at) > guardWindow })
		before := p.ledger.liveOf(kind) + len(p.recent[kind]) + strangers[kind]
		gone := n + len(p.recent[kind])
		// While something is held back, what follows of its kind is as suspicious.
		if len(p.heldOf(kind).Keys) > 0 || before >= guardFrom && gone*100 > before*guardPercent {
			hold[kind] = true
			continue
		}
		for range n {
			p.recent[kind] = append(p.recent[kind], now)
		}
	}
	passed := batch[:0]
	for _, c := range batch {
		p.mu.Lock()
		delete(p.held, c.Key)
		if c.Deleted && !c.asked && guarded(c.Key) && hold[kindOf(c.Key)] {
			p.held[c.Key] = c
			p.mu.Unlock()
			c.settle(0, fault.New(fault.Conflict, "the removal of %s is held back", c.Key))
			continue
		}
		p.mu.Unlock()
		passed = append(passed, c)
	}
	for kind := range hold {
		held := p.heldOf(kind)
		p.log.Error("removal of documents held back: nobody asked for it and it would empty much of their kind",
			"kind", kind, "documents", len(held.Keys), "of", held.Of)
		p.report(held)
	}
	return passed
}

// heldKinds are the kinds of which something is held back.
func (p *publisher) heldKinds() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kinds []string
	for key := range p.held {
		if kind := kindOf(key); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// heldOf describes what is held back of a kind.
func (p *publisher) heldOf(kind string) Held {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := Held{Kind: kind, Of: p.ledger.liveOf(kind)}
	for key := range p.held {
		if kindOf(key) == kind {
			h.Keys = append(h.Keys, key)
		}
	}
	slices.Sort(h.Keys)
	return h
}

// release publishes what is held back of a kind: somebody asks for it now.
func (p *publisher) release(ctx context.Context, kind string) (int, error) {
	p.mu.Lock()
	var changes []change
	for key, c := range p.held {
		if kindOf(key) == kind {
			c.asked = true
			changes = append(changes, c)
		}
	}
	p.mu.Unlock()
	return len(changes), p.enqueue(ctx, 0, changes...)
}

// publishPart numbers, signs and saves, and when that is on disk sends.
func (p *publisher) publishPart(ctx context.Context, part []change, watched int64) error {
	p.ledger.mu.Lock()
	prev := p.ledger.seq
	p.ledger.mu.Unlock()

	// Numbers are Unix milliseconds when those are ahead: a control plane that
	// was restored from an old backup then still counts above what its edges
	// hold.
	number := max(prev, p.now().UnixMilli()-1)
	signer := p.keys().signer()
	docs := make([]edgeconfig.Document, len(part))
	causes := make(map[string]int64, len(part))
	accepted := make(map[string]time.Time, len(part))
	for i := range part {
		c := &part[i]
		number = max(number+1, c.atLeast)
		docs[i] = edgeconfig.Document{Key: c.Key, Scope: c.Scope, Revision: number, Deleted: c.Deleted, Body: c.Body}
		docs[i].Sign(signer)
		causes[c.Key], accepted[c.Key] = c.cause, c.accepted
	}
	if err := p.save(ctx, prev, number, watched, docs, causes); err != nil {
		return err
	}
	// A manifest must not name what is not on its way yet, or every edge would
	// ask for it.
	p.sending.Lock()
	defer p.sending.Unlock()
	p.ledger.record(docs, causes, number)
	for i, d := range docs {
		if i == 0 || d.Scope != edgeconfig.ScopeAll || docs[i-1].Scope != edgeconfig.ScopeAll {
			p.registry.outOfSync(d.Scope)
		}
	}
	p.tracker.publish(docs, causes, accepted)
	for i := range docs {
		p.sendDocument(&docs[i])
		part[i].settle(docs[i].Revision, nil)
	}
	return nil
}

// save writes, again and again while the database is away: a change that was
// accepted must reach the edges.
func (p *publisher) save(ctx context.Context, prev, next, watched int64, docs []edgeconfig.Document, causes map[string]int64) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, retryAtMost) {
		err := p.documents.SaveDocuments(ctx, prev, next, watched, docs, causes)
		if err == nil || ctx.Err() != nil || fault.Is(err, fault.Stale) {
			return err
		}
		p.log.Error("documents cannot be saved; trying again", "documents", len(docs), "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// sendDocument puts a document on the bus. What is lost there the manifest
// brings back, so errors are only logged.
func (p *publisher) sendDocument(d *edgeconfig.Document) {
	subject := edgeconfig.SubjectDownAll
	if d.Scope != edgeconfig.ScopeAll {
		subject = edgeconfig.SubjectDownTo(d.Scope)
	}
	data, err := json.Marshal(d)
	if err == nil {
		err = p.send(subject, data)
	}
	if err != nil {
		p.log.Warn("document not sent; edges will fetch it", "key", d.Key, "revision", d.Revision, "error", err)
	}
}

func kindOf(key string) string {
	d := edgeconfig.Document{Key: key}
	return d.Kind()
}

// guarded tells of which kinds an unasked removal is suspicious. The others are
// the fleet's own.
func guarded(key string) bool {
	switch kindOf(key) {
	case edgeconfig.KindChallenge, edgeconfig.KindKeys, edgeconfig.KindEdge, edgeconfig.KindHandshake:
		return false
	}
	return true
}

// rank orders a batch so that what others need comes first, and removals last.
func rank(o Output) int {
	order := map[string]int{
		edgeconfig.KindEdge: 0, edgeconfig.KindKeys: 1, edgeconfig.KindPlatform: 2, edgeconfig.KindHandshake: 2,
		edgeconfig.KindCertificate: 3, edgeconfig.KindChallenge: 4, edgeconfig.KindSite: 5,
		edgeconfig.KindZonePart: 7, edgeconfig.KindZone: 8, // an edge serves a version when its head names the parts it has
	}
	n, known := order[kindOf(o.Key)]
	if !known {
		n = 6
	}
	if o.Deleted {
		n = 20 - n
	}
	return n
}
