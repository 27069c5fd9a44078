package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
)

type historyCommand struct {
	Revision int64  `arg:"" optional:"" help:"Show this revision in full."`
	Kind     string `placeholder:"KIND" help:"Only changes of this kind: domain, cdn, certificate."`
	ID       string `name:"id" placeholder:"ID" help:"Only changes of this resource."`
	Limit    int    `short:"n" default:"20" placeholder:"N" help:"How many at most. Default ${default}."`
}

func (historyCommand) Help() string {
	return examples("edgewright history", "edgewright history 41", "edgewright history --kind domain -n 100 -o json")
}

type revisionList struct {
	Revisions []client.Revision `json:"revisions"`
}

func (c *historyCommand) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if c.Revision != 0 {
		rev, err := cl.Revision(a.ctx, c.Revision)
		if err != nil {
			return err
		}
		return a.show(rev, func() { a.printRevision(rev) })
	}
	list := []client.Revision{}
	for rev, err := range cl.Revisions(a.ctx, client.HistoryQuery{Kind: c.Kind, ID: c.ID}) {
		if err != nil {
			return err
		}
		if len(list) >= c.Limit {
			break
		}
		list = append(list, rev)
	}
	return a.show(revisionList{list}, func() {
		if len(list) == 0 {
			a.hint("Nothing was changed yet.")
			return
		}
		t := a.table("REVISION", "WHEN", "WHO", "VIA", "WHAT", "EDGES", "WHY")
		for _, r := range list {
			t.row(r.Revision, a.ago(&r.At), r.Cause.Actor, r.Cause.Via, entriesText(r.Entries), rolloutText(r.Rollout), r.Cause.Reason)
		}
		t.print(a.out)
	})
}

// entriesText sums a revision's entries up.
func entriesText(entries []client.RevisionEntry) string {
	var parts []string
	for i, e := range entries {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(entries)-i))
			break
		}
		parts = append(parts, e.Op+" "+e.Kind+" "+e.Name)
	}
	return strings.Join(parts, ", ")
}

// undoFlags are common to revert and rollback.
type undoFlags struct {
	Reason string `placeholder:"TEXT" help:"Why; kept with the revision."`
	dryFlag
	yesFlag
	waitFlags
}

type revertCommand struct {
	Revision int64 `arg:"" help:"The revision to undo."`
	Force    bool  `help:"Also when later revisions changed the same: it gets what it had before that revision."`
	undoFlags
}

func (revertCommand) Help() string {
	return "Later changes of other things stay. To undo all later changes too, use rollback.\n\n" + examples(
		"edgewright revert 41",
		"edgewright revert 41 --force --yes --wait",
		"edgewright revert 41 --dry-run")
}

func (c *revertCommand) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	plan, err := cl.PlanRevert(a.ctx, c.Revision, c.Force)
	if err != nil {
		return err
	}
	return c.carryOut(a, cl, plan, fmt.Sprintf("Undo revision %d", c.Revision), func() (*client.Undone, error) {
		return cl.Revert(a.ctx, c.Revision, c.Force, c.Reason)
	})
}

type rollbackCommand struct {
	Revision int64 `arg:"" help:"The revision to go back to; what came after it is undone."`
	undoFlags
}

func (rollbackCommand) Help() string {
	return "Nothing is lost: going back is a new revision, which can be undone too.\n\n" + examples(
		"edgewright rollback 40",
		"edgewright rollback 40 --reason 'checkout broke' --yes --wait")
}

func (c *rollbackCommand) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	plan, err := cl.PlanRollback(a.ctx, c.Revision)
	if err != nil {
		return err
	}
	return c.carryOut(a, cl, plan, fmt.Sprintf("Go back to revision %d", c.Revision), func() (*client.Undone, error) {
		return cl.Rollback(a.ctx, c.Revision, c.Reason)
	})
}

// carryOut shows what would be done, asks, does it and reports.
func (c *undoFlags) carryOut(a *app, cl *client.Client, plan *client.Plan, question string, do func() (*client.Undone, error)) error {
	if c.DryRun {
		return a.showDryRun(cl, plan)
	}
	if plan.Empty() {
		return a.show(outcome{0, plan}, func() { fmt.Fprintln(a.out, "Nothing to do: everything is like that already.") })
	}
	if a.flags.Output == "table" {
		a.printPlan(cl, plan)
	}
	if err := a.confirm(c.Yes, "%s in %s?", question, scopeOf(cl, plan)); err != nil {
		return err
	}
	done, err := do()
	if err != nil {
		return err
	}
	return a.finish(cl, done.Revision, &done.Plan, c.waitFlags)
}
