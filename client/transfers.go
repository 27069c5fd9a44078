package client

import (
	"context"
	"net/http"
	"time"
)

// DomainLock is a domain's lock.
type DomainLock struct {
	Locked bool `json:"locked"` // it cannot be deleted, handed over, or lose its records
}

// TransferOffer is the offer of one project to hand a domain to another.
type TransferOffer struct {
	ID              string    `json:"id"`
	Domain          string    `json:"domain"`
	Display         string    `json:"display"`
	Direction       string    `json:"direction"` // incoming or outgoing
	FromProject     string    `json:"from_project_id"`
	FromEnvironment string    `json:"from_environment,omitempty"` // only told to the project that offers
	ToProject       string    `json:"to_project_id"`
	Note            string    `json:"note,omitempty"`
	Revision        int64     `json:"revision"` // for If-Match
	CreatedAt       time.Time `json:"created_at"`
	ExpiresAt       time.Time `json:"expires_at"`
}

// OfferTransfer offers a domain to another project.
type OfferTransfer struct {
	ToProject string `json:"to_project_id"`  // the project that shall get it, by ID; one of your own also by name
	Note      string `json:"note,omitempty"` // shown to the other side
}

// AcceptTransfer takes an offered domain.
type AcceptTransfer struct {
	CDN string `json:"cdn,omitempty"` // CDN configuration of this environment to use. Default: a copy of the domain's own, under its name
}

// LockDomain locks a domain that the caller saw at the given revision, or unlocks
// it.
func (c *Client) LockDomain(ctx context.Context, domain string, locked bool, reason string, revision int64) (*DomainLock, error) {
	body := struct {
		Locked bool   `json:"locked"`
		Reason string `json:"reason,omitempty"`
	}{locked, reason}
	out := new(DomainLock)
	if _, err := c.do(ctx, call{method: http.MethodPut, path: domainPath(domain) + "/lock", query: c.scoped(), body: body, match: revision}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// OfferDomain offers a domain to another project, which must accept it.
func (c *Client) OfferDomain(ctx context.Context, domain string, o OfferTransfer) (*TransferOffer, error) {
	out := wrap[TransferOffer]{name: "transfer", out: new(TransferOffer)}
	if _, err := c.do(ctx, call{method: http.MethodPost, path: domainPath(domain) + "/transfer", query: c.scoped(), body: o}, &out); err != nil {
		return nil, err
	}
	return out.out, nil
}

// Transfers returns the offers that the project has made or was made.
func (c *Client) Transfers(ctx context.Context) ([]TransferOffer, error) {
	var out struct {
		Transfers []TransferOffer `json:"transfers"`
	}
	if _, err := c.do(ctx, call{method: http.MethodGet, path: infra + "/transfers", query: c.inProject()}, &out); err != nil {
		return nil, err
	}
	return out.Transfers, nil
}

// AcceptTransfer takes an offered domain into the client's project and
// environment.
func (c *Client) AcceptTransfer(ctx context.Context, id string, a AcceptTransfer) (*Domain, error) {
	out := new(Domain)
	if err := c.domainCall(ctx, call{method: http.MethodPost, path: infra + "/transfers/" + segment(id) + "/accept", body: a}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// PlanAcceptTransfer tells what AcceptTransfer would do.
func (c *Client) PlanAcceptTransfer(ctx context.Context, id string, a AcceptTransfer) (*Plan, error) {
	return c.dryRun(ctx, call{method: http.MethodPost, path: infra + "/transfers/" + segment(id) + "/accept", body: a})
}

// WithdrawTransfer takes back an offer, or declines one, that the caller saw at the
// given revision.
func (c *Client) WithdrawTransfer(ctx context.Context, id string, revision int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: infra + "/transfers/" + segment(id), query: c.inProject(), match: revision}, nil)
	return err
}
