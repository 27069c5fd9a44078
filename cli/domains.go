package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type domainsCommand struct {
	Add    domainsAdd    `cmd:"" help:"Add a domain."`
	List   domainsList   `cmd:"" help:"List domains." aliases:"ls"`
	Show   domainsShow   `cmd:"" help:"Show all about a domain."`
	Verify domainsVerify `cmd:"" help:"Check the proof that a domain is yours, now."`
	Set    domainsSet    `cmd:"" help:"Change how a domain is served."`
	Remove domainsRemove `cmd:"" name:"rm" help:"Remove a domain."`

	Setup       domainsSetup       `cmd:"" help:"Show how its records come to be, and what stands in the way."`
	Registry    domainsRegistry    `cmd:"" help:"Show what the registry holds of it: expiry, registrar, protection."`
	Propagation domainsPropagation `cmd:"" help:"Ask name servers and resolvers for its records, now."`
	Watch       domainsWatch       `cmd:"" help:"Show what monitoring has found, and what happened lately."`
	Lock        domainsLock        `cmd:"" help:"Protect a domain against deletion, hand-over and loss of records."`
	Unlock      domainsUnlock      `cmd:"" help:"Take the protection away."`
	Transfer    domainsTransfer    `cmd:"" help:"Hand domains over between projects."`
}

func (domainsCommand) Help() string {
	return examples("edgewright domains add shop.localhost --origin http://127.0.0.1:3000", "edgewright domains list")
}

// dryFlag is --dry-run.
type dryFlag struct {
	DryRun bool `name:"dry-run" help:"Show what would change, change nothing. Exit status 2 when something would."`
}

type domainList struct {
	Domains []client.Domain `json:"domains"`
}

type domainsAdd struct {
	Domain        string  `arg:"" help:"The name, as people write it: shop.example.com, *.example.com, münchen.example."`
	Origin        string  `placeholder:"URL" help:"Where its content comes from; makes a CDN configuration of its own for it."`
	CDN           string  `name:"cdn" placeholder:"NAME" help:"CDN configuration to use in place of the default one."`
	RedirectHTTPS *toggle `name:"redirect-https" placeholder:"on|off" help:"Redirect http to https. Default on."`
	DNS           string  `name:"dns" placeholder:"managed|provider|manual" help:"Who sets its records: a zone of ours, we at your DNS provider, or you. Default: you, until chosen."`
	DNSAccount    string  `name:"dns-account" placeholder:"NAME" help:"Stored credentials to use with --dns provider."`
	Auto          bool    `name:"auto-configure" negatable:"" default:"true" help:"Issue and renew certificates without being asked. Default on."`
	dryFlag
	waitFlags
}

func (domainsAdd) Help() string {
	return "Names below localhost need no proof of ownership. For others it prints what to publish; with --wait it looks until that is found, the certificate is there and every edge serves.\n\n" + examples(
		"edgewright domains add shop.localhost --origin http://127.0.0.1:3000",
		"edgewright domains add shop.example.com --origin https://app.internal:8443 --wait --timeout 30m",
		"edgewright domains add example.com --origin https://app.internal:8443 --dns managed",
		"edgewright domains add www.example.com --cdn default --dry-run")
}

func (c *domainsAdd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if c.Origin != "" && c.CDN != "" {
		return fault.New(fault.Invalid, "--origin makes a CDN configuration and --cdn names one; give one of them")
	}
	add := client.AddDomain{Domain: c.Domain, AutoConfigure: c.Auto, Origin: c.Origin, CDN: c.CDN, RedirectHTTPS: c.RedirectHTTPS.ptr(), DNS: c.DNS, DNSAccount: c.DNSAccount}
	if c.DryRun {
		plan, err := cl.PlanAddDomain(a.ctx, add)
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	added, err := cl.AddDomain(a.ctx, add)
	if err != nil {
		return err
	}
	d := &added.Domain
	if !c.Wait {
		return a.show(added, func() {
			fmt.Fprintf(a.out, "Added %s (%s).\n", a.ink.bold(clean(d.Display)), a.ink.state(d.Status))
			a.printNextStep(d)
		})
	}
	if added.VerificationRequired && d.Verification.Status == "pending" {
		a.printNextStep(d)
	}
	if d, err = a.awaitDomain(cl, d.Domain, c.Timeout); err != nil {
		return err
	}
	added.Domain = *d
	return a.show(added, func() { fmt.Fprintf(a.out, "Serving %s\n", a.ink.bold(clean(d.URL))) })
}

// printNextStep says what the user has to do, or where to look.
func (a *app) printNextStep(d *client.Domain) {
	w := a.out
	if d.Verification.Required && d.Verification.Status == "pending" {
		fmt.Fprintln(w, "Prove that it is yours: publish this at your DNS provider")
		fmt.Fprintln(w)
		a.printRecords(d.Verification.Records)
		if f := d.Verification.File; f != nil {
			fmt.Fprintf(w, "\nor serve a file at %s that holds\n  %s\n", a.ink.cyan(clean(f.URL)), clean(f.Content))
		}
		fmt.Fprintf(w, "\nThen: edgewright domains verify %s\n", d.Domain)
		return
	}
	if d.URL != "" {
		fmt.Fprintf(w, "It will answer at %s\n", a.ink.cyan(clean(d.URL)))
	}
	if d.Origin == "" {
		fmt.Fprintf(w, "It has no origin yet: edgewright cdn set %s --origin http://127.0.0.1:3000\n", clean(d.CDN))
	}
}

func (a *app) printRecords(records []client.DNSRecord) {
	t := a.table("TYPE", "NAME", "VALUE", "TTL", "FOUND", "RESOLVERS SAY")
	for _, r := range records {
		found := "no"
		if r.Found {
			found = "yes"
		}
		name := r.FullName
		if name == "" {
			name = r.Name
		}
		t.row(r.Type, name, r.Value, r.TTL, t.state(found), t.dim(seen(r.Seen)))
	}
	t.print(a.out)
}

func seen(list []client.ResolverAnswer) string {
	var parts []string
	for _, s := range list {
		switch {
		case s.Error != "":
			parts = append(parts, s.Resolver+": "+s.Error)
		case len(s.Answers) == 0:
			parts = append(parts, s.Resolver+": nothing")
		default:
			parts = append(parts, s.Resolver+": "+strings.Join(s.Answers, " "))
		}
	}
	return strings.Join(parts, "; ")
}

// awaitDomain waits until a domain is verified, has its certificate and is
// verified on every edge.
func (a *app) awaitDomain(c *client.Client, domain string, limit time.Duration) (*client.Domain, error) {
	b, edges := a.board(), a.edgeNames(c)
	var d *client.Domain
	timedOut, err := a.poll(limit, func() (bool, error) {
		var err error
		if d, err = c.Domain(a.ctx, domain); err != nil {
			return false, err
		}
		b.update(clean(d.Display)+" "+a.note.cyan(bar(domainSteps(d), 3)), domainLines(d, edges))
		done := d.Status == client.DomainActive && d.Rollout.Done()
		return done || d.Rollout.Rejected > 0, nil
	})
	if err != nil {
		return d, err
	}
	if d.Rollout.Rejected > 0 {
		return d, fault.New(fault.Invalid, "%s %s; they keep what they had%s", count(d.Rollout.Rejected, "edge refuses", "edges refuse"), d.Domain, rejections(d.Rollout, edges))
	}
	if timedOut {
		return d, fault.New(fault.Unavailable, "after %s, %s is not served yet (%s): %s. It goes on by itself; look with \"edgewright domains show %s\"",
			limit.Round(10*time.Millisecond), d.Domain, d.Status, domainTrouble(*d), d.Domain)
	}
	return d, nil
}

func domainSteps(d *client.Domain) int {
	n := 0
	if d.Verification.Status != "pending" {
		n++
	}
	if d.Certificate.State == client.CertValid || d.Certificate.State == client.CertExternal {
		n++
	}
	if d.Rollout.Done() {
		n++
	}
	return n
}

func domainLines(d *client.Domain, edges []client.Edge) []boardLine {
	note := d.Certificate.Step
	if d.Certificate.Reason != "" {
		note = d.Certificate.Reason
	}
	return append([]boardLine{
		{label: "ownership", state: d.Verification.Status},
		{label: "certificate", state: d.Certificate.State, note: note},
	}, rolloutLines(d.Rollout, edges)...)
}

type domainsList struct{}

func (domainsList) Help() string {
	return examples("edgewright domains list", "edgewright domains list -o json | jq -r '.domains[].url'")
}

func (domainsList) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	domains, err := client.Collect(c.Domains(a.ctx))
	if err != nil {
		return err
	}
	return a.show(domainList{domains}, func() {
		if len(domains) == 0 {
			a.hint("No domains in %s/%s. Add one: edgewright domains add shop.localhost --origin http://127.0.0.1:3000", c.Project(), c.Environment())
			return
		}
		a.printDomains(domains)
	})
}

func (a *app) printDomains(domains []client.Domain) {
	t := a.table("DOMAIN", "STATUS", "CERTIFICATE", "EDGES", "ORIGIN")
	for _, d := range domains {
		cert := d.Certificate.State
		if d.Certificate.DaysLeft != nil {
			cert += fmt.Sprintf(" %dd", *d.Certificate.DaysLeft)
		}
		t.row(d.Display, t.state(d.Status), cell{cert, func(s string) string {
			word, rest, _ := strings.Cut(s, " ")
			return strings.TrimSuffix(a.ink.state(word)+" "+rest, " ")
		}}, fmt.Sprintf("%d/%d", max(d.Rollout.Applied, d.Rollout.Verified), d.Rollout.Edges), d.Origin)
	}
	t.print(a.out)
}

type domainArg struct {
	Domain string `arg:"" complete:"domains" help:"The domain."`
}

type domainsShow struct{ domainArg }

func (domainsShow) Help() string {
	return examples("edgewright domains show shop.example.com", "edgewright domains show shop.example.com -o yaml")
}

func (c *domainsShow) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	d, err := cl.Domain(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	return a.show(d, func() { a.printDomain(d) })
}

func (a *app) printDomain(d *client.Domain) {
	p := a.pairs()
	p.styled("domain", a.ink.bold(clean(d.Display)))
	if d.Display != d.Domain {
		p.add("a-labels", d.Domain)
	}
	p.styled("status", a.ink.state(clean(d.Status)))
	p.add("url", d.URL)
	p.add("origin", d.Origin)
	p.add("cdn", d.CDN)
	p.add("redirect", onOff(d.RedirectHTTPS, "http to https", "none"))
	p.styled("ownership", a.ink.state(clean(d.Verification.Status))+suffix(d.Verification.Method))
	p.add("locked", onOff(d.Locked, "yes", ""))
	p.add("records set by", d.DNS.Mode)
	if d.ExpiresAt != nil {
		p.add("registered until", date(d.ExpiresAt)+suffix(d.Registrar))
	}
	if d.Verification.ReleaseAt != nil {
		p.add("proof lost", "put it back before "+date(d.Verification.ReleaseAt))
	}
	p.add("edges", rolloutText(d.Rollout))
	if cert := d.Certificate; cert.ID != "" || cert.Reason != "" {
		text := a.ink.state(clean(cert.State))
		if cert.Issuer != "" {
			text += "  " + clean(cert.Issuer)
		}
		if cert.NotAfter != nil {
			text += a.ink.dim("  until " + date(cert.NotAfter))
		}
		p.styled("certificate", text)
		p.add("trouble", cert.Reason)
		p.add("what to do", cert.Fix)
		if cert.NextAttempt != nil {
			p.add("next attempt", a.ago(cert.NextAttempt))
		}
	}
	p.add("revision", fmt.Sprint(d.Revision))
	p.add("added", date(&d.CreatedAt))
	p.print(a.out)
	if len(d.Conditions) > 0 {
		fmt.Fprintln(a.out)
		t := a.table("CONDITION", "STATUS", "SINCE", "MESSAGE")
		for _, c := range d.Conditions {
			t.row(c.Type, t.state(c.Status), a.ago(&c.Since), cmp.Or(c.Message, c.Reason))
		}
		t.print(a.out)
	}
	if d.Verification.Required && d.Verification.Status == "pending" {
		fmt.Fprintln(a.out)
		a.printNextStep(d)
	}
}

func suffix(s string) string {
	if s == "" {
		return ""
	}
	return " (" + clean(s) + ")"
}

type domainsVerify struct {
	domainArg
	Method  string `enum:"dns, file, email" default:"dns" help:"How it is proven: ${enum}. Default ${default}."`
	Address string `placeholder:"EMAIL" help:"With --method email: the one address to write to, like hostmaster@example.com. Default: all five."`
	Resend  bool   `help:"With --method email: write again though the last links are still good."`
	waitFlags
}

func (domainsVerify) Help() string {
	return "Exit status 1 while the proof is not found.\n\n" + examples(
		"edgewright domains verify shop.example.com",
		"edgewright domains verify shop.example.com --method file",
		"edgewright domains verify shop.example.com --method email --address hostmaster@example.com",
		"edgewright domains verify shop.example.com --wait --timeout 1h")
}

func (c *domainsVerify) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var result *client.VerifyResult
	if c.Method == client.VerifyEmail {
		result, err = cl.SendVerificationMail(a.ctx, c.Domain, c.Address, c.Resend)
	} else if c.Address != "" || c.Resend {
		return fault.New(fault.Invalid, "--address and --resend are for --method email")
	} else {
		result, err = cl.VerifyDomain(a.ctx, c.Domain, c.Method)
	}
	if err != nil {
		return err
	}
	if c.Wait && !result.Verified {
		a.hint("Looking until it is found; stop with Ctrl-C, the control plane goes on looking by itself.")
		if result, err = a.awaitProof(cl, c, result); err != nil {
			return err
		}
	}
	if err := a.show(result, func() { a.printVerify(c.Domain, result) }); err != nil {
		return err
	}
	if !result.Verified {
		return status(exitFailed)
	}
	if c.Wait {
		_, err = a.awaitDomain(cl, c.Domain, c.Timeout)
	}
	return err
}

// awaitProof asks again every 15 seconds, since each time resolvers are asked.
func (a *app) awaitProof(cl *client.Client, c *domainsVerify, result *client.VerifyResult) (*client.VerifyResult, error) {
	last := a.now()
	_, err := a.poll(c.Timeout, func() (bool, error) {
		if a.now().Sub(last) < 15*time.Second {
			// The control plane looks by itself too; its finding is cheap to read.
			d, err := cl.Domain(a.ctx, c.Domain)
			if err != nil || d.Verification.Status == "pending" {
				return false, err
			}
		}
		last = a.now()
		var err error
		result, err = cl.VerifyDomain(a.ctx, c.Domain, c.Method)
		return err == nil && result.Verified, err
	})
	return result, err
}

func (a *app) printVerify(domain string, r *client.VerifyResult) {
	if r.Verified {
		fmt.Fprintf(a.out, "%s is %s.\n", a.ink.bold(clean(domain)), a.ink.green("verified"))
		return
	}
	if m := r.Domain.Verification.Mail; m != nil && m.ExpiresAt != nil {
		for _, l := range m.Links {
			fmt.Fprintf(a.out, "  %s  %s\n", a.ink.state(clean(l.State)), clean(l.Address)+suffix(l.Error))
		}
		fmt.Fprintf(a.out, "Open the link in one of these mails and confirm, until %s.\n", date(m.ExpiresAt))
		return
	}
	fmt.Fprintf(a.out, "The proof for %s is %s yet.\n\n", a.ink.bold(clean(domain)), a.ink.yellow("not found"))
	a.printRecords(r.Records)
	if r.File != nil {
		fmt.Fprintf(a.out, "\nor a file at %s that holds\n  %s\n", a.ink.cyan(clean(r.File.URL)), clean(r.File.Content))
	}
	fmt.Fprintln(a.out, "\nA new DNS record takes as long to be seen as the old answer's TTL. The control plane keeps looking by itself.")
}
