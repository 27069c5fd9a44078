// Package cloudflare is the driver for Cloudflare's DNS (API v4).
//
// Types: Driver; record (one DNS record as the API has it, which knows records
// where the room knows RRsets). A change of an RRset becomes deletions, patches
// and posts of records inside one batch, which Cloudflare carries out as one
// transaction. Comments, tags and settings of records that stay are kept.
//
// Phases of a call: request -> wait and repeat when throttled or, for reads,
// when the API is away -> envelope -> *dnsproviders.Error in the user's terms.
package cloudflare

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
)

// Name is the driver's.
const Name = "cloudflare"

// defaultBaseURL is the public API.
const defaultBaseURL = "https://api.cloudflare.com/client/v4"

// Options of the driver.
type Options struct {
	HTTP    *http.Client
	BaseURL string                                     // "": the public API
	Pause   func(context.Context, time.Duration) error // nil: dnsproviders.Pause
}

// Driver speaks for one API token.
type Driver struct{ api client }

// Type returns the driver's row of the table.
func Type(o Options) dnsproviders.DriverType {
	return dnsproviders.DriverType{
		Name: Name, Title: "Cloudflare",
		Fields: []dnsproviders.Field{{
			Name: "api_token", Required: true, Secret: true, Check: checkToken,
			Help: "API token with the permissions Zone:Read and DNS:Edit on the zones concerned (dash.cloudflare.com, My Profile, API Tokens)",
		}, dnsproviders.APIURLField(defaultBaseURL)},
		Open: func(c dnsproviders.Credentials) (dnsproviders.Driver, error) {
			at := o
			at.BaseURL = cmp.Or(c[dnsproviders.APIURL], o.BaseURL)
			return New(c["api_token"], at), nil
		},
	}
}

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9_-]{40,128}$`)

var globalKeyForm = regexp.MustCompile(`^[0-9a-f]{37}$`)

func checkToken(token string) (detail, fix string) {
	switch {
	case globalKeyForm.MatchString(token):
		return "this is the account's global API key, which may do everything", "make an API token with Zone:Read and DNS:Edit instead"
	case !tokenForm.MatchString(token):
		return "this is no Cloudflare API token, which has 40 or more letters, digits, _ and -", "copy it again, without spaces or the word Bearer"
	}
	return "", ""
}

// New returns a driver for a token.
func New(token string, o Options) *Driver {
	if o.Pause == nil {
		o.Pause = dnsproviders.Pause
	}
	return &Driver{client{http: o.HTTP, base: strings.TrimSuffix(cmp.Or(o.BaseURL, defaultBaseURL), "/"), token: token, pause: o.Pause}}
}

// Abilities are Cloudflare's: TTLs of 60 to 86,400 seconds (1: automatic, what
// proxied records have), a proxy, and a CNAME at the apex, which is flattened.
func (d *Driver) Abilities() dnsplan.Abilities {
	return dnsplan.Abilities{MinTTL: 60, MaxTTL: 86400, Proxy: true, ProxiedTTL: automatic, ApexCNAME: true, Types: writable}
}

const automatic = 1

// MaxBatch is what a batch may hold on every plan.
func (d *Driver) MaxBatch() int { return 200 }

// Zones lists the zones whose DNS is at Cloudflare.
func (d *Driver) Zones(ctx context.Context) ([]dnsproviders.Zone, error) {
	type zone struct {
		ID          string   `json:"id"`
		Name        string   `json:"name"`
		Type        string   `json:"type"`
		NameServers []string `json:"name_servers"`
	}
	found, err := pages[zone](ctx, d.api, "/zones", url.Values{}, 50)
	if err != nil {
		return nil, err
	}
	zones := []dnsproviders.Zone{}
	for _, z := range found {
		name, err := dnsplan.CanonicalName(z.Name)
		if err != nil || z.Type != "" && z.Type != "full" {
			continue // a partial zone's DNS is elsewhere, a secondary's cannot be written
		}
		zones = append(zones, dnsproviders.Zone{Zone: dnsplan.Zone{ID: z.ID, Name: name}, NameServers: z.NameServers})
	}
	return zones, nil
}

// Records lists the RRsets of a zone.
func (d *Driver) Records(ctx context.Context, zone dnsplan.Zone) ([]dnsplan.RRset, error) {
	return d.sets(ctx, zone, url.Values{})
}

// RecordsAt lists the RRsets of a name.
func (d *Driver) RecordsAt(ctx context.Context, zone dnsplan.Zone, name string) ([]dnsplan.RRset, error) {
	return d.sets(ctx, zone, url.Values{"name.exact": {name}})
}

func (d *Driver) sets(ctx context.Context, zone dnsplan.Zone, filter url.Values) ([]dnsplan.RRset, error) {
	found, err := d.records(ctx, zone, filter)
	if err != nil {
		return nil, err
	}
	groups := group(found)
	sets := make([]dnsplan.RRset, 0, len(groups))
	for _, g := range groups {
		sets = append(sets, g.set)
	}
	slices.SortFunc(sets, func(a, b dnsplan.RRset) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Type, b.Type))
	})
	return sets, nil
}

func (d *Driver) records(ctx context.Context, zone dnsplan.Zone, filter url.Values) ([]record, error) {
	return pages[record](ctx, d.api, zonePath(zone)+"/dns_records", filter, 1000)
}

func zonePath(zone dnsplan.Zone) string { return "/zones/" + url.PathEscape(zone.ID) }

// manyNames is from when on reading the zone is cheaper than reading names.
const manyNames = 5

// Apply makes the changes in one batch.
func (d *Driver) Apply(ctx context.Context, zone dnsplan.Zone, changes []dnsplan.Change) (string, error) {
	groups, err := d.current(ctx, zone, changes)
	if err != nil {
		return "", err
	}
	var b batch
	for _, c := range changes {
		g, exists := groups[c.Key()]
		switch {
		case exists && c.After != nil && g.set.Equal(*c.After), !exists && c.After == nil:
			continue // an answer that was lost: it is done
		case exists != (c.Before != nil), exists && !g.set.Equal(*c.Before):
			return "", &dnsproviders.Error{Reason: dnsproviders.Moved, Message: fmt.Sprintf("%s is not as it was when the plan was made", c.Key()), Fix: "make a new plan"}
		}
		var have []record
		if exists {
			have = g.records
		}
		if err := b.add(have, c.After); err != nil {
			return "", err
		}
	}
	if b.empty() {
		return "", nil
	}
	return "", d.api.do(ctx, http.MethodPost, zonePath(zone)+"/dns_records/batch", nil, b, nil)
}

// current reads what the changes concern.
func (d *Driver) current(ctx context.Context, zone dnsplan.Zone, changes []dnsplan.Change) (map[dnsplan.Key]*grouped, error) {
	names := map[string]bool{}
	for _, c := range changes {
		names[c.Key().Name] = true
	}
	if len(names) > manyNames {
		all, err := d.records(ctx, zone, url.Values{})
		return group(all), err
	}
	var found []record
	for name := range names {
		some, err := d.records(ctx, zone, url.Values{"name.exact": {name}})
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return group(found), nil
}

// batch is the body of a batch; Cloudflare carries its parts out in this order.
type batch struct {
	Deletes []reference `json:"deletes,omitempty"`
	Patches []record    `json:"patches,omitempty"`
	Posts   []record    `json:"posts,omitempty"`
}

type reference struct {
	ID string `json:"id"`
}

func (b *batch) empty() bool { return len(b.Deletes)+len(b.Patches)+len(b.Posts) == 0 }

// comment says in Cloudflare's dashboard where a record comes from.
const comment = "Managed by Edgewright"

// add turns the records that are there into those of a set, nil for none.
func (b *batch) add(have []record, after *dnsplan.RRset) error {
	var want []record
	if after != nil {
		for _, v := range after.Values {
			r, err := newRecord(*after, v)
			if err != nil {
				return err
			}
			want = append(want, r)
		}
	}
	patch := func(old, r record) {
		r.ID = old.ID
		b.Patches = append(b.Patches, r)
	}
	// A record whose value stays keeps its identity, and is patched when the
	// rest differs.
	var spare []record
	for _, old := range have {
		i := slices.IndexFunc(want, func(r record) bool { return r.value == old.value })
		if i < 0 {
			spare = append(spare, old)
			continue
		}
		if r := want[i]; int(old.TTL) != int(r.TTL) || old.Proxied != nil && *old.Proxied != (r.Proxied != nil && *r.Proxied) {
			patch(old, r)
		}
		want = slices.Delete(want, i, i+1)
	}
	for _, r := range want {
		if len(spare) > 0 {
			patch(spare[0], r)
			spare = spare[1:]
			continue
		}
		r.Comment = comment
		b.Posts = append(b.Posts, r)
	}
	for _, old := range spare {
		b.Deletes = append(b.Deletes, reference{old.ID})
	}
	return nil
}

// grouped is an RRset with its records.
type grouped struct {
	set     dnsplan.RRset
	records []record
}

// group puts records into RRsets. Where the TTLs of a set differ, the least
// counts, as it does for resolvers (RFC 2181, section 5.2).
func group(records []record) map[dnsplan.Key]*grouped {
	groups := map[dnsplan.Key]*grouped{}
	for _, r := range records {
		one := dnsplan.RRset{Name: r.Name, Type: r.Type, TTL: int(r.TTL), Proxied: r.Proxied != nil && *r.Proxied}
		value, err := r.rdata()
		one.Values = []string{value}
		if err == nil {
			one, err = one.Canonical()
		}
		if err != nil {
			one.Name, one.Values, one.Special = strings.ToLower(r.Name), []string{cmp.Or(r.Content, string(r.Data))}, "a "+r.Type+" record that Edgewright does not read"
		}
		r.value = one.Values[0]
		g := groups[one.Key()]
		if g == nil {
			groups[one.Key()] = &grouped{one, []record{r}}
			continue
		}
		g.records = append(g.records, r)
		g.set.Values = append(g.set.Values, r.value)
		g.set.TTL = min(g.set.TTL, one.TTL)
		g.set.Proxied = g.set.Proxied || one.Proxied
		g.set.Special = cmp.Or(g.set.Special, one.Special)
		slices.Sort(g.set.Values)
		g.set.Values = slices.Compact(g.set.Values)
	}
	return groups
}
