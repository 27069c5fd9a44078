package store

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// watchPage is how many events are read at once.
const watchPage = 1000

// lastID sorts after every ID: what has the number of the position itself has
// been seen.
const lastID = "\U0010FFFF"

// watchRetry is how long a watch waits after the database has failed it.
const watchRetry = time.Second

// Watch calls fn for every resource written after since; see resource.Store. It
// outlives failures of the database. All resources of one commit have one Seq:
// who keeps a position across restarts must keep one whose commit it has seen
// whole, or one less. A position beyond the store's own (it was restored from a
// backup) is refused as Stale: begin again at 0.
func (db *DB) Watch(ctx context.Context, since int64, fn func(resource.Event) error) error {
	w := watching{db: db, seq: since, id: lastID, synced: since, tombstones: since}
	if err := w.begin(ctx); err != nil {
		return err
	}
	for {
		ring, closed := db.bell.listenFor()
		if closed {
			return errClosed
		}
		events, err := w.page(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			db.log.Warn("a watch could not read; it tries again", "error", err)
			select {
			case <-ctx.Done():
			case <-ring:
			case <-time.After(watchRetry):
			}
			continue
		}
		for _, event := range events {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(event); err != nil {
				return err
			}
		}
		if len(events) == watchPage {
			continue // there may be more
		}
		w.synced = w.seq
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ring:
		}
	}
}

// watching is the position of one watch.
type watching struct {
	db *DB
	// seq and id are those of the last event.
	seq int64
	id  string
	// synced is the number up to which the watcher has seen everything. What was
	// changed after it is reported as Put even when a status write followed.
	synced int64
	// tombstones is the number after which deletions count.
	tombstones int64
}

func (w *watching) begin(ctx context.Context) error {
	head, err := w.db.readSeq(ctx)
	if err != nil {
		return err
	}
	if w.seq > head {
		return fault.New(fault.Stale, "watching from %d, but the store is at %d: begin again at 0", w.seq, head)
	}
	if w.seq == 0 {
		w.tombstones = head // everything live, and deletions from now on
	}
	return nil
}

// page returns the next events, in order of Seq and ID, from one snapshot.
func (w *watching) page(ctx context.Context) ([]resource.Event, error) {
	const half = ` WHERE (seq, id) > ($1, $2)`
	rows, err := w.db.query(ctx, `SELECT deleted, `+resourceColumns+` FROM (
		SELECT * FROM (SELECT 0 AS deleted, `+resourceColumns+` FROM resources`+half+` ORDER BY seq, id LIMIT $4) AS live
		UNION ALL
		SELECT * FROM (SELECT 1 AS deleted, `+resourceColumns+` FROM tombstones`+half+` AND seq > $3 ORDER BY seq, id LIMIT $4) AS dead
		) AS events ORDER BY seq, id LIMIT $4`, w.seq, w.id, w.tombstones, watchPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var events []resource.Event
	for rows.Next() {
		var deleted int
		r, err := scanResource(rows, &deleted)
		if err != nil {
			return nil, err
		}
		event := resource.Event{Seq: r.Seq, Type: resource.Put, Resource: r}
		switch {
		case deleted == 1:
			event.Type = resource.Deleted
		case r.Revision <= w.synced:
			event.Type = resource.Status
		}
		events = append(events, event)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if n := len(events); n > 0 {
		w.seq, w.id = events[n-1].Seq, events[n-1].Resource.ID
	}
	return events, nil
}
