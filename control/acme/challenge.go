package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// ChallengePresenter puts challenges onto the edges; fleet.Fleet is one.
type ChallengePresenter interface {
	// Present returns once every connected edge answers the challenge, or an
	// error within ctx's bound.
	Present(ctx context.Context, c edgeconfig.Challenge) error
	// Remove takes a challenge back.
	Remove(ctx context.Context, c edgeconfig.Challenge) error
}

// Proofs implements certificates.Proofs: edges answer everything but DNS-01.
func (c *Client) Proofs(ctx context.Context, project, environment, name string) []certificates.Challenge {
	list := []certificates.Challenge{certificates.ChallengeHTTP01, certificates.ChallengeTLSALPN}
	if certificates.Address(name) {
		return list
	}
	if _, err := c.txtFor(ctx, project, environment, name); err == nil {
		list = append(list, certificates.ChallengeDNS01)
	}
	return list
}

// choose picks the challenge for one authorization: of those that the CA offers
// and that may prove the name, in the order wanted; after a failure the next one
// gets its turn, unless the CA is looking at one already.
func choose(authorization acme.Authorization, o certificates.Order) (acme.Challenge, bool) {
	name := authorization.IdentifierValue()
	var usable []acme.Challenge
	for _, w := range o.Challenges[name] {
		if i := slices.IndexFunc(authorization.Challenges, func(ch acme.Challenge) bool { return ch.Type == string(w) }); i >= 0 {
			usable = append(usable, authorization.Challenges[i])
		}
	}
	if len(usable) == 0 {
		return acme.Challenge{}, false
	}
	if i := slices.IndexFunc(usable, func(ch acme.Challenge) bool { return ch.Status == acme.StatusProcessing }); i >= 0 {
		return usable[i], true
	}
	return usable[o.Attempt%len(usable)], true
}

// proof is one challenge on its way.
type proof struct {
	authorization acme.Authorization
	challenge     acme.Challenge
	record        *certificates.ProofRecord // in DNS; nil: the edges answer
	presenter     TXTPresenter              // of the record
	presented     bool                      // or it was tried
	told          bool                      // the CA may be looking
	proved        bool
}

// authorize proves control over every name of the order.
func (c *Client) authorize(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order, o *certificates.Order) (err error) {
	var proofs []*proof
	defer func() { c.takeBack(ctx, client, account, proofs, o, err) }()
	for _, url := range order.Authorizations {
		authorization, err := client.GetAuthorization(ctx, account, url)
		if err != nil {
			return fmt.Errorf("reading an authorization: %w", err)
		}
		if authorization.Status == acme.StatusValid {
			continue // proven before, and still good there
		}
		challenge, ok := choose(authorization, *o)
		if !ok {
			return noChallenge(authorization)
		}
		// A CA that was told before we were cut off is looking.
		proofs = append(proofs, &proof{authorization: authorization, challenge: challenge, told: challenge.Status != acme.StatusPending})
	}
	if len(proofs) == 0 {
		return nil
	}
	o.Progress(certificates.StepChallenge)
	if err := c.placeTXT(ctx, proofs, o); err != nil {
		return err
	}
	for _, p := range proofs {
		if err := c.present(ctx, p); err != nil {
			return err
		}
	}
	c.awaitTXT(ctx, proofs)
	o.Progress(certificates.StepValidate)
	for _, p := range proofs {
		if p.told {
			continue
		}
		p.told = true // also when its answer does not reach us
		if _, err := client.InitiateChallenge(ctx, account, p.challenge); err != nil {
			return fmt.Errorf("starting the validation: %w", err)
		}
	}
	pace := newPace("looking at the names", validateTimeout)
	for _, p := range proofs {
		if err := c.awaitAuthorization(ctx, client, account, p.authorization, pace); err != nil {
			return fmt.Errorf("validating %s: %w", p.authorization.IdentifierValue(), err)
		}
		p.proved = true
	}
	return nil
}

func noChallenge(authorization acme.Authorization) error {
	name := authorization.IdentifierValue()
	if authorization.Wildcard {
		return wildcardNeedsDNS(name)
	}
	var offered []string
	for _, ch := range authorization.Challenges {
		offered = append(offered, ch.Type)
	}
	return &certificates.IssueError{Problem: certificates.Problem{
		Reason: "NoChallenge", Subject: name, Message: fmt.Sprintf("the CA offers %s for %s, of which none can be answered here", strings.Join(offered, ", "), name),
		Fix: "choose another CA or challenge, or upload a certificate",
	}}
}

func wildcardNeedsDNS(name string) error {
	return &certificates.IssueError{Problem: certificates.Problem{
		Reason: "WildcardNeedsDNS", Subject: name, Message: fmt.Sprintf("a CA signs %s only after a challenge in its DNS, where this platform cannot write", name),
		Fix: "let the platform manage the zone, connect the DNS provider, or point _acme-challenge at the platform with a CNAME",
	}}
}

// present puts one answer where the CA will look for it.
func (c *Client) present(ctx context.Context, p *proof) error {
	p.presented = true
	if p.record != nil {
		return c.presentTXT(ctx, p)
	}
	ctx, cancel := context.WithTimeout(ctx, presentTimeout)
	defer cancel()
	if err := c.options.Presenter.Present(ctx, c.edgeChallenge(p.challenge)); err != nil {
		return &certificates.IssueError{Away: true, Err: err, Problem: certificates.Problem{
			Reason: "EdgesNotReady", Subject: p.challenge.Identifier.Value,
			Message: "not every edge took the CA's challenge: " + err.Error(),
			Fix:     "look at the edges named; one that is gone for good should be removed",
		}}
	}
	return nil
}

// goesOn reports whether an order that has come no further is taken up again:
// its CA takes its time, cannot be reached, or we are cut off.
func (c *Client) goesOn(ctx context.Context, o *certificates.Order, failed error) bool {
	if failed == nil || o.Keep == nil {
		return false
	}
	if ctx.Err() != nil {
		return true
	}
	var problem *certificates.IssueError
	if explained := c.explain(ctx, failed, nil, 0); errors.As(explained, &problem) {
		return problem.Away
	}
	return fault.Is(failed, fault.Unavailable)
}

// takeBack takes the answers back that no CA will look at any more. When the
// order is gone on with, a CA that was told may be looking at this moment, or in
// hours, and would call the order invalid: then its answers stay, and until the
// next look.
func (c *Client) takeBack(ctx context.Context, client *acme.Client, account acme.Account, proofs []*proof, o *certificates.Order, failed error) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_, refused := problemIn(failed)
	goesOn := c.goesOn(ctx, o, failed)
	cut := errors.Is(ctx.Err(), context.Canceled)
	var problem *certificates.IssueError
	working := errors.As(failed, &problem) && problem.Working
	var stay []certificates.ProofRecord
	for _, p := range proofs {
		looked := goesOn && !p.proved && (p.told || cut)
		switch {
		case p.record != nil && looked:
			stay = append(stay, *p.record)
		case p.record != nil: // cleared below
		case looked && working && problem.RetryAfter > challengeLife/2:
			c.prolong(after, p.challenge, problem.RetryAfter)
		case looked, cut: // it ends by itself
		case p.presented:
			if err := c.options.Presenter.Remove(after, c.edgeChallenge(p.challenge)); err != nil {
				c.options.Logger.Warn("a challenge could not be taken back", "domain", p.challenge.Identifier.Value, "error", err)
			}
		}
		// Pending authorizations count against limits, so an order that the CA has
		// refused is given up whole. One that we did not get to is taken up again.
		if refused && !goesOn {
			_, _ = client.DeactivateAuthorization(after, account, p.authorization.Location) // courtesy only
		}
	}
	if cut {
		o.Keep = nil // whoever goes on keeps it now
	}
	c.clear(after, o, stay)
}

// prolong keeps an answer at the edges beyond a CA's wait.
func (c *Client) prolong(ctx context.Context, ch acme.Challenge, wait time.Duration) {
	answer := c.edgeChallenge(ch)
	answer.ExpiresAt += int64(wait / time.Second)
	if err := c.options.Presenter.Present(ctx, answer); err != nil {
		c.options.Logger.Warn("a challenge could not be kept for longer", "domain", ch.Identifier.Value, "error", err)
	}
}

func (c *Client) edgeChallenge(ch acme.Challenge) edgeconfig.Challenge {
	return edgeconfig.Challenge{
		Host: ch.Identifier.Value, Token: ch.Token, KeyAuthorization: ch.KeyAuthorization,
		ExpiresAt: c.options.Now().Add(challengeLife).Unix(),
	}
}
