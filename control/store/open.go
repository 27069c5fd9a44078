package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// Options of a store. The zero value is right for production.
type Options struct {
	Logger *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now; leases then go by the database's clock where it has one
	// PollInterval is how often the store looks for writes of other processes
	// that it was not told of. 0: one second; negative: there are none, and it
	// listens for none either.
	PollInterval time.Duration
}

// DB is an open store. It is safe for concurrent use.
type DB struct {
	dialect *dialect
	path    string // of SQLite's file; "" for PostgreSQL
	keys    *secrets.Keyring
	log     *slog.Logger
	now     func() time.Time
	ownTime bool // Options.Now was given

	readers  *sql.DB
	prepared sync.Map // query -> *sql.Stmt on readers; SQLite only
	writers  *sql.DB  // the writer's connection, migrations
	writer   *writer
	bell     *bell
	poke     chan struct{} // asks the poller to look now

	stop    context.CancelFunc // ends background work
	running sync.WaitGroup
	close   sync.Once
	closed  error

	auditKey atomic.Pointer[[secrets.KeyBytes]byte] // nil without a keyring
}

var (
	_ resource.Store     = (*DB)(nil)
	_ resource.Vault     = (*DB)(nil)
	_ resource.PlanStore = (*DB)(nil)
)

// Bounds of connections and memory. SQLite caches per connection.
const (
	sqliteReaders      = 4
	sqliteReaderCache  = 4 << 10 // KiB
	sqliteWriterCache  = 8 << 10 // KiB
	sqliteBusyMS       = 10_000
	sqliteJournalBytes = 16 << 20 // to which the write-ahead log shrinks again
	postgresConns      = 10
)

// Open opens the store that dsn names and brings its schema up to date. dsn is a
// file path or sqlite:///path for SQLite, made when absent, or
// postgres://user:password@host/database. keys may be nil for work that touches
// no secret and writes no audit record (backup).
func Open(ctx context.Context, dsn string, keys *secrets.Keyring, o Options) (*DB, error) {
	db := &DB{keys: keys, log: o.Logger, now: o.Now, ownTime: o.Now != nil, bell: newBell(), poke: make(chan struct{}, 1)}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.now == nil {
		db.now = time.Now
	}
	if o.PollInterval == 0 {
		o.PollInterval = time.Second
	}
	remote, err := db.connect(dsn)
	if err != nil {
		return nil, err
	}
	if err := db.start(ctx, remote, o.PollInterval); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// connect makes the pools; remote is the configuration of a listening
// connection, nil for SQLite.
func (db *DB) connect(dsn string) (remote *pgx.ConnConfig, err error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		remote, err := pgx.ParseConfig(dsn)
		if err != nil {
			// The error of pgx repeats the DSN, and with it the password.
			return nil, fault.New(fault.Invalid, "the database URL is not valid: it has the form postgres://user:password@host:5432/database?sslmode=verify-full")
		}
		db.dialect = &postgresDialect
		db.readers = stdlib.OpenDB(*remote)
		db.readers.SetMaxOpenConns(postgresConns)
		db.readers.SetMaxIdleConns(postgresConns)
		db.readers.SetConnMaxIdleTime(5 * time.Minute)
		db.writers = stdlib.OpenDB(*remote)
		db.writers.SetMaxIdleConns(1)
		return remote, nil
	}
	path, err := sqlitePath(dsn)
	if err != nil {
		return nil, err
	}
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	db.dialect, db.path = &sqliteDialect, path
	if db.writers, err = openSQLite(path, "cache_size(-"+strconv.Itoa(sqliteWriterCache)+")"); err != nil {
		return nil, err
	}
	db.writers.SetMaxIdleConns(1)
	if db.readers, err = openSQLite(path, "cache_size(-"+strconv.Itoa(sqliteReaderCache)+")", "query_only(1)"); err != nil {
		return nil, err
	}
	db.readers.SetMaxOpenConns(sqliteReaders)
	db.readers.SetMaxIdleConns(sqliteReaders)
	return nil, nil
}

func sqlitePath(dsn string) (string, error) {
	path := dsn
	if rest, ok := strings.CutPrefix(dsn, "sqlite://"); ok {
		path = rest
	} else if scheme, _, ok := strings.Cut(dsn, "://"); ok {
		return "", fault.New(fault.Invalid, "a database cannot be opened by %s://: give a file path, sqlite:///path/file.db or postgres://", scheme)
	}
	if path == "" {
		return "", fault.New(fault.Invalid, "the database has no path: give a file path, sqlite:///path/file.db or postgres://")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fault.New(fault.Invalid, "the database path %q cannot be used: %w", path, err)
	}
	return absolute, nil
}

// createPrivate makes the file, readable by its owner only; SQLite gives the
// write-ahead log the same mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.New(fault.Unavailable, "the database's directory cannot be made: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Unavailable, "the database file cannot be created: %w", err)
	}
	return file.Close()
}

func openSQLite(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_pragma": append([]string{
		"busy_timeout(" + strconv.Itoa(sqliteBusyMS) + ")",
		"journal_mode(WAL)",
		// FULL syncs the log at each commit: acknowledged means on disk.
		"synchronous(FULL)",
		"journal_size_limit(" + strconv.Itoa(sqliteJournalBytes) + ")",
		"temp_store(MEMORY)",
	}, pragmas...)}
	name := (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the database %s cannot be opened: %w", path, err)
	}
	return db, nil
}

// start migrates and begins the background work.
func (db *DB) start(ctx context.Context, remote *pgx.ConnConfig, poll time.Duration) error {
	if err := db.writers.PingContext(ctx); err != nil {
		return wrap("opening the database", err)
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	head, err := db.readSeq(ctx)
	if err != nil {
		return err
	}
	db.bell.set(head)

	background, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.writer = newWriter(db)
	db.running.Go(db.writer.run)
	if poll > 0 {
		db.running.Go(func() { db.pollSeq(background, poll) })
	}
	if poll > 0 && remote != nil {
		db.running.Go(func() { db.listen(background, remote) })
	}
	return db.loadAuditKey(ctx)
}

// Close waits for writes that were accepted, ends watches and leases' background
// work, and closes the database.
func (db *DB) Close() error {
	db.close.Do(func() {
		if db.writer != nil {
			db.writer.shut()
		}
		if db.stop != nil {
			db.stop()
		}
		db.running.Wait()
		db.bell.shut()
		for _, pool := range []*sql.DB{db.readers, db.writers} {
			if pool != nil {
				db.closed = errors.Join(db.closed, wrap("closing the database", pool.Close()))
			}
		}
	})
	return db.closed
}

// query reads outside of a writing transaction. The set of query texts must be
// bounded: put values into args.
func (db *DB) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := db.readStatement(ctx, query)
	if err != nil {
		return nil, err
	}
	if stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return onLiveConnection(func() (*sql.Rows, error) { return db.readers.QueryContext(ctx, query, args...) })
}

// queryRow reads one row; see query.
func (db *DB) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := db.readStatement(ctx, query)
	if err == nil && stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	row, _ := onLiveConnection(func() (*sql.Row, error) {
		row := db.readers.QueryRowContext(ctx, query, args...)
		return row, row.Err()
	})
	return row // its Scan says the error
}

// onLiveConnection repeats a read for as long as it meets connections that have
// died in the pool.
func onLiveConnection[T any](read func() (T, error)) (T, error) {
	for attempt := 0; ; attempt++ {
		result, err := read()
		if attempt == postgresConns || !lost(err) {
			return result, err
		}
	}
}

// readStatement returns query prepared once, nil where the driver does that by
// itself.
func (db *DB) readStatement(ctx context.Context, query string) (*sql.Stmt, error) {
	if db.dialect != &sqliteDialect {
		return nil, nil
	}
	if stmt, ok := db.prepared.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := db.readers.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if other, raced := db.prepared.LoadOrStore(query, stmt); raced {
		stmt.Close()
		return other.(*sql.Stmt), nil
	}
	return stmt, nil
}

// snapshot runs reads that see one state of the database.
func (db *DB) snapshot(ctx context.Context, read func(q querier) error) error {
	var options *sql.TxOptions
	if db.dialect == &postgresDialect {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := onLiveConnection(func() (*sql.Tx, error) { return db.readers.BeginTx(ctx, options) })
	if err != nil {
		return wrap("reading the database", err)
	}
	defer tx.Rollback()
	return wrap("reading the database", read(snapshotTx{tx}))
}

type snapshotTx struct{ tx *sql.Tx }

func (s snapshotTx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.tx.QueryContext(ctx, query, args...)
}

func (s snapshotTx) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return s.tx.QueryRowContext(ctx, query, args...)
}

// querier is what reads inside and outside of a writing transaction share.
type querier interface {
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	queryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// micros is how times are stored: Unix microseconds, which is what PostgreSQL
// and JSON keep too. The zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the opposite of micros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
