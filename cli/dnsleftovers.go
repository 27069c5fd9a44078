package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type dnsLeftoversCommand struct {
	List   dnsLeftoversList   `cmd:"" default:"1" help:"List the records that are being removed." aliases:"ls"`
	Remove dnsLeftoversRemove `cmd:"" help:"Consent to a removal that is much of the zone, and try it now."`
	Leave  dnsLeftoversLeave  `cmd:"" help:"Let the records stay, and forget them."`
}

func (dnsLeftoversCommand) Help() string {
	return "When a domain is removed, or has its records set otherwise, those that were set for it at its DNS provider are removed. " +
		"What cannot be removed yet is listed here, is tried again for two weeks, and stays after that.\n\n" +
		examples("edgewright dns leftovers", "edgewright dns leftovers remove shop.example.com", "edgewright dns leftovers leave shop.example.com")
}

type dnsLeftoverArg struct {
	Which string `arg:"" name:"domain" help:"The domain, or the ID from the list."`
}

// each does something with all that is being removed of a domain, which may be at
// several providers.
func (d dnsLeftoverArg) each(a *app, do func(cl *client.Client, p client.Placement) error) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var found []client.Placement
	for p, err := range cl.Placements(a.ctx) {
		if err != nil {
			return err
		}
		if p.Since != nil && (p.ID == d.Which || strings.EqualFold(p.Domain, strings.TrimSuffix(d.Which, "."))) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return fault.New(fault.NotFound, "nothing of %s is being removed; see \"edgewright dns leftovers\"", d.Which)
	}
	for _, p := range found {
		if err := do(cl, p); err != nil {
			return err
		}
	}
	return nil
}

type placementList struct {
	Placements []client.Placement `json:"placements"`
}

type dnsLeftoversList struct {
	All bool `help:"Also list what is set and wanted."`
}

func (dnsLeftoversList) Help() string {
	return examples("edgewright dns leftovers list", "edgewright dns leftovers list --all -o json")
}

func (c *dnsLeftoversList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list := placementList{Placements: []client.Placement{}}
	for p, err := range cl.Placements(a.ctx) {
		if err != nil {
			return err
		}
		if c.All || p.Since != nil {
			list.Placements = append(list.Placements, p)
		}
	}
	return a.show(list, func() {
		if len(list.Placements) == 0 {
			a.hint("Nothing is left at DNS providers.")
			return
		}
		t := a.table("DOMAIN", "PROVIDER", "STATE", "ID", "")
		for _, p := range list.Placements {
			t.row(p.Domain, p.Account, t.state(strings.ReplaceAll(p.State, "_", " ")), p.ID, t.dim(p.Message))
		}
		t.print(a.out)
	})
}

type dnsLeftoversRemove struct {
	dnsLeftoverArg
	yesFlag
}

func (dnsLeftoversRemove) Help() string {
	return examples("edgewright dns leftovers remove shop.example.com", "edgewright dns leftovers remove shop.example.com --yes")
}

func (c *dnsLeftoversRemove) Run(a *app) error {
	return c.each(a, func(cl *client.Client, p client.Placement) error {
		for _, r := range p.Records {
			fmt.Fprintf(a.err, "  - %s\n", clean(r))
		}
		if err := a.confirm(c.Yes, "Remove these records of %s at %s, though they are much of the zone?", p.Domain, p.Account); err != nil {
			return err
		}
		if _, err := cl.ConsentToRemoval(a.ctx, p.ID); err != nil {
			return err
		}
		a.hint("The records of %s at %s are being removed.", clean(p.Domain), clean(p.Account))
		return nil
	})
}

type dnsLeftoversLeave struct {
	dnsLeftoverArg
	yesFlag
}

func (dnsLeftoversLeave) Help() string {
	return examples("edgewright dns leftovers leave shop.example.com", "edgewright dns leftovers leave shop.example.com --yes")
}

func (c *dnsLeftoversLeave) Run(a *app) error {
	return c.each(a, func(cl *client.Client, p client.Placement) error {
		if err := a.confirm(c.Yes, "Leave the records of %s at %s where they are?", p.Domain, p.Account); err != nil {
			return err
		}
		if err := cl.LeaveRecords(a.ctx, p.ID, p.Revision); err != nil {
			return err
		}
		a.hint("The records of %s at %s stay.", clean(p.Domain), clean(p.Account))
		return nil
	})
}
