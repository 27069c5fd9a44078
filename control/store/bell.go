package store

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// bell tells watchers that the store's counter has moved.
type bell struct {
	mu     sync.Mutex
	seq    int64
	ring   chan struct{} // closed when seq moves, then replaced
	closed bool
}

func newBell() *bell { return &bell{ring: make(chan struct{})} }

// advance notes that the counter has reached seq. An older number is nothing new.
func (b *bell) advance(seq int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq > b.seq {
		b.move(seq)
	}
}

// set notes the counter as it is, also when it went back (after a restore).
func (b *bell) set(seq int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq != b.seq {
		b.move(seq)
	}
}

func (b *bell) move(seq int64) {
	b.seq = seq
	if !b.closed {
		close(b.ring)
		b.ring = make(chan struct{})
	}
}

// shut ends every wait for good.
func (b *bell) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.ring)
	}
}

// listenFor returns a channel that is closed at the next move, and whether the
// store has been closed.
func (b *bell) listenFor() (ring <-chan struct{}, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ring, b.closed
}

// readSeq returns the counter as it is on disk.
func (db *DB) readSeq(ctx context.Context) (seq int64, err error) {
	err = db.queryRow(ctx, `SELECT value FROM counters WHERE name = 'seq'`).Scan(&seq)
	return seq, wrap("reading the store's counter", err)
}

// pollSeq looks at the counter at a fixed cadence and when it is poked, so that
// watchers see what other processes write.
func (db *DB) pollSeq(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-db.poke:
		}
		seq, err := db.readSeq(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			db.log.Warn("the database does not answer; watches wait", "error", err)
		case err == nil && failing:
			db.log.Info("the database answers again")
		}
		if failing = err != nil; !failing {
			db.bell.advance(seq)
		}
	}
}

// listen pokes the poller whenever another process has notified of a commit. It
// is a hint that makes watches fast; polling is what makes them sure.
func (db *DB) listen(ctx context.Context, config *pgx.ConnConfig) {
	const pause = time.Second
	for ctx.Err() == nil {
		err := db.listenOnce(ctx, config)
		if ctx.Err() != nil {
			return
		}
		db.log.Warn("listening for changes was interrupted; polling meanwhile", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (db *DB) listenOnce(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+changesChannel); err != nil {
		return err
	}
	for {
		select { // once at the start too: for what came while nobody listened
		case db.poke <- struct{}{}:
		default:
		}
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
