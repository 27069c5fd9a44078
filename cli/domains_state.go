package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type domainsSetup struct{ domainArg }

func (domainsSetup) Help() string {
	return "Looks at the DNS now: who serves the zone, which ways there are to have the records set, and what stands in their way.\n\n" +
		examples("edgewright domains setup shop.example.com", "edgewright domains setup shop.example.com -o json | jq .blockers")
}

func (c *domainsSetup) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	s, err := cl.SetupOfDomain(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	return a.show(s, func() { a.printSetup(c.Domain, s) })
}

func (a *app) printSetup(domain string, s *client.DomainSetup) {
	p := a.pairs()
	p.add("zone", s.Zone)
	p.add("served by", s.ProviderName)
	p.add("name servers", strings.Join(s.NameServers, ", "))
	p.add("records set by", s.Mode)
	p.add("trouble", s.Error)
	if m := s.Managed; m != nil {
		p.add("set at registrar", "NS "+strings.Join(m.NameServers, ", "))
		p.add("", strings.Join(m.DS, ", "))
	}
	p.print(a.out)
	if len(s.Offers) > 0 {
		fmt.Fprintln(a.out)
		t := a.table("--dns", "POSSIBLE", "MEANING")
		for _, o := range s.Offers {
			t.row(o.Mode, onOff(o.Available, "yes", "no"), o.Detail)
		}
		t.print(a.out)
	}
	if len(s.Records) > 0 {
		fmt.Fprintln(a.out)
		a.printRecords(s.Records)
	}
	for _, b := range s.Blockers {
		fmt.Fprintf(a.out, "\n%s %s.\n  %s\n", a.ink.yellow("In the way:"), clean(b.Detail), clean(b.Fix))
	}
	if s.Mode == "" && len(s.Offers) > 0 {
		fmt.Fprintf(a.out, "\nChoose with: edgewright domains set %s --dns managed|provider|manual\n", clean(domain))
	}
}

type domainsRegistry struct{ domainArg }

func (domainsRegistry) Help() string {
	return examples("edgewright domains registry example.com", "edgewright domains registry example.com -o json | jq -r .expires_at")
}

func (c *domainsRegistry) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	r, err := cl.RegistryOfDomain(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	return a.show(r, func() {
		p := a.pairs()
		p.add("name", r.Name)
		p.add("not asked", r.Skipped)
		p.add("trouble", r.Error)
		p.add("registrar", r.Registrar)
		if r.ExpiresAt != nil {
			left := ""
			if r.DaysLeft != nil {
				left = fmt.Sprintf("  (%d days left)", *r.DaysLeft)
			}
			p.add("registered until", date(r.ExpiresAt)+left)
		}
		p.add("registered", date(r.CreatedAt))
		p.add("name servers", strings.Join(r.NameServers, ", "))
		p.add("ds", strings.Join(r.DS, ", "))
		p.add("states", strings.Join(r.EPP, ", "))
		if r.Protected != nil {
			p.styled("transfer lock", a.ink.state(onOff(*r.Protected, "true", "false")))
		}
		p.add("source", r.Source)
		p.add("checked", a.ago(r.CheckedAt))
		p.print(a.out)
	})
}

type domainsPropagation struct {
	domainArg
	Name string `placeholder:"NAME" help:"Only records of this name."`
	Type string `placeholder:"TYPE" help:"Only records of this type, like CNAME."`
	waitFlags
}

func (domainsPropagation) Help() string {
	return "Asks the zone's name servers and the resolvers now. Exit status 1 while not all have it.\n\n" + examples(
		"edgewright domains propagation shop.example.com",
		"edgewright domains propagation shop.example.com --type CNAME --wait --timeout 1h")
}

func (c *domainsPropagation) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	p, err := cl.Propagation(a.ctx, c.Domain, c.Name, c.Type)
	if err == nil && len(p.Sets) == 0 && (c.Name != "" || c.Type != "") {
		return fault.New(fault.NotFound, "no records of this name and type are followed: give the whole name, or see all with \"edgewright domains propagation %s\"", c.Domain)
	}
	if err == nil && c.Wait && !p.Complete {
		last := a.now()
		_, err = a.poll(c.Timeout, func() (bool, error) {
			if a.now().Sub(last).Seconds() < 10 {
				return false, nil // each look asks every server
			}
			last = a.now()
			p, err = cl.Propagation(a.ctx, c.Domain, c.Name, c.Type)
			return err == nil && p.Complete, err
		})
	}
	if err != nil {
		return err
	}
	if err := a.show(p, func() { a.printPropagation(p) }); err != nil {
		return err
	}
	if !p.Complete {
		return status(exitFailed)
	}
	return nil
}

func (a *app) printPropagation(p *client.DomainPropagation) {
	if len(p.Sets) == 0 {
		a.hint("There are no records to be seen.")
		return
	}
	for i, s := range p.Sets {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		since := "not everywhere yet"
		if s.Complete {
			since = "everywhere"
			if s.CompleteAt != nil {
				since += ", " + a.ago(s.CompleteAt)
			}
		}
		fmt.Fprintf(a.out, "%s %s %s  %d of %d (%s)\n", a.ink.bold(clean(s.Name)), clean(s.Type), clean(strings.Join(s.Wanted, ", ")), s.With, s.Answering, since)
		t := a.table("ASKED", "SORT", "ANSWER")
		for _, r := range s.Seen {
			said := strings.Join(r.Answers, ", ")
			if r.Error != "" {
				said = r.Error
			} else if said == "" {
				said = "nothing"
			}
			t.row(r.Resolver, onOff(r.Authoritative, "name server", "resolver"), said)
		}
		t.print(a.out)
	}
}

type domainsWatch struct{ domainArg }

func (domainsWatch) Help() string {
	return "What monitoring has found last: where the name leads, how its zone is delegated, what leads to what is gone, and what happened lately.\n\n" +
		examples("edgewright domains watch shop.example.com")
}

func (c *domainsWatch) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	w, err := cl.WatchOfDomain(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	events, err := cl.DomainEvents(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	out := struct {
		*client.DomainWatch
		Events []client.DomainEvent `json:"events"`
	}{w, events}
	return a.show(out, func() {
		if w.CheckedAt == nil {
			a.hint("Not looked at yet: it is watched once it is verified.")
		}
		t := a.table("NAME", "TYPE", "ASKED", "ANSWER")
		for _, r := range w.Resolution {
			for _, s := range r.Seen {
				t.row(r.Name, r.Type, s.Resolver, strings.Join(s.Answers, ", ")+s.Error)
			}
		}
		if len(w.Resolution) > 0 {
			t.print(a.out)
		}
		if d := w.Delegation; d != nil {
			fmt.Fprintf(a.out, "\n%s is delegated by %s to %s.\n", clean(d.Zone), clean(d.Parent), clean(strings.Join(d.ParentNS, ", ")))
			for _, s := range d.Servers {
				if s.Error != "" {
					fmt.Fprintf(a.out, "  %s: %s\n", clean(s.Name), a.ink.yellow(clean(s.Error)))
				}
			}
		}
		for _, r := range w.Dangling {
			fmt.Fprintf(a.out, "\n%s %s.\n  %s\n", a.ink.yellow("Dangling:"), clean(r.Detail), clean(r.Fix))
		}
		if len(events) > 0 {
			fmt.Fprintln(a.out)
			t := a.table("WHEN", "SEVERITY", "EVENT", "MESSAGE")
			for _, e := range events {
				t.row(a.ago(&e.At), t.state(e.Severity), e.Type, e.Message)
			}
			t.print(a.out)
		}
	})
}

type domainsLock struct {
	domainArg
	Reason string `placeholder:"TEXT" help:"Why; kept with the revision."`
}

func (domainsLock) Help() string {
	return "A locked domain cannot be deleted, handed over, or lose its records.\n\n" + examples("edgewright domains lock shop.example.com")
}

func (c *domainsLock) Run(a *app) error { return a.setLock(c.Domain, true, c.Reason) }

type domainsUnlock struct {
	domainArg
	Reason string `placeholder:"TEXT" help:"Why; kept with the revision."`
	yesFlag
}

func (domainsUnlock) Help() string {
	return "Who unlocked, when and why is in the audit log.\n\n" + examples("edgewright domains unlock shop.example.com --reason \"moving to project b\" --yes")
}

func (c *domainsUnlock) Run(a *app) error {
	if err := a.confirm(c.Yes, "Unlock %s, so that it can be deleted and handed over?", c.Domain); err != nil {
		return err
	}
	return a.setLock(c.Domain, false, c.Reason)
}

func (a *app) setLock(domain string, locked bool, reason string) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	d, err := cl.Domain(a.ctx, domain)
	if err != nil {
		return err
	}
	lock, err := cl.LockDomain(a.ctx, domain, locked, reason, d.Revision)
	if err != nil {
		return err
	}
	return a.show(lock, func() {
		fmt.Fprintf(a.out, "%s is %s.\n", a.ink.bold(clean(d.Display)), onOff(lock.Locked, "locked", "unlocked"))
	})
}

type domainsTransfer struct {
	Offer   transferOffer   `cmd:"" help:"Offer a domain to another project."`
	List    transferList    `cmd:"" help:"List offers, made and received." aliases:"ls"`
	Accept  transferAccept  `cmd:"" help:"Take an offered domain."`
	Decline transferDecline `cmd:"" help:"Decline an offer, or take one back." aliases:"withdraw"`
}

func (domainsTransfer) Help() string {
	return "An admin of the one project offers, an admin of the other accepts. Certificate, zone and CDN configuration go along.\n\n" + examples(
		"edgewright domains transfer offer shop.example.com --to prj_01j9zq", "edgewright domains transfer accept shop.example.com --project b")
}

type transferOffer struct {
	domainArg
	To   string `required:"" placeholder:"PROJECT" help:"The project that shall get it, by ID; one of your own also by name."`
	Note string `placeholder:"TEXT" help:"Shown to the other side."`
}

func (transferOffer) Help() string {
	return examples("edgewright domains transfer offer shop.example.com --to prj_01j9zq")
}

func (c *transferOffer) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	o, err := cl.OfferDomain(a.ctx, c.Domain, client.OfferTransfer{ToProject: c.To, Note: c.Note})
	if err != nil {
		return err
	}
	return a.show(o, func() {
		fmt.Fprintf(a.out, "Offered %s to project %s until %s.\nThere: edgewright domains transfer accept %s --project %s\n",
			a.ink.bold(clean(o.Display)), clean(o.ToProject), date(&o.ExpiresAt), clean(o.Domain), clean(o.ToProject))
	})
}

type transferList struct{}

func (transferList) Help() string { return examples("edgewright domains transfer list") }

func (transferList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list, err := cl.Transfers(a.ctx)
	if err != nil {
		return err
	}
	out := struct {
		Transfers []client.TransferOffer `json:"transfers"`
	}{list}
	return a.show(out, func() {
		if len(list) == 0 {
			a.hint("No offers.")
			return
		}
		t := a.table("DOMAIN", "DIRECTION", "FROM", "TO", "UNTIL", "ID")
		for _, o := range list {
			t.row(o.Display, o.Direction, o.FromProject, o.ToProject, date(&o.ExpiresAt), o.ID)
		}
		t.print(a.out)
	})
}

type transferArg struct {
	Offer string `arg:"" help:"The offer, by domain or ID."`
}

// find returns the offer that the argument means.
func (c transferArg) find(a *app, cl *client.Client) (*client.TransferOffer, error) {
	list, err := cl.Transfers(a.ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range list {
		if o.ID == c.Offer || o.Domain == strings.ToLower(c.Offer) || o.Display == c.Offer {
			return &o, nil
		}
	}
	return nil, fault.New(fault.NotFound, "there is no offer of %s in project %s; see \"edgewright domains transfer list\"", c.Offer, cl.Project())
}

type transferAccept struct {
	transferArg
	CDN string `name:"cdn" placeholder:"NAME" help:"CDN configuration of this environment to use. Default: a copy of the domain's own."`
	dryFlag
}

func (transferAccept) Help() string {
	return examples("edgewright domains transfer accept shop.example.com --dry-run", "edgewright domains transfer accept shop.example.com --cdn default")
}

func (c *transferAccept) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	o, err := c.find(a, cl)
	if err != nil {
		return err
	}
	accept := client.AcceptTransfer{CDN: c.CDN}
	if c.DryRun {
		plan, err := cl.PlanAcceptTransfer(a.ctx, o.ID, accept)
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	d, err := cl.AcceptTransfer(a.ctx, o.ID, accept)
	if err != nil {
		return err
	}
	return a.show(d, func() {
		fmt.Fprintf(a.out, "%s is in project %s now (%s).\n", a.ink.bold(clean(d.Display)), clean(d.Project), a.ink.state(d.Status))
	})
}

type transferDecline struct{ transferArg }

func (transferDecline) Help() string {
	return examples("edgewright domains transfer decline shop.example.com")
}

func (c *transferDecline) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	o, err := c.find(a, cl)
	if err != nil {
		return err
	}
	if err := cl.WithdrawTransfer(a.ctx, o.ID, o.Revision); err != nil {
		return err
	}
	a.hint("%s stays where it is.", clean(o.Display))
	return nil
}
