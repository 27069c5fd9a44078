package domains

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Certificates is what this room needs of certificates; provision.Service is
// one.
type Certificates interface {
	// Ensure makes a certificate for a verified domain that has none.
	Ensure(ctx context.Context, project, environment, domain string, cause resource.Cause) error
	// Drop deletes the one that Ensure made, once the domain is gone.
	Drop(ctx context.Context, project, environment, domain string, cause resource.Cause) error
	// Summary returns its state ("valid", "issuing", ...) and a sentence.
	Summary(ctx context.Context, project, environment, domain string) (state, message string, err error)
}

// Rollout tells how far a site has come on the edges; fleet's document states
// answer it.
type Rollout interface {
	// Site returns of how many edges how many have applied and verified the
	// site's present document, and why one refused it, if so. edges is 0 when
	// there is no document.
	Site(ctx context.Context, domainID string) (edges, applied, verified int, refused string)
}

// How soon the reconciler looks again.
const (
	lookSettled = time.Hour        // all conditions are true
	lookRollout = time.Second      // edges are taking the site
	lookWaiting = 15 * time.Second // something else is awaited
	lookBroken  = 5 * time.Minute  // the user or the world has to do something
)

// Reconciler verifies domains that wait for proof, asks for certificates, and
// keeps the conditions. Only the holder of the lease may run it.
type Reconciler struct {
	service      *Service
	certificates Certificates
	rollout      Rollout // nil: unknown
	log          *slog.Logger
}

// NewReconciler returns the reconciler.
func NewReconciler(s *Service, c Certificates, rollout Rollout, log *slog.Logger) *Reconciler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{service: s, certificates: c, rollout: rollout, log: log}
}

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind {
	return []resource.Kind{Kind, KindClaim, kindCertificate, kindCDN}
}

// Reconcile looks at a domain, or leads from something near it to the domain.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	switch ref.Kind {
	case Kind:
		return r.domain(ctx, ref.ID)
	case KindClaim:
		return 0, r.claim(ctx, ref.ID)
	case kindCertificate:
		return 0, r.near(ctx, ref)
	default:
		return 0, r.configured(ctx, ref.ID)
	}
}

// claim releases a claim whose domain is gone: plans of users remove domains
// without knowing of claims.
func (r *Reconciler) claim(ctx context.Context, id string) error {
	stored, err := r.service.Store.Get(ctx, KindClaim, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	claim, err := DecodeClaim(stored)
	if err != nil {
		return err
	}
	gone, err := r.service.gone(ctx, claim)
	if err != nil || !gone {
		return err
	}
	return r.release(ctx, stored)
}

func (r *Reconciler) release(ctx context.Context, stored resource.Resource) error {
	plan := resource.NewPlan("", "")
	plan.Reason = fmt.Sprintf("%s is released: its domain was removed", stored.Name)
	plan.Delete(stored)
	_, err := r.service.Store.Commit(ctx, plan.Commit(resource.Cause{Actor: "system reconciler", Via: "system"}))
	if fault.Is(err, fault.Stale) || fault.Is(err, fault.NotFound) {
		return nil // somebody took it over
	}
	if err == nil {
		r.log.Info("claim released", "domain", stored.Name)
	}
	return err
}

// near looks at the domain of a certificate that has changed.
func (r *Reconciler) near(ctx context.Context, ref reconcile.Ref) error {
	stored, err := r.service.Store.Get(ctx, ref.Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return nil // the hourly look finds it
	}
	if err != nil {
		return err
	}
	found, err := r.service.find(ctx, stored.Project, stored.Environment, stored.Name)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = r.conditions(ctx, found.ID, false)
	return err
}

// configured looks at the domains that wait for a CDN configuration.
func (r *Reconciler) configured(ctx context.Context, id string) error {
	stored, err := r.service.Store.Get(ctx, kindCDN, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	q := resource.Query{Kind: Kind, Project: stored.Project, Environment: stored.Environment, Limit: 1000}
	for {
		page, err := r.service.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			d, err := Decode(item)
			if err != nil {
				return err
			}
			if serving, _ := resource.ConditionOf(d.Status.Conditions, Serving); d.Spec.CDN == stored.Name && serving.Reason == reasonNoOrigin {
				if _, err := r.conditions(ctx, d.ID, false); err != nil {
					return err
				}
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// domain is the whole of one look, in the order of the package's phases.
func (r *Reconciler) domain(ctx context.Context, id string) (time.Duration, error) {
	stored, err := r.service.Store.Get(ctx, Kind, id)
	if fault.Is(err, fault.NotFound) {
		if err := r.service.spend(ctx, id); err != nil {
			return 0, err
		}
		return 0, r.orphans(ctx, id)
	}
	if err != nil {
		return 0, err
	}
	d, err := r.service.decode(ctx, stored)
	if err != nil {
		return 0, err
	}
	now := r.service.Now()
	mode := checkNothing
	if !d.Status.Verified && d.Status.NextCheckAt != nil && !now.Before(*d.Status.NextCheckAt) {
		mode = checkPreferred
	}
	if d.Status.Verified && d.Status.RecheckAt != nil && !now.Before(*d.Status.RecheckAt) {
		mode = checkAgain
	}
	if d, err = r.service.refresh(ctx, d, mode); err != nil {
		if fault.Is(err, fault.NotFound) {
			return 0, nil // removed meanwhile
		}
		return 0, err
	}
	if release := d.Status.ReleaseAt; mode == checkAgain && d.Status.Verified && release != nil && !now.Before(*release) {
		// Only a look that says so itself releases; one that could not tell does not.
		if proof, _ := resource.ConditionOf(d.Status.Conditions, Proof); proof.Status == resource.False && d.Status.CheckedAt != nil && !d.Status.CheckedAt.Before(now.Truncate(time.Second)) {
			if d, err = r.service.releaseLost(ctx, d); err != nil {
				return 0, err
			}
		}
	}
	if err := r.setUp(ctx, d); err != nil {
		return 0, err
	}
	if !d.Status.Verified {
		if _, err := r.conditions(ctx, id, false); err != nil {
			return 0, err
		}
		if d.Status.NextCheckAt == nil {
			return lookWaiting, nil
		}
		return max(d.Status.NextCheckAt.Sub(r.service.Now()), time.Second), nil
	}
	cause := resource.Cause{Actor: "system reconciler", Via: "system"}
	if err := r.certificates.Ensure(ctx, d.Project, d.Environment, d.Name, cause); err != nil {
		return 0, err
	}
	next, err := r.conditions(ctx, id, true)
	if err != nil || next == 0 {
		return 0, err
	}
	if at := d.Status.RecheckAt; at != nil {
		next = min(next, max(at.Sub(r.service.Now()), time.Second))
	}
	return next, nil
}

// orphans takes away what was there for a domain alone that a plan of users
// removed: its automatic certificate and its claim. The history has the name that
// they are found by. Where it is not kept, the claim's own event finds the claim,
// or whoever adds the name next.
func (r *Reconciler) orphans(ctx context.Context, id string) error {
	past, _, err := r.service.Store.History(ctx, resource.HistoryQuery{Kind: Kind, ID: id, Limit: 1})
	if err != nil {
		return err
	}
	for _, revision := range past {
		for _, entry := range revision.Entries {
			if entry.Kind == Kind && entry.ID == id {
				return errors.Join(r.dropCertificate(ctx, entry), r.orphanedClaim(ctx, entry))
			}
		}
	}
	return nil
}

// dropCertificate drops the certificate of a domain, unless it was added anew.
func (r *Reconciler) dropCertificate(ctx context.Context, gone resource.Entry) error {
	_, err := r.service.find(ctx, gone.Project, gone.Environment, gone.Name)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return r.certificates.Drop(ctx, gone.Project, gone.Environment, gone.Name, resource.Cause{Actor: "system reconciler", Via: "system"})
}

func (r *Reconciler) orphanedClaim(ctx context.Context, gone resource.Entry) error {
	stored, err := r.service.findClaim(ctx, gone.Name)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	claim, err := DecodeClaim(stored)
	if err != nil || claim.Spec.DomainID != gone.ID {
		return err
	}
	return r.release(ctx, stored)
}

const reasonNoOrigin = "NoOrigin"

// routingInterval is how often it is looked where a verified name leads. The
// answers of others' load balancers differ every time, so the interval is kept
// in the status: a write must not lead to the next look.
func routingInterval(d Domain, now time.Time) time.Duration {
	c, _ := resource.ConditionOf(d.Status.Conditions, DNS)
	switch {
	case c.Status == resource.True:
		return lookSettled
	case d.Status.VerifiedAt != nil && now.Sub(*d.Status.VerifiedAt) < time.Hour:
		return 2 * lookWaiting // the user is likely at it
	default:
		return lookBroken
	}
}

// conditions brings DNS, TLS and Serving up to date and returns when to look
// again. mayLook allows to ask the resolvers, when it is time.
func (r *Reconciler) conditions(ctx context.Context, id string, mayLook bool) (time.Duration, error) {
	stored, err := r.service.Store.Get(ctx, Kind, id)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	d, err := r.service.decode(ctx, stored)
	if err != nil {
		return 0, err
	}
	name, err := ParseName(d.Name)
	if err != nil {
		return 0, err
	}
	tls, err := r.tls(ctx, d)
	if err != nil {
		return 0, err
	}
	serving, next, err := r.serving(ctx, d)
	if err != nil {
		return 0, err
	}
	dns, known := resource.ConditionOf(d.Status.Conditions, DNS)
	now := r.service.Now().UTC().Truncate(time.Second)
	due := mayLook && (d.Status.RoutingCheckedAt == nil || !now.Before(d.Status.RoutingCheckedAt.Add(routingInterval(d, now))))
	var routing map[string][]Seen
	if due || !known {
		if dns, routing, err = r.dns(ctx, name, due); err != nil {
			return 0, err
		}
	}
	d, err = r.service.write(ctx, id, func(d *Domain) {
		for _, c := range []resource.Condition{dns, tls, serving} {
			c.Since = now
			d.Status.Conditions = resource.SetCondition(d.Status.Conditions, c)
		}
		if due {
			d.Status.RoutingCheckedAt = &now
		}
		for i := range d.Status.Records {
			if record := &d.Status.Records[i]; record.Purpose == PurposeRouting && routing != nil {
				record.Seen = routing[record.Type]
				record.Found = slices.ContainsFunc(record.Seen, func(s Seen) bool { return slices.Contains(s.Answers, record.Value) })
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if next == 0 {
		next = lookSettled
	}
	if tls.Status != resource.True {
		next = min(next, lookBroken)
	}
	if d.Status.RoutingCheckedAt != nil {
		next = min(next, max(d.Status.RoutingCheckedAt.Add(routingInterval(d, now)).Sub(now), time.Second))
	}
	return next, nil
}

func (r *Reconciler) tls(ctx context.Context, d Domain) (resource.Condition, error) {
	if !d.Status.Verified {
		return resource.Condition{Type: TLS, Status: resource.False, Reason: "NotVerified", Message: "a certificate follows once the domain is verified"}, nil
	}
	state, message, err := r.certificates.Summary(ctx, d.Project, d.Environment, d.Name)
	if err != nil {
		return resource.Condition{}, err
	}
	c := resource.Condition{Type: TLS, Status: resource.False, Reason: camel(state), Message: message}
	if state == "valid" || state == "expiring" {
		c.Status = resource.True
	}
	return c, nil
}

// camel makes a reason of a state: "valid" -> "Valid".
func camel(state string) string {
	if state == "" {
		return "Unknown"
	}
	return strings.ToUpper(state[:1]) + state[1:]
}

// serving tells how far the edges are. next is 0 when nothing is awaited.
func (r *Reconciler) serving(ctx context.Context, d Domain) (c resource.Condition, next time.Duration, err error) {
	c = resource.Condition{Type: Serving, Status: resource.False}
	if !d.Status.Verified {
		c.Reason, c.Message = "NotVerified", "nothing is served until the domain is verified"
		return c, 0, nil
	}
	if there, err := r.service.CDNs.Exists(ctx, d.Project, d.Environment, d.Spec.CDN); err != nil {
		return c, 0, err
	} else if !there {
		c.Reason, c.Message = reasonNoOrigin, fmt.Sprintf("the CDN configuration %q does not exist: configure it with an origin", d.Spec.CDN)
		return c, lookBroken, nil
	}
	if r.rollout == nil {
		c.Status, c.Reason, c.Message = resource.Unknown, "NoFleet", "nothing is known of the edges here"
		return c, lookBroken, nil
	}
	edges, applied, verified, refused := r.rollout.Site(ctx, d.ID)
	before, _ := resource.ConditionOf(d.Status.Conditions, Serving)
	switch {
	case refused != "":
		c.Reason, c.Message = "Refused", "an edge keeps what it had: "+refused
		return c, lookBroken, nil
	case edges == 0:
		c.Reason, c.Message = "NoEdges", "no edge is connected"
		return c, lookWaiting, nil
	case verified == edges:
		c.Status, c.Reason, c.Message = resource.True, "Verified", fmt.Sprintf("all %d edges serve it", edges)
		if edges == 1 {
			c.Message = "the edge serves it"
		}
		return c, 0, nil
	case verified > 0:
		c.Status, c.Reason, c.Message = resource.True, "RollingOut", fmt.Sprintf("%d of %d edges serve it", verified, edges)
	case before.Status == resource.True && applied == edges:
		// Either they are about to verify a change, or they did before this process began and nobody has counted.
		c.Status, c.Reason, c.Message = resource.True, "Applied", "every edge holds it"
		if before.Reason == c.Reason {
			return c, lookWaiting, nil
		}
	case before.Status == resource.True:
		c.Status, c.Reason, c.Message = resource.True, "RollingOut", "edges serve what it was before, and are taking up the change"
	case applied > 0:
		c.Reason, c.Message = "Applied", "edges have taken it and are checking themselves"
	default:
		c.Reason, c.Message = "Pending", "edges have not taken it yet"
	}
	return c, lookRollout, nil
}
