// Package resource holds the envelope of everything a user declares.
//
// A resource has an identity (kind, ID, project, environment, name), a spec
// (what is wanted, written by users) and a status (what is, written by
// reconcilers). All kinds live in one Store. Every accepted change of specs
// is one Commit: one transaction, one revision, with who, when, why, before
// and after. From that follow, for every kind alike, optimistic concurrency,
// history, diff, rollback, audit, plan and apply, and watch.
//
// Numbers: the store has one counter. A commit and a status write each take
// the next value, the sequence number (Seq). A commit's sequence number is
// its revision; a resource's Revision is that of the last commit that changed
// its spec, and is the resource's ETag.
//
// Life of a change, in this package's terms:
//
//	Change(s) -> Plan (data: actions with before, after, diff, expected revisions)
//	          -> Store.Commit (checks expectations, writes all or nothing)
//	          -> Event to every watcher -> reconcilers and compile
package resource

import (
	"context"
	"encoding/json"
	"time"
)

// Kind names a type of resource: "domain", "cdn", "certificate".
type Kind string

// Meta identifies a resource and tells its version.
type Meta struct {
	Kind        Kind      `json:"kind"`
	ID          string    `json:"id"`                    // prefixed, sortable by creation: "dom_01j..."
	Project     string    `json:"project_id,omitempty"`  // "" for what belongs to the platform (edges, claims)
	Environment string    `json:"environment,omitempty"` // "" for what belongs to the project or platform
	Name        string    `json:"name"`                  // unique per kind, project and environment
	Revision    int64     `json:"revision"`              // the last commit that changed the spec
	Seq         int64     `json:"-"`                     // the last write of any sort; Watch orders by it
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"` // of the spec
}

// Resource is the stored form: spec and status are JSON objects whose shape
// belongs to the kind's room.
type Resource struct {
	Meta
	Spec   json.RawMessage `json:"spec"`
	Status json.RawMessage `json:"status,omitempty"`
}

// Object is a resource decoded into its room's types.
type Object[Spec, Status any] struct {
	Meta
	Spec   Spec   `json:"spec"`
	Status Status `json:"status"`
}

// Decode turns a stored resource into its room's types. Unknown fields are
// kept out but survive in the store, so an older binary can read a newer one's
// resources.
func Decode[Spec, Status any](r Resource) (Object[Spec, Status], error) {
	o := Object[Spec, Status]{Meta: r.Meta}
	if len(r.Spec) > 0 {
		if err := json.Unmarshal(r.Spec, &o.Spec); err != nil {
			return o, err
		}
	}
	if len(r.Status) > 0 {
		if err := json.Unmarshal(r.Status, &o.Status); err != nil {
			return o, err
		}
	}
	return o, nil
}

// ChangeStatus is Store.ChangeStatus with spec and status decoded: what change
// makes of the status is written, unless it returns false. It is bound to the same.
func ChangeStatus[Spec, Status any](ctx context.Context, store Store, kind Kind, id string, change func(*Object[Spec, Status]) bool) (Object[Spec, Status], error) {
	var o Object[Spec, Status]
	r, err := store.ChangeStatus(ctx, kind, id, func(r Resource) (status json.RawMessage, err error) {
		if o, err = Decode[Spec, Status](r); err != nil || !change(&o) {
			return nil, err
		}
		return json.Marshal(o.Status)
	})
	o.Meta = r.Meta
	return o, err
}

// ConditionStatus is true, false or unknown.
type ConditionStatus string

// The three values of a condition.
const (
	True    ConditionStatus = "true"
	False   ConditionStatus = "false"
	Unknown ConditionStatus = "unknown"
)

// Condition is one observable fact of a status: "Verified", "Serving".
type Condition struct {
	Type    string          `json:"type"`
	Status  ConditionStatus `json:"status"`
	Reason  string          `json:"reason,omitempty"`  // one CamelCase word for machines
	Message string          `json:"message,omitempty"` // for people: what is, and what to do
	Since   time.Time       `json:"since"`             // when Status last changed
}

// SetCondition puts c into list by Type. Since moves only when Status does, so
// that a reconciler which finds nothing new writes nothing new.
func SetCondition(list []Condition, c Condition) []Condition {
	for i, old := range list {
		if old.Type == c.Type {
			if old.Status == c.Status {
				c.Since = old.Since
			}
			list[i] = c
			return list
		}
	}
	return append(list, c)
}

// ConditionOf returns the condition of the given type; ok is false when the
// list has none.
func ConditionOf(list []Condition, typ string) (c Condition, ok bool) {
	for _, c := range list {
		if c.Type == typ {
			return c, true
		}
	}
	return Condition{Type: typ, Status: Unknown}, false
}
