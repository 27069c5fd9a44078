package api

import (
	"encoding/json"
	"net/http"

	"github.com/edgewright/edgewright/control/access"
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

type planPath struct {
	InProjectOnly
	ID string `path:"id" maxLength:"64"`
}

type applyInput struct {
	planPath
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
