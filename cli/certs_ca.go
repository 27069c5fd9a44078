package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type casCommand struct {
	List   casList   `cmd:"" help:"List CAs in the order in which they are tried." aliases:"ls"`
	Show   casShow   `cmd:"" help:"Show a CA, our account there, and what is left of its limits."`
	Add    casAdd    `cmd:"" help:"Add a CA."`
	Order  casOrder  `cmd:"" help:"Change the order in which CAs are tried."`
	Remove casRemove `cmd:"" name:"rm" help:"Order from a CA no longer."`
}

func (casCommand) Help() string {
	return "CAs are tried from the lowest priority on; the one the control plane was started with is \"default\", with 100.\n\n" +
		examples("edgewright certs ca list", "edgewright certs ca add backup --directory https://acme.example.org/directory")
}

type authorityList struct {
	Authorities []client.Authority `json:"authorities"`
}

type casList struct{}

func (casList) Help() string { return examples("edgewright certs ca list") }

func (casList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list, err := cl.Authorities(a.ctx)
	if err != nil {
		return err
	}
	return a.showAuthorities(list)
}

func (a *app) showAuthorities(list []client.Authority) error {
	return a.show(authorityList{list}, func() {
		t := a.table("CA", "PRIORITY", "STATE", "ORDERS", "DIRECTORY", "ACCOUNT")
		for _, ca := range list {
			t.row(ca.Name, ca.Priority, t.state(authorityState(ca)), orders(ca), ca.Directory, t.dim(ca.AccountURI))
		}
		t.print(a.out)
	})
}

func authorityState(ca client.Authority) string {
	switch {
	case ca.Disabled:
		return "disabled"
	case len(ca.Pauses) > 0:
		return "paused"
	}
	return "active"
}

// orders is how much of the budget of orders is used up.
func orders(ca client.Authority) string {
	for _, l := range ca.Limits {
		if l.Kind == "orders" {
			return fmt.Sprintf("%d of %d in %s", l.Used, l.Max, time.Duration(l.WindowSeconds)*time.Second)
		}
	}
	return ""
}

type caArg struct {
	CA string `arg:"" name:"ca" help:"The CA, by name."`
}

type casShow struct{ caArg }

func (casShow) Help() string { return examples("edgewright certs ca show default") }

func (c *casShow) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	ca, err := cl.Authority(a.ctx, c.CA)
	if err != nil {
		return err
	}
	return a.show(ca, func() { a.printAuthority(ca) })
}

func (a *app) printAuthority(ca *client.Authority) {
	p := a.pairs()
	p.styled("ca", a.ink.bold(clean(ca.Name)))
	p.styled("state", a.ink.state(authorityState(*ca)))
	p.add("directory", ca.Directory)
	p.add("staging", ca.Staging)
	p.add("account", ca.AccountURI)
	p.add("email", ca.Email)
	p.add("bound to", ca.EABKeyID)
	p.add("profile", ca.Profile)
	p.add("priority", fmt.Sprint(ca.Priority))
	p.add("preflight", onOff(ca.Internal, "no: it signs for a network of its own", "yes"))
	p.add("orders", orders(*ca))
	for _, pause := range ca.Pauses {
		p.add("paused", strings.TrimSpace(pause.Subject+" until "+date(&pause.Until)+suffix(pause.Reason)))
	}
	p.print(a.out)
}

type casAdd struct {
	Name       string `arg:"" help:"Name of the CA here; \"default\" stands in place of the one the control plane was started with."`
	Directory  string `required:"" placeholder:"URL" help:"Its ACME directory."`
	Staging    string `placeholder:"URL" help:"Directory of its staging twin, for a rehearsal before a domain's first order."`
	Root       string `placeholder:"FILE" help:"PEM file of who signed the directory's own certificate, for a private CA."`
	Email      string `placeholder:"EMAIL" help:"Address the CA may write to."`
	EABKeyID   string `name:"eab-key-id" placeholder:"ID" help:"Key ID of an external account binding."`
	EABMACFile string `name:"eab-mac-file" placeholder:"FILE" help:"File with its MAC key, as the CA gives it."`
	Profile    string `placeholder:"NAME" help:"Profile for certificates that name none."`
	Priority   int    `default:"200" placeholder:"N" help:"Lower is tried first. Default ${default}."`
	Internal   bool   `help:"It signs for a network of its own: do not look at public DNS before an order."`
}

func (casAdd) Help() string {
	return examples("edgewright certs ca add backup --directory https://acme.example.org/directory",
		"edgewright certs ca add bought --directory https://acme.example.net/v2 --eab-key-id kid-1 --eab-mac-file mac.txt --priority 50")
}

func (c *casAdd) Run(a *app) error {
	wish := client.NewAuthority{Name: c.Name, ReplaceAuthority: client.ReplaceAuthority{
		Directory: c.Directory, Staging: c.Staging, Email: c.Email, EABKeyID: c.EABKeyID, Profile: c.Profile, Priority: &c.Priority, Internal: c.Internal,
	}}
	for _, f := range []struct {
		flag, name string
		to         *string
	}{{"root", c.Root, &wish.RootPEM}, {"eab-mac-file", c.EABMACFile, &wish.EABMACKey}} {
		if f.name == "" {
			continue
		}
		text, err := os.ReadFile(f.name)
		if err != nil {
			return fault.New(fault.Invalid, "--%s: %w", f.flag, err)
		}
		*f.to = strings.TrimSpace(string(text))
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	ca, err := cl.AddAuthority(a.ctx, wish)
	if err != nil {
		return err
	}
	return a.show(ca, func() { a.printAuthority(ca) })
}

type casOrder struct {
	CAs []string `arg:"" name:"ca" help:"CAs by name, the one to be tried first before the others; those not named come after, as they are."`
}

func (casOrder) Help() string {
	return examples("edgewright certs ca order bought default backup", "edgewright certs ca order backup")
}

func (c *casOrder) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list, err := cl.OrderAuthorities(a.ctx, c.CAs)
	if err != nil {
		return err
	}
	return a.showAuthorities(list)
}

type casRemove struct {
	caArg
	yesFlag
}

func (casRemove) Help() string {
	return "Its certificates stay until they are due. To replace them now, see \"edgewright certs replace\".\n\n" + examples("edgewright certs ca rm backup")
}

func (c *casRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	ca, err := cl.Authority(a.ctx, c.CA)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Order from %s no longer?", c.CA); err != nil {
		return err
	}
	if err := cl.RemoveAuthority(a.ctx, c.CA, ca.Revision); err != nil {
		return err
	}
	a.hint("Removed %s.", clean(c.CA))
	return nil
}

type replaceGroup struct {
	Plan   replacePlan   `cmd:"" help:"Plan a mass replacement: tells how many certificates fit and how long it takes."`
	Start  replaceStart  `cmd:"" help:"Start a planned replacement, or go on with a paused one."`
	Pause  replacePause  `cmd:"" help:"Pause a replacement."`
	Cancel replaceCancel `cmd:"" help:"End a replacement for good."`
	Show   replaceShow   `cmd:"" help:"Show how far a replacement is."`
	List   replaceList   `cmd:"" help:"List replacements." aliases:"ls"`
}

func (replaceGroup) Help() string {
	return "For after a CA has lost trust, revoked in bulk, or keys have leaked. Old certificates are served until the new ones are there.\n\n" +
		examples("edgewright certs replace plan --ca default --per-hour 80", "edgewright certs replace start rpl_01j...")
}

type replacePlan struct {
	CA      string   `name:"ca" placeholder:"NAME" help:"Those that this CA has issued."`
	Issuer  string   `placeholder:"NAME" help:"Those signed by this common name."`
	Within  string   `name:"of-project" placeholder:"ID" help:"Those of this project."`
	Serial  []string `placeholder:"HEX" help:"Those with these serial numbers."`
	File    string   `name:"serials-file" placeholder:"FILE" help:"The same, one a line."`
	All     bool     `help:"All of them."`
	PerHour int      `name:"per-hour" placeholder:"N" help:"How many an hour at most. Default 50."`
	Revoke  string   `placeholder:"REASON" help:"Have each old certificate revoked once another is in its place: unspecified, key_compromise, affiliation_changed, superseded or cessation_of_operation."`
}

func (replacePlan) Help() string {
	return examples("edgewright certs replace plan --ca default", "edgewright certs replace plan --issuer 'Example R3' --per-hour 200", "edgewright certs replace plan --serials-file leaked.txt --revoke key_compromise")
}

func (c *replacePlan) Run(a *app) error {
	serials := c.Serial
	if c.File != "" {
		text, err := os.ReadFile(c.File)
		if err != nil {
			return fault.New(fault.Invalid, "--serials-file: %w", err)
		}
		serials = append(serials, strings.Fields(string(text))...)
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	r, err := cl.PlanReplacement(a.ctx, client.NewReplacement{PerHour: c.PerHour, Revoke: c.Revoke, Selector: client.ReplacementSelector{
		Authority: c.CA, Issuer: c.Issuer, Project: c.Within, Serials: serials, All: c.All,
	}})
	if err != nil {
		return err
	}
	if err := a.show(r, func() { a.printReplacement(r) }); err != nil {
		return err
	}
	a.hint("Nothing is replaced yet. Start it with: edgewright certs replace start %s", clean(r.ID))
	return nil
}

func (a *app) printReplacement(r *client.Replacement) {
	p := a.pairs()
	p.styled("replacement", a.ink.bold(clean(r.ID)))
	p.styled("state", a.ink.state(clean(r.State)))
	p.add("done", fmt.Sprintf("%d of %d", r.Done, r.Total))
	p.add("under way", fmt.Sprint(r.Running))
	p.add("failing", strings.TrimSpace(fmt.Sprint(r.Failing)+suffix(strings.Join(r.Failed, ", "))))
	if r.Revoke != "" {
		p.add("revoke", r.Revoke)
		p.add("to be revoked", strings.TrimSpace(fmt.Sprint(r.Revoking)+suffix(map[bool]string{true: fmt.Sprintf("%d refused so far", r.Refused)}[r.Refused > 0])))
	}
	p.add("per hour", fmt.Sprintf("%d, %d in the last hour", r.PerHour, r.LastHour))
	p.add("started", date(r.StartedAt))
	p.add("expected", date(r.ExpectedAt))
	p.add("finished", date(r.FinishedAt))
	p.print(a.out)
}

type replacementArg struct {
	ID string `arg:"" help:"The replacement's ID."`
}

type (
	replaceStart  struct{ replacementArg }
	replacePause  struct{ replacementArg }
	replaceCancel struct{ replacementArg }
	replaceShow   struct{ replacementArg }
	replaceList   struct{}
)

func (replaceStart) Help() string { return examples("edgewright certs replace start rpl_01j5example") }

func (replacePause) Help() string { return examples("edgewright certs replace pause rpl_01j5example") }

func (replaceCancel) Help() string {
	return examples("edgewright certs replace cancel rpl_01j5example")
}

func (replaceShow) Help() string { return examples("edgewright certs replace show rpl_01j5example") }
func (replaceList) Help() string { return examples("edgewright certs replace list") }

func (c *replaceStart) Run(a *app) error  { return a.runReplacement(c.ID, "start") }
func (c *replacePause) Run(a *app) error  { return a.runReplacement(c.ID, "pause") }
func (c *replaceCancel) Run(a *app) error { return a.runReplacement(c.ID, "cancel") }

func (a *app) runReplacement(id, action string) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	r, err := cl.RunReplacement(a.ctx, id, action)
	if err != nil {
		return err
	}
	return a.show(r, func() { a.printReplacement(r) })
}

func (c *replaceShow) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	r, err := cl.Replacement(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(r, func() { a.printReplacement(r) })
}

func (replaceList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list, err := cl.Replacements(a.ctx)
	if err != nil {
		return err
	}
	return a.show(map[string]any{"replacements": list}, func() {
		t := a.table("REPLACEMENT", "STATE", "DONE", "FAILING", "PER HOUR", "STARTED", "EXPECTED")
		for _, r := range list {
			t.row(r.ID, t.state(r.State), fmt.Sprintf("%d of %d", r.Done, r.Total), r.Failing, r.PerHour, a.ago(r.StartedAt), a.ago(r.ExpectedAt))
		}
		t.print(a.out)
	})
}
