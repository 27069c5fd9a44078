package store

import (
	"context"
	"database/sql"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// Restore reads a backup into db, which must be empty and in no other use, of
// either database and whichever the backup was made from. Backups of older
// versions are migrated. It is all or nothing: after an error db is empty. The
// backup's secrets stay sealed, so db's keyring must hold the master key they
// were sealed under; without a keyring that is not checked.
func Restore(ctx context.Context, r io.Reader, db *DB) error {
	if err := db.refuseUsed(ctx); err != nil {
		return err
	}
	loader := &restoring{ctx: ctx, db: db}
	failure := readDump(r, loader)
	if failure == nil {
		failure = loader.commit()
	}
	loader.abandon()
	// Also after a failure: the schema may be the backup's by now.
	if err := db.reopen(ctx); err != nil && failure == nil {
		return err
	}
	return wrap("restoring the backup", failure)
}

// reopen does what Open does with a database that has other contents now.
func (db *DB) reopen(ctx context.Context) error {
	if err := db.migrate(ctx); err != nil {
		return err
	}
	head, err := db.readSeq(ctx)
	if err != nil {
		return err
	}
	db.bell.set(head)
	return db.loadAuditKey(ctx)
}

// refuseUsed keeps a restore from overwriting anything.
func (db *DB) refuseUsed(ctx context.Context) error {
	var used int64
	err := db.queryRow(ctx, `SELECT (SELECT value FROM counters WHERE name = 'seq')
		+ (SELECT count(*) FROM audit) + (SELECT count(*) FROM secrets WHERE name <> $1)`, auditKeyName).Scan(&used)
	if err != nil {
		return wrap("looking into the database", err)
	}
	if used > 0 {
		return fault.New(fault.Conflict, "the database is in use already: restore into a new one (another --data directory, or an empty PostgreSQL database)")
	}
	return nil
}

// restoring loads a backup in one transaction.
type restoring struct {
	ctx    context.Context
	db     *DB
	tables []string
	tx     *sql.Tx
	insert *sql.Stmt // into the current table
}

func (r *restoring) header(h dumpHeader) error {
	applied, err := appliedMigrations(r.ctx, r.db)
	if err != nil {
		return err
	}
	if !sameMigrations(applied, h.Migrations) {
		if err := r.schemaOf(h); err != nil {
			return err
		}
	}
	if r.tables, err = r.db.tables(r.ctx, r.db); err != nil {
		return err
	}
	if r.tx, err = r.db.writers.BeginTx(r.ctx, nil); err != nil {
		return err
	}
	for _, table := range r.tables { // what migrations put there
		if _, err := r.tx.ExecContext(r.ctx, `DELETE FROM `+table); err != nil {
			return err
		}
	}
	return nil
}

// schemaOf makes the schema that the backup was made from.
func (r *restoring) schemaOf(h dumpHeader) error {
	provider, err := migrator(r.db.writers, r.db.dialect)
	if err != nil {
		return err
	}
	known := map[int64]bool{}
	for _, source := range provider.ListSources() {
		known[source.Version] = true
	}
	for _, version := range h.Migrations {
		if !known[version] {
			return fault.New(fault.Conflict, "the backup was made by a newer Edgewright (migration %d): restore it with that version", version)
		}
	}
	if !slices.Contains(h.Migrations, 1) {
		return fault.New(fault.Invalid, "the backup's header names no schema; use another copy")
	}
	tables, err := r.db.tables(r.ctx, r.db)
	if err != nil {
		return err
	}
	for _, table := range append(tables, migrationTable) {
		if _, err := r.db.writers.ExecContext(r.ctx, `DROP TABLE `+table); err != nil {
			return err
		}
	}
	// The provider remembers the version table it has made; a new one does not.
	if provider, err = migrator(r.db.writers, r.db.dialect); err != nil {
		return err
	}
	for _, version := range h.Migrations {
		if _, err := provider.ApplyVersion(r.ctx, version, true); err != nil {
			return err
		}
	}
	return nil
}

func (r *restoring) table(t dumpTable) error {
	if !slices.Contains(r.tables, t.Table) {
		return fault.New(fault.Invalid, "the backup holds a table %q, which its version does not have; use another copy", t.Table)
	}
	if r.insert != nil {
		r.insert.Close()
		r.insert = nil
	}
	// Names become SQL below: only those that the schema has may.
	rows, err := r.tx.QueryContext(r.ctx, `SELECT * FROM `+t.Table+` LIMIT 0`)
	if err != nil {
		return err
	}
	columns, err := columnsOf(t.Table, rows)
	rows.Close()
	if err != nil {
		return err
	}
	names, marks := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, column := range t.Columns {
		if !slices.Contains(columns, column) {
			return fault.New(fault.Invalid, "the backup holds a column %q of %s, which its version does not have; use another copy", column.Name, t.Table)
		}
		names[i], marks[i] = column.Name, "$"+strconv.Itoa(i+1)
	}
	r.insert, err = r.tx.PrepareContext(r.ctx, `INSERT INTO `+t.Table+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.Join(marks, ", ")+`)`)
	return err
}

func (r *restoring) row(_ dumpTable, values []any) error {
	_, err := r.insert.ExecContext(r.ctx, values...)
	return err
}

func (r *restoring) commit() error {
	if err := r.checkKeys(); err != nil {
		return err
	}
	var counters int
	if err := r.tx.QueryRowContext(r.ctx, `SELECT count(*) FROM counters WHERE name = 'seq'`).Scan(&counters); err != nil {
		return err
	}
	if counters != 1 {
		return fault.New(fault.Invalid, "the backup lacks the store's counter; use another copy")
	}
	if err := r.tx.Commit(); err != nil {
		return err
	}
	r.tx = nil
	return nil
}

// checkKeys refuses a backup whose secrets nobody here can open.
func (r *restoring) checkKeys() error {
	if r.db.keys == nil {
		return nil
	}
	rows, err := r.tx.QueryContext(r.ctx, `SELECT DISTINCT key_id FROM secrets`)
	if err != nil {
		return err
	}
	defer rows.Close()
	here := r.db.keys.IDs()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if !slices.Contains(here, id) {
			return fault.New(fault.Invalid, "the backup's secrets are sealed under master key %s, which is not here (here is %s): put the key file of the backup's time in place first", id, strings.Join(here, ", "))
		}
	}
	return rows.Err()
}

func (r *restoring) abandon() {
	if r.insert != nil {
		r.insert.Close()
		r.insert = nil
	}
	if r.tx != nil {
		_ = r.tx.Rollback()
		r.tx = nil
	}
}
