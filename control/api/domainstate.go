package api

import (
	"context"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/registry"
)

// Watch is what is looked at on request of what goes on around domains.
// watch.Watcher is one.
type Watch interface {
	Propagation(ctx context.Context, d domains.Domain, name, typ string) ([]domains.Propagation, error)
	LookUp(ctx context.Context, name domains.Name, old *registry.State) registry.State
}

// DomainSetup is how a domain's records come to be, and what stands in their way.
type DomainSetup struct {
	Mode         string       `json:"mode" doc:"managed, provider, manual, or empty: not chosen yet"`
	Account      string       `json:"account,omitempty" doc:"Stored credentials, by name, with mode provider"`
	Zone         string       `json:"zone,omitempty" doc:"That the name lies in at present"`
	Provider     string       `json:"provider,omitempty" doc:"Who serves the zone at present; empty: not known"`
	ProviderName string       `json:"provider_name,omitempty"`
	NameServers  []string     `json:"name_servers" doc:"Of the zone at present"`
	Offers       []SetupOffer `json:"offers"`
	Managed      *ManagedZone `json:"managed,omitempty" doc:"With mode managed: what the registrar has to be told"`
	Records      []DNSRecord  `json:"records" doc:"To be set, with what is seen of each"`
	Blockers     []Blocker    `json:"blockers" doc:"What stands in the way, with the fix"`
	Error        string       `json:"error,omitempty" doc:"Why the records could not be set"`
	CheckedAt    *time.Time   `json:"checked_at,omitempty"`
}

// SetupOffer is one way to have the records set.
type SetupOffer struct {
	Mode      string `json:"mode" doc:"managed, provider or manual"`
	Available bool   `json:"available"`
	Detail    string `json:"detail"`
}

// ManagedZone is what the registrar of a zone of ours has to be told.
type ManagedZone struct {
	Apex        string   `json:"apex"`
	NameServers []string `json:"name_servers"`
	DS          []string `json:"ds"`
}

// Blocker is something in the DNS that stands in the way.
type Blocker struct {
	Reason string `json:"reason" doc:"ExistingCNAME, WrongAddress, Proxied, CAAForbids or StaleDS"`
	Type   string `json:"type"`
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"`
}

// RegistryState is what the registry holds of the registered name.
type RegistryState struct {
	Name        string     `json:"name,omitempty" doc:"The registered name, in A-labels"`
	Source      string     `json:"source,omitempty" doc:"rdap or whois; empty: nothing is known"`
	Server      string     `json:"server,omitempty"`
	Registrar   string     `json:"registrar,omitempty"`
	RegistrarID string     `json:"registrar_id,omitempty"`
	CreatedAt   *time.Time `json:"created_at,omitempty"`
	UpdatedAt   *time.Time `json:"updated_at,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	DaysLeft    *int       `json:"days_left,omitempty"`
	NameServers []string   `json:"name_servers"`
	DS          []string   `json:"ds"`
	Signed      *bool      `json:"signed,omitempty"`
	EPP         []string   `json:"epp" doc:"EPP states: clientTransferProhibited, ..."`
	Protected   *bool      `json:"transfer_protected,omitempty" doc:"Absent: the registry does not say"`

	Unregistered bool       `json:"unregistered,omitempty"`
	Skipped      string     `json:"skipped,omitempty" doc:"Why no registry is asked"`
	Error        string     `json:"error,omitempty" doc:"Of the last look"`
	CheckedAt    *time.Time `json:"checked_at,omitempty"`
	NextAt       *time.Time `json:"next_at,omitempty"`
}

// DomainWatch is what the monitoring of a domain has found last.
type DomainWatch struct {
	CheckedAt  *time.Time       `json:"checked_at,omitempty"`
	Resolution []Resolution     `json:"resolution"`
	Delegation *DelegationState `json:"delegation,omitempty"`
	Dangling   []DanglingRecord `json:"dangling"`
	Error      string           `json:"error,omitempty"`
}

// Resolution is what everybody answers for a name and type.
type Resolution struct {
	Name   string           `json:"name"`
	Type   string           `json:"type"`
	Agreed bool             `json:"agreed" doc:"All that answer say the same"`
	Seen   []ResolverAnswer `json:"seen"`
}

// DelegationState is what a zone's parent says of it, beside what it says itself.
type DelegationState struct {
	Zone      string           `json:"zone"`
	Parent    string           `json:"parent"`
	ParentNS  []string         `json:"parent_ns"`
	ZoneNS    []string         `json:"zone_ns"`
	Servers   []NameServerLook `json:"servers"`
	ParentDS  []string         `json:"parent_ds"`
	Signed    bool             `json:"signed"`
	DSMatches bool             `json:"ds_matches"`
}

// NameServerLook is how one name server does.
type NameServerLook struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	Error     string   `json:"error,omitempty" doc:"Empty: it answers for the zone"`
}

// DanglingRecord leads to what is gone: somebody else could take it.
type DanglingRecord struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Target   string `json:"target"`
	Reason   string `json:"reason" doc:"NXDOMAIN or Unclaimed"`
	Provider string `json:"provider,omitempty"`
	Detail   string `json:"detail"`
	Fix      string `json:"fix"`
}

// DomainEvent is something that happened to a domain.
type DomainEvent struct {
	Number   int64             `json:"number" doc:"1, 2, 3, ... within the domain"`
	At       time.Time         `json:"at"`
	Type     string            `json:"type"`
	Severity string            `json:"severity" doc:"info, warning or critical"`
	Message  string            `json:"message"`
	Data     map[string]string `json:"data,omitempty"`
}

// DomainEvents is what happened to a domain lately, newest first.
type DomainEvents struct {
	Events []DomainEvent `json:"events"`
}

// PropagationSet is how far one set of records has spread.
type PropagationSet struct {
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Wanted     []string         `json:"wanted"`
	ChangedAt  time.Time        `json:"changed_at"`
	CheckedAt  *time.Time       `json:"checked_at,omitempty"`
	Complete   bool             `json:"complete"`
	CompleteAt *time.Time       `json:"complete_at,omitempty" doc:"When everybody that answers had it first"`
	With       int              `json:"with" doc:"How many of those that answer have it"`
	Answering  int              `json:"answering"`
	Seen       []ResolverAnswer `json:"seen"`
}

// DomainPropagation is how far the records of a domain have spread.
type DomainPropagation struct {
	Complete bool             `json:"complete" doc:"Everything is seen everywhere"`
	Sets     []PropagationSet `json:"sets"`
}

type propagationInput struct {
	DomainPath
	Name string `query:"name" maxLength:"253" doc:"Only records of this name"`
	Type string `query:"type" maxLength:"20" doc:"Only records of this type"`
}

func (s *Server) addDomainState() {
	const tag, path = "Domains", infrastructure + "/domains/{domain}"
	read := func(name, id, summary, doc string, body any) op {
		return op{
			method: http.MethodGet, path: path + "/" + name, id: "domains-" + id, tag: tag, summary: summary, doc: doc,
			level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, body, ""}},
		}
	}
	add(s, read("setup", "setup", "Who serves the zone now, the ways to set the records, and what is in the way", "Looks at the DNS now.", DomainSetup{}), s.domainSetup)
	add(s, read("registry", "registry", "What the registry holds of the name", "As of the daily look; a domain that was not looked at yet is now.", RegistryState{}), s.domainRegistry)
	add(s, read("watch", "watch", "What monitoring has found last: resolution, delegation, dangling records", "", DomainWatch{}), s.domainWatch)
	add(s, read("events", "events", "What happened to the domain lately, newest first", "", DomainEvents{}), s.domainEvents)
	add(s, read("propagation", "propagation", "What name servers and resolvers answer now, and since when all agree", "Asks them now.", DomainPropagation{}), s.domainPropagation)
}

func (s *Server) domainSetup(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	st, d, err := s.domains.LookAtSetup(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	return &answer{Body: *setupOf(d, &st)}, nil
}

// setupOf shows how a domain is set up; nil when that is not known yet.
func setupOf(d domains.Domain, st *domains.SetupState) *DomainSetup {
	out := &DomainSetup{Mode: d.Spec.DNS, Account: d.Spec.DNSAccount, NameServers: []string{}, Offers: []SetupOffer{}, Blockers: []Blocker{}, Records: recordsOf(d.Status.Records)}
	if st == nil {
		return out
	}
	out.Zone, out.Provider, out.ProviderName, out.Error, out.CheckedAt = st.Zone, st.Provider, st.ProviderName, st.Error, st.CheckedAt
	out.NameServers = append(out.NameServers, st.NameServers...)
	for _, o := range st.Offers {
		out.Offers = append(out.Offers, SetupOffer(o))
	}
	for _, b := range st.Blockers {
		out.Blockers = append(out.Blockers, Blocker(b))
	}
	if m := st.Managed; m != nil {
		out.Managed = &ManagedZone{Apex: m.Apex, NameServers: append([]string{}, m.NameServers...), DS: append([]string{}, m.DS...)}
	}
	return out
}

func (s *Server) domainRegistry(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	d, err := s.domains.Get(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	state := d.Status.Registry
	if state == nil && s.options.Watch != nil {
		name, err := domains.ParseName(d.Name)
		if err != nil {
			return nil, err
		}
		fresh := s.options.Watch.LookUp(ctx, name, nil)
		state = &fresh
	}
	return &answer{Body: s.registryOf(state)}, nil
}

func (s *Server) registryOf(st *registry.State) RegistryState {
	out := RegistryState{NameServers: []string{}, DS: []string{}, EPP: []string{}}
	if st == nil {
		out.Skipped = "no registry was asked yet"
		return out
	}
	out.Name, out.Source, out.Server, out.Registrar, out.RegistrarID = st.Name, st.Source, st.Server, st.Registrar, st.RegistrarID
	out.CreatedAt, out.UpdatedAt, out.ExpiresAt, out.Signed = st.CreatedAt, st.UpdatedAt, st.ExpiresAt, st.Signed
	out.Unregistered, out.Skipped, out.Error, out.CheckedAt, out.NextAt = st.Unregistered, st.Skipped, st.Error, st.CheckedAt, st.NextAt
	out.NameServers = append(out.NameServers, st.NameServers...)
	out.DS = append(out.DS, st.DS...)
	out.EPP = append(out.EPP, st.EPP...)
	if protected, known := st.TransferProtected(); known {
		out.Protected = &protected
	}
	if st.ExpiresAt != nil {
		days := int(st.ExpiresAt.Sub(s.now()) / (24 * time.Hour))
		out.DaysLeft = &days
	}
	return out
}

func (s *Server) domainWatch(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	d, err := s.domains.Get(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	out := DomainWatch{Resolution: []Resolution{}, Dangling: []DanglingRecord{}}
	if w := d.Status.Watch; w != nil {
		out.CheckedAt, out.Error = w.CheckedAt, w.Error
		for _, r := range w.Resolution {
			out.Resolution = append(out.Resolution, Resolution{Name: r.Name, Type: r.Type, Agreed: r.Agreed, Seen: seenOf(r.Seen)})
		}
		for _, r := range w.Dangling {
			out.Dangling = append(out.Dangling, DanglingRecord(r))
		}
		if g := w.Delegation; g != nil {
			out.Delegation = &DelegationState{
				Zone: g.Zone, Parent: g.Parent, ParentNS: append([]string{}, g.ParentNS...), ZoneNS: append([]string{}, g.ZoneNS...),
				Servers: []NameServerLook{}, ParentDS: append([]string{}, g.ParentDS...), Signed: g.Signed, DSMatches: g.DSMatches,
			}
			for _, n := range g.Servers {
				out.Delegation.Servers = append(out.Delegation.Servers, NameServerLook{Name: n.Name, Addresses: append([]string{}, n.Addresses...), Error: n.Error})
			}
		}
	}
	return &answer{Body: out}, nil
}

func (s *Server) domainEvents(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	d, err := s.domains.Get(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	out := DomainEvents{Events: []DomainEvent{}}
	for i := len(d.Status.Events) - 1; i >= 0; i-- {
		out.Events = append(out.Events, DomainEvent(d.Status.Events[i]))
	}
	return &answer{Body: out}, nil
}

func (s *Server) domainPropagation(ctx context.Context, c *call, in *propagationInput) (*answer, error) {
	d, err := s.domains.Get(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	sets := d.Status.Propagation
	if s.options.Watch != nil {
		if sets, err = s.options.Watch.Propagation(ctx, d, in.Name, in.Type); err != nil {
			return nil, err
		}
	}
	out := DomainPropagation{Complete: true, Sets: []PropagationSet{}}
	for _, p := range sets {
		complete := p.Answering > 0 && p.With == p.Answering
		out.Complete = out.Complete && complete
		out.Sets = append(out.Sets, PropagationSet{
			Name: p.Name, Type: p.Type, Wanted: append([]string{}, p.Wanted...), ChangedAt: p.ChangedAt, CheckedAt: p.CheckedAt,
			Complete: complete, CompleteAt: p.CompleteAt, With: p.With, Answering: p.Answering, Seen: seenOf(p.Seen),
		})
	}
	return &answer{Body: out}, nil
}

func seenOf(list []domains.Seen) []ResolverAnswer {
	out := []ResolverAnswer{}
	for _, s := range list {
		out = append(out, ResolverAnswer{Resolver: s.Resolver, Authoritative: s.Authoritative, Answers: append([]string{}, s.Answers...), Error: s.Error})
	}
	return out
}
