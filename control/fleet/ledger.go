package fleet

import (
	"context"
	"sync"

	"github.com/edgewright/edgewright/edgeconfig"
)

// ledger is what has been published, as the leader holds it in memory: which
// version of each document, not what it says. Bodies stay in the database.
type ledger struct {
	mu     sync.Mutex
	seq    int64 // the last number given
	all    edgeconfig.Index
	own    map[string]*edgeconfig.Index // by edge
	meta   map[string]documentMeta      // by key
	live   map[string]int               // by kind: documents that are not tombstones
	causes map[int64]int                // store revision -> documents it caused last
}

type documentMeta struct {
	scope   string
	deleted bool
	cause   int64
}

func newLedger() *ledger {
	return &ledger{
		own:    map[string]*edgeconfig.Index{},
		meta:   map[string]documentMeta{},
		live:   map[string]int{},
		causes: map[int64]int{},
	}
}

// load fills the ledger from the record.
func (l *ledger) load(ctx context.Context, store DocumentStore) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq, err := store.DocumentSeq(ctx)
	if err != nil {
		return err
	}
	l.seq = seq
	return store.Documents(ctx, func(d edgeconfig.Document, cause int64) error {
		l.put(&d, cause)
		return nil
	})
}

// record takes in documents that have been saved, numbered up to seq.
func (l *ledger) record(docs []edgeconfig.Document, causes map[string]int64, seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range docs {
		l.put(&docs[i], causes[docs[i].Key])
	}
	l.seq = seq
}

func (l *ledger) put(d *edgeconfig.Document, cause int64) {
	kind := d.Kind()
	if old, known := l.meta[d.Key]; known {
		if !old.deleted {
			l.live[kind]--
		}
		if l.causes[old.cause]--; l.causes[old.cause] <= 0 {
			delete(l.causes, old.cause)
		}
		if old.scope != d.Scope {
			l.index(old.scope).Remove(d.Key)
		}
	}
	l.meta[d.Key] = documentMeta{scope: d.Scope, deleted: d.Deleted, cause: cause}
	l.index(d.Scope).Put(edgeconfig.Entry{Key: d.Key, Revision: d.Revision, Hash: d.Hash})
	if !d.Deleted {
		l.live[kind]++
	}
	l.causes[cause]++
}

func (l *ledger) index(scope string) *edgeconfig.Index {
	if scope == edgeconfig.ScopeAll {
		return &l.all
	}
	x := l.own[scope]
	if x == nil {
		x = &edgeconfig.Index{}
		l.own[scope] = x
	}
	return x
}

// get returns the current version of a document.
func (l *ledger) get(key string) (e edgeconfig.Entry, meta documentMeta, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	meta, known = l.meta[key]
	if known {
		e, _ = l.index(meta.scope).Get(key)
	}
	return e, meta, known
}

// liveOf is the number of documents of a kind that are not tombstones.
func (l *ledger) liveOf(kind string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live[kind]
}

// keys calls yield for every document until it returns false; yield must not
// call the ledger.
func (l *ledger) keys(yield func(key string, meta documentMeta) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, meta := range l.meta {
		if !yield(key, meta) {
			return
		}
	}
}

// causedBy is the number of documents whose current version a store revision
// caused.
func (l *ledger) causedBy(revision int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.causes[revision]
}

// rootDigests are what an edge that holds everything says of itself, and the
// number up to which that is.
func (l *ledger) rootDigests(edge string) (all, own string, seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.own[edge]
	if x == nil {
		x = &edgeconfig.Index{}
	}
	return l.all.Root(), x.Root(), l.seq
}

// manifest is the summary of what every edge shall hold.
func (l *ledger) manifest() edgeconfig.Manifest {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.all.Manifest()
	m.Seq = l.seq
	return m
}

// Bounds of a reply, in bytes, with room for the envelope of a bus message.
const (
	maxReplyBytes   = 900 << 10
	entryBytes      = 48 // of one entry's JSON, key and hash left out
	documentBytes   = 400
	maxRequestKeys  = 4096
	documentsAtOnce = 256 // read from the database at a time
)

// entries answers a request: whole buckets, as many as fit one reply, but at
// least one.
func (l *ledger) entries(edge string, r edgeconfig.EntriesRequest) edgeconfig.Entries {
	l.mu.Lock()
	defer l.mu.Unlock()
	reply := edgeconfig.Entries{Entries: []edgeconfig.Entry{}}
	size := 0
	if own := l.own[edge]; r.Own {
		reply.Own = true
		if own != nil {
			own.All(func(e edgeconfig.Entry) bool {
				reply.Entries = append(reply.Entries, e)
				size += entryBytes + len(e.Key) + len(e.Hash)
				return true
			})
		}
	}
	for i, n := range r.Buckets {
		if i >= edgeconfig.Buckets {
			break
		}
		bucket := l.all.Bucket(n)
		more := 0
		for _, e := range bucket {
			more += entryBytes + len(e.Key) + len(e.Hash)
		}
		if size += more; size > maxReplyBytes && len(reply.Buckets) > 0 {
			break
		}
		reply.Entries = append(reply.Entries, bucket...)
		reply.Buckets = append(reply.Buckets, n)
	}
	return reply
}

// permitted are the current versions of those keys that the edge may read.
func (l *ledger) permitted(edge string, keys []string) []edgeconfig.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	permitted := make([]edgeconfig.Entry, 0, len(keys))
	for _, key := range keys {
		if meta, known := l.meta[key]; known && (meta.scope == edgeconfig.ScopeAll || meta.scope == edge) {
			if entry, has := l.index(meta.scope).Get(key); has {
				permitted = append(permitted, entry)
			}
		}
	}
	return permitted
}
