package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

const (
	defaultHistory = 50
	maxHistory     = 500
)

// History returns past revisions, newest first; see resource.Store. A revision
// is selected by any of its entries and returned with all those that the
// project may see.
func (db *DB) History(ctx context.Context, q resource.HistoryQuery) ([]resource.Revision, string, error) {
	limit := pageSize(q.Limit, defaultHistory, maxHistory)
	where := conditions{}
	where.equal("project", q.Project)
	where.equal("environment", q.Environment)
	where.equal("kind", string(q.Kind))
	where.equal("id", q.ID)
	if q.Revision != 0 {
		where.add("revision = ", q.Revision)
	}
	if q.Cursor != "" {
		before, err := strconv.ParseInt(q.Cursor, 10, 64)
		if err != nil {
			return nil, "", fault.InvalidField("/cursor", "is not one that this list gave out", "begin again without a cursor")
		}
		where.add("revision < ", before)
	}
	args := append(where.args, limit+1)
	revisions, err := db.revisions(ctx, `SELECT revision, at, actor, via, reason, request_id FROM revisions
		WHERE revision IN (SELECT DISTINCT revision FROM revision_entries`+where.text()+`
			ORDER BY revision DESC LIMIT $`+strconv.Itoa(len(args))+`) ORDER BY revision DESC`, args...)
	if err != nil || len(revisions) == 0 {
		return revisions, "", err
	}
	next := ""
	if len(revisions) > limit {
		revisions = revisions[:limit]
		next = strconv.FormatInt(revisions[limit-1].Revision, 10)
	}
	return revisions, next, db.entries(ctx, revisions, q.Project)
}

func (db *DB) revisions(ctx context.Context, query string, args ...any) ([]resource.Revision, error) {
	rows, err := db.query(ctx, query, args...)
	if err != nil {
		return nil, wrap("reading the history", err)
	}
	defer rows.Close()
	revisions := []resource.Revision{}
	for rows.Next() {
		var r resource.Revision
		var at int64
		if err := rows.Scan(&r.Revision, &at, &r.Cause.Actor, &r.Cause.Via, &r.Cause.Reason, &r.Cause.RequestID); err != nil {
			return nil, wrap("reading the history", err)
		}
		r.At = fromMicros(at)
		revisions = append(revisions, r)
	}
	return revisions, wrap("reading the history", rows.Err())
}

// entries fills in the entries of revisions, of one project only unless it is "".
func (db *DB) entries(ctx context.Context, revisions []resource.Revision, project string) error {
	index := make(map[int64]*resource.Revision, len(revisions))
	marks, args := make([]string, len(revisions)), make([]any, len(revisions), len(revisions)+1)
	for i := range revisions {
		revisions[i].Entries = []resource.Entry{}
		index[revisions[i].Revision] = &revisions[i]
		marks[i], args[i] = "$"+strconv.Itoa(i+1), revisions[i].Revision
	}
	restrict := ""
	if project != "" {
		args = append(args, project)
		restrict = " AND project = $" + strconv.Itoa(len(args))
	}
	// Not db.query: there is one text for each number of revisions.
	rows, err := onLiveConnection(func() (*sql.Rows, error) {
		return db.readers.QueryContext(ctx, `SELECT revision, op, kind, id, project, environment, name, old_name, spec_before, spec_after
			FROM revision_entries WHERE revision IN (`+strings.Join(marks, ", ")+`)`+restrict+` ORDER BY revision, position`, args...)
	})
	if err != nil {
		return wrap("reading the history", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e resource.Entry
		var revision int64
		if err := rows.Scan(&revision, (*string)(&e.Op), (*string)(&e.Kind), &e.ID, &e.Project, &e.Environment, &e.Name, &e.OldName,
			(*[]byte)(&e.Before), (*[]byte)(&e.After)); err != nil {
			return wrap("reading the history", err)
		}
		r := index[revision]
		r.Entries = append(r.Entries, e)
	}
	return wrap("reading the history", rows.Err())
}
