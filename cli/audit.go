package cli

import (
	"github.com/edgewright/edgewright/client"
)

type auditCommand struct {
	Action string `placeholder:"ACTION" help:"Only this action, like login or token.create."`
	Actor  string `placeholder:"ACTOR" help:"Only this actor."`
	Limit  int    `short:"n" default:"50" placeholder:"N" help:"How many at most. Default ${default}."`
}

func (auditCommand) Help() string {
	return "Newest first. Every line's hash covers the line before it, so a changed past shows; -o json has the hashes and the details. With --project '*' it is the whole platform's.\n\n" +
		examples("edgewright audit", "edgewright audit --project '*' -n 500 -o json")
}

type auditList struct {
	Records []client.AuditRecord `json:"records"`
}

func (c *auditCommand) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list := []client.AuditRecord{}
	for r, err := range cl.Audit(a.ctx, client.AuditQuery{Action: c.Action, Actor: c.Actor}) {
		if err != nil {
			return err
		}
		if len(list) >= c.Limit {
			break
		}
		list = append(list, r)
	}
	return a.show(auditList{list}, func() {
		t := a.table("WHEN", "WHO", "ACTION", "WHAT", "REQUEST")
		for _, r := range list {
			t.row(date(&r.At), r.Actor, r.Action, r.Target, t.dim(r.RequestID))
		}
		t.print(a.out)
	})
}
