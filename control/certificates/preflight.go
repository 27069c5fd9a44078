package certificates

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/resource"
)

// CheckState is what a check of readiness came to.
type CheckState string

// The states of a check.
const (
	CheckPassed  CheckState = "passed"
	CheckFailed  CheckState = "failed"  // an order would fail
	CheckWarning CheckState = "warning" // it may fail
	CheckUnknown CheckState = "unknown" // it could not be looked at
)

// The checks.
const (
	CheckOwnership = "ownership"
	CheckAddress   = "address" // the name leads to the edges
	CheckPort      = "port"    // and they can be reached there
	CheckCAA       = "caa"
	CheckDNSSEC    = "dnssec"
	CheckProof     = "proof"  // there is a challenge that can be answered
	CheckBudget    = "budget" // of this platform at the CA
)

// Check is one thing that was looked at before an order.
type Check struct {
	Name      string     `json:"name"`
	Subject   string     `json:"subject,omitempty"`   // the host name
	Authority string     `json:"authority,omitempty"` // the CA, where it is about one
	State     CheckState `json:"state"`
	Detail    string     `json:"detail"`
	Fix       string     `json:"fix,omitempty"`
	Reason    string     `json:"-"` // of the Problem it becomes
}

// PreflightRequest is what an order would be.
type PreflightRequest struct {
	Names      []string
	Challenges map[string][]Challenge // by name, those that could be answered
	Authority  string
	Identities []string // of the CA, for CAA; empty: unknown
	AccountURI string
}

// Preflight looks whether an order can succeed; certificates/preflight has one.
// It removes from Challenges, by name, what cannot work.
type Preflight interface {
	Check(ctx context.Context, r *PreflightRequest) []Check
}

// preflightTimeout bounds all look-ups before one order.
const preflightTimeout = 20 * time.Second

// candidates are the challenges that could prove a name, in the order of choice.
func (s *Service) candidates(ctx context.Context, a Authority, c Certificate, name string) []Challenge {
	var list []Challenge
	switch {
	case strings.HasPrefix(name, "*."):
		list = []Challenge{ChallengeDNS01}
	case Address(name):
		list = []Challenge{ChallengeHTTP01, ChallengeTLSALPN}
	default:
		list = []Challenge{ChallengeHTTP01, ChallengeTLSALPN, ChallengeDNS01}
	}
	if c.Spec.Challenge != ChallengeAuto {
		list = slices.DeleteFunc(list, func(ch Challenge) bool { return ch != c.Spec.Challenge })
	}
	if p, ok := a.Issuer.(Proofs); ok {
		can := p.Proofs(ctx, c.Project, c.Environment, name)
		list = slices.DeleteFunc(list, func(ch Challenge) bool { return !slices.Contains(can, ch) })
	}
	return list
}

// preflight checks whether an order at one CA can succeed, and returns the
// challenges that are left for each name.
func (s *Service) preflight(ctx context.Context, a Authority, c Certificate) ([]Check, map[string][]Challenge) {
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	r := &PreflightRequest{Names: c.Spec.Domains, Challenges: map[string][]Challenge{}, Authority: a.Name, Identities: a.Identities}
	var checks []Check
	for _, name := range c.Spec.Domains {
		r.Challenges[name] = s.candidates(ctx, a, c, name)
		if len(r.Challenges[name]) == 0 {
			checks = append(checks, noProof(a, c, name))
		}
	}
	if s.Preflight == nil || a.Internal {
		return checks, r.Challenges
	}
	if d, ok := a.Issuer.(Describer); ok {
		identities, account, err := d.Describe(ctx)
		if err == nil {
			r.Identities, r.AccountURI = identities, account
		}
	}
	found := s.Preflight.Check(ctx, r)
	for i := range found {
		if found[i].Name == CheckCAA {
			found[i].Authority = a.Name
		}
	}
	checks = append(checks, found...)
	for _, name := range c.Spec.Domains {
		if len(r.Challenges[name]) == 0 && !slices.ContainsFunc(checks, func(k Check) bool { return k.Subject == name && k.State == CheckFailed }) {
			checks = append(checks, noProof(a, c, name))
		}
	}
	return checks, r.Challenges
}

func noProof(a Authority, c Certificate, name string) Check {
	k := Check{Name: CheckProof, Subject: name, Authority: a.Name, State: CheckFailed, Reason: "NoChallenge"}
	switch {
	case strings.HasPrefix(name, "*."):
		k.Reason = "WildcardNeedsDNS"
		k.Detail = fmt.Sprintf("a CA signs %s only after a challenge in its DNS, where this platform cannot write", name)
		k.Fix = fmt.Sprintf("let the platform manage the zone, connect the DNS provider, or point _acme-challenge.%s at the platform with a CNAME", strings.TrimPrefix(name, "*."))
	case c.Spec.Challenge == ChallengeDNS01:
		k.Detail = fmt.Sprintf("the challenge of %s is set to dns-01, but this platform cannot write in its DNS", name)
		k.Fix = "connect the DNS provider, or leave the challenge to be chosen"
	default:
		k.Detail = fmt.Sprintf("there is no challenge that could prove %s", name)
		k.Fix = "leave the challenge to be chosen, or upload a certificate"
	}
	return k
}

// firstFailed returns the first failed check.
func firstFailed(checks []Check) (Check, bool) {
	i := slices.IndexFunc(checks, func(k Check) bool { return k.State == CheckFailed })
	if i < 0 {
		return Check{}, false
	}
	return checks[i], true
}

// preflightAgain bounds the wait after a failed preflight, which costs the CA
// nothing.
const preflightAgain = 10 * time.Minute

// problem makes of a failed check what the user is told of an attempt.
func (k Check) problem() *IssueError {
	reason := k.Reason
	if reason == "" {
		reason = "NotReady"
	}
	return &IssueError{Away: true, Within: preflightAgain, Problem: Problem{Reason: reason, Message: k.Detail, Fix: k.Fix, Subject: k.Subject}}
}

// Readiness is what would become of an order now.
type Readiness struct {
	Ready  bool
	Checks []Check
}

// CheckReadiness looks whether an order for a domain would succeed, at each CA
// that could be asked, and makes none. extra are further names. Errors: Invalid.
func (s *Service) CheckReadiness(ctx context.Context, project, environment, domain string, extra []string, challenge Challenge) (Readiness, error) {
	name, err := CanonicalName(domain)
	if err != nil {
		return Readiness{}, err
	}
	c, err := s.Get(ctx, project, environment, name)
	if err != nil {
		spec := Spec{Domains: append([]string{name}, extra...), Challenge: challenge}
		if err := spec.normalize(name, s.Mode); err != nil {
			return Readiness{}, err
		}
		c = Certificate{Meta: resource.Meta{Project: project, Environment: environment, Name: name}, Spec: spec}
	} else if len(extra) > 0 || challenge != ChallengeAuto {
		c.Spec.Challenge = challenge
		c.Spec.Domains = append([]string{name}, extra...)
		if c.Spec.Type == TypeCustom || c.Spec.Type == TypeExternal {
			c.Spec.Type, c.Spec.Upload = TypeAuto, 0
		}
		if err := c.Spec.normalize(name, s.Mode); err != nil {
			return Readiness{}, err
		}
	}
	var out Readiness
	for _, n := range c.Spec.Domains {
		owned, err := s.owned(ctx, project, environment, n)
		if err != nil {
			return Readiness{}, err
		}
		k := Check{Name: CheckOwnership, Subject: n, State: CheckPassed, Detail: "it is verified in this project and environment"}
		if !owned {
			k.State, k.Detail, k.Fix = CheckFailed, "it is not verified in this project and environment", "add the domain and verify it"
		}
		out.Checks = append(out.Checks, k)
	}
	typ := c.Spec.Type
	if typ == TypeCustom || typ == TypeExternal {
		typ = s.Mode.resolve(TypeAuto, c.Spec.Domains)
	}
	_, blocked := firstFailed(out.Checks)
	authorities, err := s.authorities(ctx, typ, c.Spec.Authority)
	if err != nil {
		return Readiness{}, err
	}
	if len(authorities) == 0 {
		out.Checks = append(out.Checks, Check{Name: CheckProof, State: CheckFailed, Detail: fmt.Sprintf("this platform issues no %s certificates", typ), Fix: "let the operator start it with --issuer auto, or upload a certificate"})
	}
	// Several CAs find much the same: what is about the name is told once.
	for _, a := range authorities {
		checks := []Check{}
		if typ != TypeLocal {
			checks, _ = s.preflight(ctx, a, c)
			budget, err := s.budgetCheck(ctx, a, c)
			if err != nil {
				return Readiness{}, err
			}
			checks = append(checks, budget)
		}
		if _, failed := firstFailed(checks); !failed && !blocked {
			out.Ready = true
		}
		for _, k := range checks {
			if !slices.ContainsFunc(out.Checks, func(had Check) bool {
				return had.Name == k.Name && had.Subject == k.Subject && had.Authority == k.Authority && had.Detail == k.Detail
			}) {
				out.Checks = append(out.Checks, k)
			}
		}
	}
	return out, nil
}

// budgetCheck looks whether there is room for one order more.
func (s *Service) budgetCheck(ctx context.Context, a Authority, c Certificate) (Check, error) {
	now := s.Now()
	free, why, err := s.roomAt(ctx, a, c, now, authority.Regular)
	k := Check{Name: CheckBudget, Authority: a.Name, State: CheckPassed, Detail: "there is room for an order at " + a.Name}
	if !free.IsZero() {
		k.State, k.Reason = CheckFailed, ReasonBudget
		k.Detail, k.Fix = fmt.Sprintf("%s until %s", why, free.UTC().Format(time.RFC3339)), "nothing needs to be done: it goes on then; fewer certificates, with more names each, spare the budget"
	}
	return k, err
}

// roomAt returns when a CA may be asked, the zero time: now, and why not.
func (s *Service) roomAt(ctx context.Context, a Authority, c Certificate, now time.Time, u authority.Urgency) (time.Time, string, error) {
	pauses, err := s.Ledger.Pauses(ctx, a.Name, now)
	if err != nil {
		return time.Time{}, "", err
	}
	if until := authority.PausedUntil(pauses, c.Spec.Domains); until.After(now) {
		return until, a.Name + " wants to be left alone", nil
	}
	free, err := s.Ledger.Spend(ctx, authority.Spending{Authority: a.Name, At: now, Wants: authority.Wants(a.Limits, c.Spec.Domains, s.renews(a, c), u), Dry: true})
	return free, "the budget at " + a.Name + " is used up", err
}

// renews reports whether a CA will take an order as a renewal of its own.
func (s *Service) renews(a Authority, c Certificate) bool {
	st := c.Status
	return st.RenewBy == renewByARI && st.Authority == a.Name && st.AuthorityAt == a.Directory && st.Generation != "" && authority.SetOf(st.Names) == authority.SetOf(c.Spec.Domains)
}
