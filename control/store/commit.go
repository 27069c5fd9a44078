package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Commit writes all changes in one transaction; see resource.Store. Deletions
// are carried out first and creations last, so that a commit may give a deleted
// resource's name to a new one.
func (db *DB) Commit(ctx context.Context, c resource.Commit) (resource.Committed, error) {
	changes, err := checkChanges(c.Changes)
	if err != nil {
		return resource.Committed{}, err
	}
	var done resource.Committed
	err = db.write(ctx, func(ctx context.Context, tx *Tx) error {
		work := &committing{tx: tx, at: tx.db.now().UTC().Truncate(time.Microsecond), results: make([]resource.Resource, len(changes)), entries: make([]*resource.Entry, len(changes))}
		if err := work.run(ctx, c, changes); err != nil {
			return err
		}
		done = resource.Committed{Revision: work.revision, At: work.at, Resources: work.results}
		return nil
	})
	if err != nil {
		return resource.Committed{}, err
	}
	return done, nil
}

// checkChanges refuses what no state of the store could make right, and returns
// the changes with compact specs.
func checkChanges(changes []resource.Change) ([]resource.Change, error) {
	if len(changes) > maxChanges {
		return nil, fault.New(fault.TooLarge, "a commit has at most %d changes, this one has %d: split it", maxChanges, len(changes))
	}
	checked := make([]resource.Change, len(changes))
	seen := make(map[string]bool, len(changes))
	for i, ch := range changes {
		at := "/changes/" + strconv.Itoa(i)
		if err := errors.Join(
			checkText(at+"/kind", string(ch.Kind), true),
			checkText(at+"/id", ch.ID, true),
			checkText(at+"/name", ch.Name, ch.Op == resource.Create),
			checkText(at+"/project_id", ch.Project, false),
			checkText(at+"/environment", ch.Environment, false),
		); err != nil {
			return nil, err
		}
		switch ch.Op {
		case resource.Create, resource.Update:
			if err := checkObject(at+"/spec", ch.Spec); err != nil {
				return nil, err
			}
			ch.Spec = compact(ch.Spec)
			if len(ch.Status) > 0 {
				if err := checkObject(at+"/status", ch.Status); err != nil {
					return nil, err
				}
				ch.Status = compact(ch.Status)
			}
		case resource.Delete:
		default:
			return nil, fault.InvalidField(at+"/op", "is "+strconv.Quote(string(ch.Op)), "use create, update or delete")
		}
		if seen[ch.ID] {
			return nil, fault.InvalidField(at+"/id", "is changed twice in one commit", "merge the two changes of "+ch.ID)
		}
		seen[ch.ID] = true
		checked[i] = ch
	}
	return checked, nil
}

// committing is one commit at work.
type committing struct {
	tx       *Tx
	at       time.Time
	revision int64 // 0 until something changes
	results  []resource.Resource
	entries  []*resource.Entry // nil where nothing changed
}

func (w *committing) run(ctx context.Context, c resource.Commit, changes []resource.Change) error {
	if c.Plan != "" {
		if err := refuseApplied(ctx, w.tx, c.Plan); err != nil {
			return err
		}
	}
	for _, op := range []resource.Op{resource.Delete, resource.Update, resource.Create} {
		for i, ch := range changes {
			if ch.Op != op {
				continue
			}
			if err := w.change(ctx, i, ch); err != nil {
				return err
			}
		}
	}
	if w.revision == 0 {
		return nil
	}
	if err := w.record(ctx, c.Cause); err != nil {
		return err
	}
	if c.Plan != "" {
		return markApplied(ctx, w.tx, c.Plan, w.revision)
	}
	return nil
}

func (w *committing) change(ctx context.Context, i int, ch resource.Change) error {
	switch ch.Op {
	case resource.Create:
		return w.create(ctx, i, ch)
	case resource.Update:
		return w.update(ctx, i, ch)
	default:
		return w.delete(ctx, i, ch)
	}
}

// next returns the commit's revision, taking it when the first change needs it.
func (w *committing) next() int64 {
	if w.revision == 0 {
		w.revision = w.tx.nextSeq()
	}
	return w.revision
}

func (w *committing) create(ctx context.Context, i int, ch resource.Change) error {
	if err := w.idFree(ctx, ch); err != nil {
		return err
	}
	if err := w.nameFree(ctx, ch.Kind, ch.Project, ch.Environment, ch.Name); err != nil {
		return err
	}
	created, err := w.revive(ctx, ch)
	if err != nil {
		return err
	}
	r := resource.Resource{
		Meta: resource.Meta{
			Kind: ch.Kind, ID: ch.ID, Project: ch.Project, Environment: ch.Environment, Name: ch.Name,
			Revision: w.next(), Seq: w.next(), CreatedAt: created, UpdatedAt: w.at,
		},
		Spec: ch.Spec, Status: ch.Status,
	}
	if err := insertResource(ctx, w.tx, "resources", r); err != nil {
		return err
	}
	w.results[i] = r
	w.entries[i] = entryOf(resource.Create, r, nil, r.Spec)
	return nil
}

// idFree refuses an ID that is in use, whatever its kind.
func (w *committing) idFree(ctx context.Context, ch resource.Change) error {
	var kind, name string
	err := w.tx.queryRow(ctx, `SELECT kind, name FROM resources WHERE id = $1`, ch.ID).Scan(&kind, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "the ID %s belongs to the %s %s already: take a new one", ch.ID, kind, name).About(string(ch.Kind) + " " + ch.Name)
}

// nameFree refuses a name that another resource of the kind has in the same
// place.
func (w *committing) nameFree(ctx context.Context, kind resource.Kind, project, environment, name string) error {
	var id string
	err := w.tx.queryRow(ctx, `SELECT id FROM resources WHERE kind = $1 AND project = $2 AND environment = $3 AND name = $4`,
		string(kind), project, environment, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "a %s with this name exists already (%s): change that one, or take another name", kind, id).About(string(kind) + " " + name)
}

// revive removes the tombstone of an ID that comes back, and returns when the
// resource was created first.
func (w *committing) revive(ctx context.Context, ch resource.Change) (time.Time, error) {
	var created int64
	var kind string
	err := w.tx.queryRow(ctx, `SELECT kind, created_at FROM tombstones WHERE id = $1`, ch.ID).Scan(&kind, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return w.at, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	if kind != string(ch.Kind) {
		return time.Time{}, fault.New(fault.Conflict, "the ID %s belonged to a %s: take a new one", ch.ID, kind).About(string(ch.Kind) + " " + ch.Name)
	}
	_, err = w.tx.exec(ctx, `DELETE FROM tombstones WHERE id = $1`, ch.ID)
	return fromMicros(created), err
}

func (w *committing) update(ctx context.Context, i int, ch resource.Change) error {
	r, err := w.seen(ctx, ch)
	if err != nil {
		return err
	}
	before, old := r.Spec, r.Name
	renamed := ch.Name != "" && ch.Name != r.Name
	if !renamed && resource.EqualJSON(r.Spec, ch.Spec) {
		w.results[i] = r
		return nil
	}
	if renamed {
		if err := w.nameFree(ctx, r.Kind, r.Project, r.Environment, ch.Name); err != nil {
			return err
		}
		r.Name = ch.Name
	}
	r.Spec, r.Revision, r.Seq, r.UpdatedAt = ch.Spec, w.next(), w.next(), w.at
	if _, err := w.tx.exec(ctx, `UPDATE resources SET name = $1, spec = $2, revision = $3, seq = $4, updated_at = $5 WHERE id = $6`,
		r.Name, string(r.Spec), r.Revision, r.Seq, micros(r.UpdatedAt), r.ID); err != nil {
		return err
	}
	w.results[i] = r
	w.entries[i] = entryOf(resource.Update, r, before, r.Spec)
	if renamed {
		w.entries[i].OldName = old
	}
	return nil
}

func (w *committing) delete(ctx context.Context, i int, ch resource.Change) error {
	r, err := w.seen(ctx, ch)
	if err != nil {
		return err
	}
	if _, err := w.tx.exec(ctx, `DELETE FROM resources WHERE id = $1`, r.ID); err != nil {
		return err
	}
	w.results[i] = r
	w.entries[i] = entryOf(resource.Delete, r, r.Spec, nil)
	r.Revision, r.Seq, r.UpdatedAt = w.next(), w.next(), w.at
	return insertResource(ctx, w.tx, "tombstones", r)
}

// seen returns the resource of a change after checking that it is as its writer
// saw it.
func (w *committing) seen(ctx context.Context, ch resource.Change) (resource.Resource, error) {
	r, err := getResource(ctx, w.tx, ch.Kind, ch.ID)
	if err != nil {
		return r, err
	}
	if ch.IfRevision != 0 && ch.IfRevision != r.Revision {
		return r, fault.New(fault.Stale, "changed by somebody else since you read it (you saw revision %d, now it is %d): read it again and repeat your change",
			ch.IfRevision, r.Revision).About(about(r))
	}
	return r, nil
}

// record writes history and audit of the commit.
func (w *committing) record(ctx context.Context, cause resource.Cause) error {
	if _, err := w.tx.exec(ctx, `INSERT INTO revisions (revision, at, actor, via, reason, request_id) VALUES ($1, $2, $3, $4, $5, $6)`,
		w.revision, micros(w.at), clean(cause.Actor), clean(cause.Via), clean(cause.Reason), clean(cause.RequestID)); err != nil {
		return err
	}
	position := 0
	for _, e := range w.entries {
		if e == nil {
			continue
		}
		if _, err := w.tx.exec(ctx, `INSERT INTO revision_entries
			(revision, position, op, kind, id, project, environment, name, old_name, spec_before, spec_after)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			w.revision, position, string(e.Op), string(e.Kind), e.ID, e.Project, e.Environment, e.Name, e.OldName,
			nullable(e.Before), nullable(e.After)); err != nil {
			return err
		}
		position++
	}
	return w.audit(ctx, cause)
}

// audit writes one record a project, so that each project's log is whole. It
// names what changed; the specs are in the revision.
func (w *committing) audit(ctx context.Context, cause resource.Cause) error {
	type changed struct {
		Op   resource.Op   `json:"op"`
		Kind resource.Kind `json:"kind"`
		ID   string        `json:"id"`
		Name string        `json:"name"`
	}
	var projects []string
	byProject := map[string][]changed{}
	for _, e := range w.entries {
		if e == nil {
			continue
		}
		if _, ok := byProject[e.Project]; !ok {
			projects = append(projects, e.Project)
		}
		byProject[e.Project] = append(byProject[e.Project], changed{e.Op, e.Kind, e.ID, e.Name})
	}
	for _, project := range projects {
		list := byProject[project]
		record := AuditRecord{Actor: cause.Actor, Action: "commit", Project: project, RequestID: cause.RequestID}
		record.Target = strconv.Itoa(len(list)) + " resources"
		if len(list) == 1 {
			record.Action = string(list[0].Kind) + "." + string(list[0].Op)
			record.Target = string(list[0].Kind) + " " + list[0].ID + " " + list[0].Name
		}
		detail, err := json.Marshal(struct {
			Revision int64     `json:"revision"`
			Via      string    `json:"via,omitempty"`
			Changes  []changed `json:"changes"`
		}{w.revision, cause.Via, list})
		if err != nil {
			return err
		}
		record.Detail = detail
		if err := w.tx.audit(ctx, w.at, record); err != nil {
			return err
		}
	}
	return nil
}

func insertResource(ctx context.Context, tx *Tx, table string, r resource.Resource) error {
	_, err := tx.exec(ctx, `INSERT INTO `+table+` (`+resourceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		r.ID, string(r.Kind), r.Project, r.Environment, r.Name, r.Revision, r.Seq,
		micros(r.CreatedAt), micros(r.UpdatedAt), string(r.Spec), string(r.Status))
	return err
}

func entryOf(op resource.Op, r resource.Resource, before, after json.RawMessage) *resource.Entry {
	return &resource.Entry{
		Op: op, Kind: r.Kind, ID: r.ID, Project: r.Project, Environment: r.Environment, Name: r.Name,
		Before: before, After: after,
	}
}

// nullable is a document as a column that may be NULL.
func nullable(document json.RawMessage) any {
	if document == nil {
		return nil
	}
	return string(document)
}

// compact removes white space; documents were checked before.
func compact(document json.RawMessage) json.RawMessage {
	var text bytes.Buffer
	if err := json.Compact(&text, document); err != nil {
		return document
	}
	return text.Bytes()
}
