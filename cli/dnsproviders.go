package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type dnsProvidersCommand struct {
	List   dnsProvidersList   `cmd:"" help:"List DNS providers." aliases:"ls"`
	Add    dnsProvidersAdd    `cmd:"" help:"Keep the credentials of a DNS provider."`
	Set    dnsProvidersSet    `cmd:"" help:"Replace the credentials of a DNS provider."`
	Test   dnsProvidersTest   `cmd:"" help:"Use the credentials once, and say what was found."`
	Zones  dnsProvidersZones  `cmd:"" help:"List the zones that the credentials reach."`
	Remove dnsProvidersRemove `cmd:"" name:"rm" help:"Forget a DNS provider and its credentials."`
}

func (dnsProvidersCommand) Help() string {
	return "Accounts at Cloudflare, Route 53 and others, through which records can be written for domains whose zone is there.\n\n" +
		examples("edgewright dns providers add main --driver cloudflare --from token.txt", "edgewright dns providers zones main")
}

type dnsProviderArg struct {
	Name string `arg:"" help:"The provider, by name."`
}

type dnsProviderList struct {
	Providers []client.DNSProvider `json:"providers"`
}

type dnsProvidersList struct{}

func (dnsProvidersList) Help() string { return examples("edgewright dns providers list") }

func (dnsProvidersList) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Collect(c.DNSProviders(a.ctx))
	if err != nil {
		return err
	}
	return a.show(dnsProviderList{list}, func() {
		if len(list) == 0 {
			a.hint("No DNS providers. Add one: edgewright dns providers add main --driver cloudflare")
			return
		}
		t := a.table("PROVIDER", "DRIVER", "STATE", "ZONES", "TESTED", "")
		for _, p := range list {
			state, note := dnsProviderState(p)
			t.row(p.Name, p.Driver, t.state(state), p.Zones, t.dim(a.ago(p.CheckedAt)), t.dim(note))
		}
		t.print(a.out)
	})
}

// dnsProviderState is how a provider is doing, in a word and, when there is
// trouble, a sentence.
func dnsProviderState(p client.DNSProvider) (state, note string) {
	for _, c := range p.Conditions {
		switch {
		case c.Type != "Ready":
		case c.Status == "true":
			return "ready", ""
		case c.Status == "false":
			return "failed", c.Message
		default:
			return "unknown", c.Message
		}
	}
	return "not tested", ""
}

func (a *app) printDNSProvider(d *client.DNSProvider) {
	state, note := dnsProviderState(*d)
	p := a.pairs()
	p.styled("provider", a.ink.bold(clean(d.Name)))
	p.add("driver", d.Driver)
	p.styled("state", a.ink.state(state))
	p.add("trouble", note)
	p.add("zones", fmt.Sprint(d.Zones))
	p.add("tested", a.ago(d.CheckedAt))
	p.add("revision", fmt.Sprint(d.Revision))
	p.print(a.out)
}

// credentialSource is where credentials come from. They are never on the command
// line, where other users of the machine would see them.
type credentialSource struct {
	From string `placeholder:"FILE" help:"File with one credential a line, as name=value; - for standard input. Default: asked for."`
}

// read returns the credentials for a driver.
func (s credentialSource) read(a *app, d client.DNSDriver) (map[string]string, error) {
	if s.From == "" {
		return a.askCredentials(d)
	}
	in := a.in
	if s.From != "-" {
		f, err := os.Open(s.From)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--from: %w", err)
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err != nil {
		return nil, fault.New(fault.Invalid, "--from: %w", err)
	}
	return parseCredentials(string(raw), d)
}

// parseCredentials reads name=value lines; a driver with one credential may have
// it alone.
func parseCredentials(text string, d client.DNSDriver) (map[string]string, error) {
	out := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok && len(d.Fields) == 1 {
			name, value, ok = d.Fields[0].Name, line, true
		}
		if !ok {
			return nil, fault.New(fault.Invalid, "line %d of the credentials is not name=value; %s needs %s", i+1, d.Title, fieldNames(d))
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return out, nil
}

func fieldNames(d client.DNSDriver) string {
	var names []string
	for _, f := range d.Fields {
		names = append(names, f.Name)
	}
	return strings.Join(names, " and ")
}

// askCredentials asks for each credential on the terminal; secrets are not shown
// as they are typed.
func (a *app) askCredentials(d client.DNSDriver) (map[string]string, error) {
	if !a.inTTY {
		return nil, fault.New(fault.Invalid, "nobody is there to type the credentials; pass --from FILE, with %s", fieldNames(d))
	}
	out := map[string]string{}
	lines := bufio.NewReader(a.in)
	for _, f := range d.Fields {
		fmt.Fprintf(a.err, "%s\n%s: ", clean(f.Help), clean(f.Name))
		file, isFile := a.in.(*os.File)
		var text string
		if f.Secret && isFile {
			raw, err := term.ReadPassword(int(file.Fd()))
			fmt.Fprintln(a.err)
			if err != nil {
				return nil, err
			}
			text = string(raw)
		} else {
			line, err := lines.ReadString('\n')
			if err != nil && line == "" {
				return nil, err
			}
			text = line
		}
		if text = strings.TrimSpace(text); text != "" {
			out[f.Name] = text
		}
	}
	return out, nil
}

// dnsDriver finds a driver by name.
func (a *app) dnsDriver(c *client.Client, name string) (client.DNSDriver, error) {
	drivers, err := c.DNSDrivers(a.ctx)
	if err != nil {
		return client.DNSDriver{}, err
	}
	var names []string
	for _, d := range drivers {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return client.DNSDriver{}, fault.New(fault.Invalid, "there is no driver %q; use one of %s", name, strings.Join(names, ", "))
}

type dnsProvidersAdd struct {
	dnsProviderArg
	credentialSource
	Driver string `required:"" placeholder:"DRIVER" help:"Kind of provider: cloudflare or route53."`
}

func (dnsProvidersAdd) Help() string {
	return "Credentials are kept encrypted and never shown again. The provider is asked at once whether it accepts them.\n\n" +
		examples("edgewright dns providers add main --driver cloudflare", "edgewright dns providers add aws --driver route53 --from credentials.txt")
}

func (c *dnsProvidersAdd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	driver, err := a.dnsDriver(cl, c.Driver)
	if err != nil {
		return err
	}
	credentials, err := c.read(a, driver)
	if err != nil {
		return err
	}
	made, err := cl.CreateDNSProvider(a.ctx, client.NewDNSProvider{Name: c.Name, Driver: c.Driver, Credentials: credentials})
	if err != nil {
		return err
	}
	return a.testDNSProvider(cl, made.Name)
}

// testDNSProvider tests, shows, and fails when the credentials are no good.
func (a *app) testDNSProvider(cl *client.Client, name string) error {
	p, err := cl.TestDNSProvider(a.ctx, name)
	if err != nil {
		return err
	}
	if err := a.show(p, func() { a.printDNSProvider(p) }); err != nil {
		return err
	}
	if state, _ := dnsProviderState(*p); state != "ready" {
		return status(exitFailed)
	}
	return nil
}

type dnsProvidersSet struct {
	dnsProviderArg
	credentialSource
}

func (dnsProvidersSet) Help() string {
	return "The old credentials are forgotten. The provider is asked at once whether it accepts the new ones.\n\n" +
		examples("edgewright dns providers set main", "edgewright dns providers set main --from - < token.txt")
}

func (c *dnsProvidersSet) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	p, err := cl.DNSProvider(a.ctx, c.Name)
	if err != nil {
		return err
	}
	driver, err := a.dnsDriver(cl, p.Driver)
	if err != nil {
		return err
	}
	credentials, err := c.read(a, driver)
	if err != nil {
		return err
	}
	if _, err := cl.SetDNSCredentials(a.ctx, c.Name, p.Revision, credentials); err != nil {
		return err
	}
	return a.testDNSProvider(cl, c.Name)
}

type dnsProvidersTest struct{ dnsProviderArg }

func (dnsProvidersTest) Help() string {
	return "Exit status 1 when the provider does not accept the credentials.\n\n" + examples("edgewright dns providers test main")
}

func (c *dnsProvidersTest) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	return a.testDNSProvider(cl, c.Name)
}

type dnsZoneList struct {
	Zones []client.DNSZone `json:"zones"`
}

type dnsProvidersZones struct{ dnsProviderArg }

func (dnsProvidersZones) Help() string {
	return examples("edgewright dns providers zones main", "edgewright dns providers zones main -o json")
}

func (c *dnsProvidersZones) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	zones, err := cl.DNSZones(a.ctx, c.Name)
	if err != nil {
		return err
	}
	return a.show(dnsZoneList{zones}, func() {
		if len(zones) == 0 {
			a.hint("The credentials reach no zone.")
			return
		}
		t := a.table("ZONE", "ID", "NAME SERVERS")
		for _, z := range zones {
			t.row(z.Name, z.ID, strings.Join(z.NameServers, ", "))
		}
		t.print(a.out)
	})
}

type dnsProvidersRemove struct {
	dnsProviderArg
	yesFlag
}

func (dnsProvidersRemove) Help() string {
	return "Records at the provider stay as they are. The credentials do not come back when this is undone.\n\n" +
		examples("edgewright dns providers rm main")
}

func (c *dnsProvidersRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	p, err := cl.DNSProvider(a.ctx, c.Name)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Forget the DNS provider %s and its credentials?", p.Name); err != nil {
		return err
	}
	if err := cl.RemoveDNSProvider(a.ctx, p.Name, p.Revision); err != nil {
		return err
	}
	a.hint("Forgot %s.", clean(p.Name))
	return nil
}
