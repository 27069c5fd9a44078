package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// planAge is how long a plan is kept. What it did stays in the history.
const planAge = 30 * 24 * time.Hour

// maxPlan bounds a stored plan, in bytes.
const maxPlan = 32 << 20

// PutPlan stores a new plan.
func (db *DB) PutPlan(ctx context.Context, p resource.Plan) error {
	if err := checkText("/id", p.ID, true); err != nil {
		return err
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fault.New(fault.Invalid, "the plan cannot be stored: %w", err)
	}
	if len(body) > maxPlan {
		return fault.New(fault.TooLarge, "the plan has %d bytes, at most %d are kept: apply it in parts", len(body), maxPlan)
	}
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM plans WHERE created_at < $1`, micros(tx.db.now().Add(-planAge))); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO plans (id, project, environment, created_at, body) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO NOTHING`, p.ID, p.Project, p.Environment, micros(tx.db.now()), string(body))
		if err == nil && n == 0 {
			return fault.New(fault.Conflict, "a plan with this ID is stored already: make a new plan").About("plan " + p.ID)
		}
		return err
	})
}

// Plan returns a stored plan.
func (db *DB) Plan(ctx context.Context, id string) (resource.Plan, error) {
	var body []byte
	var applied int64
	err := db.queryRow(ctx, `SELECT body, applied_revision FROM plans WHERE id = $1`, id).Scan(&body, &applied)
	if errors.Is(err, sql.ErrNoRows) {
		return resource.Plan{}, fault.New(fault.NotFound, "there is no plan %s (plans are kept for %d days): make it again", id, planAge/(24*time.Hour))
	}
	if err != nil {
		return resource.Plan{}, wrap("reading a plan", err)
	}
	var p resource.Plan
	if err := json.Unmarshal(body, &p); err != nil {
		return resource.Plan{}, fault.New(fault.Internal, "a stored plan cannot be read: %w", err).About("plan " + id)
	}
	p.AppliedRevision = applied
	return p, nil
}

// MarkApplied notes the revision that carried a plan out. Noting the same one
// again changes nothing; another is refused as Conflict.
func (db *DB) MarkApplied(ctx context.Context, id string, revision int64) error {
	return db.write(ctx, func(ctx context.Context, tx *Tx) error {
		var applied int64
		err := tx.queryRow(ctx, `SELECT applied_revision FROM plans WHERE id = $1`, id).Scan(&applied)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fault.New(fault.NotFound, "there is no plan %s", id)
		case err != nil:
			return err
		case applied == revision:
			return nil
		case applied != 0:
			return appliedAlready(id, applied)
		}
		return markApplied(ctx, tx, id, revision)
	})
}

// refuseApplied refuses a stored plan that was carried out. Plans that are not
// stored have nothing to be marked in.
func refuseApplied(ctx context.Context, tx *Tx, id string) error {
	var applied int64
	err := tx.queryRow(ctx, `SELECT applied_revision FROM plans WHERE id = $1`, id).Scan(&applied)
	if errors.Is(err, sql.ErrNoRows) || err == nil && applied == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return appliedAlready(id, applied)
}

func markApplied(ctx context.Context, tx *Tx, id string, revision int64) error {
	_, err := tx.exec(ctx, `UPDATE plans SET applied_revision = $1 WHERE id = $2`, revision, id)
	return err
}

func appliedAlready(id string, revision int64) error {
	return fault.New(fault.Conflict, "was applied already, as revision %d: make a new plan to see what is left to do", revision).About("plan " + id)
}
