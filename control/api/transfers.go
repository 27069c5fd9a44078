package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/fault"
)

// DomainLock is a domain's lock.
type DomainLock struct {
	Locked bool `json:"locked" doc:"It cannot be deleted, handed over, or lose its records"`
}

// SetLock locks or unlocks.
type SetLock struct {
	Locked bool   `json:"locked"`
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why; kept with the revision"`
}

// TransferOffer is the offer of one project to hand a domain to another.
type TransferOffer struct {
	ID              string    `json:"id"`
	Domain          string    `json:"domain"`
	Display         string    `json:"display"`
	Direction       string    `json:"direction" doc:"incoming or outgoing"`
	FromProject     string    `json:"from_project_id"`
	FromEnvironment string    `json:"from_environment,omitempty" doc:"Only told to the project that offers"`
	ToProject       string    `json:"to_project_id"`
	Note            string    `json:"note,omitempty"`
	Revision        int64     `json:"revision" doc:"For If-Match"`
	CreatedAt       time.Time `json:"created_at"`
	ExpiresAt       time.Time `json:"expires_at"`
}

// TransferAnswer holds one offer.
type TransferAnswer struct {
	Transfer TransferOffer `json:"transfer"`
}

// TransferList holds offers.
type TransferList struct {
	Transfers []TransferOffer `json:"transfers"`
}

// OfferTransfer offers a domain to another project.
type OfferTransfer struct {
	ToProject string `json:"to_project_id" minLength:"1" maxLength:"64" doc:"The project that shall get it, by ID; one of your own also by name"`
	Note      string `json:"note,omitempty" maxLength:"500" doc:"Shown to the other side"`
}

// AcceptTransfer takes an offered domain.
type AcceptTransfer struct {
	BodyProject
	CDN string `json:"cdn,omitempty" maxLength:"253" doc:"CDN configuration of this environment to use. Default: a copy of the domain's own, under its name"`
}

type lockDomainInput struct {
	DomainPath
	InDryRun
	InMatch
	Body SetLock
}

type offerTransferInput struct {
	DomainPath
	InKey
	Body OfferTransfer
}

// TransferPath names an offer in the path.
type TransferPath struct {
	InProjectOnly
	ID string `path:"id" maxLength:"64"`
}

type withdrawTransferInput struct {
	TransferPath
	InMatch
}

type acceptTransferInput struct {
	InProject
	InDryRun
	InKey
	ID   string          `path:"id" maxLength:"64"`
	Body *AcceptTransfer `required:"false"`
}

func (in acceptTransferInput) bodyScopeNames() (project, environment string) {
	if in.Body == nil {
		return "", ""
	}
	return in.Body.ProjectID, in.Body.Environment
}

func (s *Server) addTransfers() {
	const tag, path = "Domains", infrastructure + "/domains/{domain}"
	add(s, op{
		method: http.MethodGet, path: path + "/lock", id: "domains-lock-get", tag: tag, summary: "A domain's lock",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, DomainLock{}, ""}},
	}, s.getLock)
	add(s, op{
		method: http.MethodPut, path: path + "/lock", id: "domains-lock", tag: tag, summary: "Lock or unlock a domain",
		doc:   "Unlocking needs the permission to delete domains.",
		level: onProject, resource: access.Domains, verb: access.Write, audit: "domain.lock", answers: []answerDoc{{http.StatusOK, DomainLock{}, ""}},
	}, s.setLock)
	add(s, op{
		method: http.MethodPost, path: path + "/transfer", id: "transfers-offer", tag: tag, summary: "Offer a domain to another project",
		doc:   "Stands for 7 days and replaces an earlier offer. The other project must accept it.",
		level: onProject, resource: access.Transfers, verb: access.Write, audit: "domain.transfer_offer", answers: []answerDoc{{http.StatusCreated, TransferAnswer{}, ""}},
	}, s.offerTransfer)
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/transfers", id: "transfers-list", tag: tag, summary: "Offers that the project has made or was made",
		level: onProject, resource: access.Transfers, verb: access.Read, answers: []answerDoc{{http.StatusOK, TransferList{}, ""}},
	}, s.listTransfers)
	add(s, op{
		method: http.MethodPost, path: infrastructure + "/transfers/{id}/accept", id: "transfers-accept", tag: tag, summary: "Take an offered domain, with its certificate, zone and CDN configuration",
		level: onProject, resource: access.Transfers, verb: access.Write, audit: "domain.transfer_accept", answers: []answerDoc{{http.StatusOK, DomainAnswer{}, ""}},
	}, s.acceptTransfer)
	add(s, op{
		method: http.MethodDelete, path: infrastructure + "/transfers/{id}", id: "transfers-withdraw", tag: tag, summary: "Take back an offer, or decline one",
		level: onProject, resource: access.Transfers, verb: access.Write, audit: "domain.transfer_withdraw",
		answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.withdrawTransfer)
}

func (s *Server) getLock(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	d, err := s.domains.Get(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(d.Revision), Body: DomainLock{Locked: d.Spec.Locked}}, nil
}

func (s *Server) setLock(ctx context.Context, c *call, in *lockDomainInput) (*answer, error) {
	if !in.Body.Locked && !c.principal.Can(c.project, access.Domains, access.Delete) {
		return nil, s.refuse(c.principal, op{resource: access.Domains, verb: access.Delete})
	}
	if in.Body.Reason != "" {
		c.cause.Reason = in.Body.Reason
	}
	if c.dryRun {
		return planAnswer(s.domains.PlanLock(ctx, c.project, c.environment, in.Domain, in.Body.Locked, c.ifRevision))
	}
	d, err := s.domains.SetLock(ctx, c.project, c.environment, in.Domain, in.Body.Locked, c.ifRevision, c.cause)
	if err != nil {
		return nil, err
	}
	c.target = "domain " + d.ID
	c.detail = map[string]any{"domain": d.Name, "locked": d.Spec.Locked, "reason": c.cause.Reason}
	return &answer{ETag: etag(d.Revision), Body: DomainLock{Locked: d.Spec.Locked}}, nil
}

func (s *Server) offerTransfer(ctx context.Context, c *call, in *offerTransferInput) (*answer, error) {
	// A project that the caller sees may be named; of others, nothing is said, not
	// even whether they exist.
	to, err := s.projectNamed(ctx, c.principal, in.Body.ToProject, false)
	if fault.Is(err, fault.NotFound) {
		to, err = in.Body.ToProject, nil
		if !strings.HasPrefix(to, projects.Type().Prefix+"_") && to != projects.Default {
			return nil, fault.InvalidField("/to_project_id", "no project of yours has this name", "write the other project's ID, which its members see with `edgewright projects list`")
		}
	}
	if err != nil {
		return nil, err
	}
	offer, err := s.domains.Offer(ctx, c.project, c.environment, in.Domain, to, in.Body.Note, c.cause)
	if err != nil {
		return nil, err
	}
	c.target = "domain " + offer.Spec.DomainID
	c.detail = map[string]any{"domain": offer.Name, "to_project_id": to, "transfer": offer.ID}
	return &answer{ETag: etag(offer.Revision), Location: infrastructure + "/transfers/" + offer.ID, Body: TransferAnswer{transferOf(c.project, offer)}}, nil
}

func transferOf(project string, o domains.TransferOffer) TransferOffer {
	out := TransferOffer{
		ID: o.ID, Domain: o.Name, Display: display(o.Name), Direction: "incoming", FromProject: o.Spec.FromProject, ToProject: o.Spec.ToProject,
		Note: o.Spec.Note, Revision: o.Revision, CreatedAt: o.UpdatedAt, ExpiresAt: o.Spec.ExpiresAt,
	}
	if project == o.Spec.FromProject {
		out.Direction, out.FromEnvironment = "outgoing", o.Spec.FromEnvironment
	}
	return out
}

func (s *Server) listTransfers(ctx context.Context, c *call, _ *InProjectOnly) (*answer, error) {
	list, err := s.domains.Offers(ctx, c.project)
	if err != nil {
		return nil, err
	}
	out := TransferList{Transfers: []TransferOffer{}}
	for _, o := range list {
		out.Transfers = append(out.Transfers, transferOf(c.project, o))
	}
	return &answer{Body: out}, nil
}

func (s *Server) acceptTransfer(ctx context.Context, c *call, in *acceptTransferInput) (*answer, error) {
	cdn := ""
	if in.Body != nil {
		cdn = in.Body.CDN
	}
	if c.dryRun {
		return planAnswer(s.domains.PlanAccept(ctx, c.project, c.environment, in.ID, cdn))
	}
	d, err := s.domains.Accept(ctx, c.project, c.environment, in.ID, cdn, c.cause)
	if err != nil {
		return nil, err
	}
	c.target = "domain " + d.ID
	c.detail = map[string]any{"domain": d.Name, "transfer": in.ID}
	return s.domainAnswer(ctx, d, nil)
}

func (s *Server) withdrawTransfer(ctx context.Context, c *call, in *withdrawTransferInput) (*answer, error) {
	offer, err := s.domains.Withdraw(ctx, c.project, in.ID, c.ifRevision, c.cause)
	if err != nil {
		return nil, err
	}
	c.target = "domain " + offer.Spec.DomainID
	c.detail = map[string]any{"domain": offer.Name, "transfer": offer.ID}
	return &answer{}, nil
}
