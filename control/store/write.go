package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// maxBatch is how many writes share one transaction at most.
const maxBatch = 64

// batchTimeout bounds one transaction on a remote database.
const batchTimeout = 30 * time.Second

// Tx is the writing transaction as one write sees it.
type Tx struct {
	db   *DB
	conn *writeConn
	seq  int64 // of the counter, with what this transaction has taken
	// broken is set when the database has ended the transaction by itself (disk
	// full, say). Nothing may run any more: a savepoint outside of a transaction
	// would be one of its own.
	broken bool
}

var errBroken = errors.New("the transaction is over")

// writeFunc is one write. ctx is the transaction's, not the caller's.
type writeFunc func(ctx context.Context, tx *Tx) error

// write runs fn in the writing transaction and returns when its outcome is on
// disk. An error of fn undoes what fn did, and nothing else. A caller whose ctx
// ends while it waits its turn gets ctx's error and fn does not run; once fn has
// run, the caller learns the outcome.
func (db *DB) write(ctx context.Context, fn writeFunc) error {
	job := &writeJob{ctx: ctx, fn: fn, done: make(chan struct{})}
	if err := db.writer.submit(job); err != nil {
		return err
	}
	<-job.done
	return job.err
}

// exec runs a statement and returns how many rows it touched.
func (tx *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	stmt, err := tx.conn.statement(ctx, query)
	if err != nil {
		return 0, err
	}
	var result sql.Result
	if stmt != nil {
		result, err = stmt.ExecContext(ctx, args...)
	} else {
		result, err = tx.conn.sql.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query reads inside the transaction. The rows must be closed before the next
// statement.
func (tx *Tx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := tx.conn.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return tx.conn.sql.QueryContext(ctx, query, args...)
	}
	return stmt.QueryContext(ctx, args...)
}

// queryRow reads one row inside the transaction.
func (tx *Tx) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := tx.conn.statement(ctx, query)
	if err != nil || stmt == nil {
		return tx.conn.sql.QueryRowContext(ctx, query, args...)
	}
	return stmt.QueryRowContext(ctx, args...)
}

// nextSeq takes the next number of the store's counter. Numbers appear to
// readers in their order, because only one transaction writes at a time.
func (tx *Tx) nextSeq() int64 {
	tx.seq++
	return tx.seq
}

// writeJob is one write in the queue.
type writeJob struct {
	ctx  context.Context
	fn   writeFunc
	err  error
	done chan struct{}
}

// writer runs writes one after the other. What has queued up while a
// transaction was being synced goes into the next one together: with one caller
// each write has its own transaction, with many they share the fsync.
type writer struct {
	db     *DB
	mu     sync.Mutex
	queue  []*writeJob
	closed bool
	wake   chan struct{}
	conn   *writeConn // owned by run
}

func newWriter(db *DB) *writer {
	return &writer{db: db, wake: make(chan struct{}, 1)}
}

func (w *writer) submit(job *writeJob) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.queue = append(w.queue, job)
	w.signal()
	return nil
}

func (w *writer) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, at most one batch.
func (w *writer) take() (batch []*writeJob, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), maxBatch)
	batch = w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	return batch, w.closed
}

// run is the writer's goroutine. It ends when the store is closed and the queue
// is empty.
func (w *writer) run() {
	defer func() { w.conn.drop() }()
	for {
		batch, closed := w.take()
		if len(batch) == 0 {
			if closed {
				return
			}
			<-w.wake
			continue
		}
		w.perform(batch)
		for _, job := range batch {
			close(job.done)
		}
	}
}

// perform runs a batch in one transaction and sets each job's err.
func (w *writer) perform(batch []*writeJob) {
	ctx := context.Background()
	if w.db.dialect != &sqliteDialect {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, batchTimeout)
		defer cancel()
	}
	tx, err := w.begin(ctx)
	if err != nil {
		for _, job := range batch {
			job.err = wrap("writing to the database", err)
		}
		return
	}
	start, succeeded := tx.seq, 0
	for _, job := range batch {
		if job.err = w.runJob(ctx, tx, job, len(batch) > 1); job.err == nil {
			succeeded++
		}
	}
	if tx.broken {
		// Nothing of the batch is written. Those who did not break it get a
		// transaction of their own.
		w.discard()
		for _, job := range batch {
			if job.err == nil || errors.Is(job.err, errBroken) {
				w.perform([]*writeJob{job})
			}
		}
		return
	}
	if err := w.finish(ctx, tx, start, succeeded); err != nil {
		for _, job := range batch {
			if job.err == nil {
				job.err = wrap("writing to the database", err)
			}
		}
		return
	}
	w.db.bell.advance(tx.seq)
}

// begin opens the transaction and takes the lock that makes writers of other
// processes wait: SQLite's own, or the counter's row. A connection that has died
// since the last batch is replaced.
func (w *writer) begin(ctx context.Context) (*Tx, error) {
	tx := &Tx{db: w.db}
	for attempt := 0; ; attempt++ {
		err := w.connected(ctx)
		if err == nil {
			tx.conn = w.conn
			if _, err = tx.exec(ctx, w.db.dialect.begin); err == nil {
				err = tx.queryRow(ctx, `SELECT value FROM counters WHERE name = 'seq'`+w.db.dialect.forUpdate).Scan(&tx.seq)
			}
			if err == nil {
				return tx, nil
			}
			w.discard()
		}
		if attempt == 2 || !lost(err) {
			return nil, err
		}
	}
}

// runJob runs one write. In a batch it is fenced by a savepoint, so that it
// fails alone.
func (w *writer) runJob(ctx context.Context, tx *Tx, job *writeJob, fenced bool) error {
	if tx.broken {
		return errBroken
	}
	if err := job.ctx.Err(); err != nil {
		return err
	}
	if !fenced {
		return wrap("writing to the database", call(ctx, tx, job.fn))
	}
	if _, err := tx.exec(ctx, "SAVEPOINT job"); err != nil {
		return wrap("writing to the database", err)
	}
	before := tx.seq
	failure := call(ctx, tx, job.fn)
	if failure != nil {
		tx.seq = before
		if _, err := tx.exec(ctx, "ROLLBACK TO SAVEPOINT job"); err != nil {
			tx.broken = true
			return wrap("writing to the database", failure)
		}
	}
	if _, err := tx.exec(ctx, "RELEASE SAVEPOINT job"); err != nil && failure == nil {
		failure = err
	}
	return wrap("writing to the database", failure)
}

// call keeps a panic of one write from ending the writer.
func call(ctx context.Context, tx *Tx, fn writeFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, "panic while writing: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(ctx, tx)
}

// finish commits, or rolls back when every write has failed.
func (w *writer) finish(ctx context.Context, tx *Tx, start int64, succeeded int) error {
	if succeeded == 0 {
		if _, err := tx.exec(ctx, "ROLLBACK"); err != nil {
			w.discard()
		}
		tx.seq = start
		return nil
	}
	err := func() error {
		if tx.seq != start {
			if _, err := tx.exec(ctx, `UPDATE counters SET value = $1 WHERE name = 'seq'`, tx.seq); err != nil {
				return err
			}
			if w.db.dialect.notify != "" {
				if _, err := tx.exec(ctx, w.db.dialect.notify); err != nil {
					return err
				}
			}
		}
		_, err := tx.exec(ctx, "COMMIT")
		return err
	}()
	if err != nil {
		w.discard() // closing the connection rolls back
	}
	return err
}

// connected makes sure that there is a connection.
func (w *writer) connected(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.writers.Conn(ctx)
	if err != nil {
		return err
	}
	fresh := &writeConn{sql: conn}
	if w.db.dialect == &sqliteDialect {
		fresh.statements = map[string]*sql.Stmt{}
	} else if err := preparePostgres(ctx, conn); err != nil {
		fresh.drop()
		return err
	}
	w.conn = fresh
	return nil
}

// preparePostgres keeps a control plane that stalls in a transaction from
// stopping the others, and commits from being acknowledged before they are on
// disk.
func preparePostgres(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf(`SELECT
		set_config('idle_in_transaction_session_timeout', '%d', false),
		set_config('statement_timeout', '%d', false),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)`,
		batchTimeout.Milliseconds(), batchTimeout.Milliseconds()))
	return err
}

// discard closes the connection for good, and with it its transaction.
func (w *writer) discard() {
	w.conn.drop()
	w.conn = nil
}

// writeConn is the one connection that writes, with its prepared statements.
type writeConn struct {
	sql        *sql.Conn
	statements map[string]*sql.Stmt // nil where the driver keeps them itself
}

func (c *writeConn) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if c.statements == nil {
		return nil, nil
	}
	if stmt, ok := c.statements[query]; ok {
		return stmt, nil
	}
	stmt, err := c.sql.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.statements[query] = stmt
	return stmt, nil
}

func (c *writeConn) drop() {
	if c == nil {
		return
	}
	for _, stmt := range c.statements {
		stmt.Close()
	}
	// A bad connection is closed, not put back into the pool.
	_ = c.sql.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.sql.Close()
}
