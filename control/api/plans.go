package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Declared is one resource as a file declares it.
type Declared struct {
	Kind string          `json:"kind" maxLength:"64"`
	Name string          `json:"name" maxLength:"253"`
	Spec json.RawMessage `json:"spec" doc:"As the kind wants it; unknown fields are refused"`
}

// Desired is what an environment shall hold.
type Desired struct {
	BodyProject
	Resources []Declared `json:"resources" maxItems:"20000"`
	Prune     bool       `json:"prune,omitempty" doc:"Delete what is not declared"`
}

// Apply carries a plan out.
type Apply struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// Applied is a carried out plan.
type Applied struct {
	Revision int64 `json:"revision" doc:"0: there was nothing to do"`
}

// Export is everything an environment holds, as it would be declared.
type Export struct {
	Project     string     `json:"project_id"`
	Environment string     `json:"environment"`
	Resources   []Declared `json:"resources"`
}

type newPlanInput struct {
	InProject
	InKey
	Body Desired
}

func (in newPlanInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

// PlanPath names a plan in the path.
type PlanPath struct {
	InProjectOnly
	ID string `path:"id" maxLength:"64"`
}

type applyInput struct {
	PlanPath
	InKey
	Body *Apply `required:"false"`
}

func (s *Server) addPlans() {
	const tag, path = "Plans", infrastructure + "/plans"
	add(s, op{
		method: http.MethodPost, path: path, id: "plans-create", tag: tag, summary: "Plan how to get from what is to what is declared",
		level: onProject, resource: access.Plans, verb: access.Write, maxBody: 16 << 20, audit: "plan.create",
		answers: []answerDoc{{http.StatusCreated, Plan{}, ""}},
	}, s.createPlan)
	add(s, op{
		method: http.MethodGet, path: path + "/{id}", id: "plans-get", tag: tag, summary: "A plan made before",
		level: onProject, resource: access.Plans, verb: access.Read, answers: []answerDoc{{http.StatusOK, Plan{}, ""}},
	}, s.getPlan)
	add(s, op{
		method: http.MethodPost, path: path + "/{id}/apply", id: "plans-apply", tag: tag, summary: "Carry a plan out, all or nothing",
		doc:   "412 when something it changes was changed since.",
		level: onProject, resource: access.Plans, verb: access.Write, answers: []answerDoc{{http.StatusOK, Applied{}, ""}},
	}, s.applyPlan)
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/export", id: "export", tag: tag, summary: "Everything an environment holds, as it would be declared",
		level: onProject, resource: access.Plans, verb: access.Read, answers: []answerDoc{{http.StatusOK, Export{}, ""}},
	}, s.export)
}

// plannable is the part of the table of types that plans are for.
func (s *Server) plannable() resource.Types {
	var types resource.Types
	for _, t := range s.options.Types {
		if t.Scope == resource.ScopeEnvironment {
			types = append(types, t)
		}
	}
	return types
}

func (s *Server) createPlan(ctx context.Context, c *call, in *newPlanInput) (*answer, error) {
	want := resource.Desired{Project: c.project, Environment: c.environment, Prune: in.Body.Prune, Resources: []resource.Declared{}}
	for _, d := range in.Body.Resources {
		want.Resources = append(want.Resources, resource.Declared{Kind: resource.Kind(d.Kind), Name: d.Name, Spec: d.Spec})
	}
	p, err := resource.PlanApply(ctx, s.store, s.plannable(), want)
	if err != nil {
		return nil, err
	}
	if err := s.mayCarryOut(c, p); err != nil {
		return nil, err
	}
	if err := s.db.PutPlan(ctx, p); err != nil {
		return nil, err
	}
	c.target = "plan " + p.ID
	c.detail = map[string]any{"environment": c.environment, "actions": len(p.Actions)}
	return &answer{Location: infrastructure + "/plans/" + p.ID, Body: planOf(p)}, nil
}

// plan returns a stored plan of the call's project.
func (s *Server) plan(ctx context.Context, c *call, id string) (resource.Plan, error) {
	p, err := s.db.Plan(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && p.Project != c.project {
		return p, fault.New(fault.NotFound, "there is no such plan in this project; make it again").About("plan " + id)
	}
	return p, err
}

func (s *Server) getPlan(ctx context.Context, c *call, in *PlanPath) (*answer, error) {
	p, err := s.plan(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	return &answer{Body: planOf(p)}, nil
}

func (s *Server) applyPlan(ctx context.Context, c *call, in *applyInput) (*answer, error) {
	p, err := s.plan(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	if p.AppliedRevision != 0 {
		return nil, fault.New(fault.Conflict, "the plan was applied already, as revision %d; make a new one", p.AppliedRevision).About("plan " + p.ID)
	}
	if err := s.mayCarryOut(c, p); err != nil {
		return nil, err
	}
	if err := resource.CheckHeld(ctx, s.options.Types, p); err != nil {
		return nil, err
	}
	if in.Body != nil {
		c.cause.Reason = cmp.Or(c.cause.Reason, in.Body.Reason)
	}
	if p.Empty() {
		return &answer{Body: Applied{}}, nil
	}
	c.cause.Via = "plan"
	done, err := s.store.Commit(ctx, p.Commit(c.cause))
	if err != nil {
		return nil, err
	}
	return &answer{Body: Applied{Revision: done.Revision}}, nil
}

func (s *Server) export(ctx context.Context, c *call, _ *InProject) (*answer, error) {
	out := Export{Project: c.project, Environment: c.environment, Resources: []Declared{}}
	for _, t := range s.plannable() {
		q := resource.Query{Kind: t.Kind, Project: c.project, Environment: c.environment, Limit: 1000}
		for {
			page, err := s.store.List(ctx, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Items {
				// What the platform derives by itself is not declared.
				if t.Declared(r.Name, r.Spec) {
					out.Resources = append(out.Resources, Declared{Kind: string(r.Kind), Name: r.Name, Spec: r.Spec})
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
	}
	return &answer{Body: out}, nil
}
