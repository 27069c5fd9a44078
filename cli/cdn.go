package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type cdnCommand struct {
	List   cdnList   `cmd:"" help:"List CDN configurations." aliases:"ls"`
	Show   cdnShow   `cmd:"" help:"Show a CDN configuration."`
	Set    cdnSet    `cmd:"" help:"Make a CDN configuration, or change parts of one."`
	Remove cdnRemove `cmd:"" name:"rm" help:"Remove a CDN configuration that no domain uses."`
}

func (cdnCommand) Help() string {
	return "A CDN configuration says where content comes from and how it is cached. Domains name the one they use; \"default\" when they name none.\n\n" +
		examples("edgewright cdn set default --origin http://10.0.0.5:3000", "edgewright cdn show default")
}

type cdnDeployments struct {
	CDNs []client.CDN `json:"cdn_deployments"`
}

type cdnList struct{}

func (cdnList) Help() string { return examples("edgewright cdn list") }

func (cdnList) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Collect(c.CDNs(a.ctx))
	if err != nil {
		return err
	}
	return a.show(cdnDeployments{list}, func() {
		if len(list) == 0 {
			a.hint("No CDN configurations. Make one: edgewright cdn set default --origin http://127.0.0.1:3000")
			return
		}
		t := a.table("NAME", "ORIGINS", "RULES", "DOMAINS", "REVISION")
		for _, c := range list {
			var origins []string
			for _, o := range c.Origins {
				origins = append(origins, o.URL)
			}
			t.row(c.Name, strings.Join(origins, ", "), len(c.CacheRules), strings.Join(c.Domains, ", "), c.Revision)
		}
		t.print(a.out)
	})
}

type cdnShow struct {
	Name string `arg:"" optional:"" default:"default" complete:"cdns" help:"The configuration. Default: default."`
}

func (cdnShow) Help() string {
	return examples("edgewright cdn show", "edgewright cdn show shop.example.com -o yaml")
}

func (c *cdnShow) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	config, err := cl.CDN(a.ctx, c.Name)
	if err != nil {
		return err
	}
	return a.show(config, func() { a.printCDN(config) })
}

func (a *app) printCDN(c *client.CDN) {
	p := a.pairs()
	p.styled("cdn", a.ink.bold(clean(c.Name)))
	p.add("domains", strings.Join(c.Domains, ", "))
	p.add("timeouts", fmt.Sprintf("connect %s, response %s, idle %s", ms(c.Timeouts.ConnectMS), ms(c.Timeouts.ResponseMS), ms(c.Timeouts.IdleMS)))
	if c.MaxBodyBytes > 0 {
		p.add("request body", "up to "+bytesText(c.MaxBodyBytes))
	}
	p.add("edges", rolloutText(c.Rollout))
	p.add("revision", fmt.Sprint(c.Revision))
	p.print(a.out)
	fmt.Fprintln(a.out)
	t := a.table("ORIGIN", "URL", "HOST", "OPTIONS")
	for _, o := range c.Origins {
		t.row(o.Name, o.URL, o.HostHeader, originOptions(o))
	}
	t.print(a.out)
	if len(c.CacheRules) == 0 {
		fmt.Fprintln(a.out, "\nNo cache rules: the origin's headers decide.")
		return
	}
	fmt.Fprintln(a.out)
	t = a.table("#", "PATTERN", "ACTION", "TTL", "BROWSER", "KEY")
	for i, r := range c.CacheRules {
		browser := ""
		if r.BrowserTTL != nil {
			browser = fmt.Sprintf("%ds", *r.BrowserTTL)
		}
		ttl := ""
		if r.TTL > 0 {
			ttl = fmt.Sprintf("%ds", r.TTL)
		}
		t.row(i+1, r.Pattern, r.Action, ttl, browser, keyText(r.Key))
	}
	t.print(a.out)
}

func ms(n int) string {
	switch {
	case n == 0:
		return "unbounded"
	case n%1000 == 0:
		return fmt.Sprintf("%ds", n/1000)
	}
	return fmt.Sprintf("%dms", n)
}

func bytesText(n int64) string {
	const units = "KMGT"
	value, unit := float64(n), -1
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit < 0 {
		return fmt.Sprintf("%d B", n)
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + units[unit:unit+1] + "iB"
}

func originOptions(o client.Origin) string {
	var list []string
	if o.ServerName != "" {
		list = append(list, "tls name "+o.ServerName)
	}
	if o.HTTP2 != "" {
		list = append(list, "http2 "+o.HTTP2)
	}
	if o.SkipVerify {
		list = append(list, "certificate not checked")
	}
	if o.RootCAPEM != "" {
		list = append(list, "own CA")
	}
	return strings.Join(list, ", ")
}

func keyText(k *client.CacheKey) string {
	if k == nil {
		return ""
	}
	var list []string
	if q := k.Query; q != nil && q.Mode != "" && q.Mode != "all" {
		list = append(list, strings.TrimSpace("query "+q.Mode+" "+strings.Join(q.Names, ",")))
	}
	if len(k.Headers) > 0 {
		list = append(list, "headers "+strings.Join(k.Headers, ","))
	}
	if len(k.Cookies) > 0 {
		list = append(list, "cookies "+strings.Join(k.Cookies, ","))
	}
	return strings.Join(list, "; ")
}

type cdnSet struct {
	Name   string   `arg:"" optional:"" default:"default" complete:"cdns" help:"The configuration. Default: default."`
	Origin []string `sep:"none" placeholder:"URL" help:"Origin, as URL or NAME=URL; may be repeated, they stand in for one another in this order. Replaces all origins."`
	Rule   []string `sep:"none" placeholder:"PATTERN=TTL" help:"Cache rule: PATTERN=SECONDS, PATTERN=bypass or PATTERN=headers; may be repeated, the first match counts. Replaces all rules."`
	NoRule bool     `name:"no-rules" help:"Take all cache rules away."`
	Body   *Size    `name:"max-body" placeholder:"SIZE" help:"Largest request body; 0: no bound."`
	dryFlag
	waitFlags
}

func (cdnSet) Help() string {
	return "What is not named stays. For all options of origins and rules, declare the configuration in a file: edgewright export, edit, edgewright apply.\n\n" + examples(
		"edgewright cdn set default --origin http://10.0.0.5:3000",
		"edgewright cdn set shop --origin a=http://10.0.0.5 --origin b=http://10.0.0.6 --wait",
		"edgewright cdn set shop --rule '/static/**=86400' --rule '/api/**=bypass' --dry-run")
}

func (c *cdnSet) Run(a *app) error {
	if len(c.Origin) == 0 && len(c.Rule) == 0 && !c.NoRule && c.Body == nil {
		return fault.New(fault.Invalid, "nothing to change was named; see \"edgewright cdn set --help\"")
	}
	if c.NoRule && len(c.Rule) > 0 {
		return fault.New(fault.Invalid, "--no-rules takes all rules away and --rule sets them; give one of them")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	old, err := cl.CDN(a.ctx, c.Name)
	if fault.Is(err, fault.NotFound) {
		old, err = nil, nil
	}
	if err != nil {
		return err
	}
	config, err := c.config(old)
	if err != nil {
		return err
	}
	if c.DryRun {
		var plan *client.Plan
		if old == nil {
			plan, err = cl.PlanConfigureCDN(a.ctx, config)
		} else {
			plan, err = cl.PlanReplaceCDN(a.ctx, c.Name, old.Revision, config)
		}
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	var done *client.CDN
	if old == nil {
		done, err = cl.ConfigureCDN(a.ctx, config)
	} else {
		done, err = cl.ReplaceCDN(a.ctx, c.Name, old.Revision, config)
	}
	if err != nil {
		return err
	}
	changed := old == nil || old.Revision != done.Revision
	if err := a.show(done, func() {
		if !changed {
			fmt.Fprintf(a.out, "%s is like that already.\n", a.ink.bold(clean(done.Name)))
			return
		}
		fmt.Fprintf(a.out, "Set %s (revision %d).\n", a.ink.bold(clean(done.Name)), done.Revision)
	}); err != nil || !c.Wait || !changed {
		return err
	}
	return a.awaitRollout(cl, done.Revision, c.Timeout)
}

// config is the old configuration with what the flags name replaced.
func (c *cdnSet) config(old *client.CDN) (client.ConfigureCDN, error) {
	config := client.ConfigureCDN{Name: c.Name}
	if old != nil {
		config.Origins, config.CacheRules, config.MaxBodyBytes = old.Origins, old.CacheRules, old.MaxBodyBytes
		config.Timeouts = &old.Timeouts
	} else if len(c.Origin) == 0 {
		return config, fault.New(fault.Invalid, "there is no CDN configuration %q yet; make it with --origin URL", c.Name)
	}
	if len(c.Origin) > 0 {
		config.Origins = nil
		for _, text := range c.Origin {
			config.Origins = append(config.Origins, parseOrigin(text, old))
		}
	}
	if c.NoRule {
		config.CacheRules = nil
	}
	if len(c.Rule) > 0 {
		config.CacheRules = nil
		for _, text := range c.Rule {
			rule, err := parseRule(text)
			if err != nil {
				return config, err
			}
			config.CacheRules = append(config.CacheRules, rule)
		}
	}
	if c.Body != nil {
		config.MaxBodyBytes = int64(*c.Body)
	}
	return config, nil
}

// parseOrigin reads URL or NAME=URL. An origin that is there already keeps
// its options.
func parseOrigin(text string, old *client.CDN) client.Origin {
	o := client.Origin{URL: text}
	if name, url, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(name, ":/") {
		o.Name, o.URL = name, url
	}
	if old != nil {
		for _, was := range old.Origins {
			if o.Name != "" && was.Name == o.Name || o.Name == "" && was.URL == o.URL {
				was.URL = o.URL
				return was
			}
		}
	}
	return o
}

// parseRule reads PATTERN=SECONDS, PATTERN=bypass or PATTERN=headers.
func parseRule(text string) (client.CacheRule, error) {
	i := strings.LastIndexByte(text, '=')
	if i <= 0 {
		return client.CacheRule{}, fault.New(fault.Invalid, "--rule %q: write it like '/static/**=86400' or '/api/**=bypass'", text)
	}
	rule := client.CacheRule{Pattern: text[:i]}
	switch value := text[i+1:]; value {
	case "bypass", "headers":
		rule.Action = value
	default:
		var ttl days
		seconds, err := strconv.Atoi(value)
		if err != nil {
			if ttl.UnmarshalText([]byte(value)) != nil {
				return rule, fault.New(fault.Invalid, "--rule %q: after the = comes a number of seconds, a time like 12h, bypass or headers", text)
			}
			seconds = int(ttl.seconds())
		}
		if seconds < 0 {
			return rule, fault.New(fault.Invalid, "--rule %q: a time to live is not negative; to cache nothing write bypass", text)
		}
		rule.Action, rule.TTL = "cache", seconds
	}
	return rule, nil
}

type cdnRemove struct {
	Name string `arg:"" complete:"cdns" help:"The configuration."`
	yesFlag
}

func (cdnRemove) Help() string { return examples("edgewright cdn rm old") }

func (c *cdnRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	config, err := cl.CDN(a.ctx, c.Name)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Remove the CDN configuration %s?", c.Name); err != nil {
		return err
	}
	if err := cl.RemoveCDN(a.ctx, c.Name, config.Revision); err != nil {
		return err
	}
	a.hint("Removed %s.", clean(c.Name))
	return nil
}
