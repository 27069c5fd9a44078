package cli

import (
	"fmt"
	"time"

	"github.com/edgewright/edgewright/client"
)

type edgesCommand struct {
	List      edgesList      `cmd:"" help:"List edges." aliases:"ls"`
	Show      edgesShow      `cmd:"" help:"Show an edge."`
	JoinToken edgesJoinToken `cmd:"" name:"join-token" help:"Make a one-time token for a new edge."`
	Drain     edgesDrain     `cmd:"" help:"Take an edge out of use; it finishes what it serves."`
	Undrain   edgesUndrain   `cmd:"" help:"Take a drained edge back into use."`
	Revoke    edgesRevoke    `cmd:"" help:"Take an edge's credentials away for good."`
}

func (edgesCommand) Help() string {
	return examples("edgewright edges list", "edgewright edges join-token --region fra")
}

type edgeList struct {
	Edges []client.Edge `json:"edges"`
}

type edgesList struct{}

func (edgesList) Help() string {
	return examples("edgewright edges list", "edgewright edges list -o json")
}

func (edgesList) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	edges, err := client.Collect(c.Edges(a.ctx))
	if err != nil {
		return err
	}
	return a.show(edgeList{edges}, func() {
		if len(edges) == 0 {
			a.hint("No edges. Make a token for one: edgewright edges join-token --region fra")
			return
		}
		a.printEdges(edges)
	})
}

func (a *app) printEdges(edges []client.Edge) {
	t := a.table("EDGE", "REGION", "STATE", "IN SYNC", "SITES", "REQ/S", "HTTPS", "VERSION", "SEEN")
	for _, e := range edges {
		sync := "yes"
		if !e.InSync {
			sync = "pending"
		}
		t.row(e.Name, e.Region, t.state(e.State), t.state(sync), e.Sites, fmt.Sprintf("%.1f", e.RequestsPerS), e.HTTPS, e.Version, t.dim(a.ago(e.LastHeartbeat)))
	}
	t.print(a.out)
}

type edgeArg struct {
	Edge string `arg:"" complete:"edges" help:"The edge, by name or ID."`
}

type edgesShow struct{ edgeArg }

func (edgesShow) Help() string { return examples("edgewright edges show fra-1") }

func (c *edgesShow) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	e, err := cl.Edge(a.ctx, c.Edge)
	if err != nil {
		return err
	}
	return a.show(e, func() {
		p := a.pairs()
		p.styled("edge", a.ink.bold(clean(e.Name)))
		p.add("id", e.ID)
		p.add("region", e.Region)
		p.styled("state", a.ink.state(clean(e.State)))
		p.add("in sync", onOff(e.InSync, "yes", "not yet"))
		p.add("http", e.HTTP)
		p.add("https", e.HTTPS)
		p.add("dns", e.DNS)
		p.add("sites", fmt.Sprint(e.Sites))
		p.add("version", e.Version)
		p.add("running", a.ago(e.StartedAt))
		p.add("last seen", a.ago(e.LastHeartbeat))
		p.add("joined", date(&e.CreatedAt))
		p.print(a.out)
	})
}

type edgesJoinToken struct {
	Region string        `placeholder:"REGION" help:"Region of the new edge. Default: the edge says."`
	TTL    time.Duration `name:"ttl" default:"1h" placeholder:"TIME" help:"How long the token is good. Default ${default}."`
}

func (edgesJoinToken) Help() string {
	return examples("edgewright edges join-token --region fra", "edgewright edges join-token --ttl 10m -o json | jq -r .command")
}

func (c *edgesJoinToken) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	token, err := cl.NewJoinToken(a.ctx, c.Region, c.TTL)
	if err != nil {
		return err
	}
	if err := a.show(token, func() { fmt.Fprintln(a.out, clean(token.Command)) }); err != nil {
		return err
	}
	a.hint("Run this on the new machine within %s. It works once.", span(token.ExpiresAt.Sub(a.now()).Round(time.Minute)))
	return nil
}

type edgesDrain struct{ edgeArg }

func (edgesDrain) Help() string { return examples("edgewright edges drain fra-1") }

func (c *edgesDrain) Run(a *app) error { return a.drain(c.Edge, true) }

type edgesUndrain struct{ edgeArg }

func (edgesUndrain) Help() string { return examples("edgewright edges undrain fra-1") }

func (c *edgesUndrain) Run(a *app) error { return a.drain(c.Edge, false) }

func (a *app) drain(edge string, draining bool) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	e, err := cl.DrainEdge(a.ctx, edge, draining)
	if err != nil {
		return err
	}
	return a.show(e, func() {
		fmt.Fprintf(a.out, "%s is %s.\n", a.ink.bold(clean(e.Name)), a.ink.state(clean(e.State)))
	})
}

type edgesRevoke struct {
	edgeArg
	yesFlag
}

func (edgesRevoke) Help() string {
	return "It gets no more changes; what it holds it serves until it is stopped. To come back it needs a new join token.\n\n" +
		examples("edgewright edges revoke fra-1")
}

func (c *edgesRevoke) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	e, err := cl.Edge(a.ctx, c.Edge)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Revoke edge %s in %s for good?", e.Name, e.Region); err != nil {
		return err
	}
	if err := cl.RevokeEdge(a.ctx, e.ID, e.Revision); err != nil {
		return err
	}
	a.hint("Revoked %s.", clean(e.Name))
	return nil
}
