package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Bounds of what one resource and one commit may hold.
const (
	maxDocument = 1 << 20 // bytes of a spec or a status
	maxName     = 512     // bytes of a name or an ID
	maxChanges  = 10_000  // of one commit
)

const (
	defaultPage = 100
	maxPage     = 1000
)

const resourceColumns = `id, kind, project, environment, name, revision, seq, created_at, updated_at, spec, status`

// Get returns a live resource.
func (db *DB) Get(ctx context.Context, kind resource.Kind, id string) (resource.Resource, error) {
	return getResource(ctx, db, kind, id)
}

func getResource(ctx context.Context, q querier, kind resource.Kind, id string) (resource.Resource, error) {
	r, err := scanResource(q.queryRow(ctx, `SELECT `+resourceColumns+` FROM resources WHERE id = $1 AND kind = $2`, id, string(kind)))
	if errors.Is(err, sql.ErrNoRows) {
		return r, fault.New(fault.NotFound, "there is no %s with the ID %s", kind, id)
	}
	return r, wrap("reading a resource", err)
}

// scanner is a row, of one or of many.
type scanner interface{ Scan(dest ...any) error }

// scanResource reads the columns of resourceColumns, after those for before.
func scanResource(row scanner, before ...any) (r resource.Resource, err error) {
	var created, updated int64
	err = row.Scan(append(before,
		&r.ID, (*string)(&r.Kind), &r.Project, &r.Environment, &r.Name, &r.Revision, &r.Seq,
		&created, &updated, (*[]byte)(&r.Spec), (*[]byte)(&r.Status))...)
	if len(r.Status) == 0 {
		r.Status = nil
	}
	r.CreatedAt, r.UpdatedAt = fromMicros(created), fromMicros(updated)
	return r, err
}

// List returns live resources in order of ID.
func (db *DB) List(ctx context.Context, q resource.Query) (resource.Page, error) {
	limit := pageSize(q.Limit, defaultPage, maxPage)
	where := conditions{}
	where.equal("kind", string(q.Kind))
	where.equal("project", q.Project)
	where.equal("environment", q.Environment)
	where.equal("name", q.Name)
	if q.NameSuffix != "" {
		// Not LIKE, which is blind to case in SQLite. Both count characters.
		where.add(fmt.Sprintf("substr(name, length(name) - %d) = ", utf8.RuneCountInString(q.NameSuffix)-1), q.NameSuffix)
	}
	if q.PlatformOnly {
		where.add("project = ", "")
	}
	if q.Cursor != "" {
		where.add("id > ", q.Cursor)
	}
	args := append(where.args, limit+1) // one more tells whether there is a next page
	rows, err := db.query(ctx, `SELECT `+resourceColumns+` FROM resources`+where.text()+
		` ORDER BY id LIMIT $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return resource.Page{}, wrap("listing resources", err)
	}
	defer rows.Close()
	page := resource.Page{Items: []resource.Resource{}}
	for rows.Next() {
		r, err := scanResource(rows)
		if err != nil {
			return resource.Page{}, wrap("listing resources", err)
		}
		page.Items = append(page.Items, r)
	}
	if err := rows.Err(); err != nil {
		return resource.Page{}, wrap("listing resources", err)
	}
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		page.Next = page.Items[limit-1].ID
	}
	return page, nil
}

// PutStatus replaces a status; see resource.Store.
func (db *DB) PutStatus(ctx context.Context, kind resource.Kind, id string, status json.RawMessage, ifSeq int64) (resource.Resource, error) {
	if err := checkObject("/status", status); err != nil {
		return resource.Resource{}, err
	}
	return db.ChangeStatus(ctx, kind, id, func(r resource.Resource) (json.RawMessage, error) {
		if ifSeq != 0 && r.Seq != ifSeq {
			return nil, fault.New(fault.Stale, "the %s was written since it was read: read it again", kind).About(about(r))
		}
		return status, nil
	})
}

// ChangeStatus changes a status in one transaction; see resource.Store.
func (db *DB) ChangeStatus(ctx context.Context, kind resource.Kind, id string, change func(resource.Resource) (json.RawMessage, error)) (resource.Resource, error) {
	var r resource.Resource
	err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
		var err error
		if r, err = getResource(ctx, tx, kind, id); err != nil {
			return err
		}
		status, err := change(r)
		if err != nil || status == nil {
			return err
		}
		if err := checkObject("/status", status); err != nil || resource.EqualJSON(r.Status, status) {
			return err
		}
		r.Status, r.Seq = compact(status), tx.nextSeq()
		_, err = tx.exec(ctx, `UPDATE resources SET status = $1, seq = $2 WHERE id = $3`, string(r.Status), r.Seq, id)
		return err
	})
	if err != nil {
		return resource.Resource{}, err
	}
	return r, nil
}

// about names a resource in errors.
func about(r resource.Resource) string {
	if r.Name == "" {
		return string(r.Kind) + " " + r.ID
	}
	return string(r.Kind) + " " + r.Name
}

// checkObject refuses what is not one JSON object that both databases can keep.
func checkObject(pointer string, document json.RawMessage) error {
	switch trimmed := strings.TrimLeft(string(document), " \t\r\n"); {
	case len(document) > maxDocument:
		return fault.New(fault.TooLarge, "%s has %d bytes; at most %d are kept", strings.TrimPrefix(pointer, "/"), len(document), maxDocument)
	case !utf8.Valid(document):
		return fault.InvalidField(pointer, "is not valid UTF-8", "encode the text as UTF-8")
	case !strings.HasPrefix(trimmed, "{") || !json.Valid(document):
		return fault.InvalidField(pointer, "is not a JSON object", "write {\"field\": value, ...}")
	}
	return nil
}

// checkText refuses identifiers that a database or a terminal would stumble on.
func checkText(pointer, text string, needed bool) error {
	switch {
	case text == "" && needed:
		return fault.InvalidField(pointer, "is missing", "give one")
	case len(text) > maxName:
		return fault.InvalidField(pointer, "has more than "+strconv.Itoa(maxName)+" bytes", "use a shorter one")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return fault.InvalidField(pointer, "holds control characters or invalid UTF-8", "remove them")
	}
	return nil
}

// clean makes free text storable: PostgreSQL keeps neither invalid UTF-8 nor NUL.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
}

func pageSize(asked, usual, most int) int {
	if asked <= 0 {
		return usual
	}
	return min(asked, most)
}

// conditions collects a WHERE clause with its arguments.
type conditions struct {
	parts []string
	args  []any
}

// add appends "<left>$n".
func (c *conditions) add(left string, arg any) {
	c.args = append(c.args, arg)
	c.parts = append(c.parts, left+"$"+strconv.Itoa(len(c.args)))
}

// equal appends a comparison unless value is "".
func (c *conditions) equal(column, value string) {
	if value != "" {
		c.add(column+" = ", value)
	}
}

func (c *conditions) text() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}
