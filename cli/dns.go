package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type dnsCommand struct {
	Create dnsCreate `cmd:"" help:"Manage the DNS of a domain here."`
	List   dnsList   `cmd:"" help:"List the records of a managed zone." aliases:"ls"`
	Set    dnsSet    `cmd:"" help:"Set the records of a name and type."`
	Remove dnsRemove `cmd:"" name:"rm" help:"Remove the records of a name and type."`
	Import dnsImport `cmd:"" help:"Read a zone file."`
	Export dnsExport `cmd:"" help:"Write a zone file."`
	Diff   dnsDiff   `cmd:"" help:"Compare a zone file with the managed zone."`
	DNSSEC dnsSecure `cmd:"" name:"dnssec" help:"Show how a zone is signed; sign it, roll its keys."`
	Trace  dnsTrace  `cmd:"" help:"Ask name servers themselves, and show what each answers."`

	Queries dnsQueries `cmd:"" help:"Show how often a managed zone was asked, and what became of it."`

	Transfers dnsTransfersCommand `cmd:"" help:"Zone transfers: give zones to secondaries, take them from primaries."`
	TSIG      dnsTSIGCommand      `cmd:"" name:"tsig" help:"Keys of zone transfers: list, create, rotate, export, remove."`
	Providers dnsProvidersCommand `cmd:"" help:"Accounts at DNS providers: list, add, test, remove."`
	Leftovers dnsLeftoversCommand `cmd:"" help:"Records at DNS providers that are being removed: list, consent, leave."`
}

func (dnsCommand) Help() string {
	return examples("edgewright dns create example.com", "edgewright dns set example.com www A 192.0.2.1", "edgewright dns list example.com")
}

type zoneArg struct {
	Zone string `arg:"" name:"zone" help:"The zone, or a name in it."`
}

type dnsCreate struct{ zoneArg }

func (dnsCreate) Help() string {
	return "The zone answers at once, before the registrar knows of it. Then set the name servers shown at the registrar.\n\n" + examples("edgewright dns create example.com")
}

func (c *dnsCreate) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	z, err := cl.CreateZone(a.ctx, c.Zone)
	if err != nil {
		return err
	}
	return a.show(z, func() {
		fmt.Fprintf(a.out, "Managing %s. Set these name servers at its registrar:\n", a.ink.bold(clean(z.Name)))
		for _, s := range z.NameServers {
			fmt.Fprintf(a.out, "  %s\n", clean(s))
		}
	})
}

type recordList struct {
	Records []client.Record `json:"records"`
}

type dnsList struct {
	zoneArg
	Name string `arg:"" optional:"" help:"Only this name."`
	Type string `short:"t" placeholder:"TYPE" help:"Only this type."`
}

func (dnsList) Help() string {
	return examples("edgewright dns list example.com", "edgewright dns list example.com www -t A -o json")
}

func (c *dnsList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	out := recordList{Records: []client.Record{}}
	for r, err := range cl.Records(a.ctx, c.Zone) {
		if err != nil {
			return err
		}
		if (c.Name == "" || sameName(c.Name, r)) && (c.Type == "" || strings.EqualFold(c.Type, r.Type)) {
			out.Records = append(out.Records, r)
		}
	}
	var primaries []string
	if len(out.Records) == 0 {
		z, err := cl.Zone(a.ctx, c.Zone)
		if err != nil {
			return err
		}
		primaries = z.Primaries
	}
	return a.show(out, func() {
		if len(primaries) > 0 {
			a.hint("This zone is a copy: its records come from %s. \"edgewright dns export %s\" prints them.", clean(strings.Join(primaries, " and ")), clean(c.Zone))
			return
		}
		t := a.table("NAME", "TYPE", "TTL", "VALUE", "COMMENT")
		for _, r := range out.Records {
			ttl := "-"
			if r.TTL > 0 {
				ttl = fmt.Sprint(r.TTL)
			}
			t.row(clean(r.Name), r.Type, ttl, clean(recordText(r.RecordData)), clean(r.Comment))
		}
		t.print(a.out)
	})
}

func recordText(d client.RecordData) string {
	text := strings.Join(d.Values, ", ")
	if d.Target != nil {
		text = strings.TrimSpace("-> " + d.Target.Kind + " " + d.Target.ID)
	}
	if d.Steering != nil {
		text += " (steered)"
	}
	return text
}

// sameName compares what a person wrote with a record.
func sameName(name string, r client.Record) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == r.Name || name == r.FullName
}

// findRecord finds the set of a name and type, nil when there is none.
func (a *app) findRecord(cl *client.Client, zone, name, typ string) (*client.Record, error) {
	for r, err := range cl.Records(a.ctx, zone) {
		if err != nil {
			return nil, err
		}
		if sameName(name, r) && strings.EqualFold(typ, r.Type) {
			return &r, nil
		}
	}
	return nil, nil
}

type dnsSet struct {
	zoneArg
	Name    string   `arg:"" help:"The name, relative to the zone; @ is the zone itself."`
	Type    string   `arg:"" help:"The type: A, AAAA, ALIAS, CNAME, MX, TXT, ..."`
	Values  []string `arg:"" optional:"" help:"The values, each as one word: quote those with spaces."`
	TTL     int      `name:"ttl" placeholder:"SECONDS" help:"Time to live. Default: the zone's."`
	Edges   bool     `xor:"target" help:"Point at all edges, in place of values."`
	Region  string   `xor:"target" placeholder:"REGION" help:"Point at the edges of a region, in place of values."`
	Comment string   `help:"A note that is kept with the records."`

	Steering string `placeholder:"FILE" help:"Who gets which answer, and which are checked: YAML or JSON; - reads it from the input; none answers everybody the same. Values or a target beside it are what is left when nothing fits."`
	dryFlag
}

func (dnsSet) Help() string {
	return `What the name had of that type is replaced. A steering file, with all there can be:

    answers:
      - {order: 0, check: web, values: [192.0.2.1]}     # the lowest order that lives
      - {order: 1, check: web, values: [198.51.100.1]}
      - {countries: [DE, AT], values: [203.0.113.1]}    # or continents, or regions
      - {weight: 10, values: [203.0.113.2]}             # beside others of its order
    checks:
      web: {type: https, port: 443, path: /alive, interval: 10, rise: 2, fall: 3}

` + examples(
		"edgewright dns set example.com www A 192.0.2.1 192.0.2.2 --ttl 60",
		"edgewright dns set example.com @ MX '10 mail' '20 mail.example.net.'",
		"edgewright dns set example.com @ ALIAS --edges",
		"edgewright dns set example.com www A 192.0.2.1 --steering steering.yaml")
}

func (c *dnsSet) Run(a *app) error {
	data := client.RecordData{TTL: c.TTL, Values: c.Values, Comment: c.Comment}
	switch {
	case c.Edges:
		data.Target = &client.RecordTarget{Kind: "edges"}
	case c.Region != "":
		data.Target = &client.RecordTarget{Kind: "region", ID: c.Region}
	case len(c.Values) == 0 && c.Steering == "":
		return fault.New(fault.Invalid, "there is no value; give one, or --edges, or remove the records with \"edgewright dns rm\"")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	old, err := a.findRecord(cl, c.Zone, c.Name, c.Type)
	if err != nil {
		return err
	}
	switch {
	case c.Steering == "" && old != nil && old.Steering != nil:
		return fault.New(fault.Conflict, "%s %s is steered, which this would undo: say --steering FILE with how it shall be, or --steering %s", clean(old.FullName), old.Type, noSteering)
	case c.Steering != "" && c.Steering != noSteering:
		if data.Steering, err = a.steering(c.Steering); err != nil {
			return err
		}
	}
	record := client.NewRecord{Name: c.Name, Type: c.Type, RecordData: data}
	if c.DryRun {
		id, revision := "", int64(0)
		if old != nil {
			id, revision = old.ID, old.Revision
		}
		plan, err := cl.PlanRecord(a.ctx, c.Zone, id, revision, record)
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	var made *client.RecordMade
	if old == nil {
		made, err = cl.CreateRecord(a.ctx, c.Zone, record)
	} else {
		if data.Comment == "" {
			data.Comment = old.Comment
		}
		data.Tags = old.Tags
		made, err = cl.UpdateRecord(a.ctx, c.Zone, old.ID, old.Revision, data)
	}
	if err != nil {
		return err
	}
	return a.show(made, func() {
		fmt.Fprintf(a.out, "%s %s %s\n", a.ink.bold(clean(made.Record.FullName)), made.Record.Type, clean(recordText(made.Record.RecordData)))
		for _, w := range made.Warnings {
			fmt.Fprintf(a.err, "warning: %s\n", clean(w))
		}
	})
}

type dnsRemove struct {
	zoneArg
	Name string `arg:"" help:"The name, relative to the zone."`
	Type string `arg:"" help:"The type."`
	dryFlag
	yesFlag
}

func (dnsRemove) Help() string {
	return "Undo a mistake with \"edgewright revert\".\n\n" + examples("edgewright dns rm example.com old A", "edgewright dns rm example.com @ MX --yes")
}

func (c *dnsRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	r, err := a.findRecord(cl, c.Zone, c.Name, c.Type)
	if err != nil {
		return err
	}
	if r == nil {
		return fault.New(fault.NotFound, "%s has no %s records in this zone; see \"edgewright dns list %s\"", c.Name, strings.ToUpper(c.Type), c.Zone)
	}
	if c.DryRun {
		plan, err := cl.PlanDeleteRecord(a.ctx, c.Zone, r.ID, r.Revision)
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	if err := a.confirm(c.Yes, "Remove %s %s (%s)?", r.FullName, r.Type, recordText(r.RecordData)); err != nil {
		return err
	}
	if err := cl.DeleteRecord(a.ctx, c.Zone, r.ID, r.Revision); err != nil {
		return err
	}
	a.hint("Removed %s %s.", clean(r.FullName), r.Type)
	return nil
}

type dnsImport struct {
	zoneArg
	File    string `arg:"" help:"The zone file; - reads standard input."`
	Replace bool   `help:"Remove what the file has not."`
	Partial bool   `help:"Take what is well-formed, leave the rest out."`
	dryFlag
	yesFlag
}

func (dnsImport) Help() string {
	return "Name servers of the zone, the SOA and DNSSEC records are made by the platform and are left out. With --dry-run it reports and changes nothing.\n\n" + examples(
		"edgewright dns import example.com example.com.zone --dry-run", "named-compilezone -o - example.com db.example | edgewright dns import example.com - --replace")
}

// input reads a file, or for "-" the input; what names it.
func (a *app) input(name, what string) (string, error) {
	if name == "-" {
		b, err := io.ReadAll(a.in)
		return string(b), err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", fault.New(fault.Invalid, "%s cannot be read: %w", what, err)
	}
	return string(b), nil
}

func (c *dnsImport) Run(a *app) error {
	text, err := a.input(c.File, "the zone file")
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	report, err := cl.ImportZone(a.ctx, c.Zone, client.ZoneFile{Zone: text, Replace: c.Replace, Partial: c.Partial, Consent: c.Yes, Preview: c.DryRun})
	if err != nil {
		return err
	}
	if err := a.show(report, func() { a.printImport(report) }); err != nil {
		return err
	}
	if c.DryRun && report.Created+report.Updated+report.Deleted > 0 {
		return status(exitPending)
	}
	return nil
}

func (a *app) printImport(r *client.ZoneImport) {
	fmt.Fprintf(a.out, "%d records, %d sets: %d created, %d changed, %d removed, %d as they were\n", r.Records, r.Sets, r.Created, r.Updated, r.Deleted, r.Unchanged)
	for _, s := range r.Skipped {
		fmt.Fprintf(a.out, "  line %d left out: %s\n    %s\n", s.Line, clean(s.Reason), clean(s.Record))
	}
	for _, n := range slices.Concat(r.Notes, r.Warnings) {
		fmt.Fprintf(a.out, "  note: %s\n", clean(n))
	}
}

type dnsExport struct{ zoneArg }

func (dnsExport) Help() string {
	return examples("edgewright dns export example.com > example.com.zone")
}

func (c *dnsExport) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	return cl.ExportZone(a.ctx, c.Zone, a.out)
}

type dnsDiff struct {
	zoneArg
	File string `arg:"" help:"The zone file; - reads standard input."`
}

func (dnsDiff) Help() string {
	return "Shows what \"dns import --replace\" would do. Exit status 2 when there is a difference.\n\n" + examples("edgewright dns diff example.com example.com.zone")
}

func (c *dnsDiff) Run(a *app) error {
	text, err := a.input(c.File, "the zone file")
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	report, err := cl.ImportZone(a.ctx, c.Zone, client.ZoneFile{Zone: text, Replace: true, Partial: true, Consent: true, Preview: true})
	if err != nil {
		return err
	}
	if report.Plan == nil {
		report.Plan = &client.Plan{}
	}
	return a.showDryRun(cl, report.Plan)
}

type dnsSecure struct {
	zoneArg
	Enable    bool   `xor:"what" help:"Sign the zone."`
	Disable   bool   `xor:"what" help:"Sign it no more, once the parent has removed its DS."`
	Roll      string `xor:"what" placeholder:"KEY" help:"Roll a key: csk, ksk or zsk."`
	Algorithm string `placeholder:"NAME" help:"With --enable: ecdsap256 or ed25519."`
	Keys      string `placeholder:"KIND" help:"With --enable: csk or ksk-zsk."`
	Denial    string `placeholder:"KIND" help:"With --enable: nsec, nsec3 or compact."`
}

func (dnsSecure) Help() string {
	return "Without a flag it shows keys, the DS for the registrar, and what is under way.\n\n" + examples(
		"edgewright dns dnssec example.com --enable", "edgewright dns dnssec example.com --roll csk", "edgewright dns dnssec example.com -o json")
}

func (c *dnsSecure) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var s *client.ZoneSecurity
	switch {
	case c.Enable || c.Disable:
		s, err = cl.SetSecurity(a.ctx, c.Zone, client.SecurityWish{Enabled: c.Enable, Algorithm: c.Algorithm, Keys: c.Keys, Denial: c.Denial})
	case c.Roll != "":
		s, err = cl.RollKey(a.ctx, c.Zone, c.Roll)
	default:
		s, err = cl.Security(a.ctx, c.Zone)
	}
	if err != nil {
		return err
	}
	return a.show(s, func() {
		fmt.Fprintf(a.out, "wanted: %s, signed: %s, known to the parent: %s\n", onOff(s.Enabled, "signed", "unsigned"), onOff(s.Signed, "yes", "no"), onOff(s.Secure, "yes", "no"))
		if s.Message != "" {
			fmt.Fprintln(a.out, clean(s.Message))
		}
		for _, ds := range s.DS {
			fmt.Fprintf(a.out, "DS %s\n", clean(ds))
		}
		if len(s.List) == 0 {
			return
		}
		t := a.table("KEY", "ROLE", "TAG", "PUBLISHED", "SIGNS", "ANNOUNCED")
		for _, k := range s.List {
			t.row(k.ID, k.Role, fmt.Sprint(k.Tag), onOff(k.Published, "yes", "no"), onOff(k.Active, "yes", "no"), onOff(k.Announced, "yes", "no"))
		}
		t.print(a.out)
	})
}
