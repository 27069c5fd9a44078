package zones

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones/build"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Places tells where edges are that records can point at.
type Places interface {
	Places(ctx context.Context) ([]Place, error)
}

// Names looks up the addresses of other people's names, for ALIAS. The times to
// live are those of the answers. A name that is not there has no addresses and
// is no error.
type Names interface {
	Addresses(ctx context.Context, name string) (a, aaaa []string, ttl time.Duration, err error)
}

// Parent asks the zone above.
type Parent interface {
	// Delegation returns the name servers (without trailing dots) and the DS
	// ("tag algorithm digest-type digest") that the parent has for an apex. A name
	// that the parent does not have has neither, and is no error.
	Delegation(ctx context.Context, apex string) (servers, ds []string, dsTTL time.Duration, err error)
}

// Rollout tells how far versions have come.
type Rollout interface {
	// Zone returns of how many connected edges how many have applied the zone's
	// present head.
	Zone(ctx context.Context, zoneID string) (edges, applied int, err error)
	// Wait returns when every connected edge has applied the documents that
	// current tells, by key, and how their hashes begin, or with an error at the
	// end of ctx. current is asked again meanwhile.
	Wait(ctx context.Context, current func() map[string]string) error
}

// ReconcilerOptions are what a Reconciler needs beside the service.
type ReconcilerOptions struct {
	Places  Places
	Names   Names   // nil: ALIAS to other people's names has no addresses
	Parent  Parent  // nil: the parent is not known
	Rollout Rollout // nil: edges take versions at once
	// HTTPS tells what the HTTPS records of sites say beside the addresses,
	// "1 . alpn=h3,h2 ech=..."; nil or "": there are none. It is asked again every
	// lookHTTPS.
	HTTPS  func() string
	Logger *slog.Logger
}

// How soon the reconciler looks again.
const (
	lookParent    = time.Hour
	lookRoll      = time.Minute // the parent, while a rollover waits for it
	lookHeld      = time.Minute
	lookHTTPS     = 10 * time.Minute // keys of ECH roll, and clients keep them for maxHTTPSTTL
	minAlias      = 30 * time.Second
	maxAlias      = time.Hour
	aliasFailed   = time.Minute
	maxProblems   = 50
	soaRefresh    = 7200 // of the SOA, seconds (RFC 1912 section 2.2)
	soaRetry      = 900
	soaExpire     = 1209600
	soaTTL        = 3600
	presentWithin = 30 * time.Second
)

// Reconciler makes the versions of zones. Only the holder of the lease may run
// it.
type Reconciler struct {
	service *Service
	options ReconcilerOptions
	log     *slog.Logger

	mu     sync.Mutex
	mirror *mirror
	made   map[string]*made // by zone ID
	swept  bool             // keys of zones that were removed while nobody looked
}

// made is one zone between its versions. Its lock is held while a version is
// made.
type made struct {
	mu       sync.Mutex
	zone     *build.Zone
	apex     string
	project  string
	env      string
	keys     map[string]*dnssec.Key        // by ID
	problems map[string][]string           // by owner
	checks   map[string][]edgeconfig.Check // by owner
	servers  []string
	places   []Place
	https    string
	spec     Spec
	serial   uint32
	gone     bool

	asIs       *asItStands // of a secondary zone that is not signed here
	signedCopy *signedCopy // of one that is; zone is made of it then
}

// NewReconciler returns the reconciler of a service.
func NewReconciler(s *Service, o ReconcilerOptions) *Reconciler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reconciler{service: s, options: o, log: o.Logger}
	r.Reset()
	return r
}

// Reset forgets what was seen and made. It is called before events are sent from
// the beginning: a control plane that did not lead has missed some.
func (r *Reconciler) Reset() {
	r.mu.Lock()
	r.mirror, r.made, r.swept = newMirror(), map[string]*made{}, false
	r.mu.Unlock()
	r.service.made.reset(r)
}

func (r *Reconciler) seen() *mirror {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mirror
}

// Kinds implements reconcile.Reconciler.
func (r *Reconciler) Kinds() []resource.Kind {
	return []resource.Kind{Kind, KindRRset, KindDelegation, kindClaim, kindEdge, kindTSIG}
}

// Route implements reconcile.Router: events are taken in here, in their order,
// and lead to the zones they concern.
//
// A zone's own event comes after all records that its status knows of, because
// the status is written after them; so what is compared with that status when
// events are sent from the beginning is complete.
func (r *Reconciler) Route(e resource.Event) []reconcile.Ref { return r.seen().apply(e) }

// Reconcile makes the next version of a zone, when there is anything to it.
func (r *Reconciler) Reconcile(ctx context.Context, ref reconcile.Ref) (time.Duration, error) {
	r.sweepOnce(ctx)
	stored, err := r.service.Store.Get(ctx, Kind, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return 0, r.removed(ctx, ref.ID)
	}
	if err != nil {
		return 0, err
	}
	z, err := Decode(stored)
	if err != nil {
		return 0, err
	}
	m := r.zone(z.ID)
	m.mu.Lock()
	defer m.mu.Unlock()
	return r.version(ctx, m, z)
}

func (r *Reconciler) zone(id string) *made {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.made[id]
	if m == nil {
		m = &made{keys: map[string]*dnssec.Key{}, problems: map[string][]string{}, checks: map[string][]edgeconfig.Check{}}
		r.made[id] = m
	}
	return m
}

// removed forgets a zone, its keys and its hold on the apex.
func (r *Reconciler) removed(ctx context.Context, id string) error {
	r.mu.Lock()
	m := r.made[id]
	delete(r.made, id)
	r.mu.Unlock()
	r.service.made.remove(id)
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.gone = true
	}
	if err := r.dropKeys(ctx, id); err != nil {
		return err
	}
	if m == nil {
		return r.orphans(ctx, id)
	}
	if m.apex == "" { // it was not made since the start
		return r.orphans(ctx, id)
	}
	return r.service.release(ctx, m.apex, id)
}

// dropKeys removes the keys of a zone from the vault: those too that nothing has
// asked for since the start.
func (r *Reconciler) dropKeys(ctx context.Context, id string) error {
	names, err := r.service.Vault.SecretNames(ctx, secretName(id, ""))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.service.Vault.DeleteSecret(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// sweepOnce sweeps with the first look of a term. No look waits for its success.
// Where there is something to sweep there is a look, though no zone may be left:
// what was removed while nobody looked holds its apex still, which leads to it.
func (r *Reconciler) sweepOnce(ctx context.Context) {
	r.mu.Lock()
	swept := r.swept
	r.swept = true
	r.mu.Unlock()
	if swept {
		return
	}
	if err := r.sweep(ctx); err != nil {
		r.log.WarnContext(ctx, "keys of removed zones are not removed yet", "error", err)
		r.mu.Lock()
		r.swept = false
		r.mu.Unlock()
	}
}

// sweep removes the keys of zones that were removed while nobody looked. Only the
// history tells them from those of a zone that is about to be there.
func (r *Reconciler) sweep(ctx context.Context) error {
	names, err := r.service.Vault.SecretNames(ctx, secretsOfZones)
	if err != nil {
		return err
	}
	looked := ""
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, secretsOfZones), "/")
		if id == looked {
			continue
		}
		looked = id
		if _, err := r.service.Store.Get(ctx, Kind, id); !fault.Is(err, fault.NotFound) {
			if err != nil {
				return err
			}
			continue
		}
		past, _, err := r.service.Store.History(ctx, resource.HistoryQuery{Kind: Kind, ID: id, Limit: 1})
		if err != nil {
			return err
		}
		if len(past) > 0 {
			if err := r.dropKeys(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// orphans releases what a zone held that was removed while nobody looked.
func (r *Reconciler) orphans(ctx context.Context, id string) error {
	q := resource.Query{Kind: KindDelegation, Limit: 1000}
	for {
		page, err := r.service.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			d, err := resource.Decode[DelegationSpec, struct{}](item)
			if err != nil {
				return err
			}
			if d.Spec.Zone == id {
				return r.service.release(ctx, item.Name, id)
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// look is one look at a zone: what is written into its status at the end.
type look struct {
	r      *Reconciler
	m      *made
	z      Zone
	status Status
	now    time.Time
	next   time.Time // to look again

	renewal time.Time // of signatures
	dropped []string  // keys that the status has no more
}

func (l *look) again(at time.Time) {
	if !at.IsZero() && (l.next.IsZero() || at.Before(l.next)) {
		l.next = at
	}
}

func (l *look) condition(typ string, status resource.ConditionStatus, reason, message string) {
	l.status.Conditions = resource.SetCondition(l.status.Conditions, resource.Condition{Type: typ, Status: status, Reason: reason, Message: message, Since: l.now})
}

// version is the whole of one look, in the order of the package's phases.
func (r *Reconciler) version(ctx context.Context, m *made, z Zone) (time.Duration, error) {
	now := r.service.Now().UTC().Truncate(time.Second)
	l := &look{r: r, m: m, z: z, status: cloneStatus(z.Status), now: now}
	held, past, err := l.holder(ctx)
	if err != nil {
		return 0, err
	}
	l.askParent(ctx, len(past) > 0)
	if held == "" {
		held = l.leftover(past)
	}
	if held != "" {
		l.condition(Served, resource.False, "Held", held)
		l.status.Serial, l.status.Content = 0, ""
		r.service.made.remove(z.ID)
		l.again(now.Add(lookHeld))
		return l.finish(ctx)
	}
	if z.Spec.Secondary != nil {
		if err := l.secondary(ctx); err != nil {
			return 0, err
		}
		return l.finish(ctx)
	}
	if m.asIs != nil || m.signedCopy != nil {
		m.forget() // it was a secondary
	}
	if err := l.advance(ctx); err != nil {
		return 0, err
	}
	l.askNames(ctx)
	if err := l.build(ctx); err != nil {
		return 0, err
	}
	return l.finish(ctx)
}

func cloneStatus(s Status) Status {
	var out Status
	raw, _ := json.Marshal(s)
	_ = json.Unmarshal(raw, &out)
	return out
}

// holder makes sure that the zone has its apex. held says why it has not.
func (l *look) holder(ctx context.Context) (held string, past [][]int, err error) {
	d, held, err := l.r.service.take(ctx, l.z)
	if err != nil || held != "" {
		return held, nil, err
	}
	servers := l.r.service.nameServers(d.Spec.Pair, l.z.Name)
	l.status.NameServers = servers
	return "", d.Spec.Past, nil
}

// leftover says why a zone is not answered whose apex still leads to the name
// servers of an earlier owner: they are ours as well, and it would be answered
// for somebody whom the domain's holder has not chosen.
func (l *look) leftover(past [][]int) string {
	if len(past) == 0 || l.r.options.Parent == nil {
		return ""
	}
	p := l.status.Parent
	if p == nil || p.Error != "" {
		return "another project had this zone before, and the parent cannot be asked whether the domain still leads to its name servers"
	}
	for _, pair := range past {
		for _, server := range l.r.service.nameServers(pair, l.z.Name) {
			if slices.Contains(p.NameServers, server) && !slices.Contains(l.status.NameServers, server) {
				return fmt.Sprintf("the domain is delegated to %s, which an earlier owner of the zone was given: change its name servers to %s", server, strings.Join(l.status.NameServers, " and "))
			}
		}
	}
	return ""
}

// askParent asks the zone above, when it is time.
func (l *look) askParent(ctx context.Context, careful bool) {
	if l.r.options.Parent == nil {
		l.condition(Delegated, resource.Unknown, "NotAsked", "")
		return
	}
	every := lookParent
	rolling := l.status.Keys.Roll != nil && slices.Contains([]string{stepAnnounce, stepReplace, stepUnsign}, l.status.Keys.Roll.Step)
	c, _ := resource.ConditionOf(l.status.Conditions, Delegated)
	if rolling || c.Status != resource.True && l.now.Sub(l.z.CreatedAt) < time.Hour || careful && c.Status != resource.True {
		every = lookRoll
	}
	seen := l.status.Parent
	due := seen == nil || !l.now.Before(seen.At.Add(every)) || rolling && seen.At.Before(l.status.Keys.Roll.Since)
	if due {
		servers, ds, ttl, err := l.r.options.Parent.Delegation(ctx, l.z.Name)
		seen = &ParentSeen{At: l.now, NameServers: servers, DS: ds, DSTTL: int(ttl / time.Second)}
		if err != nil {
			seen.Error = err.Error()
		}
		l.status.Parent = seen
	}
	l.again(seen.At.Add(every))
	missing := slices.DeleteFunc(slices.Clone(l.status.NameServers), func(s string) bool { return slices.Contains(seen.NameServers, s) })
	wanted := strings.Join(l.status.NameServers, " and ")
	switch {
	case seen.Error != "":
		l.condition(Delegated, resource.Unknown, "ParentSilent", "the parent could not be asked: "+seen.Error)
	case len(seen.NameServers) == 0:
		l.condition(Delegated, resource.False, "NotDelegated", "set the name servers "+wanted+" at the registrar of the domain")
	case len(missing) > 0:
		l.condition(Delegated, resource.False, Elsewhere, fmt.Sprintf("the domain leads to %s: set the name servers %s at its registrar", strings.Join(seen.NameServers, ", "), wanted))
	default:
		l.condition(Delegated, resource.True, "Delegated", "")
	}
}

const secretsOfZones = "zone/"

func secretName(zone, key string) string { return secretsOfZones + zone + "/" + key }

// advance moves the keys.
func (l *look) advance(ctx context.Context) error {
	everywhere := true
	if l.r.options.Rollout != nil && l.status.Keys.Roll != nil {
		edges, applied, err := l.r.options.Rollout.Zone(ctx, l.z.ID)
		if err != nil {
			return err
		}
		everywhere = applied >= edges
	}
	// What was never answered is in no cache.
	zoneTTL := max(time.Duration(l.status.MaxTTL), soaTTL) * time.Second
	a := &advancer{
		keys: &l.status.Keys, want: l.z.Spec.DNSSEC, parent: l.status.Parent, now: l.now, everywhere: everywhere,
		times: keyTimes{KeyTTL: keyTTL * time.Second, ZoneTTL: zoneTTL, Defaults: defaultDSTTL},
		generate: func(role dnssec.Role, algorithm uint8) (KeyState, error) {
			return l.generate(ctx, role, algorithm)
		},
	}
	if l.r.options.Parent == nil {
		a.parent = &ParentSeen{At: l.now, DS: nil, Error: "this control plane does not ask parents"}
	}
	before := slices.Clone(l.status.Keys.Keys)
	if _, err := a.advance(); err != nil {
		return err
	}
	for _, k := range before {
		if !slices.ContainsFunc(l.status.Keys.Keys, func(s KeyState) bool { return s.ID == k.ID }) {
			l.dropped = append(l.dropped, k.ID)
		}
	}
	if roll := l.status.Keys.Roll; roll != nil {
		next := roll.Next
		if !next.After(l.now) {
			next = l.now.Add(lookRoll)
		}
		l.again(next)
	}
	l.signed()
	return nil
}

// signed sets the condition of the keys.
func (l *look) signed() {
	k := &l.status.Keys
	announced := k.ids(func(s *KeyState) bool { return s.Announce })
	a := &advancer{keys: k}
	switch p := l.status.Parent; {
	case len(k.Keys) == 0:
		l.condition(Signed, resource.False, "NotSigned", "")
	case k.Roll != nil:
		l.condition(Signed, resource.True, "Rolling", fmt.Sprintf("%s, step %s: %s", k.Roll.Kind, k.Roll.Step, k.Roll.Waiting))
	case p == nil || p.Error != "":
		l.condition(Signed, resource.Unknown, "ParentSilent", "give the parent this DS: "+strings.Join(a.wantedDS(announced), "; "))
	case !a.allIn(p, announced):
		l.condition(Signed, resource.False, "NoDS", "the zone is signed, and nobody can tell: give this DS to the registrar: "+strings.Join(a.wantedDS(announced), "; "))
	default:
		l.condition(Signed, resource.True, "Secure", "")
	}
}

func (l *look) generate(ctx context.Context, role dnssec.Role, algorithm uint8) (KeyState, error) {
	apex := l.z.Name + "."
	for {
		k, err := dnssec.Generate(role, algorithm)
		if err != nil {
			return KeyState{}, err
		}
		s := newKeyState(resource.NewID("key"), k, apex)
		// Two keys of one tag cost validators a try each, and tell us apart from ourselves.
		if s.Tag == 0 || slices.ContainsFunc(l.status.Keys.Keys, func(o KeyState) bool { return o.Tag == s.Tag }) {
			continue
		}
		der, err := k.Marshal()
		if err != nil {
			return KeyState{}, err
		}
		if err := l.r.service.Vault.PutSecret(ctx, secretName(l.z.ID, s.ID), der); err != nil {
			return KeyState{}, err
		}
		l.m.keys[s.ID] = k
		return s, nil
	}
}

// signing reads the keys and says how they are used now; nil: not signed.
func (l *look) signing(ctx context.Context) (*build.Signing, error) {
	k := &l.status.Keys
	if len(k.Keys) == 0 {
		return nil, nil
	}
	how := &build.Signing{Denial: l.z.Spec.DNSSEC.Denial, KeyTTL: keyTTL, Unsign: k.unsign()}
	for _, s := range k.Keys {
		key := l.m.keys[s.ID]
		if key == nil {
			der, err := l.r.service.Vault.Secret(ctx, secretName(l.z.ID, s.ID))
			if err != nil {
				return nil, fault.New(fault.CodeOf(err), "key %s of zone %s: %w", s.ID, l.z.Name, err)
			}
			if key, err = dnssec.Parse(dnssec.Role(s.Role), der); err != nil {
				return nil, err
			}
			l.m.keys[s.ID] = key
		}
		used := *key
		used.Publish, used.Active, used.Announce = s.Publish, s.Active, s.Announce
		how.Keys = append(how.Keys, &used)
	}
	return how, l.r.service.made.sign(l.z.ID, l.z.Name, how)
}

// askNames looks up the names that ALIAS records lead to, when it is time.
func (l *look) askNames(ctx context.Context) {
	wanted := l.r.seen().aliasesOf(l.z.ID)
	known := map[string]Addresses{}
	changed := len(wanted) != len(l.status.Aliases)
	for _, name := range wanted {
		old, there := l.status.Aliases[name]
		if there && l.now.Before(old.Until) {
			known[name] = old
			l.again(old.Until)
			continue
		}
		fresh := old
		if l.r.options.Names == nil {
			fresh.Error, fresh.Until = "this control plane does not look names up", l.now.Add(maxAlias)
		} else if a, aaaa, ttl, err := l.r.options.Names.Addresses(ctx, name); err != nil {
			fresh.Error, fresh.Until = err.Error(), l.now.Add(aliasFailed) // what was known stays
		} else {
			slices.Sort(a)
			slices.Sort(aaaa)
			fresh = Addresses{A: a, AAAA: aaaa, Until: l.now.Add(min(max(ttl, minAlias), maxAlias))}
		}
		changed = changed || !slices.Equal(old.A, fresh.A) || !slices.Equal(old.AAAA, fresh.AAAA)
		known[name] = fresh
		l.again(fresh.Until)
	}
	if l.status.Aliases = known; len(known) == 0 {
		l.status.Aliases = nil
	}
	if changed {
		l.r.seen().aliasesChanged(l.z.ID)
	}
}

// build makes the version.
func (l *look) build(ctx context.Context) error {
	m, z := l.m, &l.z
	var places []Place
	if l.r.options.Places != nil {
		var err error
		if places, err = l.r.options.Places.Places(ctx); err != nil {
			return err
		}
	}
	if m.zone == nil {
		zone, err := build.New(z.ID, z.Name, l.status.Parts)
		if err != nil {
			return err
		}
		m.zone, m.apex, m.project, m.env = zone, z.Name, z.Project, z.Environment
		l.r.seen().touchAll(z.ID)
	}
	https := ""
	if l.r.options.HTTPS != nil {
		https = l.r.options.HTTPS()
		l.again(l.now.Add(lookHTTPS))
	}
	if m.https != https || !reflect.DeepEqual(m.places, places) || !reflect.DeepEqual(m.servers, l.status.NameServers) || !reflect.DeepEqual(m.spec, z.Spec) {
		l.r.seen().touchAll(z.ID)
	}
	snap, ok := l.r.seen().take(z.ID, l.status.NameServers)
	if !ok {
		return nil // its event comes yet
	}
	c := &content{
		id: z.ID, apex: z.Name, spec: z.Spec, servers: l.status.NameServers, places: places, aliases: l.status.Aliases,
		sets: snap.sets, sites: snap.sites, extra: snap.extra, https: https,
	}
	var err error
	if c.below, err = l.children(ctx, snap.children); err == nil {
		err = l.fill(c, snap.owners)
	}
	var how *build.Signing
	if err == nil {
		how, err = l.signing(ctx)
	}
	var draft *build.Draft
	if err == nil {
		draft, err = m.zone.Build(how, uint32(min(soaTTL, z.Spec.Negative)), l.now)
	}
	if err != nil {
		l.r.seen().again(z.ID, snap.owners)
		return err
	}
	m.places, m.servers, m.spec, m.https = places, l.status.NameServers, z.Spec, https
	soa := edgeconfig.SOA{
		TTL: soaTTL, MName: l.status.NameServers[0], RName: "hostmaster." + z.Name, Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire,
		Minimum: uint32(z.Spec.Negative),
	}
	if z.Spec.Contact != "" {
		if soa.RName, err = mailbox(z.Spec.Contact); err != nil {
			return err
		}
	}
	return l.seal(ctx, draft, soa)
}

// fill hands owners to the builder.
func (l *look) fill(c *content, owners []string) error {
	for _, owner := range owners {
		c.checks = map[string]edgeconfig.Check{}
		sets, problems := c.owner(owner)
		if err := l.m.zone.Set(owner, sets); err != nil {
			return err
		}
		if delete(l.m.problems, owner); len(problems) > 0 {
			l.m.problems[owner] = problems
		}
		if delete(l.m.checks, owner); len(c.checks) > 0 {
			for _, id := range sortedKeys(c.checks) {
				l.m.checks[owner] = append(l.m.checks[owner], c.checks[id])
			}
		}
	}
	return nil
}

// children reads what the zones right below say of themselves.
func (l *look) children(ctx context.Context, ids map[string]string) (map[string]child, error) {
	out := map[string]child{}
	for owner, id := range ids {
		stored, err := l.r.service.Store.Get(ctx, Kind, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		z, err := Decode(stored)
		if err != nil {
			return nil, err
		}
		if z.Status.Serial == 0 {
			continue // it is not answered
		}
		c := child{servers: z.Status.NameServers}
		z.Status.Keys.named(z.Status.Keys.ids(func(s *KeyState) bool { return s.Announce }), func(s *KeyState) {
			if len(s.DS) > 0 {
				c.ds = append(c.ds, s.DS[0])
			}
		})
		out[owner] = c
	}
	return out, nil
}

// seal gives the version its serial, a new one when its content is another: above
// the one that soa comes with, which is that of a primary.
func (l *look) seal(ctx context.Context, draft *build.Draft, soa edgeconfig.SOA) error {
	z, m := &l.z, l.m
	print := draft.Content + fmt.Sprintf("/%s/%s/%d", soa.MName, soa.RName, soa.Minimum)
	if m.signedCopy != nil {
		print += fmt.Sprintf("/%d/%d/%d/%d", soa.TTL, soa.Refresh, soa.Retry, soa.Expire)
	}
	if l.status.Content != print || l.status.Serial == 0 {
		l.status.Serial = nextSerial(last(last(l.status.Serial, m.serial), soa.Serial), l.now)
		l.status.Content = print
		at := l.now
		l.status.MadeAt = &at
	}
	m.serial = l.status.Serial
	soa.Serial = l.status.Serial
	head, err := m.zone.Seal(z.Project, z.Environment, soa, l.now)
	if err != nil {
		return err
	}
	l.status.Parts, l.status.Records, l.status.MaxTTL = draft.Parts, draft.Sets, int(draft.MaxTTL)
	l.again(draft.Next)
	l.renewal = draft.Next
	l.status.Problems = nil
	for _, owner := range sortedKeys(m.problems) {
		l.status.Problems = append(l.status.Problems, m.problems[owner]...)
	}
	if n := len(l.status.Problems); m.signedCopy != nil { // leftAside says
	} else if n > 0 {
		l.condition(Records, resource.False, "LeftOut", fmt.Sprintf("%d record sets are left out, first: %s", n, l.status.Problems[0]))
		l.status.Problems = l.status.Problems[:min(n, maxProblems)]
	} else {
		l.condition(Records, resource.True, "All", "")
	}
	return l.publish(ctx, head, m.zone.Bodies(), m.allChecks())
}

// last is the serial that comes after the other (RFC 1982); 0 is none.
func last(a, b uint32) uint32 {
	if a == 0 || b != 0 && int32(b-a) > 0 {
		return b
	}
	return a
}

// allChecks are those of all owners, in order of ID, each once.
func (m *made) allChecks() []edgeconfig.Check {
	var out []edgeconfig.Check
	for _, list := range m.checks {
		out = append(out, list...)
	}
	slices.SortFunc(out, func(a, b edgeconfig.Check) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b edgeconfig.Check) bool { return a.ID == b.ID })
}

// nextSerial is above the one before (RFC 1982), and not below the time, so that
// a zone that comes back after a restore or a removal does not go back for its
// secondaries.
func nextSerial(before uint32, now time.Time) uint32 {
	clock := uint32(now.Unix())
	if before == 0 || int32(clock-before) > 0 {
		return clock
	}
	if before+1 == 0 {
		return 1
	}
	return before + 1
}

// finish writes the status and says when to look again.
func (l *look) finish(ctx context.Context) (time.Duration, error) {
	// Only what does not move by looking: a status that changes leads to a look.
	l.status.NextAt = nil
	note := func(at time.Time) {
		if at.After(l.now) && (l.status.NextAt == nil || at.Before(*l.status.NextAt)) {
			l.status.NextAt = &at
		}
	}
	note(l.renewal)
	if l.status.Keys.Roll != nil {
		note(l.status.Keys.Roll.Next)
	}
	overtaken := false
	err := l.r.service.updateStatus(ctx, l.z.ID, func(z *Zone) bool {
		copied := z.Status.Copy // another's to write
		seen := l.z.Status
		z.Status.Copy, seen.Copy = nil, nil
		if overtaken = !bytes.Equal(mustJSON(z.Status), mustJSON(seen)); overtaken {
			return false
		}
		z.Status = l.status
		z.Status.Copy = copied
		return true
	})
	if fault.Is(err, fault.NotFound) {
		return 0, nil // removed meanwhile
	}
	if err != nil {
		return 0, err
	}
	if overtaken {
		// Another leads by now, and has moved the keys perhaps: what this look has
		// found must not take them back.
		return time.Second, nil
	}
	// Only now: a status that is not written still names them.
	for _, id := range l.dropped {
		delete(l.m.keys, id)
		if err := l.r.service.Vault.DeleteSecret(ctx, secretName(l.z.ID, id)); err != nil {
			return 0, err
		}
	}
	if l.next.IsZero() {
		return 0, nil
	}
	return max(l.next.Sub(l.now), time.Second), nil
}

// present adds a challenge to a zone or takes it away, and makes the version.
func (r *Reconciler) present(ctx context.Context, id, owner, text string, add bool) error {
	if !r.seen().present(id, owner, text, add) {
		if !add {
			return nil // the zone is gone, and the record with it
		}
		return fault.New(fault.Unavailable, "the zone is not made yet: try again")
	}
	_, err := r.Reconcile(ctx, reconcile.Ref{Kind: Kind, ID: id})
	return err
}

// everywhere waits until every connected edge has the present version.
func (r *Reconciler) everywhere(ctx context.Context, id string) error {
	if r.options.Rollout == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, presentWithin)
	defer cancel()
	return r.options.Rollout.Wait(ctx, func() map[string]string { return r.service.made.documents(id) })
}
