package api

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates/replacement"
)

// ReplacementSelector says which certificates are to be replaced: those that fit
// all that is given.
type ReplacementSelector struct {
	Authority    string     `json:"authority,omitempty" doc:"The CA that issued them, by its name here" maxLength:"64"`
	Issuer       string     `json:"issuer,omitempty" doc:"Common name of who signed them" maxLength:"256"`
	Project      string     `json:"project,omitempty" doc:"Project ID" maxLength:"64"`
	Serials      []string   `json:"serials,omitempty" doc:"In hex" maxItems:"20000"`
	IssuedBefore *time.Time `json:"issued_before,omitempty"`
	IssuedAfter  *time.Time `json:"issued_after,omitempty"`
	All          bool       `json:"all,omitempty" doc:"Has to be said when nothing else is"`
}

// NewReplacement plans a mass replacement.
type NewReplacement struct {
	Selector ReplacementSelector `json:"selector"`
	PerHour  int                 `json:"per_hour,omitempty" doc:"How many an hour at most. Default: 50" minimum:"0" maximum:"100000"`
	Revoke   string              `json:"revoke,omitempty" doc:"Reason with which each old certificate is revoked once another is in its place: unspecified, key_compromise, affiliation_changed, superseded or cessation_of_operation. Not given: it is not revoked" maxLength:"64"`
}

// Replacement is a planned, throttled run that gets many certificates anew.
type Replacement struct {
	ID         string              `json:"id"`
	Selector   ReplacementSelector `json:"selector"`
	PerHour    int                 `json:"per_hour"`
	Revoke     string              `json:"revoke,omitempty" doc:"Reason with which the old ones are revoked"`
	State      string              `json:"state" doc:"planned, running, paused, cancelled or finished"`
	Total      int                 `json:"total" doc:"Certificates that fit, or fitted at the start"`
	Done       int                 `json:"done"`
	Running    int                 `json:"running" doc:"Asked for, not yet there"`
	Failing    int                 `json:"failing" doc:"Of those running; each is tried again by itself"`
	Failed     []string            `json:"failed" doc:"Domains of some that fail"`
	Revoking   int                 `json:"revoking" doc:"Replaced, the old one not yet revoked"`
	Refused    int                 `json:"refused" doc:"Of those revoking, which the CA did not do when it was asked; each is tried again by itself"`
	LastHour   int                 `json:"last_hour" doc:"Replaced in the last full hour"`
	CreatedAt  time.Time           `json:"created_at"`
	StartedAt  *time.Time          `json:"started_at,omitempty"`
	FinishedAt *time.Time          `json:"finished_at,omitempty"`
	ExpectedAt *time.Time          `json:"expected_at,omitempty" doc:"When it is done at this pace"`
	Revision   int64               `json:"revision"`
}

// ReplacementAnswer holds one run.
type ReplacementAnswer struct {
	Replacement Replacement `json:"replacement"`
}

// ReplacementList is a page of runs.
type ReplacementList struct {
	Replacements []Replacement `json:"replacements"`
	NextCursor   string        `json:"next_cursor"`
}

// ReplacementPath names a run.
type ReplacementPath struct {
	ID string `path:"replacement" maxLength:"64"`
}

type newReplacementInput struct {
	InDryRun
	InKey
	Body NewReplacement
}

type runReplacementInput struct {
	ReplacementPath
	InKey
}

func (s *Server) addReplacements() {
	const tag, path = "Certificate authorities", infrastructure + "/certificate-replacements"
	add(s, op{
		method: http.MethodGet, path: path, id: "replacements-list", tag: tag, summary: "Mass replacements",
		level: onPlatform, resource: access.Authorities, verb: access.Read, answers: []answerDoc{{http.StatusOK, ReplacementList{}, ""}},
	}, s.listReplacements)
	add(s, op{
		method: http.MethodPost, path: path, id: "replacements-plan", tag: tag, summary: "Plan a mass replacement",
		doc:   "For after a CA has lost trust, revoked in bulk, or keys have leaked. Tells how many certificates fit and how long it takes; nothing is replaced until it is started.",
		level: onPlatform, resource: access.Authorities, verb: access.Write, answers: []answerDoc{{http.StatusCreated, ReplacementAnswer{}, ""}},
	}, s.planReplacement)
	add(s, op{
		method: http.MethodGet, path: path + "/{replacement}", id: "replacements-get", tag: tag, summary: "How far a mass replacement is",
		level: onPlatform, resource: access.Authorities, verb: access.Read, answers: []answerDoc{{http.StatusOK, ReplacementAnswer{}, ""}},
	}, s.getReplacement)
	for _, action := range []struct {
		word, summary string
		want          replacement.State
	}{
		{"start", "Start a mass replacement, or go on with it", replacement.Running},
		{"pause", "Pause a mass replacement: what is under way comes to its end", replacement.Paused},
		{"cancel", "End a mass replacement for good", replacement.Cancelled},
	} {
		add(s, op{
			method: http.MethodPost, path: path + "/{replacement}/" + action.word, id: "replacements-" + action.word, tag: tag, summary: action.summary,
			level: onPlatform, resource: access.Authorities, verb: access.Write, answers: []answerDoc{{http.StatusOK, ReplacementAnswer{}, ""}},
		}, func(ctx context.Context, c *call, in *runReplacementInput) (*answer, error) {
			plan, err := s.replacements.PlanRun(ctx, in.ID, action.want)
			if err != nil {
				return nil, err
			}
			if _, err := s.commitOrPlan(ctx, c, plan); err != nil {
				return nil, err
			}
			return s.replacementAnswer(s.replacements.Run(ctx, in.ID))
		})
	}
}

func replacementOf(r replacement.Run) Replacement {
	st := r.Status
	out := Replacement{
		ID: r.ID, Selector: ReplacementSelector(r.Spec.Selector), PerHour: r.Spec.PerHour, Revoke: r.Spec.Revoke, State: string(st.State), Total: st.Total, Done: st.Done,
		Running: st.Running, Failing: st.Failing, Failed: append([]string{}, st.Failed...), Revoking: st.Revoking, Refused: st.Refused, LastHour: st.LastHour, CreatedAt: r.CreatedAt, StartedAt: st.StartedAt,
		FinishedAt: st.FinishedAt, ExpectedAt: st.ExpectedAt, Revision: r.Revision,
	}
	if r.Spec.Run != replacement.Planned && st.State != replacement.Finished {
		out.State = string(r.Spec.Run) // as wanted, which the next look carries out
	}
	return out
}

func (s *Server) replacementAnswer(r replacement.Run, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(r.Revision), Body: ReplacementAnswer{replacementOf(r)}}, nil
}

func (s *Server) listReplacements(ctx context.Context, _ *call, in *InPage) (*answer, error) {
	list, next, err := s.replacements.List(ctx, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := ReplacementList{Replacements: []Replacement{}, NextCursor: next}
	for _, r := range list {
		out.Replacements = append(out.Replacements, replacementOf(r))
	}
	return &answer{Body: out}, nil
}

func (s *Server) planReplacement(ctx context.Context, c *call, in *newReplacementInput) (*answer, error) {
	plan, st, err := s.replacements.Plan(ctx, replacement.Spec{
		Selector: replacement.Selector(in.Body.Selector), PerHour: in.Body.PerHour, Revoke: in.Body.Revoke,
	})
	if err != nil {
		return nil, err
	}
	if a, err := s.commitOrPlan(ctx, c, plan); a != nil || err != nil {
		return a, err
	}
	id := plan.Actions[0].ID
	status, err := raw(st)
	if err != nil {
		return nil, err
	}
	if _, err := s.store.PutStatus(ctx, replacement.Kind, id, status, 0); err != nil {
		return nil, err
	}
	a, err := s.replacementAnswer(s.replacements.Run(ctx, id))
	if err == nil {
		a.Location = infrastructure + "/certificate-replacements/" + id
	}
	return a, err
}

func (s *Server) getReplacement(ctx context.Context, _ *call, in *ReplacementPath) (*answer, error) {
	return s.replacementAnswer(s.replacements.Run(ctx, in.ID))
}
