// Package readiness judges, before an order is made, what would become of it:
// which CAs may be asked, with which challenges, and whether there is room.
//
// Types: Judge, Readiness (its answer to a user). Interfaces needed are those of
// certificates.Room, and the issuers, which are given to it last.
//
// For one CA: may the project have the names (Owned)? -> which challenges could
// prove them (Checks, which asks certificates.Preflight) -> is it not paused, and
// is there room in its budget (RoomAt)? It reads only.
package readiness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/resource"
)

// Judge says what would become of an order. Its methods may be called from any
// goroutine.
type Judge struct {
	room    certificates.Room
	issuers map[certificates.CertType]certificates.Issuer
}

// New returns a judge that knows no issuers yet.
func New(room certificates.Room) *Judge { return &Judge{room: room} }

// Use names the issuers, as far as the platform has them. It is called once,
// before anything is asked.
func (j *Judge) Use(issuers map[certificates.CertType]certificates.Issuer) { j.issuers = issuers }

// preflightTimeout bounds all look-ups before one order.
const preflightTimeout = 20 * time.Second

// candidates are the challenges that could prove a name, in the order of choice.
func (j *Judge) candidates(ctx context.Context, a certificates.Authority, c certificates.Certificate, name string) []certificates.Challenge {
	var list []certificates.Challenge
	switch {
	case strings.HasPrefix(name, "*."):
		list = []certificates.Challenge{certificates.ChallengeDNS01}
	case certificates.Address(name):
		list = []certificates.Challenge{certificates.ChallengeHTTP01, certificates.ChallengeTLSALPN}
	default:
		list = []certificates.Challenge{certificates.ChallengeHTTP01, certificates.ChallengeTLSALPN, certificates.ChallengeDNS01}
	}
	if c.Spec.Challenge != certificates.ChallengeAuto {
		list = slices.DeleteFunc(list, func(ch certificates.Challenge) bool { return ch != c.Spec.Challenge })
	}
	if p, ok := a.Issuer.(certificates.Proofs); ok {
		can := p.Proofs(ctx, c.Project, c.Environment, name)
		list = slices.DeleteFunc(list, func(ch certificates.Challenge) bool { return !slices.Contains(can, ch) })
	}
	return list
}

// Checks checks whether an order at one CA can succeed, and returns the
// challenges that are left for each name.
func (j *Judge) Checks(ctx context.Context, a certificates.Authority, c certificates.Certificate) ([]certificates.Check, map[string][]certificates.Challenge) {
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	r := &certificates.PreflightRequest{Names: c.Spec.Domains, Challenges: map[string][]certificates.Challenge{}, Authority: a.Name, Identities: a.Identities}
	var checks []certificates.Check
	for _, name := range c.Spec.Domains {
		r.Challenges[name] = j.candidates(ctx, a, c, name)
		if len(r.Challenges[name]) == 0 {
			checks = append(checks, noProof(a, c, name))
		}
	}
	if k, lacks := noProfile(ctx, a, c); lacks {
		checks = append(checks, k)
	}
	if j.room.Preflight == nil || a.Internal {
		return checks, r.Challenges
	}
	if d, ok := a.Issuer.(certificates.Describer); ok {
		identities, account, err := d.Describe(ctx)
		if err == nil {
			r.Identities, r.AccountURI = identities, account
		}
	}
	found := j.room.Preflight.Check(ctx, r)
	for i := range found {
		if found[i].Name == certificates.CheckCAA {
			found[i].Authority = a.Name
		}
	}
	checks = append(checks, found...)
	for _, name := range c.Spec.Domains {
		if len(r.Challenges[name]) == 0 && !slices.ContainsFunc(checks, func(k certificates.Check) bool { return k.Subject == name && k.State == certificates.CheckFailed }) {
			checks = append(checks, noProof(a, c, name))
		}
	}
	return checks, r.Challenges
}

// noProfile tells of a profile that the CA does not offer. What cannot be asked is
// for the order to find.
func noProfile(ctx context.Context, a certificates.Authority, c certificates.Certificate) (certificates.Check, bool) {
	p, ok := a.Issuer.(certificates.Profiles)
	if !ok || c.Spec.Profile == "" {
		return certificates.Check{}, false
	}
	offered, err := p.Profiles(ctx)
	if err != nil || slices.Contains(offered, c.Spec.Profile) {
		return certificates.Check{}, false
	}
	k := certificates.Check{Name: certificates.CheckProfile, Authority: a.Name, State: certificates.CheckFailed, Reason: "NoProfile", Detail: fmt.Sprintf("the CA has no profile %q", c.Spec.Profile)}
	if k.Fix = "leave the profile out: it has none"; len(offered) > 0 {
		k.Fix = fmt.Sprintf("take one of %s, or leave the profile out", strings.Join(offered, ", "))
	}
	return k, true
}

func noProof(a certificates.Authority, c certificates.Certificate, name string) certificates.Check {
	k := certificates.Check{Name: certificates.CheckProof, Subject: name, Authority: a.Name, State: certificates.CheckFailed, Reason: "NoChallenge"}
	switch {
	case strings.HasPrefix(name, "*."):
		k.Reason = "WildcardNeedsDNS"
		k.Detail = fmt.Sprintf("a CA signs %s only after a challenge in its DNS, where this platform cannot write", name)
		k.Fix = fmt.Sprintf("let the platform manage the zone, connect the DNS provider, or point _acme-challenge.%s at the platform with a CNAME", strings.TrimPrefix(name, "*."))
	case c.Spec.Challenge == certificates.ChallengeDNS01:
		k.Detail = fmt.Sprintf("the challenge of %s is set to dns-01, but this platform cannot write in its DNS", name)
		k.Fix = "connect the DNS provider, or leave the challenge to be chosen"
	default:
		k.Detail = fmt.Sprintf("there is no challenge that could prove %s", name)
		k.Fix = "leave the challenge to be chosen, or upload a certificate"
	}
	return k
}

// Readiness is what would become of an order now.
type Readiness struct {
	Ready  bool
	Checks []certificates.Check
}

// CheckReadiness looks whether an order for a domain would succeed, at each CA
// that could be asked, and makes none. extra are further names. Errors: Invalid.
func (j *Judge) CheckReadiness(ctx context.Context, project, environment, domain string, extra []string, challenge certificates.Challenge) (Readiness, error) {
	name, err := certificates.CanonicalName(domain)
	if err != nil {
		return Readiness{}, err
	}
	c, err := j.room.Get(ctx, project, environment, name)
	if err != nil {
		spec := certificates.Spec{Domains: append([]string{name}, extra...), Challenge: challenge}
		if err := spec.Normalize(name, j.room.Mode); err != nil {
			return Readiness{}, err
		}
		c = certificates.Certificate{Meta: resource.Meta{Project: project, Environment: environment, Name: name}, Spec: spec}
	} else if len(extra) > 0 || challenge != certificates.ChallengeAuto {
		c.Spec.Challenge = challenge
		c.Spec.Domains = append([]string{name}, extra...)
		if c.Spec.Type == certificates.TypeCustom || c.Spec.Type == certificates.TypeExternal {
			c.Spec.Type, c.Spec.Upload = certificates.TypeAuto, 0
		}
		if err := c.Spec.Normalize(name, j.room.Mode); err != nil {
			return Readiness{}, err
		}
	}
	var out Readiness
	for _, n := range c.Spec.Domains {
		owned, err := j.Owned(ctx, project, environment, n)
		if err != nil {
			return Readiness{}, err
		}
		k := certificates.Check{Name: certificates.CheckOwnership, Subject: n, State: certificates.CheckPassed, Detail: "it is verified in this project and environment"}
		if !owned {
			k.State, k.Detail, k.Fix = certificates.CheckFailed, "it is not verified in this project and environment", "add the domain and verify it"
		}
		out.Checks = append(out.Checks, k)
	}
	typ := c.Spec.Type
	if typ == certificates.TypeCustom || typ == certificates.TypeExternal {
		typ = j.room.Mode.Resolve(certificates.TypeAuto, c.Spec.Domains)
	}
	_, blocked := certificates.FirstFailed(out.Checks)
	authorities, err := j.Authorities(ctx, typ, c.Spec.Authority)
	if err != nil {
		return Readiness{}, err
	}
	if len(authorities) == 0 {
		out.Checks = append(out.Checks, certificates.Check{Name: certificates.CheckProof, State: certificates.CheckFailed, Detail: fmt.Sprintf("this platform issues no %s certificates", typ), Fix: "let the operator start it with --issuer auto, or upload a certificate"})
	}
	// Several CAs find much the same: what is about the name is told once.
	for _, a := range authorities {
		checks := []certificates.Check{}
		if typ != certificates.TypeLocal {
			checks, _ = j.Checks(ctx, a, c)
			budget, err := j.budgetCheck(ctx, a, c)
			if err != nil {
				return Readiness{}, err
			}
			checks = append(checks, budget)
		}
		if _, failed := certificates.FirstFailed(checks); !failed && !blocked {
			out.Ready = true
		}
		for _, k := range checks {
			if !slices.ContainsFunc(out.Checks, func(had certificates.Check) bool {
				return had.Name == k.Name && had.Subject == k.Subject && had.Authority == k.Authority && had.Detail == k.Detail
			}) {
				out.Checks = append(out.Checks, k)
			}
		}
	}
	return out, nil
}

// budgetCheck looks whether there is room for one order more.
func (j *Judge) budgetCheck(ctx context.Context, a certificates.Authority, c certificates.Certificate) (certificates.Check, error) {
	now := j.room.Now()
	free, why, err := j.RoomAt(ctx, a, c, now, authority.Regular)
	k := certificates.Check{Name: certificates.CheckBudget, Authority: a.Name, State: certificates.CheckPassed, Detail: "there is room for an order at " + a.Name}
	if !free.IsZero() {
		k.State, k.Reason = certificates.CheckFailed, certificates.ReasonBudget
		k.Detail, k.Fix = fmt.Sprintf("%s until %s", why, free.UTC().Format(time.RFC3339)), "nothing needs to be done: it goes on then; fewer certificates, with more names each, spare the budget"
	}
	return k, err
}

// RoomAt returns when a CA may be asked, the zero time: now, and why not.
func (j *Judge) RoomAt(ctx context.Context, a certificates.Authority, c certificates.Certificate, now time.Time, u authority.Urgency) (time.Time, string, error) {
	pauses, err := j.room.Ledger.Pauses(ctx, a.Name, now)
	if err != nil {
		return time.Time{}, "", err
	}
	if until := authority.PausedUntil(pauses, c.Spec.Domains); until.After(now) {
		return until, a.Name + " wants to be left alone", nil
	}
	free, err := j.room.Ledger.Spend(ctx, authority.Spending{Authority: a.Name, At: now, Wants: authority.Wants(a.Limits, c.Spec.Domains, j.Renews(a, c), u), Dry: true})
	return free, "the budget at " + a.Name + " is used up", err
}

// Renews reports whether a CA will take an order as a renewal of its own.
func (j *Judge) Renews(a certificates.Authority, c certificates.Certificate) bool {
	st := c.Status
	return st.RenewBy == certificates.RenewByARI && st.Authority == a.Name && st.AuthorityAt == a.Directory && st.Generation != "" && authority.SetOf(st.Names) == authority.SetOf(c.Spec.Domains)
}

// Pressure is how urgent a certificate is.
func Pressure(c certificates.Certificate, now time.Time) authority.Urgency {
	st := c.Status
	if st.Revoked != nil {
		return authority.Pressing
	}
	if st.NotAfter != nil && st.NotBefore != nil && st.NotAfter.Sub(now) < st.NotAfter.Sub(*st.NotBefore)/6 {
		return authority.Pressed(st.NotAfter.Sub(now))
	}
	if st.Replacement != "" {
		return authority.Planned
	}
	return authority.Regular
}
