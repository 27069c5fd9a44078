package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/edgewright/edgewright/client"
)

// showDryRun prints a plan that was not stored, and tells by the exit status
// whether it would change anything.
func (a *app) showDryRun(c *client.Client, p *client.Plan) error {
	if err := a.show(p, func() { a.printPlan(c, p) }); err != nil {
		return err
	}
	if p.Empty() {
		return nil
	}
	a.hint("\nThis is what would change. Nothing was changed.")
	return status(exitPending)
}

// printPlan prints what a plan does and its sum.
func (a *app) printPlan(c *client.Client, p *client.Plan) {
	var creates, updates, deletes int
	for _, action := range p.Actions {
		switch action.Op {
		case "create":
			creates++
		case "delete":
			deletes++
		default:
			updates++
		}
		diff := action.Diff
		if action.Project == "" {
			diff = nil // the platform's own book-keeping, like who owns a name
		}
		a.printAction(action.Op, action.Kind, action.Name, diff, false)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(a.out, "%s %s\n", a.ink.yellow("warning:"), clean(w))
	}
	if p.Empty() {
		fmt.Fprintln(a.out, "Nothing to do: everything is as declared.")
		return
	}
	fmt.Fprintf(a.out, "\n%d to create, %d to change, %d to delete in %s.\n", creates, updates, deletes, scopeOf(c, p))
}

// scopeOf names where a plan works: the project as the user calls it, and the
// environment the plan was made for.
func scopeOf(c *client.Client, p *client.Plan) string {
	return clean(c.Project() + "/" + cmp.Or(p.Environment, c.Environment()))
}

// printAction prints one change and its fields; those of a deletion only when
// all are wanted, since they are what is there now.
func (a *app) printAction(op, kind, name string, diff []client.FieldChange, all bool) {
	sign, paint := "~", a.ink.yellow
	switch op {
	case "create":
		sign, paint = "+", a.ink.green
	case "delete":
		sign, paint = "-", a.ink.red
	}
	fmt.Fprintf(a.out, "%s %s %s\n", paint(sign), clean(op+" "+kind), a.ink.bold(clean(name)))
	if op == "delete" && !all {
		return
	}
	for _, f := range diff {
		where := path(f.Pointer)
		if where == "" {
			where = "spec"
		}
		before, after := valueText(f.Before), valueText(f.After)
		switch {
		case len(f.Before) == 0:
			fmt.Fprintf(a.out, "    %s: %s\n", clean(where), a.ink.green(after))
		case len(f.After) == 0:
			fmt.Fprintf(a.out, "    %s: %s\n", clean(where), a.ink.red(strike(before)))
		default:
			fmt.Fprintf(a.out, "    %s: %s -> %s\n", clean(where), a.ink.red(before), a.ink.green(after))
		}
	}
}

// strike words a value that goes away where colour cannot tell.
func strike(s string) string { return s + " (removed)" }

// maxValue is how much of a value a line shows.
const maxValue = 100

// valueText writes a JSON value on one line, cut when long.
func valueText(raw json.RawMessage) string {
	var b bytes.Buffer
	text := string(raw)
	if json.Compact(&b, raw) == nil {
		text = b.String()
	}
	text = clean(text)
	if utf8.RuneCountInString(text) <= maxValue {
		return text
	}
	return string([]rune(text)[:maxValue-1]) + "…"
}

// printRevision prints one revision in full.
func (a *app) printRevision(r *client.Revision) {
	p := a.pairs()
	p.styled("revision", a.ink.bold(fmt.Sprint(r.Revision)))
	p.add("at", date(&r.At)+"  "+a.ago(&r.At))
	p.add("by", r.Cause.Actor)
	p.add("via", r.Cause.Via)
	p.add("why", r.Cause.Reason)
	p.add("request", r.Cause.RequestID)
	p.add("edges", rolloutText(r.Rollout))
	p.print(a.out)
	fmt.Fprintln(a.out)
	for _, e := range r.Entries {
		a.printAction(e.Op, e.Kind, e.Name, e.Diff, true)
	}
	if len(r.Rollout.PerEdge) > 0 {
		fmt.Fprintln(a.out)
		t := a.table("EDGE", "REGION", "STATE", "REASON")
		for _, e := range r.Rollout.PerEdge {
			name := e.Name
			if name == "" {
				name = e.Edge
			}
			t.row(name, e.Region, t.state(e.State), e.Reason)
		}
		t.print(a.out)
	}
}

// rolloutText sums a roll-out up.
func rolloutText(r client.Rollout) string {
	if r.Edges == 0 {
		return ""
	}
	// After a restart the control plane knows what is in force, not what was
	// checked.
	parts := []string{fmt.Sprintf("%d of %d verified", r.Verified, r.Edges)}
	if r.Applied > r.Verified {
		parts = []string{fmt.Sprintf("%d of %d applied", r.Applied, r.Edges)}
		if r.Verified > 0 {
			parts = append(parts, fmt.Sprintf("%d verified", r.Verified))
		}
	}
	if r.Pending > 0 {
		parts = append(parts, fmt.Sprintf("%d pending", r.Pending))
	}
	if r.Rejected > 0 {
		parts = append(parts, fmt.Sprintf("%d rejected", r.Rejected))
	}
	return strings.Join(parts, ", ")
}
