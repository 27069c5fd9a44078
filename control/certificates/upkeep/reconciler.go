// Package upkeep keeps certificates as they are wanted: it has them issued, renewed
// and replaced, and watches them.
//
// Types: Reconciler. All that it knows is in the status of certificates and in the
// Vault, so that a restart or another control plane goes on where it ended.
//
// Phases, per certificate: own the names? -> what is superseded is revoked ->
// custom? only watched, unless it is to be taken over -> held back? released when
// its staple is there -> due? (no certificate, names changed, renewal time reached,
// revoked, asked for, to be replaced) -> allowed now? (backoff 1, 10, 100 minutes,
// then daily, kept in status) -> certificates/issuance makes the attempt -> put into
// use, or held back, or the failure noted. Every look also asks for a fresh OCSP
// answer and the CA's advice on renewal, and tells of what comes near.
package upkeep

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/issuance"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/readiness"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// kindClaim is the room next door: who holds the claim on a name may have a
// certificate for it.
const kindClaim resource.Kind = "claim"

// Reconciler issues and renews certificates. Only the holder of the lease may
// run it.
type Reconciler struct {
	room   certificates.Room
	judge  *readiness.Judge
	orders *issuance.Orders
	log    *slog.Logger
	// random returns a number in [0, 1): where in a window a renewal falls.
	random func() float64
	// wrote has, by certificate, the number of the last write of its own.
	wrote sync.Map
}

// NewReconciler returns the reconciler. issuers has TypeLocal and TypeACME, as
// far as the platform has them; the judge asks them too, whether an order would
// succeed.
func NewReconciler(room certificates.Room, judge *readiness.Judge, issuers map[certificates.CertType]certificates.Issuer, log *slog.Logger) *Reconciler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	judge.Use(issuers)
	return &Reconciler{room: room, judge: judge, orders: issuance.New(room, judge, log), log: log, random: rand.Float64}
}

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind { return []resource.Kind{certificates.Kind, kindClaim} }

// Route implements reconcile.Router: what it has written itself needs no other
// look, for the look that wrote it has said when the next one is due.
func (r *Reconciler) Route(event resource.Event) []reconcile.Ref {
	of := event.Resource
	if event.Type == resource.Status && of.Kind == certificates.Kind {
		if seq, own := r.wrote.Load(of.ID); own && seq == of.Seq {
			return nil
		}
	}
	return []reconcile.Ref{{Kind: of.Kind, ID: of.ID}}
}

// Workers implements reconcile.Parallel: an order takes seconds, and one whose
// name leads nowhere takes minutes, which others must not wait for.
func (r *Reconciler) Workers() int { return 64 }

// Reconcile moves one certificate to what its spec wants, or those that wait for
// a claim.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	if ref.Kind == kindClaim {
		return 0, r.claimed(ctx, ref.ID)
	}
	c, err := r.load(ctx, ref.ID)
	if fault.Is(err, fault.NotFound) {
		r.wrote.Delete(ref.ID)
		return r.deleted(ctx, ref.ID), nil
	}
	if err != nil {
		return 0, err
	}
	return r.certificate(ctx, c)
}

// claimed looks at the certificate of a name whose claim has changed hands. The
// claim itself tells project and environment; when it is gone, the hourly look
// finds it.
func (r *Reconciler) claimed(ctx context.Context, id string) error {
	claim, err := r.room.Store.Get(ctx, kindClaim, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	decoded, err := resource.Decode[struct {
		Project     string `json:"project_id"`
		Environment string `json:"environment"`
	}, struct{}](claim)
	if err != nil {
		return err
	}
	found, err := r.room.Find(ctx, decoded.Spec.Project, decoded.Spec.Environment, claim.Name)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := certificates.Read(found)
	if err != nil || c.Status.State != certificates.StateNone {
		return err
	}
	// Only a touch of the status, so that the certificate's own ref, which is
	// never worked on twice at a time, does the rest.
	_, err = r.put(ctx, c, func(c *certificates.Certificate) { c.Status.Observed = 0 })
	return err
}

func (r *Reconciler) load(ctx context.Context, id string) (certificates.Certificate, error) {
	stored, err := r.room.Store.Get(ctx, certificates.Kind, id)
	if err != nil {
		return certificates.Certificate{}, err
	}
	return certificates.Read(stored)
}

// certificate is the whole decision, in the order of the package's phases.
func (r *Reconciler) certificate(ctx context.Context, c certificates.Certificate) (time.Duration, error) {
	if missing, err := r.unowned(ctx, c); err != nil {
		return 0, err
	} else if missing != "" {
		orders := r.unwanted(ctx, c)
		_, err := r.answer(ctx, c, func(c *certificates.Certificate) {
			c.Status.Orders = orders
			c.Status.State, c.Status.Step, c.Status.StartedAt, c.Status.NextAttempt = certificates.StateNone, "", nil, nil
			r.ready(c, resource.False, "DomainNotVerified", fmt.Sprintf("%s is not verified in this project and environment: verify it, and the certificate follows", missing))
		})
		return time.Hour, err
	}
	now := r.room.Now()
	c, err := r.revokeSuperseded(ctx, c, now)
	if err != nil {
		return 0, err
	}
	if c.Spec.Type == certificates.TypeExternal {
		orders := r.unwanted(ctx, c)
		_, err := r.answer(ctx, c, func(c *certificates.Certificate) {
			c.Status = certificates.Status{State: certificates.StateExternal, Issued: c.Status.Issued, Orders: orders, Superseded: c.Status.Superseded, Events: c.Status.Events, Conditions: c.Status.Conditions}
			r.ready(c, resource.Unknown, "External", "TLS ends before our edges; nothing is issued here")
		})
		if len(orders) > 0 {
			return abandonAgain, err
		}
		return 0, err
	}
	if r.effective(c, now) == certificates.TypeCustom {
		return r.custom(ctx, c)
	}
	if revoked, err := r.revoke(ctx, c); err == nil {
		c = revoked
	} else {
		r.log.Warn("a certificate could not be revoked; it is tried again", "certificate", c.ID, "error", err)
	}
	if c, err = r.release(ctx, c, now); err != nil {
		return 0, err
	}
	placed, err := r.placed(ctx, c)
	if err != nil {
		return 0, err
	}
	why := r.due(placed, now)
	if why == "" || c.Status.Held != nil {
		return r.keep(ctx, c, now)
	}
	if at := r.allowedAt(c, now); at.After(now) {
		again, err := r.keepWaiting(ctx, c, now, at)
		return again, err
	}
	return r.issue(ctx, c, now, why)
}

// keepWaiting looks after a certificate whose next attempt is not allowed yet:
// what is served until then still wants its staple.
func (r *Reconciler) keepWaiting(ctx context.Context, c certificates.Certificate, now, at time.Time) (time.Duration, error) {
	standing := r.stands(ctx, c, now)
	c, err := r.answer(ctx, c, func(c *certificates.Certificate) {
		standing(&c.Status)
		r.settle(c, now)
		c.Status.NextAttempt = &at
	})
	next := at
	if again := now.Add(upholdAgain); !r.upheld(ctx, c) && again.Before(next) {
		next = again
	}
	if c.Status.CheckAt != nil && c.Status.CheckAt.After(now) && c.Status.CheckAt.Before(next) {
		next = *c.Status.CheckAt
	}
	return wait(now, next), err
}

// effective is the type of certificate that is wanted now: a custom one that is
// to be taken over becomes automatic when its end is near, and stays so until
// another is uploaded.
func (r *Reconciler) effective(c certificates.Certificate, now time.Time) certificates.CertType {
	if c.Spec.Type != certificates.TypeCustom {
		return c.Spec.Type
	}
	st := c.Status
	automatic := r.room.Mode.Resolve(certificates.TypeAuto, c.Spec.Domains)
	if !c.Spec.Takeover {
		return certificates.TypeCustom
	}
	if st.TakenOver == c.Spec.Upload {
		return automatic
	}
	if st.Generation == certificates.UploadGeneration(c.Spec.Upload) && st.NotAfter != nil && (expiring(&c, now) || st.Revoked != nil) {
		return automatic
	}
	return certificates.TypeCustom
}

// unowned returns the first name that the project may not have a certificate
// for.
func (r *Reconciler) unowned(ctx context.Context, c certificates.Certificate) (string, error) {
	for _, name := range c.Spec.Domains {
		owned, err := r.judge.Owned(ctx, c.Project, c.Environment, name)
		if err != nil {
			return "", err
		}
		if !owned {
			return name, nil
		}
	}
	return "", nil
}

// custom watches an uploaded certificate.
func (r *Reconciler) custom(ctx context.Context, c certificates.Certificate) (time.Duration, error) {
	generation := certificates.UploadGeneration(c.Spec.Upload)
	b, err := r.room.Bundle(ctx, c.ID, generation)
	if fault.Is(err, fault.NotFound) {
		// What is served stays: a file that names an upload must not end a site.
		now := r.room.Now()
		_, err := r.answer(ctx, c, func(c *certificates.Certificate) {
			c.Status.LastError = &certificates.Problem{Reason: "NotUploaded", Message: "the chain and key that it names are not here", Fix: "upload them again"}
			c.Status.Step, c.Status.StartedAt, c.Status.NextAttempt, c.Status.RenewAt = "", nil, nil, nil
			r.settle(c, now)
		})
		return lookAgain, err
	}
	if err != nil {
		return 0, err
	}
	chain, err := pki.ParseChain(b.ChainPEM)
	if err != nil {
		return 0, err
	}
	now := r.room.Now()
	request, orders := c.Spec.Request, r.unwanted(ctx, c)
	c, err = r.answer(ctx, c, func(c *certificates.Certificate) {
		st := &c.Status
		fresh := certificates.Status{Conditions: st.Conditions, Orders: orders, Generation: generation, Issued: st.Issued, IssuedType: certificates.TypeCustom, Request: request, Superseded: st.Superseded, Events: st.Events}
		if st.Generation == generation {
			fresh.Staple, fresh.CheckAt, fresh.Revoked, fresh.Warned, fresh.IssuedAt, fresh.State = st.Staple, st.CheckAt, st.Revoked, st.Warned, st.IssuedAt, st.State
		} else {
			at := now.UTC().Truncate(time.Second)
			fresh.IssuedAt = &at
		}
		*st = fresh
		take(st, chain[0])
		r.settle(c, now)
	})
	if err != nil {
		return 0, err
	}
	standing := r.stands(ctx, c, now)
	if c, err = r.answer(ctx, c, func(c *certificates.Certificate) { standing(&c.Status); r.settle(c, now) }); err != nil {
		return 0, err
	}
	if r.effective(c, now) != certificates.TypeCustom {
		return time.Second, nil // it is taken over now
	}
	next := now.Add(lookAgain)
	if len(c.Status.Orders) > 0 {
		next = now.Add(abandonAgain)
	}
	for _, at := range []*time.Time{c.Status.NotAfter, c.Status.CheckAt} {
		if at != nil && at.After(now) && at.Before(next) {
			next = *at
		}
	}
	if at := nextRevocation(&c.Status); !at.IsZero() && at.Before(next) {
		next = at
	}
	return wait(now, next), nil
}

// wait is the time from now to at, at least a second.
func wait(now, at time.Time) time.Duration { return max(at.Sub(now), time.Second) }

// answer writes what came of looking at seen. The status says which revision and
// request it answers: seen's, also when the spec has changed meanwhile.
func (r *Reconciler) answer(ctx context.Context, seen certificates.Certificate, change func(*certificates.Certificate)) (certificates.Certificate, error) {
	revision := seen.Revision
	return r.write(ctx, seen, func(c *certificates.Certificate) {
		change(c)
		c.Status.Observed = revision
	})
}

// write changes the status of the certificate that is being looked at.
func (r *Reconciler) write(ctx context.Context, c certificates.Certificate, change func(*certificates.Certificate)) (certificates.Certificate, error) {
	c, err := r.put(ctx, c, change)
	if err == nil {
		r.wrote.Store(c.ID, c.Seq)
	}
	return c, err
}

// put changes a certificate's status as it is in the store, whoever has written it
// since it was seen. Most looks change nothing of what they saw, and then nothing is
// asked of the store.
func (r *Reconciler) put(ctx context.Context, seen certificates.Certificate, change func(*certificates.Certificate)) (certificates.Certificate, error) {
	var events []certificates.Event
	changed := func(c *certificates.Certificate) json.RawMessage {
		before, was := c.Status, c.Status.Encode()
		before.Events = nil // they are only added to
		change(c)
		events = transitions(c, before, r.room.Now())
		if status := c.Status.Encode(); !bytes.Equal(was, status) {
			return status
		}
		return nil
	}
	c := seen
	if changed(&c) == nil {
		return c, nil
	}
	alone := false
	written, err := r.room.Store.ChangeStatus(ctx, certificates.Kind, seen.ID, func(stored resource.Resource) (_ json.RawMessage, err error) {
		if c, err = certificates.Read(stored); err != nil {
			return nil, err
		}
		alone = stored.Seq == seen.Seq
		return changed(&c), nil
	})
	if err != nil {
		return certificates.Certificate{}, err
	}
	if c.Meta = written.Meta; !alone {
		// What another wrote has its own look: while the number is the one that was
		// seen, no later write of this look passes for the last word.
		c.Seq = seen.Seq
	}
	for _, e := range events {
		r.log.Info("certificate event", "certificate", c.ID, "domain", c.Name, "event", e.Kind, "message", e.Message)
		if r.room.Observer != nil {
			r.room.Observer.CertificateEvent(ctx, c, e)
		}
	}
	return c, nil
}
