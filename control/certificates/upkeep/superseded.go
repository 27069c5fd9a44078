package upkeep

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

// supersede notes, when a certificate is about to be followed by another, that
// it has to be revoked.
func supersede(c certificates.Certificate, now time.Time) []certificates.Superseded {
	st := c.Status
	old := certificates.Superseded{
		Generation: st.Generation, Serial: st.Serial, Type: st.IssuedType, Authority: st.Authority, AuthorityAt: st.AuthorityAt,
		NextAt: now.UTC().Truncate(time.Second),
	}
	if st.NotAfter != nil {
		old.NotAfter = *st.NotAfter
	}
	switch {
	case st.Generation == "" || st.IssuedType == certificates.TypeCustom || st.Revoked != nil:
		return st.Superseded
	case certificates.ToRevoke(c) && c.Spec.Revoke.Serial == st.Serial:
		old.Reason = c.Spec.Revoke.Reason
	case st.Replacement != "" && st.ReplaceReason != "":
		old.Reason, old.Replacement = st.ReplaceReason, st.Replacement
	default:
		return st.Superseded
	}
	return append(slices.Clone(st.Superseded), old)
}

// revokeSuperseded revokes what has been replaced, as far as it is time. What has
// expired meanwhile needs it no longer.
func (r *Reconciler) revokeSuperseded(ctx context.Context, c certificates.Certificate, now time.Time) (certificates.Certificate, error) {
	for _, old := range c.Status.Superseded {
		if old.NextAt.After(now) {
			continue
		}
		var err error
		if old.NotAfter.After(now) {
			err = r.revokeOne(ctx, c.ID, old)
		}
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		if err != nil {
			r.log.Warn("a certificate could not be revoked; it is tried again", "certificate", c.ID, "domain", c.Name, "serial", old.Serial, "failures", old.Failures+1, "error", err)
		} else {
			r.log.Info("revoked", "certificate", c.ID, "domain", c.Name, "serial", old.Serial, "reason", old.Reason, "authority", old.Authority)
		}
		if c, err = r.write(ctx, c, func(c *certificates.Certificate) { revoked(&c.Status, old.Serial, err, now) }); err != nil {
			return c, err
		}
		if number, err := strconv.Atoi(old.Generation); err == nil && number < c.Status.Issued-1 && !owes(&c.Status, old.Generation) {
			r.forgetBundle(ctx, c.ID, old.Generation)
		}
	}
	return c, nil
}

func (r *Reconciler) revokeOne(ctx context.Context, id string, old certificates.Superseded) error {
	b, err := r.room.Bundle(ctx, id, old.Generation)
	if err == nil {
		err = r.revokeBundle(ctx, certificates.Status{IssuedType: old.Type, Authority: old.Authority, AuthorityAt: old.AuthorityAt}, certificates.RevokeWish{Serial: old.Serial, Reason: old.Reason}, b)
	}
	if fault.Is(err, fault.NotFound) {
		r.log.Warn("a certificate cannot be revoked from here any more", "certificate", id, "serial", old.Serial, "error", err)
		return nil
	}
	return err
}

// revoked notes what came of the attempt to revoke a superseded certificate.
func revoked(st *certificates.Status, serial string, err error, now time.Time) {
	i := slices.IndexFunc(st.Superseded, func(s certificates.Superseded) bool { return s.Serial == serial })
	if i < 0 {
		return // taken back meanwhile
	}
	if err == nil {
		st.Superseded = slices.Delete(slices.Clone(st.Superseded), i, i+1)
		st.RevokedLast = serial
		return
	}
	st.Superseded = slices.Clone(st.Superseded)
	s := &st.Superseded[i]
	s.Failures++
	s.LastError = err.Error()
	s.NextAt = now.Add(min(backoff(s.Failures), 100*time.Minute)).UTC().Truncate(time.Second)
}

// owes reports that a generation has still to be revoked.
func owes(st *certificates.Status, generation string) bool {
	return slices.ContainsFunc(st.Superseded, func(s certificates.Superseded) bool { return s.Generation == generation })
}

func owesSerial(st *certificates.Status, serial string) bool {
	return slices.ContainsFunc(st.Superseded, func(s certificates.Superseded) bool { return s.Serial == serial })
}

// nextRevocation is when one of the superseded is to be tried; zero: none is.
func nextRevocation(st *certificates.Status) (at time.Time) {
	for _, s := range st.Superseded {
		if at.IsZero() || s.NextAt.Before(at) {
			at = s.NextAt
		}
	}
	return at
}

func (r *Reconciler) forgetBundle(ctx context.Context, id, generation string) {
	if err := r.room.Vault.DeleteSecret(ctx, certificates.BundleName(id, generation)); err != nil && !fault.Is(err, fault.NotFound) && ctx.Err() == nil {
		r.log.Warn("an old key could not be deleted", "certificate", id, "generation", generation, "error", err)
	}
}
