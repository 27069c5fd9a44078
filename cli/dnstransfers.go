package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type dnsTransfersCommand struct {
	Show    dnsTransfersShow    `cmd:"" help:"Show who a zone is given to and taken from, and who has fetched it."`
	Out     dnsTransfersOut     `cmd:"" help:"Give a zone to secondaries."`
	In      dnsTransfersIn      `cmd:"" help:"Take a zone from its primaries: it is a secondary then."`
	Refresh dnsTransfersRefresh `cmd:"" help:"Ask a secondary zone's primaries now."`
}

func (dnsTransfersCommand) Help() string {
	return "Zones are given to secondaries and taken from primaries by AXFR and IXFR, signed with TSIG keys (\"edgewright dns tsig\").\n\n" + examples(
		"edgewright dns transfers out example.com --key transfer.example.com --notify 192.0.2.53",
		"edgewright dns transfers in example.com --primary 192.0.2.1 --key transfer.example.com")
}

type dnsTransfersShow struct{ zoneArg }

func (dnsTransfersShow) Help() string {
	return examples("edgewright dns transfers show example.com", "edgewright dns transfers show example.com -o json")
}

func (c *dnsTransfersShow) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	t, err := cl.ZoneTransfers(a.ctx, c.Zone)
	if err != nil {
		return err
	}
	return a.show(t, func() { a.printTransfers(t) })
}

func (a *app) printTransfers(t *client.ZoneTransfers) {
	p := a.pairs()
	p.styled("zone", a.ink.bold(clean(t.Zone)))
	p.add("serial", fmt.Sprint(t.Serial))
	if o := t.Out; o != nil {
		p.add("given with", strings.Join(o.Keys, ", "))
		p.add("to", orAny(o.Allow))
		p.add("notices to", strings.Join(o.Notify, ", "))
	} else {
		p.add("given", "to nobody")
	}
	if t.In != nil {
		for _, primary := range t.In.Primaries {
			p.add("taken from", strings.TrimSuffix(primary.Address+" with "+primary.Key, " with "))
		}
	}
	if c := t.Copy; c != nil {
		p.styled("copy", a.ink.state(c.State))
		if c.Serial > 0 {
			p.add("at the primary", fmt.Sprintf("serial %d, %d records, %s from %s", c.Serial, c.Records, c.How, c.Primary))
		}
		p.add("checked", a.ago(c.CheckedAt))
		p.add("next attempt", a.ago(c.NextAttempt))
		p.add("expires", a.ago(c.ExpiresAt))
		p.add("trouble", c.Error)
		p.add("fix", c.Fix)
	}
	for _, c := range t.Conditions {
		if c.Status != "true" && c.Message != "" && c.Type != "Transferred" {
			p.add(strings.ToLower(c.Type), c.Message)
		}
	}
	p.print(a.out)
	a.printFetches(t)
}

func orAny(list []string) string {
	if len(list) == 0 {
		return "any address"
	}
	return strings.Join(list, ", ")
}

// setTransfers sets both directions of a zone, of which one has changed.
func (a *app) setTransfers(cl *client.Client, zone string, dry bool, change func(*client.ZoneTransfers, *client.SetZoneTransfers)) error {
	t, err := cl.ZoneTransfers(a.ctx, zone)
	if err != nil {
		return err
	}
	set := client.SetZoneTransfers{Out: t.Out, In: t.In}
	change(t, &set)
	if dry {
		plan, err := cl.PlanZoneTransfers(a.ctx, t.Zone, t.Revision, set)
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	made, err := cl.SetZoneTransfers(a.ctx, t.Zone, t.Revision, set)
	if err != nil {
		return err
	}
	return a.show(made, func() { a.printTransfers(made) })
}

type dnsTransfersOut struct {
	zoneArg
	Key    []string `placeholder:"NAME" help:"TSIG key; may be repeated. Any of them will do, the first signs notices."`
	Allow  []string `placeholder:"RANGE" help:"Address or range that may ask; may be repeated. Default: any, with a key."`
	Notify []string `placeholder:"ADDRESS" help:"Server that is told of each new version; may be repeated."`
	Off    bool     `help:"Give the zone to nobody any more."`
	dryFlag
}

func (dnsTransfersOut) Help() string {
	return "Every edge is a primary: let the secondaries ask any of them. What was set before is replaced.\n\n" + examples(
		"edgewright dns tsig create transfer.example.com",
		"edgewright dns transfers out example.com --key transfer.example.com --allow 192.0.2.0/24 --notify 192.0.2.53",
		"edgewright dns transfers out example.com --off")
}

func (c *dnsTransfersOut) Run(a *app) error {
	if !c.Off && len(c.Key) == 0 {
		return fault.New(fault.Invalid, "no key is given: make one with \"edgewright dns tsig create\", and pass --key NAME")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	return a.setTransfers(cl, c.Zone, c.DryRun, func(_ *client.ZoneTransfers, set *client.SetZoneTransfers) {
		if set.Out = nil; !c.Off {
			set.Out = &client.TransferOut{Keys: c.Key, Allow: c.Allow, Notify: c.Notify}
		}
	})
}

type dnsTransfersIn struct {
	zoneArg
	Primary []string `placeholder:"ADDRESS" help:"Primary, as 192.0.2.1 or 192.0.2.1:53; may be repeated."`
	Key     string   `placeholder:"NAME" help:"TSIG key that transfers are signed with."`
	Off     bool     `help:"The zone is no secondary any more. Its records go with the copy: export them first."`
	dryFlag
	yesFlag
}

func (dnsTransfersIn) Help() string {
	return "The control plane connects to the primaries; their notices may go to any edge. Records are then changed at the primary only. With DNSSEC on, the zone is signed here; else it is served as the primary has it.\n\n" + examples(
		"edgewright dns transfers in example.com --primary 192.0.2.1 --key transfer.example.com",
		"edgewright dns transfers in example.com --off --yes")
}

func (c *dnsTransfersIn) Run(a *app) error {
	if !c.Off && len(c.Primary) == 0 {
		return fault.New(fault.Invalid, "no primary is given: pass --primary ADDRESS")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	return a.setTransfers(cl, c.Zone, c.DryRun, func(_ *client.ZoneTransfers, set *client.SetZoneTransfers) {
		set.Consent = c.Yes
		if set.In = nil; !c.Off {
			set.In = &client.TransferIn{}
			for _, address := range c.Primary {
				set.In.Primaries = append(set.In.Primaries, client.TransferPrimary{Address: address, Key: c.Key})
			}
		}
	})
}

type dnsTransfersRefresh struct {
	zoneArg
	Whole bool `help:"Take the whole zone over, whatever its serial is."`
}

func (dnsTransfersRefresh) Help() string {
	return examples("edgewright dns transfers refresh example.com", "edgewright dns transfers refresh example.com --whole")
}

func (c *dnsTransfersRefresh) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	t, err := cl.RefreshZone(a.ctx, c.Zone, c.Whole)
	if err != nil {
		return err
	}
	return a.show(t, func() { a.printTransfers(t) })
}

type dnsTSIGCommand struct {
	List   dnsTSIGList   `cmd:"" help:"List TSIG keys." aliases:"ls"`
	Create dnsTSIGCreate `cmd:"" help:"Make a TSIG key."`
	Rotate dnsTSIGRotate `cmd:"" help:"Replace a TSIG key's secret."`
	Export dnsTSIGExport `cmd:"" help:"Take out a TSIG key's secret, for the other side."`
	Remove dnsTSIGRemove `cmd:"" name:"rm" help:"Delete a TSIG key."`
}

func (dnsTSIGCommand) Help() string {
	return "Keys that zone transfers are signed with.\n\n" + examples("edgewright dns tsig create transfer.example.com", "edgewright dns tsig export transfer.example.com --bind")
}

type tsigArg struct {
	Name string `arg:"" help:"The key, by name."`
}

type tsigList struct {
	Keys []client.TSIGKey `json:"keys"`
}

type dnsTSIGList struct{}

func (dnsTSIGList) Help() string { return examples("edgewright dns tsig list") }

func (dnsTSIGList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	keys, err := client.Collect(cl.TSIGKeys(a.ctx))
	if err != nil {
		return err
	}
	return a.show(tsigList{keys}, func() {
		if len(keys) == 0 {
			a.hint("No TSIG keys. Make one: edgewright dns tsig create transfer.example.com")
			return
		}
		t := a.table("KEY", "ALGORITHM", "SECRET", "COMMENT")
		for _, k := range keys {
			secret := "being made"
			if k.Ready {
				secret = fmt.Sprintf("number %d, made %s", k.Generation, a.ago(k.MadeAt))
			}
			t.row(clean(k.Name), k.Algorithm, secret, clean(k.Comment))
		}
		t.print(a.out)
	})
}

// secretSource is where a secret that the other side has made comes from. It is
// never on the command line, where other users of the machine would see it.
type secretSource struct {
	SecretFrom string `placeholder:"FILE" help:"File with the secret in base64, when the other side has made it; - for standard input. Default: one is made."`
}

func (s secretSource) read(a *app) (string, error) {
	switch s.SecretFrom {
	case "":
		return "", nil
	case "-":
		b, err := io.ReadAll(io.LimitReader(a.in, 4096))
		return strings.TrimSpace(string(b)), err
	}
	b, err := os.ReadFile(s.SecretFrom)
	if err != nil {
		return "", fault.New(fault.Invalid, "--secret-from: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

type dnsTSIGCreate struct {
	tsigArg
	secretSource
	Algorithm string `placeholder:"NAME" help:"hmac-sha256 (default), hmac-sha384 or hmac-sha512."`
	Comment   string `help:"A note that is kept with the key."`
}

func (dnsTSIGCreate) Help() string {
	return "The name is that of the key on both sides.\n\n" + examples("edgewright dns tsig create transfer.example.com", "edgewright dns tsig create transfer.example.com --secret-from secret.txt")
}

func (c *dnsTSIGCreate) Run(a *app) error {
	secret, err := c.read(a)
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	k, err := cl.CreateTSIGKey(a.ctx, client.NewTSIGKey{Name: c.Name, Algorithm: c.Algorithm, Secret: secret, Comment: c.Comment})
	if err != nil {
		return err
	}
	return a.show(k, func() {
		fmt.Fprintf(a.out, "Made the key %s (%s).\n", a.ink.bold(clean(k.Name)), k.Algorithm)
		if secret == "" {
			a.hint("For the other side: edgewright dns tsig export %s", clean(k.Name))
		}
	})
}

type dnsTSIGRotate struct {
	tsigArg
	secretSource
	yesFlag
}

func (dnsTSIGRotate) Help() string {
	return "Transfers fail until the other side has the new secret. To change without a gap, make a second key, name both in the zone, and delete the first later.\n\n" +
		examples("edgewright dns tsig rotate transfer.example.com --yes")
}

func (c *dnsTSIGRotate) Run(a *app) error {
	secret, err := c.read(a)
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	k, err := cl.TSIGKey(a.ctx, c.Name)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Replace the secret of %s? Transfers with it fail until the other side has the new one.", k.Name); err != nil {
		return err
	}
	k, err = cl.ReplaceTSIGSecret(a.ctx, k.Name, k.Revision, secret)
	if err != nil {
		return err
	}
	return a.show(k, func() { fmt.Fprintf(a.out, "Replaced the secret of %s.\n", a.ink.bold(clean(k.Name))) })
}

type dnsTSIGExport struct {
	tsigArg
	Bind bool `xor:"form" help:"As BIND's named.conf has it."`
	Knot bool `xor:"form" help:"As Knot's knot.conf has it."`
}

func (dnsTSIGExport) Help() string {
	return "For owners; every export is in the audit log.\n\n" + examples("edgewright dns tsig export transfer.example.com --bind >> named.conf", "edgewright dns tsig export transfer.example.com -o json")
}

func (c *dnsTSIGExport) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	k, err := cl.ExportTSIGKey(a.ctx, c.Name)
	if err != nil {
		return err
	}
	return a.show(k, func() {
		switch {
		case c.Bind:
			fmt.Fprintf(a.out, "key \"%s.\" {\n\talgorithm %s;\n\tsecret \"%s\";\n};\n", clean(k.Name), k.Algorithm, k.Secret)
		case c.Knot:
			fmt.Fprintf(a.out, "key:\n  - id: %s.\n    algorithm: %s\n    secret: %s\n", clean(k.Name), k.Algorithm, k.Secret)
		default:
			fmt.Fprintf(a.out, "%s:%s:%s\n", k.Algorithm, clean(k.Name), k.Secret)
		}
	})
}

type dnsTSIGRemove struct {
	tsigArg
	yesFlag
}

func (dnsTSIGRemove) Help() string {
	return "A key that a zone names is refused.\n\n" + examples("edgewright dns tsig rm transfer.example.com")
}

func (c *dnsTSIGRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	k, err := cl.TSIGKey(a.ctx, c.Name)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Delete the TSIG key %s and its secret?", k.Name); err != nil {
		return err
	}
	if err := cl.DeleteTSIGKey(a.ctx, k.Name, k.Revision); err != nil {
		return err
	}
	a.hint("Deleted %s.", clean(k.Name))
	return nil
}
