package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Lease is the right of one holder to do something alone for a while.
type Lease struct {
	Name   string
	Holder string
	// Token grows whenever the holder changes: an action that carries an older
	// one comes from a former holder.
	Token     int64
	ExpiresAt time.Time
}

// AcquireLease takes or renews a lease for ttl. held is false, and the lease
// another's, when somebody else has it and it has not expired. Time is the
// database's where it has a clock.
func (db *DB) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (lease Lease, held bool, err error) {
	return db.acquireLease(ctx, name, holder, ttl, false)
}

// acquireLease takes the lease from another holder too when that one is known
// to be gone.
func (db *DB) acquireLease(ctx context.Context, name, holder string, ttl time.Duration, gone bool) (lease Lease, held bool, err error) {
	if err := errors.Join(checkText("/name", name, true), checkText("/holder", holder, true)); err != nil {
		return Lease{}, false, err
	}
	err = db.write(ctx, func(ctx context.Context, tx *Tx) error {
		now, err := tx.clock(ctx)
		if err != nil {
			return err
		}
		var expires int64
		lease = Lease{Name: name}
		err = tx.queryRow(ctx, `SELECT holder, token, expires_at FROM leases WHERE name = $1`, name).Scan(&lease.Holder, &lease.Token, &expires)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		lease.ExpiresAt = fromMicros(expires)
		if held = gone || lease.Holder == holder || !lease.ExpiresAt.After(now); !held {
			return nil
		}
		if lease.Holder != holder || !lease.ExpiresAt.After(now) {
			lease.Token++
		}
		lease.Holder, lease.ExpiresAt = holder, now.Add(ttl)
		_, err = tx.exec(ctx, `INSERT INTO leases (name, holder, token, expires_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, expires_at = excluded.expires_at`,
			name, holder, lease.Token, micros(lease.ExpiresAt))
		return err
	})
	if err != nil {
		return Lease{}, false, err
	}
	return lease, held, nil
}

// ReleaseLease gives a lease back early, so that another need not wait for its
// end. A lease that the holder does not have is left alone.
func (db *DB) ReleaseLease(ctx context.Context, name, holder string) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE leases SET expires_at = 0 WHERE name = $1 AND holder = $2`, name, holder)
		return err
	})
}

// clock returns the time that all control planes agree on.
func (tx *Tx) clock(ctx context.Context) (time.Time, error) {
	if tx.db.dialect.now == "" || tx.db.ownTime {
		return tx.db.now().UTC(), nil
	}
	var us int64
	err := tx.queryRow(ctx, tx.db.dialect.now).Scan(&us)
	return fromMicros(us), err
}

// usable is how much of a lease's time is used before it counts as lost, so that
// fn has the rest to come to its end in.
func usable(ttl time.Duration) time.Duration { return ttl * 5 / 6 }

// Lead runs fn whenever holder has the lease, and ends fn's context as soon as
// it may have lost it: before another can get it. It waits for the lease, for as
// long as it takes, and again after a loss. It returns when ctx ends or fn
// returns by itself, and gives the lease back then.
//
// On SQLite all control planes are on one machine, and a lock on a file beside
// the database tells at once that a former leader is dead: nobody waits for its
// lease to expire. A lease that is led must not be taken with AcquireLease there.
func (db *DB) Lead(ctx context.Context, name, holder string, ttl time.Duration, fn func(ctx context.Context, lease Lease) error) error {
	if ttl <= 0 {
		return fault.New(fault.Invalid, "a lease needs a time to live")
	}
	for {
		if done, err := db.tryLead(ctx, name, holder, ttl, fn); done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(ttl / 3):
		}
	}
}

// tryLead leads if it can now. done is false when it is to be tried again.
func (db *DB) tryLead(ctx context.Context, name, holder string, ttl time.Duration, fn func(context.Context, Lease) error) (done bool, err error) {
	free, unlock, err := db.leaderLock(name)
	if err != nil {
		db.log.Warn("the leader's lock cannot be used; leadership goes by the lease's time", "lease", name, "error", err)
	} else if !free {
		return false, nil
	}
	defer unlock()
	asked := time.Now()
	lease, held, err := db.acquireLease(ctx, name, holder, ttl, free && db.path != "")
	switch {
	case ctx.Err() != nil:
		return true, ctx.Err()
	case errors.Is(err, errClosed):
		return true, err
	case err != nil:
		db.log.Warn("the lease could not be asked for", "lease", name, "error", err)
		return false, nil
	case !held:
		return false, nil
	}
	if done, err = db.leading(ctx, lease, asked, ttl, fn); !done {
		db.log.Warn("the lease was lost", "lease", name)
	}
	return done, err
}

// leaderLock takes the lock that goes with a lease on SQLite; free is false when
// another process has it. Elsewhere there is none, and it is always free.
func (db *DB) leaderLock(name string) (free bool, unlock func(), err error) {
	if db.path == "" {
		return true, func() {}, nil
	}
	file, err := lockFile(db.path + "." + url.PathEscape(name) + ".lock")
	if err != nil || file == nil {
		return false, func() {}, err
	}
	return true, func() { file.Close() }, nil
}

// leading runs fn under a lease that was asked for at the given time. done is
// false when the lease was lost.
func (db *DB) leading(ctx context.Context, lease Lease, asked time.Time, ttl time.Duration, fn func(context.Context, Lease) error) (done bool, err error) {
	term, end := context.WithCancel(ctx)
	defer end()
	finished := make(chan error, 1)
	go func() { finished <- fn(term, lease) }()

	// The time of asking bounds the lease: the database granted it later.
	expiry := time.NewTimer(time.Until(asked.Add(usable(ttl))))
	defer expiry.Stop()
	renew := time.NewTicker(ttl / 3)
	defer renew.Stop()
	renewed := make(chan time.Time, 1) // when the renewal that succeeded was asked for; zero: refused
	renewing := false
	for {
		select {
		case err := <-finished:
			// Also when ctx is over: the next holder should not have to wait.
			release, cancel := context.WithTimeout(context.WithoutCancel(ctx), ttl)
			defer cancel()
			if err := db.ReleaseLease(release, lease.Name, lease.Holder); err != nil && !errors.Is(err, errClosed) {
				db.log.Warn("the lease could not be given back; it expires by itself", "lease", lease.Name, "error", err)
			}
			return true, err
		case <-expiry.C:
			end()
			<-finished
			return false, nil
		case <-renew.C:
			if renewing {
				continue
			}
			renewing = true
			go func() { renewed <- db.renew(term, lease, ttl) }()
		case at := <-renewed:
			renewing = false
			if at.IsZero() {
				continue // tried again until the lease is over
			}
			expiry.Reset(time.Until(at.Add(usable(ttl))))
		}
	}
}

// renew returns when it asked, or the zero time when the lease was not renewed.
func (db *DB) renew(ctx context.Context, lease Lease, ttl time.Duration) time.Time {
	asked := time.Now()
	renewal, held, err := db.AcquireLease(ctx, lease.Name, lease.Holder, ttl)
	if err != nil || !held || renewal.Token != lease.Token {
		return time.Time{}
	}
	return asked
}
