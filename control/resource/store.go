package resource

import (
	"context"
	"encoding/json"
	"time"
)

// Op is what a change does to a resource.
type Op string

// The operations of a change.
const (
	Create Op = "create"
	Update Op = "update"
	Delete Op = "delete"
)

// Change is one resource's part of a commit.
//
// Create takes ID (from NewID, or an earlier ID when a deletion is undone),
// Project, Environment, Name and Spec. Update takes Kind, ID, Spec and, when
// the resource is renamed, Name. Delete takes Kind and ID.
type Change struct {
	Op          Op              `json:"op"`
	Kind        Kind            `json:"kind"`
	ID          string          `json:"id"`
	Project     string          `json:"project_id,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Name        string          `json:"name,omitempty"`
	Spec        json.RawMessage `json:"spec,omitempty"`
	// Status, of a Create, is what is known from the start of a resource that
	// continues another one, as when it moves between projects. nil: nothing.
	Status json.RawMessage `json:"status,omitempty"`
	// IfRevision is the revision the writer saw. An Update or Delete whose
	// resource has another is refused as Stale, and the whole commit with it.
	// 0 means whatever is there, and is for machinery only.
	IfRevision int64 `json:"if_revision,omitempty"`
}

// Cause says who changed something and why. It is kept with the revision.
type Cause struct {
	Actor     string `json:"actor"`                // "user usr_...", "token tok_...", "system reconciler"
	Via       string `json:"via"`                  // api, cli, dashboard, plan, rollback, system
	Reason    string `json:"reason,omitempty"`     // the user's words
	RequestID string `json:"request_id,omitempty"` // ties the revision to logs
}

// Commit is a set of changes that happen together or not at all.
type Commit struct {
	Changes []Change
	Cause   Cause
	// Plan is the ID of the plan this commit carries out, if any. The store
	// marks a stored plan as applied in the same transaction, and refuses one
	// that already was (Conflict).
	Plan string
}

// Committed is what became of a commit.
type Committed struct {
	Revision  int64
	At        time.Time
	Resources []Resource // in the order of the changes; a deleted one as it last was
}

// Query selects resources. Empty strings select all (an empty Kind: every
// kind), but PlatformOnly narrows to Project "".
type Query struct {
	Kind        Kind
	Project     string
	Environment string
	Name        string
	// NameSuffix selects names that end so, in the same case: the sets of a zone
	// are named for what they are, and then for it.
	NameSuffix string
	// PlatformOnly selects what belongs to the platform, not to a project.
	PlatformOnly bool
	Limit        int    // 0: 100; at most 1000
	Cursor       string // Page.Next of the page before
}

// Page is a part of a list, ordered by ID.
type Page struct {
	Items []Resource
	Next  string // "" at the end
}

// EventType says what an event reports.
type EventType string

// The events of a watch.
const (
	Put     EventType = "put"    // spec created or changed
	Status  EventType = "status" // status changed
	Deleted EventType = "deleted"
)

// Event is one resource's latest state after some write. A watcher that was
// slow sees the latest state once, not every state between: consumers must be
// level-triggered.
type Event struct {
	Seq      int64
	Type     EventType
	Resource Resource
}

// Entry is one resource's part of a revision.
type Entry struct {
	Op          Op              `json:"op"`
	Kind        Kind            `json:"kind"`
	ID          string          `json:"id"`
	Project     string          `json:"project_id,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Name        string          `json:"name"`
	OldName     string          `json:"old_name,omitempty"` // when the change renamed it
	Before      json.RawMessage `json:"before,omitempty"`   // the spec; absent for create
	After       json.RawMessage `json:"after,omitempty"`    // the spec; absent for delete
}

// Revision is an accepted commit, as history keeps it.
type Revision struct {
	Revision int64     `json:"revision"`
	At       time.Time `json:"at"`
	Cause    Cause     `json:"cause"`
	Entries  []Entry   `json:"entries"`
}

// HistoryQuery selects revisions, newest first. Empty fields select all. With
// Project set, only entries of that project are returned.
type HistoryQuery struct {
	Project     string
	Environment string
	Kind        Kind
	ID          string
	Revision    int64 // exactly this one
	Limit       int   // 0: 50; at most 500
	Cursor      string
}

// Store keeps resources. control/store implements it on SQLite and PostgreSQL;
// storetest holds both to the contract.
//
// A nil error from Commit, PutStatus or ChangeStatus means the write is on disk. Errors
// carry the codes NotFound, Conflict (name taken), Stale, Invalid, Unavailable.
type Store interface {
	// Get returns a live resource.
	Get(ctx context.Context, kind Kind, id string) (Resource, error)
	// List returns live resources in order of ID.
	List(ctx context.Context, q Query) (Page, error)
	// Commit writes all changes in one transaction, as one revision, with its
	// audit record. An Update whose spec equals the stored one still counts as
	// seen (IfRevision is checked) but keeps the resource's revision; a commit
	// in which nothing changes takes no revision and returns Revision 0.
	Commit(ctx context.Context, c Commit) (Committed, error)
	// PutStatus replaces a status. It makes no revision. With ifSeq not 0 the
	// resource's Seq must still be ifSeq, or the write is refused as Stale.
	// Writing an equal status is no write and makes no event.
	PutStatus(ctx context.Context, kind Kind, id string, status json.RawMessage, ifSeq int64) (Resource, error)
	// ChangeStatus replaces a status by what change makes of the resource as it
	// is; nobody writes in between. change runs inside the writing transaction,
	// perhaps more than once: it must not block, nor ask this store or a vault on
	// the same database. Nothing is written when it returns nil, or an error, which
	// is handed on.
	ChangeStatus(ctx context.Context, kind Kind, id string, change func(Resource) (json.RawMessage, error)) (Resource, error)
	// Watch calls fn, in order of Seq, for every resource written after since
	// (0: everything live), until ctx ends or fn returns an error. It returns
	// that error, or ctx's. It sees writes of other control planes on the same
	// database too.
	Watch(ctx context.Context, since int64, fn func(Event) error) error
	// History returns past revisions, newest first, and a cursor, "" at the end.
	History(ctx context.Context, q HistoryQuery) ([]Revision, string, error)
}

// Vault keeps secrets, encrypted at rest under the master key. A secret is
// named by its owner ("certificate/crt_.../3") and is never part of a spec, a
// status, a list, a log or a diff.
type Vault interface {
	PutSecret(ctx context.Context, name string, plaintext []byte) error
	// Secret returns NotFound when there is none.
	Secret(ctx context.Context, name string) ([]byte, error)
	DeleteSecret(ctx context.Context, name string) error
}
