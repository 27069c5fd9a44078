package acme

import (
	"context"
	"fmt"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
)

// maxPoll bounds what a CA may say on when to look again, so that its mistake does
// not keep the others from their turn.
const maxPoll = time.Hour

// pace waits between two looks at what a CA works on: as long as the CA says, and
// no longer than it has patience. A CA may take hours, and meanwhile others need
// the worker.
type pace struct {
	what  string // that the CA works on
	every time.Duration
	until time.Time
}

func newPace(what string, patience time.Duration) *pace {
	return &pace{what, pollFirst, time.Now().Add(patience)}
}

// next waits for the next look. It returns an IssueError that is Working when that
// is too far away.
func (p *pace) next(ctx context.Context) error {
	again := p.every
	p.every = min(2*p.every, pollEvery)
	if w, ok := ctx.Value(waitsKey{}).(*waits); ok {
		again = max(again, min(w.polled(), maxPoll))
	}
	if time.Now().Add(again).After(p.until) {
		return &certificates.IssueError{Away: true, Working: true, RetryAfter: again, Problem: certificates.Problem{
			Reason: "CAWorking", Message: "the CA is still at work on " + p.what, Fix: "nothing needs to be done: the same order is looked at again",
		}}
	}
	select {
	case <-time.After(again):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitOrder polls an order until it is ready or valid, whichever is wanted.
func (c *Client) awaitOrder(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order, want string) (acme.Order, error) {
	pace := newPace("the order", signTimeout)
	for first := true; order.Status != want; first = false {
		coming := order.Status == acme.StatusProcessing || order.Status == acme.StatusPending
		if !coming {
			return order, fmt.Errorf("the order has become %s: %w", order.Status, order.Error)
		}
		// What was proved a moment ago the order may tell at once.
		if !first || want == acme.StatusValid {
			if err := pace.next(ctx); err != nil {
				return order, err
			}
		}
		var err error
		if order, err = client.GetOrder(ctx, account, order); err != nil {
			return order, fmt.Errorf("polling the order: %w", err)
		}
	}
	return order, nil
}

// awaitAuthorization polls an authorization until the CA has looked.
func (c *Client) awaitAuthorization(ctx context.Context, client *acme.Client, account acme.Account, authorization acme.Authorization, pace *pace) error {
	for {
		if err := pace.next(ctx); err != nil {
			return err
		}
		seen, err := client.GetAuthorization(ctx, account, authorization.Location)
		if err != nil {
			return fmt.Errorf("checking an authorization: %w", err)
		}
		if seen.Status != acme.StatusPending {
			_, err := client.PollAuthorization(ctx, account, seen) // says what the state means, and asks nothing
			return err
		}
	}
}
