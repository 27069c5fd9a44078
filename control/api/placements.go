package api

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/domains"
)

// Placement is that records of a domain were set at a DNS provider.
type Placement struct {
	ID          string     `json:"id"`
	Domain      string     `json:"domain"`
	Account     string     `json:"account" doc:"The stored credentials, by name"`
	Project     string     `json:"project_id"`
	Environment string     `json:"environment"`
	Revision    int64      `json:"revision"`
	State       string     `json:"state" doc:"set, removing, or needs_consent"`
	Since       *time.Time `json:"removing_since,omitempty"`
	NextAt      *time.Time `json:"next_attempt,omitempty"`
	GivenUpAt   *time.Time `json:"given_up_at,omitempty" doc:"The records stay from then on, unless they could be removed"`
	Attempts    int        `json:"attempts" doc:"In vain"`
	Reason      string     `json:"reason,omitempty" doc:"Removing, NeedsConsent, ProviderAway, Refused or TakenOver"`
	Message     string     `json:"message,omitempty"`
	Records     []string   `json:"records" doc:"That go, as of the last attempt in vain"`
}

// PlacementAnswer holds one.
type PlacementAnswer struct {
	Placement Placement `json:"placement"`
}

// PlacementList is a page of them.
type PlacementList struct {
	Placements []Placement `json:"placements"`
	NextCursor string      `json:"next_cursor"`
}

// PlacementPath names one in the path.
type PlacementPath struct {
	InProject
	ID string `path:"id" maxLength:"64"`
}

type leaveRecordsInput struct {
	PlacementPath
	InDryRun
	InMatch
}

type consentInput struct {
	PlacementPath
	InKey
}

func (s *Server) addPlacements() {
	const tag, path = "DNS", infrastructure + "/dns/placements"
	add(s, op{
		method: http.MethodGet, path: path, id: "dns-placements-list", tag: tag, summary: "Where records of domains were set at DNS providers, and what is being removed there",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, PlacementList{}, ""}},
	}, s.listPlacements)
	add(s, op{
		method: http.MethodPost, path: path + "/{id}/consent", id: "dns-placements-consent", tag: tag, summary: "Remove records that are much of their zone, now",
		doc:   "For those of a domain that was removed, or has its records set otherwise; 409 while they are wanted.",
		level: onProject, resource: access.Domains, verb: access.Delete, audit: "domain.records_consent", answers: []answerDoc{{http.StatusOK, PlacementAnswer{}, ""}},
	}, s.consentToRemoval)
	add(s, op{
		method: http.MethodDelete, path: path + "/{id}", id: "dns-placements-leave", tag: tag, summary: "Let records stay that are being removed, and forget them",
		doc:   "409 while they are wanted.",
		level: onProject, resource: access.Domains, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.leaveRecords)
}

func placementOf(p domains.Placement) Placement {
	out := Placement{
		ID: p.ID, Domain: p.Spec.Domain, Account: p.Spec.Account, Project: p.Project, Environment: p.Environment, Revision: p.Revision, State: "set",
		Since: p.Status.Since, NextAt: p.Status.NextAt, Attempts: p.Status.Attempts, Reason: p.Status.Reason, Message: p.Status.Message,
		Records: append([]string{}, p.Status.Records...),
	}
	if p.Status.Since != nil {
		end := p.Status.GiveUpAt()
		out.State, out.GivenUpAt = "removing", &end
		if p.Status.Reason == domains.ReasonConsent && !p.Status.Consent {
			out.State = "needs_consent"
		}
	}
	return out
}

func (s *Server) listPlacements(ctx context.Context, c *call, in *listDomainsInput) (*answer, error) {
	list, next, err := s.domains.Placements(ctx, c.project, c.environment, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := PlacementList{Placements: []Placement{}, NextCursor: next}
	for _, p := range list {
		out.Placements = append(out.Placements, placementOf(p))
	}
	return &answer{Body: out}, nil
}

func (s *Server) consentToRemoval(ctx context.Context, c *call, in *consentInput) (*answer, error) {
	p, err := s.domains.ConsentToWithdrawal(ctx, c.project, c.environment, in.ID)
	if err != nil {
		return nil, err
	}
	c.target = "placement " + p.ID
	return &answer{ETag: etag(p.Revision), Body: PlacementAnswer{placementOf(p)}}, nil
}

func (s *Server) leaveRecords(ctx context.Context, c *call, in *leaveRecordsInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.domains.PlanLeaveRecords(ctx, c.project, c.environment, in.ID, c.ifRevision))
	}
	return &answer{}, s.domains.LeaveRecords(ctx, c.project, c.environment, in.ID, c.ifRevision, c.cause)
}
