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
// gets its turn.
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
	return usable[o.Attempt%len(usable)], true
}

// proof is one challenge on its way: the authorization it is for, and how to
// take its answer back.
type proof struct {
	authorization acme.Authorization
	challenge     acme.Challenge
	remove        func(context.Context) error // nil: not presented
	ends          bool                        // by itself: the edges drop it when it expires
}

// authorize proves control over every name of the order.
func (c *Client) authorize(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order, o certificates.Order) (err error) {
	var proofs []*proof
	for _, url := range order.Authorizations {
		authorization, err := client.GetAuthorization(ctx, account, url)
		if err != nil {
			return fmt.Errorf("reading an authorization: %w", err)
		}
		if authorization.Status == acme.StatusValid {
			continue // proven before, and still good there
		}
		challenge, ok := choose(authorization, o)
		if !ok {
			return noChallenge(authorization)
		}
		proofs = append(proofs, &proof{authorization: authorization, challenge: challenge})
	}
	if len(proofs) == 0 {
		return nil
	}
	defer func() { c.takeBack(ctx, client, account, proofs, err) }()
	o.Progress(certificates.StepChallenge)
	for _, p := range proofs {
		if err := c.present(ctx, p, o); err != nil {
			return err
		}
	}
	o.Progress(certificates.StepValidate)
	for _, p := range proofs {
		if p.challenge.Status != acme.StatusPending {
			continue // the CA was told before we were cut off
		}
		if _, err := client.InitiateChallenge(ctx, account, p.challenge); err != nil {
			return fmt.Errorf("starting the validation: %w", err)
		}
	}
	pace := newPace("looking at the names", validateTimeout)
	for _, p := range proofs {
		if err := c.awaitAuthorization(ctx, client, account, p.authorization, pace); err != nil {
			return fmt.Errorf("validating %s: %w", p.authorization.IdentifierValue(), err)
		}
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
func (c *Client) present(ctx context.Context, p *proof, o certificates.Order) error {
	if p.challenge.Type == acme.ChallengeTypeDNS01 {
		return c.presentTXT(ctx, p, o)
	}
	ctx, cancel := context.WithTimeout(ctx, presentTimeout)
	defer cancel()
	answer := c.edgeChallenge(p.challenge)
	p.remove = func(ctx context.Context) error { return c.options.Presenter.Remove(ctx, answer) }
	p.ends = true
	if err := c.options.Presenter.Present(ctx, answer); err != nil {
		return &certificates.IssueError{Away: true, Err: err, Problem: certificates.Problem{
			Reason: "EdgesNotReady", Subject: p.challenge.Identifier.Value,
			Message: "not every edge took the CA's challenge: " + err.Error(),
			Fix:     "look at the edges named; one that is gone for good should be removed",
		}}
	}
	return nil
}

// takeBack takes all answers back, whatever came of it. When we are cut off, the
// CA may be looking at this moment, and would call the order invalid that the
// next process takes up: what ends by itself then stays. So it does when the CA
// takes its time, and until the next look.
func (c *Client) takeBack(ctx context.Context, client *acme.Client, account acme.Account, proofs []*proof, failed error) {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_, refused := problemIn(failed)
	var problem *certificates.IssueError
	working := errors.As(failed, &problem) && problem.Working
	for _, p := range proofs {
		if p.ends && working {
			if problem.RetryAfter > challengeLife/2 {
				c.prolong(after, p.challenge, problem.RetryAfter)
			}
			continue
		}
		if p.remove != nil && !(p.ends && errors.Is(ctx.Err(), context.Canceled)) {
			if err := p.remove(after); err != nil {
				c.options.Logger.Warn("a challenge could not be taken back", "domain", p.challenge.Identifier.Value, "error", err)
			}
		}
		// Pending authorizations count against limits, so an order that the CA has
		// refused is given up whole. One that we did not get to is taken up again.
		if refused {
			_, _ = client.DeactivateAuthorization(after, account, p.authorization.Location) // courtesy only
		}
	}
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
