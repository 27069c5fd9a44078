package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type domainsSet struct {
	domainArg
	CDN           string  `name:"cdn" placeholder:"NAME" help:"CDN configuration to use."`
	RedirectHTTPS *toggle `name:"redirect-https" placeholder:"on|off" help:"Redirect http to https."`
	Auto          *toggle `name:"auto-configure" placeholder:"on|off" help:"Issue and renew certificates without being asked."`
	DNS           string  `name:"dns" placeholder:"managed|provider|manual" help:"Who sets its records."`
	DNSAccount    string  `name:"dns-account" placeholder:"NAME" help:"Stored credentials to use with --dns provider."`
	HSTS          *int    `name:"hsts" placeholder:"SECONDS" help:"Max-age of Strict-Transport-Security; 0 takes the header away."`
	HSTSSubs      bool    `name:"hsts-subdomains" help:"Extend Strict-Transport-Security to subdomains."`
	TLSPolicy     string  `name:"tls-policy" placeholder:"POLICY" enum:",modern,intermediate" default:"" help:"TLS of clients: modern (1.3) or intermediate (and 1.2)."`
	dryFlag
	waitFlags
}

func (domainsSet) Help() string {
	return examples(
		"edgewright domains set shop.example.com --cdn static --wait",
		"edgewright domains set shop.example.com --redirect-https off",
		"edgewright domains set shop.example.com --dns manual",
		"edgewright domains set shop.example.com --hsts 31536000 --dry-run",
		"edgewright domains set shop.example.com --tls-policy modern")
}

func (c *domainsSet) Run(a *app) error {
	patch := client.DomainPatch{AutoConfigure: c.Auto.ptr(), RedirectHTTPS: c.RedirectHTTPS.ptr()}
	if c.CDN != "" {
		patch.CDN = &c.CDN
	}
	if c.DNS != "" {
		patch.DNS = &c.DNS
	}
	if c.DNSAccount != "" {
		patch.DNSAccount = &c.DNSAccount
	}
	if c.HSTS != nil {
		patch.HSTS = &client.HSTS{MaxAge: *c.HSTS, IncludeSubdomains: c.HSTSSubs}
	} else if c.HSTSSubs {
		return fault.New(fault.Invalid, "--hsts-subdomains needs --hsts SECONDS")
	}
	if c.TLSPolicy != "" {
		patch.TLS = &client.TLS{Policy: c.TLSPolicy}
	}
	if patch == (client.DomainPatch{}) {
		return fault.New(fault.Invalid, "nothing to change was named; see \"edgewright domains set --help\"")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	d, err := cl.Domain(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	if c.DryRun {
		plan, err := cl.PlanUpdateDomain(a.ctx, c.Domain, d.Revision, patch)
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	before := d.Revision
	if d, err = cl.UpdateDomain(a.ctx, c.Domain, before, patch); err != nil {
		return err
	}
	if err := a.show(d, func() {
		if d.Revision == before {
			fmt.Fprintf(a.out, "%s is like that already.\n", a.ink.bold(clean(d.Display)))
			return
		}
		fmt.Fprintf(a.out, "Changed %s (revision %d).\n", a.ink.bold(clean(d.Display)), d.Revision)
	}); err != nil || !c.Wait || d.Revision == before {
		return err
	}
	return a.awaitRollout(cl, d.Revision, c.Timeout)
}

type domainsRemove struct {
	Domains      []string `arg:"" name:"domain" complete:"domains" help:"The domains."`
	LeaveRecords bool     `help:"Let the records stay that were set at a DNS provider."`
	dryFlag
	yesFlag
}

func (domainsRemove) Help() string {
	return "The domain is no longer served, and must be verified again if it comes back. Records that were set for it at its DNS provider go too; " +
		"what could not be removed yet is listed by \"edgewright dns leftovers\". Undo a mistake with \"edgewright revert\".\n\n" + examples(
		"edgewright domains rm old.example.com",
		"edgewright domains rm old.example.com --leave-records",
		"edgewright domains rm a.example.com b.example.com --yes")
}

func (c *domainsRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var found []*client.Domain
	all := &client.Plan{Project: cl.Project(), Environment: cl.Environment()}
	for _, name := range c.Domains {
		d, err := cl.Domain(a.ctx, name)
		if err != nil {
			return err
		}
		found = append(found, d)
		if c.DryRun || d.DNS.Mode == "provider" && !c.LeaveRecords && !c.Yes {
			plan, err := cl.PlanRemoveDomainLeaving(a.ctx, name, d.Revision, client.Leaving{Consent: true, Leave: c.LeaveRecords})
			if err != nil {
				return err
			}
			all.Actions = append(all.Actions, plan.Actions...)
			all.Warnings = append(all.Warnings, plan.Warnings...)
		}
	}
	if c.DryRun {
		return a.showDryRun(cl, all)
	}
	for _, w := range all.Warnings {
		a.hint("%s", clean(w))
	}
	if err := a.confirm(c.Yes, "Stop serving %s?", strings.Join(c.Domains, ", ")); err != nil {
		return err
	}
	for _, d := range found {
		if err := cl.RemoveDomainLeaving(a.ctx, d.Domain, d.Revision, client.Leaving{Consent: true, Leave: c.LeaveRecords}); err != nil {
			return err
		}
		a.hint("Removed %s.", clean(d.Display))
	}
	return nil
}

// toggle is a flag that is on, off, or not given (nil).
type toggle bool

// UnmarshalText reads a toggle.
func (t *toggle) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "on", "true", "yes", "1":
		*t = true
	case "off", "false", "no", "0":
		*t = false
	default:
		return fault.New(fault.Invalid, "%q is neither on nor off", text)
	}
	return nil
}

func (t *toggle) ptr() *bool {
	if t == nil {
		return nil
	}
	b := bool(*t)
	return &b
}

func onOff(v bool, on, off string) string {
	if v {
		return on
	}
	return off
}
