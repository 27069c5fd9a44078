package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/edgewright/edgewright/fault"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationTable is goose's own table, which no backup carries.
const migrationTable = "goose_db_version"

// migrator returns goose's provider over the embedded migrations, in the
// database's dialect.
func migrator(db *sql.DB, d *dialect) (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		// Rooms number their migrations in ranges of their own.
		goose.WithAllowOutofOrder(true),
		goose.WithLogger(goose.NopLogger()),
	}
	kind := goose.DialectSQLite3
	if d == &postgresDialect {
		kind = goose.DialectPostgres
		// Several control planes may start at once.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(kind, db, dialectFiles{files, d.types}, options...)
}

// migrate brings the schema up to this binary's. It refuses a database that a
// newer binary has migrated.
func (db *DB) migrate(ctx context.Context) error {
	provider, err := migrator(db.writers, db.dialect)
	if err != nil {
		return fault.New(fault.Internal, "the migrations cannot be read: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return wrap("migrating the database", err)
	}
	applied, err := appliedMigrations(ctx, db)
	if err != nil {
		return err
	}
	known := map[int64]bool{0: true}
	for _, source := range provider.ListSources() {
		known[source.Version] = true
	}
	for _, version := range applied {
		if !known[version] {
			return fault.New(fault.Conflict, "the database was migrated by a newer Edgewright (migration %d): run that version, or restore a backup into a new database", version)
		}
	}
	return nil
}

// Migrate brings a database's schema up to this binary's, and makes the database
// when it is a file that is not there. Open does so too. Errors: as Open's.
func Migrate(ctx context.Context, dsn string) error {
	var db DB
	_, err := db.connect(dsn)
	if err == nil {
		err = db.migrate(ctx)
	}
	for _, pool := range []*sql.DB{db.readers, db.writers} {
		if pool != nil {
			err = errors.Join(err, wrap("closing the database", pool.Close()))
		}
	}
	return err
}

// appliedMigrations returns the versions in the order they were applied.
func appliedMigrations(ctx context.Context, q querier) ([]int64, error) {
	rows, err := q.query(ctx, `SELECT version_id FROM `+migrationTable+` WHERE version_id > 0 ORDER BY id`)
	if err != nil {
		return nil, wrap("reading the database's version", err)
	}
	defer rows.Close()
	var versions []int64
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return nil, wrap("reading the database's version", err)
		}
		versions = append(versions, version)
	}
	return versions, wrap("reading the database's version", rows.Err())
}

// dialectFiles serves migrations with their type words translated.
type dialectFiles struct {
	fs.FS
	types *strings.Replacer
}

func (d dialectFiles) Open(name string) (fs.File, error) {
	if !strings.HasSuffix(name, ".sql") {
		return d.FS.Open(name)
	}
	text, err := fs.ReadFile(d.FS, name)
	if err != nil {
		return nil, err
	}
	translated := []byte(d.types.Replace(string(text)))
	return &translatedFile{Reader: bytes.NewReader(translated), name: name, size: int64(len(translated))}, nil
}

// translatedFile is one migration in memory; it is its own FileInfo.
type translatedFile struct {
	*bytes.Reader
	name string
	size int64
}

func (f *translatedFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *translatedFile) Close() error               { return nil }
func (f *translatedFile) Name() string               { return f.name }
func (f *translatedFile) Size() int64                { return f.size }
func (f *translatedFile) Mode() fs.FileMode          { return 0o444 }
func (f *translatedFile) ModTime() time.Time         { return time.Time{} }
func (f *translatedFile) IsDir() bool                { return false }
func (f *translatedFile) Sys() any                   { return nil }
