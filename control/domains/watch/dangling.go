package watch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
)

// claimable are services at which anybody can claim a name that leads there.
// With page, the service's own page tells that nobody has; without, a target that
// does not exist does.
var claimable = []struct{ suffix, name, page string }{
	{"github.io", "GitHub Pages", "There isn't a GitHub Pages site here"},
	{"s3.amazonaws.com", "Amazon S3", "NoSuchBucket"},
	{"s3-website.amazonaws.com", "Amazon S3", "NoSuchBucket"},
	{"herokudns.com", "Heroku", "No such app"},
	{"herokuapp.com", "Heroku", "No such app"},
	{"azurewebsites.net", "Azure App Service", ""},
	{"cloudapp.net", "Azure", ""},
	{"cloudapp.azure.com", "Azure", ""},
	{"trafficmanager.net", "Azure Traffic Manager", ""},
	{"blob.core.windows.net", "Azure Storage", ""},
	{"azureedge.net", "Azure CDN", ""},
	{"elasticbeanstalk.com", "AWS Elastic Beanstalk", ""},
	{"myshopify.com", "Shopify", "Sorry, this shop is currently unavailable"},
	{"ghost.io", "Ghost", "The thing you were looking for is no longer here"},
	{"bitbucket.io", "Bitbucket", "Repository not found"},
	{"surge.sh", "Surge", "project not found"},
	{"readthedocs.io", "Read the Docs", "unknown to Read the Docs"},
	{"pantheonsite.io", "Pantheon", "The gods are wise, but do not know of the site which you seek"},
	{"wordpress.com", "WordPress.com", "Do you want to register"},
	{"fastly.net", "Fastly", "Fastly error: unknown domain"},
	{"netlify.app", "Netlify", "Not Found - Request ID"},
	{"vercel-dns.com", "Vercel", "DEPLOYMENT_NOT_FOUND"},
	{"zendesk.com", "Zendesk", "Help Center Closed"},
	{"helpscoutdocs.com", "Help Scout", "No settings were found for this company"},
	{"agilecrm.com", "Agile CRM", "Sorry, this page is no longer available"},
}

const maxTargets = 40

// dangling looks at what the name, its zone and the records of a managed zone lead
// to.
func (w *Watcher) dangling(ctx context.Context, d domains.Domain, name domains.Name, zone domains.Zone) ([]domains.DanglingRecord, error) {
	type lead struct{ name, typ, target string }
	var leads []lead
	add := func(name, typ, target string) {
		target = strings.ToLower(strings.TrimSuffix(target, "."))
		if l := (lead{name, typ, target}); target != "" && len(leads) < maxTargets && !slices.Contains(leads, l) {
			leads = append(leads, l)
		}
	}
	for _, s := range w.ask(ctx, zone, name.Probe(), "CNAME") {
		for _, target := range s.Answers {
			add(name.ASCII, "CNAME", target)
		}
	}
	for _, server := range zone.Servers {
		add(zone.Apex, "NS", server.Name)
	}
	if w.options.RRsets != nil {
		sets, err := w.options.RRsets.RRsets(ctx, d.Project, d.Environment, name.Base, time.Time{}, 1000)
		if err != nil {
			return nil, err
		}
		for _, set := range sets {
			for _, value := range set.Values {
				switch fields := strings.Fields(value); {
				case len(fields) == 0:
				case set.Type == "CNAME", set.Type == "NS", set.Type == "ALIAS":
					add(set.Name, set.Type, fields[0])
				case set.Type == "MX" && len(fields) == 2:
					add(set.Name, set.Type, fields[1])
				}
			}
		}
	}
	var found []domains.DanglingRecord
	for _, l := range leads {
		if r, ok := w.judgeTarget(ctx, l.name, l.typ, l.target); ok {
			found = append(found, r)
		}
	}
	return found, nil
}

// judgeTarget tells whether a record dangles. Only what most of those that answer
// say counts.
func (w *Watcher) judgeTarget(ctx context.Context, name, typ, target string) (domains.DanglingRecord, bool) {
	r := domains.DanglingRecord{Name: name, Type: typ, Target: target, Fix: fmt.Sprintf("remove the %s record of %s, or let it lead to what is yours", typ, name)}
	gone, there := 0, 0
	for _, s := range w.options.Resolvers.Lookup(ctx, target, "A") {
		switch s.Error {
		case noName:
			gone++
		case "":
			there++
		}
	}
	page := ""
	for _, c := range claimable {
		if target == c.suffix || strings.HasSuffix(target, "."+c.suffix) {
			r.Provider, page = c.name, c.page
			break
		}
	}
	if gone > there {
		r.Reason = noName
		r.Detail = fmt.Sprintf("%s leads to %s, which does not exist", name, target)
		switch {
		case typ == "NS":
			r.Detail += ": whoever registers it answers for the whole zone"
		case r.Provider != "":
			r.Detail += fmt.Sprintf(": anybody can claim it at %s and answer in your name", r.Provider)
		default:
			r.Detail += ": whoever gets that name answers in yours"
		}
		return r, true
	}
	if page != "" && typ == "CNAME" && w.options.Pages != nil && there > 0 && !strings.HasPrefix(name, "*.") {
		body, err := w.options.Pages.Page(ctx, "http://"+name+"/")
		if err == nil && bytes.Contains(body, []byte(page)) {
			r.Reason = "Unclaimed"
			r.Detail = fmt.Sprintf("%s leads to %s, where nobody has claimed it: anybody can, and answer in your name", name, r.Provider)
			return r, true
		}
	}
	return r, false
}

// recordDangling sets the condition, and tells of each record once.
func recordDangling(st *domains.Status, old *domains.Watch, found []domains.DanglingRecord, now time.Time) {
	key := func(r domains.DanglingRecord) string { return r.Name + " " + r.Type + " " + r.Target }
	had := map[string]bool{}
	if old != nil {
		for _, r := range old.Dangling {
			had[key(r)] = true
		}
	}
	for _, r := range found {
		if !had[key(r)] {
			st.Note(now, domains.EventDangling, domains.Critical, r.Detail+". "+r.Fix, map[string]string{"name": r.Name, "type": r.Type, "target": r.Target, "provider": r.Provider})
		}
		delete(had, key(r))
	}
	for range had {
		st.Note(now, domains.EventDanglingGone, domains.Info, "a record no longer leads to what is gone", nil)
	}
	c := resource.Condition{Type: domains.Dangling, Status: resource.False, Reason: "None", Message: "nothing leads to what is gone", Since: now}
	if len(found) > 0 {
		c.Status, c.Reason, c.Message = resource.True, found[0].Reason, found[0].Detail+". "+found[0].Fix
	}
	st.Conditions = resource.SetCondition(st.Conditions, c)
}
