package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

// waitFlags are the flags of commands whose work goes on after their answer.
type waitFlags struct {
	Wait    bool          `help:"Wait until every edge has it, and show how far each has come."`
	Timeout time.Duration `default:"5m" placeholder:"TIME" help:"How long to wait at most. Default ${default}."`
}

// board shows states of several things that change over time: on a terminal it
// redraws itself, elsewhere it prints a line for every change.
type board struct {
	a     *app
	live  bool
	drawn string // on a terminal
	last  map[string]string
}

// maxBoard is how many things are listed one by one on a terminal.
const maxBoard = 12

func (a *app) board() *board {
	return &board{a: a, live: a.errTTY && a.flags.Output == "table", last: map[string]string{}}
}

// boardLine is one thing: a label that stays and a state that changes.
type boardLine struct{ label, state, note string }

// update shows the present states under a title that sums them up.
func (b *board) update(title string, lines []boardLine) {
	a := b.a
	if a.flags.Output != "table" {
		return
	}
	if !b.live {
		for _, l := range lines {
			now := l.state + l.note
			if b.last[l.label] == now {
				continue
			}
			b.last[l.label] = now
			note := ""
			if l.note != "" {
				note = " (" + clean(l.note) + ")"
			}
			fmt.Fprintf(a.err, "%s: %s%s\n", clean(l.label), l.state, note)
		}
		return
	}
	var out strings.Builder
	fmt.Fprintln(&out, title)
	shown := lines
	if len(lines) > maxBoard {
		// What is not done yet is what one looks for.
		shown = nil
		for _, l := range lines {
			if l.state != "verified" && len(shown) < maxBoard {
				shown = append(shown, l)
			}
		}
	}
	width := 0
	for _, l := range shown {
		width = max(width, len(l.label))
	}
	for _, l := range shown {
		note := ""
		if l.note != "" {
			note = "  " + a.note.dim(clean(l.note))
		}
		fmt.Fprintf(&out, "  %-*s  %s%s\n", width, clean(l.label), a.note.state(l.state), note)
	}
	if out.String() == b.drawn {
		return
	}
	if n := strings.Count(b.drawn, "\n"); n > 0 {
		fmt.Fprintf(a.err, "\x1b[%dA\x1b[J", n)
	}
	b.drawn = out.String()
	fmt.Fprint(a.err, b.drawn)
}

// bar draws a progress bar of a fixed width.
func bar(done, total int) string {
	const width = 24
	filled := width
	if total > 0 {
		filled = width * done / total
	}
	return "[" + strings.Repeat("=", filled) + strings.Repeat(" ", width-filled) + "]"
}

// poll calls look until it says that it is done, a little less often each
// time, within limit.
func (a *app) poll(limit time.Duration, look func() (done bool, err error)) (timedOut bool, err error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	pause := 100 * time.Millisecond
	for {
		done, err := look()
		if done || err != nil {
			return false, err
		}
		next := time.NewTimer(pause)
		select {
		case <-next.C:
		case <-deadline.C:
			next.Stop()
			return true, nil
		case <-a.ctx.Done():
			next.Stop()
			return false, a.ctx.Err()
		}
		pause = min(pause*3/2, 2*time.Second)
	}
}

// publishTime is how long a revision may take to reach the edges' bus. One
// that has moved no document by then concerns no edge.
const publishTime = 5 * time.Second

// awaitRollout waits until every edge has verified a revision. It returns an
// error when an edge refuses, or when time runs out.
func (a *app) awaitRollout(c *client.Client, revision int64, limit time.Duration) error {
	if revision == 0 {
		return nil
	}
	b, edges := a.board(), a.edgeNames(c)
	var r client.Rollout
	started := a.now()
	timedOut, err := a.poll(limit, func() (bool, error) {
		rev, err := c.Revision(a.ctx, revision)
		if err != nil {
			return false, err
		}
		if r = rev.Rollout; r.Edges == 0 {
			return a.now().Sub(started) > publishTime, nil
		}
		b.update(rolloutTitle(a, revision, r), rolloutLines(r, edges))
		return r.Done(), nil
	})
	if err != nil {
		return err
	}
	if r.Rejected > 0 {
		return fault.New(fault.Invalid, "%s revision %d; they keep what they had. Undo it with \"edgewright revert %d\"%s",
			count(r.Rejected, "edge refuses", "edges refuse"), revision, revision, rejections(r, edges))
	}
	if r.Edges == 0 && !timedOut {
		a.hint("Revision %d changes nothing on the edges.", revision)
		return nil
	}
	if timedOut {
		return fault.New(fault.Unavailable, "after %s, %d of %d edges have verified revision %d; the rest follow when they can. Look with \"edgewright history %d\" and \"edgewright edges list\"",
			limit.Round(10*time.Millisecond), r.Verified, r.Edges, revision, revision)
	}
	a.hint("%s", a.note.green(fmt.Sprintf("Revision %d is verified on %s.", revision, count(r.Verified, "edge", "edges"))))
	return nil
}

// edgeNames lists the edges for messages. Who may not see them, or when there
// are very many, gets along without.
func (a *app) edgeNames(c *client.Client) []client.Edge {
	var edges []client.Edge
	for e, err := range c.Edges(a.ctx) {
		if err != nil || len(edges) > 1000 {
			return nil
		}
		edges = append(edges, e)
	}
	return edges
}

func rolloutTitle(a *app, revision int64, r client.Rollout) string {
	return fmt.Sprintf("Revision %d %s %d of %d edges", revision, a.note.cyan(bar(r.Verified+r.Rejected, r.Edges)), r.Verified, r.Edges)
}

// rolloutLines tells what is known of each edge. The server names those that
// are behind; of the others it is known how many have verified.
func rolloutLines(r client.Rollout, edges []client.Edge) []boardLine {
	if r.Edges == 0 {
		return nil
	}
	known := map[string]client.EdgeRollout{}
	for _, e := range r.PerEdge {
		known[e.Edge] = e
	}
	if len(edges) != r.Edges && len(known) != r.Edges {
		state := fmt.Sprintf("%d of %d verified", r.Verified, r.Edges)
		lines := []boardLine{{label: "edges", state: state}}
		for _, e := range r.PerEdge {
			lines = append(lines, boardLine{edgeLabel(e, edges), e.State, e.Reason})
		}
		return lines
	}
	var lines []boardLine
	if len(known) == r.Edges {
		for _, e := range r.PerEdge {
			lines = append(lines, boardLine{edgeLabel(e, edges), e.State, e.Reason})
		}
		return lines
	}
	rest := "applied"
	if r.Done() {
		rest = "verified"
	} else if r.Pending > len(known)-r.Rejected {
		rest = "pending"
	}
	for _, edge := range edges {
		e, ok := known[edge.ID]
		if !ok {
			e = client.EdgeRollout{Edge: edge.ID, State: rest}
		}
		lines = append(lines, boardLine{edgeLabel(e, edges), e.State, e.Reason})
	}
	return lines
}

func edgeLabel(e client.EdgeRollout, edges []client.Edge) string {
	name, region := e.Name, e.Region
	for _, edge := range edges {
		if edge.ID == e.Edge {
			name, region = edge.Name, edge.Region
		}
	}
	if name == "" {
		name = e.Edge
	}
	if region != "" && region != name {
		name += " (" + region + ")"
	}
	return name
}

func rejections(r client.Rollout, edges []client.Edge) string {
	var b strings.Builder
	for _, e := range r.PerEdge {
		if e.State == "rejected" {
			fmt.Fprintf(&b, "\n  %s: %s", edgeLabel(e, edges), e.Reason)
		}
	}
	return b.String()
}

// count words a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
