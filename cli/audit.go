package cli

import (
	"fmt"

	"github.com/edgewright/edgewright/client"
)

type auditCommand struct {
	Show   auditShow   `cmd:"" default:"withargs" help:"Show who did what. The default."`
	Verify auditVerify `cmd:"" help:"Check that nobody has changed what it says."`
}

func (auditCommand) Help() string {
	return examples("edgewright audit", "edgewright audit verify")
}

type auditShow struct {
	Action string `placeholder:"ACTION" help:"Only this action, like login or token.create."`
	Actor  string `placeholder:"ACTOR" help:"Only this actor."`
	Limit  int    `short:"n" default:"50" placeholder:"N" help:"How many at most. Default ${default}."`
}

func (auditShow) Help() string {
	return "Newest first. Every line's hash covers the line before it, so a changed past shows; -o json has the hashes and the details. With --project '*' it is the whole platform's.\n\n" +
		examples("edgewright audit show", "edgewright audit --project '*' -n 500 -o json")
}

type auditList struct {
	Records []client.AuditRecord `json:"records"`
}

func (c *auditShow) Run(a *app) error {
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

type auditVerify struct{}

func (auditVerify) Help() string {
	return "Every entry's hash covers the one before it, under a key of the vault; all are computed again. Exit code 1 and the first wrong entry when one was changed, removed, added or cut off.\n\n" +
		"Note the last hash elsewhere from time to time: a database that was put back whole to an earlier state does not hold it any more. Only for admins of the platform.\n\n" +
		examples("edgewright audit verify", "edgewright audit verify -o json | jq -r .head >> audit-heads.txt")
}

func (auditVerify) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	state, err := cl.VerifyAudit(a.ctx)
	if err != nil {
		return err
	}
	return a.show(state, func() {
		fmt.Fprintf(a.out, "All %d entries are as they were written. The last hash is %s\n", state.Entries, clean(state.Head))
	})
}
