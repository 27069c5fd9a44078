package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type purgeCommand struct {
	Paths   []string      `arg:"" optional:"" name:"path" help:"/a, /img/* (everything below), or a full URL."`
	All     bool          `help:"Drop everything."`
	Domain  string        `placeholder:"DOMAIN" complete:"domains" help:"Only of this domain. Default: all domains of the environment."`
	Timeout time.Duration `default:"30s" placeholder:"TIME" help:"How long to wait for the edges at most. Default ${default}."`
}

func (purgeCommand) Help() string {
	return "It ends when every connected edge has acknowledged: from then on no stale byte is served. Edges that are away catch up before they serve again.\n\n" + examples(
		"edgewright purge /index.html '/img/*'",
		"edgewright purge --domain shop.example.com --all",
		"edgewright purge https://shop.example.com/a.css -o json")
}

func (c *purgeCommand) Run(a *app) error {
	if c.All == (len(c.Paths) > 0) {
		return fault.New(fault.Invalid, "name the paths to purge, or everything with --all")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	p, err := cl.Purge(a.ctx, client.PurgeRequest{Paths: c.Paths, All: c.All, Domain: c.Domain})
	if err != nil {
		return err
	}
	if p.State == client.PurgePending {
		b := a.board()
		timedOut, err := a.poll(c.Timeout, func() (bool, error) {
			now, err := cl.PurgeStatus(a.ctx, p.ID)
			if err != nil {
				return false, err
			}
			p = now
			b.update(fmt.Sprintf("Purge %s %d of %d edges", a.note.cyan(bar(p.Edges.Acknowledged, p.Edges.Total)), p.Edges.Acknowledged, p.Edges.Total),
				[]boardLine{{label: "edges", state: fmt.Sprintf("%d of %d", p.Edges.Acknowledged, p.Edges.Total)}})
			return p.State != client.PurgePending, nil
		})
		if err != nil {
			return err
		}
		if timedOut {
			return fault.New(fault.Unavailable, "after %s, %d of %d edges have not acknowledged purge %s (%s); look at them with \"edgewright edges list\"",
				c.Timeout, p.Edges.Total-p.Edges.Acknowledged, p.Edges.Total, p.ID, strings.Join(p.Edges.Missing, ", "))
		}
	}
	return a.show(p, func() {
		fmt.Fprintf(a.out, "%s %s on %s.\n", a.ink.green("Purged"), count(p.Count, "stored response", "stored responses"), count(p.Edges.Acknowledged, "edge", "edges"))
		if len(p.Edges.Away) > 0 {
			fmt.Fprintf(a.out, "Away, and catching up before they serve again: %s\n", clean(strings.Join(p.Edges.Away, ", ")))
		}
	})
}
