package domains

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Zones makes managed zones; zones.Service is one.
type Zones interface {
	// Ensure makes the zone of an apex, when there is none, and returns what its
	// delegation needs.
	Ensure(ctx context.Context, project, environment, apex string, cause resource.Cause) (ManagedZone, error)
	// Provide makes the zone hold the records of a domain, and no others that
	// Provide was given for it before. Records of the user stay.
	Provide(ctx context.Context, project, environment, apex, domain string, records []DNSRecord, cause resource.Cause) error
}

// ManagedZone is what the registrar of a managed zone has to be told.
type ManagedZone struct {
	Apex        string   `json:"apex"`
	NameServers []string `json:"name_servers"` // without trailing dots
	DS          []string `json:"ds,omitempty"` // "12345 13 2 49FD46E6..."; empty while unsigned
}

// Providers sets records at DNS providers, with credentials that projects have
// stored. control/dnsproviders has one.
type Providers interface {
	// Accounts lists the stored credentials of the project, by name, that fit a
	// provider ("cloudflare"; "": any).
	Accounts(ctx context.Context, project, environment, provider string) ([]string, error)
	// Provide makes the zone at the provider hold the records of a domain. It never
	// touches records that are not its own; what stands in the way is a Conflict.
	// where names the zone, the same for all credentials that reach it; "" when it
	// was not found.
	Provide(ctx context.Context, project, environment, account, zone, domain string, records []DNSRecord, cause resource.Cause) (where string, err error)
	// Withdraw removes all records of a domain that are our own, but for those in
	// zones of except. Without consent it removes none when they are much of a zone:
	// that is a Conflict, and Needs of what it returns says so. After an error some may
	// be gone; called again it goes on.
	Withdraw(ctx context.Context, project, environment, account, domain string, except []string, consent bool) (Withdrawal, error)
	// PlanWithdraw tells what Withdraw would do now, and changes nothing.
	PlanWithdraw(ctx context.Context, project, environment, account, domain string, except []string) (Withdrawal, error)
}

// SetupState is how a domain's records come to be, and what stands in their way.
type SetupState struct {
	Zone         string       `json:"zone,omitempty"`          // that the name lies in at present; "": not found
	Provider     string       `json:"provider,omitempty"`      // who serves it: "cloudflare"; "": not known
	ProviderName string       `json:"provider_name,omitempty"` // "Cloudflare"
	NameServers  []string     `json:"name_servers,omitempty"`  // of the zone at present
	Account      string       `json:"account,omitempty"`       // credentials that its records were set with last
	Offers       []Offer      `json:"offers,omitempty"`
	Managed      *ManagedZone `json:"managed,omitempty"` // nil unless the domain is managed
	Blockers     []Blocker    `json:"blockers,omitempty"`
	Provided     int64        `json:"provided_revision,omitempty"` // of the spec whose records were set
	Error        string       `json:"error,omitempty"`             // why they could not be set
	CheckedAt    *time.Time   `json:"checked_at,omitempty"`
}

// Offer is one way to have the records set.
type Offer struct {
	Mode      string `json:"mode"` // DNSManaged, DNSProvider, DNSManual
	Available bool   `json:"available"`
	Detail    string `json:"detail"` // what it means here, or what it lacks
}

// Blocker is something in the DNS that stands in the way.
type Blocker struct {
	Reason string `json:"reason"` // BlockCNAME, ...
	Type   string `json:"type"`   // of the record
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"`
}

// The reasons of blockers.
const (
	BlockCNAME   = "ExistingCNAME"
	BlockAddress = "WrongAddress"
	BlockProxy   = "Proxied"
	BlockCAA     = "CAAForbids"
	BlockDS      = "StaleDS"
)

// setUp looks at the zone of a domain, when it is time, and sets its records where
// auto_configure and the chosen way let it. It keeps to the rhythm of the other
// looks and asks for none of its own.
func (r *Reconciler) setUp(ctx context.Context, d Domain) error {
	name, err := ParseName(d.Name)
	if err != nil || r.service.free(name) {
		return err
	}
	now := r.service.Now().UTC().Truncate(time.Second)
	st := d.Status.Setup
	unset := st != nil && st.Provided != d.Revision && st.Error == "" && d.Spec.AutoConfigure && (d.Spec.DNS == DNSManaged || d.Spec.DNS == DNSProvider)
	if st != nil && !unset && st.CheckedAt != nil && now.Before(st.CheckedAt.Add(setupInterval(d, now))) {
		return nil
	}
	found, condition, err := r.service.examineSetup(ctx, d, name)
	if err != nil {
		return err
	}
	found.CheckedAt, condition.Since = &now, now
	if st != nil {
		found.Provided, found.Account = st.Provided, st.Account
	}
	if err := r.service.provide(ctx, d, name, &found); err != nil {
		found.Error = plain(err)
		condition.Status, condition.Reason, condition.Message = resource.False, "NotProvided", found.Error
	} else if found.Managed != nil {
		condition = managedCondition(found, now)
	}
	_, err = r.service.write(ctx, d.ID, func(d *Domain) {
		d.Status.Setup = &found
		d.Status.Conditions = resource.SetCondition(d.Status.Conditions, condition)
	})
	if fault.Is(err, fault.NotFound) {
		return nil // removed meanwhile
	}
	return err
}

// managedCondition says what a managed zone still lacks: what its present
// provider publishes no longer matters.
func managedCondition(st SetupState, now time.Time) resource.Condition {
	c := resource.Condition{Type: Setup, Status: resource.True, Reason: "Clear", Message: "the zone is ours, and holds the records", Since: now}
	switch zone := st.Managed; {
	case len(st.Blockers) > 0:
		c.Status, c.Reason, c.Message = resource.False, st.Blockers[0].Reason, st.Blockers[0].Detail+": "+st.Blockers[0].Fix
	case !sameNames(zone.NameServers, st.NameServers):
		c.Status, c.Reason = resource.False, "NotDelegated"
		c.Message = fmt.Sprintf("set the name servers of %s at your registrar to %s", zone.Apex, strings.Join(zone.NameServers, " and "))
	}
	return c
}

func sameNames(a, b []string) bool {
	fold := func(list []string) []string {
		out := make([]string, len(list))
		for i, n := range list {
			out[i] = strings.ToLower(strings.TrimSuffix(n, "."))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(fold(a), fold(b))
}

// setupInterval is how often the zone is looked at: often while the user is at
// it.
func setupInterval(d Domain, now time.Time) time.Duration {
	dns, _ := resource.ConditionOf(d.Status.Conditions, DNS)
	setup, _ := resource.ConditionOf(d.Status.Conditions, Setup)
	switch {
	case dns.Status == resource.True && setup.Status == resource.True:
		return lookSettled
	case now.Sub(d.UpdatedAt) < time.Hour:
		return 2 * lookWaiting
	default:
		return lookBroken
	}
}

// LookAtSetup tells who serves a domain's zone now, which ways there are to have
// its records set, and what stands in their way. Errors: NotFound.
func (s *Service) LookAtSetup(ctx context.Context, project, environment, domain string) (SetupState, Domain, error) {
	d, err := s.Get(ctx, project, environment, domain)
	if err != nil {
		return SetupState{}, d, err
	}
	name, err := ParseName(d.Name)
	if err != nil {
		return SetupState{}, d, err
	}
	if s.free(name) {
		return SetupState{Offers: []Offer{}, Blockers: []Blocker{}}, d, nil
	}
	found, _, err := s.examineSetup(ctx, d, name)
	if d.Status.Setup != nil {
		found.Managed, found.Provided, found.Error, found.Account = d.Status.Setup.Managed, d.Status.Setup.Provided, d.Status.Setup.Error, d.Status.Setup.Account
	}
	now := s.Now().UTC().Truncate(time.Second)
	found.CheckedAt = &now
	return found, d, err
}

// examineSetup looks at the world and changes nothing.
func (s *Service) examineSetup(ctx context.Context, d Domain, name Name) (SetupState, resource.Condition, error) {
	var st SetupState
	c := resource.Condition{Type: Setup, Status: resource.Unknown}
	if s.Authorities != nil {
		if zone, err := s.Authorities.Zone(ctx, name.Base); err == nil {
			st.Zone, st.NameServers = zone.Apex, zone.Names()
			st.Provider, st.ProviderName = providerOf(st.NameServers)
		}
	}
	offers, err := s.offers(ctx, d, name, st)
	if err != nil {
		return st, c, err
	}
	st.Offers = offers
	look, err := s.lookForBlockers(ctx, d, name)
	if err != nil {
		return st, c, err
	}
	if st.Blockers = s.blockers(d, name, look); len(st.Blockers) > 0 {
		b := st.Blockers[0]
		c.Status, c.Reason, c.Message = resource.False, b.Reason, b.Detail+": "+b.Fix
		return st, c, nil
	}
	switch {
	case st.Zone == "" && s.Authorities != nil:
		c.Status, c.Reason, c.Message = resource.Unknown, "ZoneNotFound", fmt.Sprintf("nobody serves the zone of %s: register it, or set its name servers at the registrar", name.Registrable)
	default:
		c.Status, c.Reason, c.Message = resource.True, "Clear", "nothing stands in the way of the records"
	}
	return st, c, nil
}

// offers lists the ways to have a domain's records set.
func (s *Service) offers(ctx context.Context, d Domain, name Name, st SetupState) ([]Offer, error) {
	managed := Offer{Mode: DNSManaged, Available: s.Zones != nil, Detail: fmt.Sprintf("we serve the zone %s: you change its name servers at the registrar once", name.Registrable)}
	if !managed.Available {
		managed.Detail = "this platform serves no zones"
	}
	provider := Offer{Mode: DNSProvider}
	who := st.ProviderName
	switch {
	case s.Providers == nil:
		provider.Detail = "this platform has no drivers for DNS providers"
	case who == "":
		provider.Detail = "it is not known which provider serves the zone"
	default:
		accounts, err := s.Providers.Accounts(ctx, d.Project, d.Environment, st.Provider)
		if err != nil {
			return nil, err
		}
		if provider.Available = len(accounts) > 0; provider.Available {
			provider.Detail = fmt.Sprintf("we set the records at %s with the credentials %q", who, accounts[0])
		} else {
			provider.Detail = fmt.Sprintf("the zone is at %s: store credentials for it, and we set the records", who)
		}
	}
	manual := Offer{Mode: DNSManual, Available: true, Detail: "you set the records shown"}
	if who != "" {
		manual.Detail = "you set the records shown at " + who
	}
	return []Offer{managed, provider, manual}, nil
}

// provide sets a domain's records as its spec wants.
func (s *Service) provide(ctx context.Context, d Domain, name Name, st *SetupState) error {
	cause := resource.Cause{Actor: "system reconciler", Via: "system", Reason: "records of " + d.Name}
	if !d.Spec.AutoConfigure {
		return nil
	}
	switch d.Spec.DNS {
	case DNSManaged:
		if s.Zones == nil {
			return fault.New(fault.Unavailable, "this platform serves no zones: choose \"manual\"")
		}
		zone, err := s.Zones.Ensure(ctx, d.Project, d.Environment, name.Registrable, cause)
		if err != nil {
			return err
		}
		st.Managed = &zone
		if err := s.Zones.Provide(ctx, d.Project, d.Environment, zone.Apex, d.Name, d.Status.Records, cause); err != nil {
			return err
		}
		st.Blockers = []Blocker{}
		if ds := staleDS(ctx, s.Resolvers, zone); ds != nil {
			st.Blockers = append(st.Blockers, *ds)
		}
	case DNSProvider:
		if s.Providers == nil {
			return fault.New(fault.Unavailable, "this platform has no drivers for DNS providers: choose \"manual\"")
		}
		account := d.Spec.DNSAccount
		if account == "" {
			accounts, err := s.Providers.Accounts(ctx, d.Project, d.Environment, st.Provider)
			if err != nil {
				return err
			}
			switch len(accounts) {
			case 1:
				account = accounts[0]
			case 0:
				return fault.New(fault.Conflict, "no stored credentials fit the provider of %s: store some, or choose \"manual\"", name.Registrable)
			default:
				return fault.New(fault.Conflict, "several stored credentials fit (%s): name one as dns_account", strings.Join(accounts, ", "))
			}
		}
		zone := st.Zone
		if zone == "" {
			zone = name.Registrable
		}
		st.Account = account
		if err := s.provideAt(ctx, d, account, zone, cause); err != nil {
			return err
		}
	default:
		return nil
	}
	st.Provided = d.Revision
	return nil
}

// provideAt sets a domain's records at a DNS provider. That it does is noted before.
func (s *Service) provideAt(ctx context.Context, d Domain, account, zone string, cause resource.Cause) error {
	done, err := s.placing.take(ctx, d.Name)
	if err != nil {
		return err
	}
	defer done()
	if now, err := s.Store.Get(ctx, Kind, d.ID); err != nil || now.Revision != d.Revision {
		return err // removed or changed while it waited: another look follows
	}
	placement, err := s.place(ctx, d, account)
	if err != nil {
		return err
	}
	where, err := s.Providers.Provide(ctx, d.Project, d.Environment, account, zone, d.Name, d.Status.Records, cause)
	if noted := s.placed(ctx, placement, where); err == nil {
		err = noted
	}
	return err
}

// staleDS finds DS records at the parent that the managed zone does not have:
// with them, validating resolvers refuse the zone once it is delegated to us.
func staleDS(ctx context.Context, resolvers Resolvers, zone ManagedZone) *Blocker {
	for _, there := range answers(resolvers.Lookup(ctx, zone.Apex, "DS")) {
		if !slices.ContainsFunc(zone.DS, func(ours string) bool {
			return strings.EqualFold(strings.ReplaceAll(ours, " ", ""), strings.ReplaceAll(there, " ", ""))
		}) {
			return &Blocker{
				Reason: BlockDS, Type: "DS", Name: zone.Apex, Value: there,
				Detail: "the registrar holds a DS record of whoever served the zone before, so validating resolvers would refuse ours",
				Fix:    "remove it at the registrar, wait a day, then change the name servers",
			}
		}
	}
	return nil
}

// surroundings are what resolvers say near a name.
type surroundings struct {
	addresses []string // A and AAAA
	cname     []string
	caa       []string
	caaAt     string // where they stand
	hostname  string // where the name shall lead
	ours      []string
}

func (s *Service) lookForBlockers(ctx context.Context, d Domain, name Name) (surroundings, error) {
	var l surroundings
	hostname, ours, err := s.targets(ctx)
	if err != nil {
		return l, err
	}
	l.hostname, l.ours = hostname, ours
	at := name.Probe()
	l.cname = answers(s.Resolvers.Lookup(ctx, at, "CNAME"))
	for _, typ := range []string{"A", "AAAA"} {
		l.addresses = append(l.addresses, answers(s.Resolvers.Lookup(ctx, at, typ))...)
		if hostname != "" && len(ours) == 0 {
			l.ours = append(l.ours, answers(s.Resolvers.Lookup(ctx, hostname, typ))...)
		}
	}
	if len(s.CAA) == 0 {
		return l, nil
	}
	// The closest set counts (RFC 8659 section 3).
	for node := name.Base; ; {
		if l.caa = answers(s.Resolvers.Lookup(ctx, node, "CAA")); len(l.caa) > 0 || node == name.Registrable {
			l.caaAt = node
			return l, nil
		}
		_, node, _ = strings.Cut(node, ".")
	}
}

// blockers names what stands in the way, most telling first.
func (s *Service) blockers(d Domain, name Name, l surroundings) []Blocker {
	list := []Blocker{}
	wanted := wantedRecords(d)
	known := l.hostname != "" || len(l.ours) > 0
	proxied := false
	for _, target := range l.cname {
		if target == l.hostname {
			continue
		}
		b := Blocker{Reason: BlockCNAME, Type: "CNAME", Name: name.ASCII, Value: target}
		if who := proxyOf(target); who != "" {
			b.Reason, proxied = BlockProxy, true
			b.Detail = fmt.Sprintf("%s leads to %s (%s)", name.Unicode, who, target)
		} else {
			b.Detail = fmt.Sprintf("%s is an alias of %s, and nothing can stand beside a CNAME (RFC 1034 section 3.6.2)", name.Unicode, target)
		}
		b.Fix = "delete that CNAME record, then add " + wanted
		list = append(list, b)
	}
	if len(l.cname) == 0 && known {
		var wrong []string
		for _, address := range l.addresses {
			switch {
			case slices.ContainsFunc(l.ours, func(o string) bool { return sameAddress(o, address) }):
			case isCloudflare(address):
				if !proxied {
					proxied = true
					list = append(list, Blocker{
						Reason: BlockProxy, Type: addressType(address), Name: name.ASCII, Value: address,
						Detail: fmt.Sprintf("%s is proxied by Cloudflare (%s), so visitors and checks meet Cloudflare and not the edges", name.Unicode, address),
						Fix:    "switch the record to \"DNS only\" (the grey cloud), and set it to " + wanted,
					})
				}
			default:
				wrong = append(wrong, address)
			}
		}
		if len(wrong) > 0 && len(l.ours) > 0 {
			list = append(list, Blocker{
				Reason: BlockAddress, Type: addressType(wrong[0]), Name: name.ASCII, Value: strings.Join(wrong, ", "),
				Detail: fmt.Sprintf("%s leads to %s, which are not edges", name.Unicode, strings.Join(wrong, ", ")),
				Fix:    "delete these address records, then add " + wanted,
			})
		}
	}
	if len(l.caa) > 0 && !caaAllows(l.caa, s.CAA, name.Wildcard) {
		list = append(list, Blocker{
			Reason: BlockCAA, Type: "CAA", Name: l.caaAt, Value: strings.Join(l.caa, "; "),
			Detail: fmt.Sprintf("the CAA records of %s forbid %s to issue a certificate", l.caaAt, s.CAA[0]),
			Fix:    fmt.Sprintf("add the CAA record %s 0 %s %q, or remove the others", l.caaAt, issueTag(name.Wildcard), s.CAA[0]),
		})
	}
	return list
}

func issueTag(wildcard bool) string {
	if wildcard {
		return "issuewild"
	}
	return "issue"
}

// wantedRecords are the routing records in a few words.
func wantedRecords(d Domain) string {
	var list []string
	for _, r := range d.Status.Records {
		if r.Purpose == PurposeRouting {
			list = append(list, fmt.Sprintf("%s %s %s", r.FullName, r.Type, r.Value))
		}
	}
	if len(list) == 0 {
		return "the records shown"
	}
	return strings.Join(list, ", ")
}

// caaAllows reads CAA records as text ("0 issue \"letsencrypt.org\"") and tells
// whether one of the issuers may issue (RFC 8659 section 4). A set without issue
// properties forbids nothing.
func caaAllows(records, issuers []string, wildcard bool) bool {
	var issue, wild []string
	hasIssue, hasWild := false, false
	for _, r := range records {
		fields := strings.SplitN(r, " ", 3)
		if len(fields) != 3 {
			continue
		}
		value, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(fields[2]), `"`), ";")
		value = strings.ToLower(strings.TrimSpace(value))
		switch strings.ToLower(fields[1]) {
		case "issue":
			hasIssue, issue = true, append(issue, value)
		case "issuewild":
			hasWild, wild = true, append(wild, value)
		}
	}
	allowed, limited := issue, hasIssue
	if wildcard && hasWild {
		allowed, limited = wild, true
	}
	return !limited || slices.ContainsFunc(allowed, func(a string) bool { return slices.Contains(issuers, a) })
}

func addressType(address string) string {
	if strings.Contains(address, ":") {
		return "AAAA"
	}
	return "A"
}

// Cloudflare's own list of what its proxies answer from.
var cloudflareRanges = func() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20",
		"197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22",
		"2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}()

func isCloudflare(address string) bool {
	addr, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(cloudflareRanges, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}
