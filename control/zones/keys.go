package zones

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnssec"
)

// Keys is the state of a zone's keys. It is all that a rollover needs to be
// taken up again, at any step, by any control plane.
type Keys struct {
	Keys    []KeyState `json:"keys,omitempty"`
	Roll    *Roll      `json:"roll,omitempty"`     // what is under way
	Rolled  int        `json:"rolled,omitempty"`   // DNSSEC.Roll that was carried out
	RolledZ int        `json:"rolled_z,omitempty"` // DNSSEC.RollZSK that was carried out
}

// KeyState is one key and what it is used for. The private key is in the vault.
type KeyState struct {
	ID        string    `json:"id"` // "key_..."
	Role      string    `json:"role"`
	Algorithm uint8     `json:"algorithm"`
	Tag       uint16    `json:"tag"`
	DS        []string  `json:"ds,omitempty"` // for the parent, SHA-256 first; none of a ZSK
	Publish   bool      `json:"publish"`
	Active    bool      `json:"active"`
	Announce  bool      `json:"announce"`
	CreatedAt time.Time `json:"created_at"`
}

// Roll is a change of keys under way (RFC 7583, RFC 6781 section 4.1).
type Roll struct {
	Kind  string    `json:"kind"`
	Step  string    `json:"step"`
	Since time.Time `json:"since"` // when the step began
	Next  time.Time `json:"next"`  // the next step, not before
	Old   []string  `json:"old,omitempty"`
	New   []string  `json:"new,omitempty"`
	// Settling is when the parent was first seen as the step wants it.
	Settling *time.Time `json:"settling,omitempty"`
	Waiting  string     `json:"waiting"` // what for, for people
}

// What is rolled. Keys that the parent knows are rolled with both keys signing
// and both in the parent for a while (double signature and double DS), so that
// whatever a resolver has cached at any instant leads to a signature.
const (
	RollEnable    = "enable"
	RollDisable   = "disable"
	RollKey       = "key"       // the CSK or KSK
	RollZSK       = "zsk"       // pre-publish
	RollAlgorithm = "algorithm" // all keys: another algorithm, or another split
)

// The steps, in their order.
const (
	stepPresign  = "presign"  // algorithm: the new keys sign, unpublished (RFC 6781 section 4.1.4)
	stepPublish  = "publish"  // the new keys are published
	stepAnnounce = "announce" // the parent is asked for both DS
	stepReplace  = "replace"  // the parent is asked for the new DS alone
	stepActivate = "activate" // ZSK: the new one signs, the old one stays published
	stepWithdraw = "withdraw" // algorithm: the old keys still sign, unpublished
	stepUnsign   = "unsign"   // the parent is asked for no DS
)

// Times that steps wait for.
type keyTimes struct {
	KeyTTL   time.Duration // of the DNSKEY set
	ZoneTTL  time.Duration // the longest of the zone
	Defaults time.Duration // of the parent's DS when it was not seen
}

const (
	keyTTL = 3600 // seconds
	// propagation is what a version may take to every edge, beyond what edges
	// have acknowledged.
	propagation  = 5 * time.Minute
	defaultDSTTL = 24 * time.Hour
)

func rolesOf(want DNSSEC) []dnssec.Role {
	if want.Keys == KeysSplit {
		return []dnssec.Role{dnssec.KSK, dnssec.ZSK}
	}
	return []dnssec.Role{dnssec.CSK}
}

func algorithmOf(want DNSSEC) uint8 {
	if want.Algorithm == AlgorithmEd25519 {
		return dnssec.Ed25519
	}
	return dnssec.ECDSAP256
}

// unsign reports whether CDS and CDNSKEY ask the parent to remove its DS.
func (k *Keys) unsign() bool { return k.Roll != nil && k.Roll.Kind == RollDisable }

func (k *Keys) named(ids []string, change func(*KeyState)) {
	for i := range k.Keys {
		if slices.Contains(ids, k.Keys[i].ID) {
			change(&k.Keys[i])
		}
	}
}

func (k *Keys) ids(match func(*KeyState) bool) []string {
	var out []string
	for i := range k.Keys {
		if match(&k.Keys[i]) {
			out = append(out, k.Keys[i].ID)
		}
	}
	return out
}

func (k *Keys) drop(ids []string) {
	k.Keys = slices.DeleteFunc(k.Keys, func(s KeyState) bool { return slices.Contains(ids, s.ID) })
}

// advancer moves keys one step, when its time has come.
type advancer struct {
	keys       *Keys
	want       DNSSEC
	parent     *ParentSeen // as last seen; nil: never
	times      keyTimes
	everywhere bool // every edge has the version before
	now        time.Time
	generate   func(role dnssec.Role, algorithm uint8) (KeyState, error)
}

// advance starts or continues what is to be done, and does as many steps as can
// be done now. It reports whether the keys have changed.
func (a *advancer) advance() (changed bool, err error) {
	for range 10 {
		moved, err := a.step()
		if err != nil || !moved {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

func (a *advancer) step() (bool, error) {
	k := a.keys
	if k.Roll == nil {
		return a.begin()
	}
	if !a.want.Enabled && k.Roll.Kind != RollDisable {
		a.start(RollDisable, stepUnsign, 0)
		return true, nil
	}
	if a.want.Enabled && k.Roll.Kind == RollDisable {
		// Changed their mind: the keys are still there.
		a.to(k.ids(func(s *KeyState) bool { return s.Role != string(dnssec.ZSK) && s.Publish }), func(s *KeyState) { s.Announce = true })
		k.Roll = nil
		return true, nil
	}
	if a.now.Before(k.Roll.Next) {
		return false, nil
	}
	if !a.everywhere {
		return a.wait("an edge has not yet taken the version before"), nil
	}
	return a.next()
}

// begin looks whether something is asked for.
func (a *advancer) begin() (bool, error) {
	k := a.keys
	if !a.want.Enabled {
		if len(k.Keys) == 0 {
			return false, nil
		}
		a.start(RollDisable, stepUnsign, 0)
		return true, nil
	}
	roles, algorithm := rolesOf(a.want), algorithmOf(a.want)
	if len(k.Keys) == 0 {
		fresh, err := a.make(roles, algorithm, func(s *KeyState) { s.Publish, s.Active = true, true })
		if err != nil {
			return false, err
		}
		k.Rolled, k.RolledZ = a.want.Roll, a.want.RollZSK
		// The DS must not be in the parent before nobody has unsigned answers cached.
		a.start(RollEnable, stepPublish, a.times.ZoneTTL+propagation)
		k.Roll.New = fresh
		return true, nil
	}
	split := slices.ContainsFunc(k.Keys, func(s KeyState) bool { return s.Role == string(dnssec.ZSK) })
	old := k.ids(func(*KeyState) bool { return true })
	switch {
	case k.Keys[0].Algorithm != algorithm:
		fresh, err := a.make(roles, algorithm, func(s *KeyState) { s.Active = true })
		if err != nil {
			return false, err
		}
		a.start(RollAlgorithm, stepPresign, a.times.ZoneTTL+propagation)
		k.Roll.Old, k.Roll.New = old, fresh
	case split != (a.want.Keys == KeysSplit):
		fresh, err := a.make(roles, algorithm, func(s *KeyState) { s.Publish, s.Active = true, true })
		if err != nil {
			return false, err
		}
		a.start(RollAlgorithm, stepPublish, max(a.times.ZoneTTL, a.times.KeyTTL)+propagation)
		k.Roll.Old, k.Roll.New = old, fresh
	case a.want.Roll > k.Rolled:
		fresh, err := a.make(roles[:1], algorithm, func(s *KeyState) { s.Publish, s.Active = true, true })
		if err != nil {
			return false, err
		}
		a.start(RollKey, stepPublish, max(a.times.ZoneTTL, a.times.KeyTTL)+propagation)
		k.Roll.Old, k.Roll.New = slices.DeleteFunc(old, func(id string) bool { return k.role(id) == string(dnssec.ZSK) }), fresh
	case a.want.RollZSK > k.RolledZ && !split:
		k.RolledZ = a.want.RollZSK // there is none to roll
	case a.want.RollZSK > k.RolledZ:
		fresh, err := a.make([]dnssec.Role{dnssec.ZSK}, algorithm, func(s *KeyState) { s.Publish = true })
		if err != nil {
			return false, err
		}
		a.start(RollZSK, stepPublish, a.times.KeyTTL+propagation)
		k.Roll.Old, k.Roll.New = slices.DeleteFunc(old, func(id string) bool { return k.role(id) != string(dnssec.ZSK) }), fresh
	default:
		return false, nil
	}
	return true, nil
}

func (k *Keys) role(id string) string {
	for i := range k.Keys {
		if k.Keys[i].ID == id {
			return k.Keys[i].Role
		}
	}
	return ""
}

func (a *advancer) make(roles []dnssec.Role, algorithm uint8, set func(*KeyState)) ([]string, error) {
	var ids []string
	for _, role := range roles {
		s, err := a.generate(role, algorithm)
		if err != nil {
			return nil, err
		}
		s.CreatedAt = a.now
		set(&s)
		a.keys.Keys = append(a.keys.Keys, s)
		ids = append(ids, s.ID)
	}
	return ids, nil
}

func (a *advancer) start(kind, step string, wait time.Duration) {
	old, fresh := []string(nil), []string(nil)
	if r := a.keys.Roll; r != nil && r.Kind == kind {
		old, fresh = r.Old, r.New
	}
	a.keys.Roll = &Roll{Kind: kind, Step: step, Since: a.now, Next: a.now.Add(wait), Old: old, New: fresh, Waiting: waitingFor(step)}
	if kind == RollDisable {
		a.to(a.keys.ids(func(*KeyState) bool { return true }), func(s *KeyState) { s.Announce = false })
	}
}

func waitingFor(step string) string {
	return map[string]string{
		stepPresign:  "resolvers have to forget records without the new signatures",
		stepPublish:  "resolvers have to learn the new keys",
		stepAnnounce: "the parent has to take the new DS",
		stepReplace:  "the parent has to let the old DS go",
		stepActivate: "resolvers have to forget signatures of the old key",
		stepWithdraw: "resolvers have to forget the old keys",
		stepUnsign:   "the parent has to remove its DS",
	}[step]
}

func (a *advancer) to(ids []string, change func(*KeyState)) { a.keys.named(ids, change) }

// wait says what is waited for; it moves nothing.
func (a *advancer) wait(what string) bool {
	a.keys.Roll.Waiting = what
	return false
}

func (a *advancer) done() bool {
	k := a.keys
	switch k.Roll.Kind {
	case RollKey:
		k.Rolled++
	case RollZSK:
		k.RolledZ++
	case RollAlgorithm:
		k.Rolled, k.RolledZ = a.want.Roll, a.want.RollZSK
	}
	k.Roll = nil
	return true
}

func (a *advancer) next() (bool, error) {
	k := a.keys
	r := k.Roll
	parentKeys := slices.DeleteFunc(slices.Clone(r.New), func(id string) bool { return k.role(id) == string(dnssec.ZSK) })
	announce := func(s *KeyState) { s.Announce = true }
	switch r.Step {
	case stepPresign:
		a.to(r.New, func(s *KeyState) { s.Publish = true })
		a.start(r.Kind, stepPublish, a.times.KeyTTL+propagation)
	case stepPublish:
		if r.Kind == RollZSK {
			a.to(r.New, func(s *KeyState) { s.Active = true })
			a.to(r.Old, func(s *KeyState) { s.Active = false })
			a.start(r.Kind, stepActivate, a.times.ZoneTTL+propagation)
			return true, nil
		}
		a.to(parentKeys, announce)
		if r.Kind == RollEnable {
			return a.done(), nil
		}
		a.start(r.Kind, stepAnnounce, 0)
	case stepActivate:
		k.drop(r.Old)
		return a.done(), nil
	case stepAnnounce:
		return a.seen(func(p *ParentSeen) (bool, string) {
			if len(p.DS) == 0 { // nobody validates by the parent
				return true, ""
			}
			return a.allIn(p, parentKeys), waitingFor(stepAnnounce) + ": give it " + strings.Join(a.wantedDS(parentKeys), "; ")
		}, func() bool {
			a.to(r.Old, func(s *KeyState) { s.Announce = false })
			a.start(r.Kind, stepReplace, 0)
			return true
		}), nil
	case stepReplace:
		return a.seen(func(p *ParentSeen) (bool, string) {
			return !a.anyIn(p, r.Old), waitingFor(stepReplace) + ": remove " + strings.Join(a.wantedDS(r.Old), "; ")
		}, func() bool {
			if r.Kind == RollAlgorithm && len(k.Keys) > 0 && a.algorithmsDiffer() {
				a.to(r.Old, func(s *KeyState) { s.Publish = false })
				a.start(r.Kind, stepWithdraw, a.times.KeyTTL+propagation)
				return true
			}
			k.drop(r.Old)
			return a.done()
		}), nil
	case stepWithdraw:
		k.drop(r.Old)
		return a.done(), nil
	case stepUnsign:
		return a.seen(func(p *ParentSeen) (bool, string) {
			return len(p.DS) == 0, waitingFor(stepUnsign) + " at the registrar; the zone stays signed until then"
		}, func() bool {
			k.Keys = nil
			k.Rolled, k.RolledZ = a.want.Roll, a.want.RollZSK
			return a.done()
		}), nil
	}
	return true, nil
}

func (a *advancer) algorithmsDiffer() bool {
	first := a.keys.Keys[0].Algorithm
	return slices.ContainsFunc(a.keys.Keys, func(s KeyState) bool { return s.Algorithm != first })
}

// seen waits until the parent is as it should be, and then until resolvers have
// forgotten what it said before.
func (a *advancer) seen(holds func(*ParentSeen) (bool, string), then func() bool) bool {
	r, p := a.keys.Roll, a.parent
	if p == nil || p.At.Before(r.Since) {
		return a.wait("the parent has to be asked")
	}
	if p.Error != "" {
		r.Settling = nil
		return a.wait("the parent cannot be asked: " + p.Error)
	}
	ok, waiting := holds(p)
	if !ok {
		r.Settling = nil
		return a.wait(waiting)
	}
	if r.Settling == nil {
		at := a.now
		r.Settling = &at
	}
	ttl := a.times.Defaults
	if p.DSTTL > 0 {
		ttl = time.Duration(p.DSTTL) * time.Second
	}
	if until := r.Settling.Add(ttl); a.now.Before(until) {
		r.Next = until
		return a.wait("resolvers have to forget what the parent said before")
	}
	return then()
}

func (a *advancer) wantedDS(ids []string) []string {
	var out []string
	a.keys.named(ids, func(s *KeyState) {
		if len(s.DS) > 0 {
			out = append(out, s.DS[0])
		}
	})
	return out
}

// allIn reports whether the parent has a DS of each key.
func (a *advancer) allIn(p *ParentSeen, ids []string) bool {
	all := true
	a.keys.named(ids, func(s *KeyState) {
		all = all && slices.ContainsFunc(s.DS, func(ds string) bool { return slices.Contains(p.DS, ds) })
	})
	return all
}

// anyIn reports whether the parent has a DS that may be of one of the keys, of
// whatever digest.
func (a *advancer) anyIn(p *ParentSeen, ids []string) bool {
	found := false
	a.keys.named(ids, func(s *KeyState) {
		if len(s.DS) == 0 {
			return
		}
		prefix := fmt.Sprintf("%d %d ", s.Tag, s.Algorithm)
		found = found || slices.ContainsFunc(p.DS, func(ds string) bool { return strings.HasPrefix(ds, prefix) })
	})
	return found
}

// dsText is a DS as KeyState and ParentSeen have it.
func dsText(ds *dns.DS) string {
	return fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToLower(ds.Digest))
}

// newKeyState describes a key. apex is absolute.
func newKeyState(id string, k *dnssec.Key, apex string) KeyState {
	record := k.DNSKEY(apex, keyTTL)
	s := KeyState{ID: id, Role: string(k.Role), Algorithm: k.Algorithm, Tag: record.KeyTag()}
	if k.Role != dnssec.ZSK {
		s.DS = []string{dsText(record.ToDS(dns.SHA256)), dsText(record.ToDS(dns.SHA384))}
	}
	return s
}
