package acme

import (
	"context"
	"errors"
	"fmt"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

// Uphold implements certificates.OrderKeeper.
func (c *Client) Uphold(ctx context.Context, o certificates.Order) error {
	var failed error
	for _, r := range o.Pending.Records {
		presenter, err := c.chooseTXT(ctx, o.Project, o.Environment, r.Name, r.At)
		if err == nil {
			c.written.Store(r, presenter)
			err = presenter.PresentTXT(ctx, r.At, r.Value)
		}
		if err != nil {
			failed = errors.Join(failed, notWritten(r.Name, err))
		}
	}
	return failed
}

// Abandon implements certificates.OrderKeeper. What a CA has found proved stays
// so there; only what it would still look at is given up, since that counts
// against limits.
func (c *Client) Abandon(ctx context.Context, o certificates.Order) (certificates.Pending, error) {
	o.Keep = nil
	c.clear(ctx, &o, nil)
	if o.Pending.URL != "" && !o.Pending.Expired(c.options.Now()) {
		if err := c.giveUp(ctx, o.Pending.URL); err != nil {
			return o.Pending, err
		}
	}
	o.Pending.URL = ""
	if len(o.Pending.Records) > 0 {
		return o.Pending, fault.New(fault.Unavailable, "not every challenge could be taken out of DNS")
	}
	return o.Pending, nil
}

// giveUp deactivates the pending authorizations of an order (RFC 8555 section
// 7.5.2).
func (c *Client) giveUp(ctx context.Context, url string) error {
	client := c.connect()
	account, err := c.registered(ctx, client)
	if err != nil {
		return err
	}
	order, err := client.GetOrder(ctx, account, acme.Order{Location: url})
	if forgotten(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("giving up an order: %w", err)
	}
	if order.Status != acme.StatusPending {
		return nil
	}
	for _, url := range order.Authorizations {
		authorization, err := client.GetAuthorization(ctx, account, url)
		if err == nil && authorization.Status == acme.StatusPending {
			_, err = client.DeactivateAuthorization(ctx, account, url)
		}
		if err != nil && !forgotten(err) {
			return fmt.Errorf("giving up an authorization: %w", err)
		}
	}
	return nil
}
