package api

import "github.com/edgewright/edgewright/control/resource"

func diffOf(list []resource.FieldChange) []FieldChange {
	out := make([]FieldChange, 0, len(list))
	for _, c := range list {
		out = append(out, FieldChange{Pointer: c.Pointer, Before: c.Before, After: c.After})
	}
	return out
}

func planOf(p resource.Plan) Plan {
	out := Plan{
		ID: p.ID, Project: p.Project, Environment: p.Environment, Actions: []Action{}, Warnings: append([]string{}, p.Warnings...),
		CreatedAt: p.CreatedAt, AppliedRevision: p.AppliedRevision, Reason: p.Reason,
	}
	for _, a := range p.Actions {
		out.Actions = append(out.Actions, Action{
			Op: string(a.Op), Kind: string(a.Kind), ID: a.ID, Name: a.Name, Project: a.Project, Environment: a.Environment,
			IfRevision: a.IfRevision, Before: a.Before, After: a.After, Diff: diffOf(a.Diff),
		})
	}
	return out
}

// planAnswer answers a dry run. Its plan is not stored, so it has no ID.
func planAnswer(p resource.Plan, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	out := planOf(p)
	out.ID = ""
	return &answer{Status: 200, Body: out}, nil
}
