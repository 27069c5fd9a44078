package certificates

import (
	"context"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/fault"
)

// authorities are the CAs that may issue a type, in their order, or the one that
// is named.
func (s *Service) authorities(ctx context.Context, typ CertType, named string) ([]Authority, error) {
	list, err := s.known(ctx, typ)
	return slices.DeleteFunc(slices.Clone(list), func(a Authority) bool {
		return a.Retired || named != "" && typ == TypeACME && a.Name != named
	}), err
}

// known are all CAs of a type, those among them that nothing is ordered from.
func (s *Service) known(ctx context.Context, typ CertType) ([]Authority, error) {
	issuer := s.issuers[typ]
	if issuer == nil {
		return nil, nil
	}
	list := []Authority{{Name: string(typ), Issuer: issuer}}
	if several, ok := issuer.(Authorities); ok {
		var err error
		if list, err = several.Authorities(ctx); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// issuerOf returns who has issued the certificate in use, if it is still there.
func (s *Service) issuerOf(ctx context.Context, st Status) (Authority, bool) {
	list, err := s.known(ctx, st.IssuedType)
	if err != nil {
		return Authority{}, false
	}
	for _, a := range list {
		if (a.Name == st.Authority || st.Authority == "") && (a.Directory == st.AuthorityAt || st.AuthorityAt == "") {
			return a, true
		}
	}
	return Authority{}, false
}

// owned reports whether a project may have a certificate for a name: it has
// verified the name, or for a wildcard what stands below the star. Addresses are
// the platform's, and those of its edges are for its own project.
func (s *Service) owned(ctx context.Context, project, environment, name string) (bool, error) {
	if Address(name) {
		if s.Addresses == nil || project != operatorProject {
			return false, nil
		}
		list, err := s.Addresses(ctx)
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(list, func(a string) bool {
			canonical, err := CanonicalName(a)
			return err == nil && canonical == name
		}), nil
	}
	owned, err := s.Ownership.Verified(ctx, project, environment, name)
	if base, wildcard := strings.CutPrefix(name, "*."); wildcard && !owned && err == nil {
		return s.Ownership.Verified(ctx, project, environment, base)
	}
	return owned, err
}

// operatorProject is the project that every platform begins with.
const operatorProject = "default"

// RevocationReasons are those that a user may give (RFC 5280 section 5.3.1).
var RevocationReasons = map[string]int{
	"unspecified": 0, "key_compromise": 1, "affiliation_changed": 3, "superseded": 4, "cessation_of_operation": 5,
}

func knownReason(reason string) bool {
	_, ok := RevocationReasons[reason]
	return ok || reason == ""
}

func unknownReason(reason string) error {
	return fault.InvalidField("/reason", "\""+reason+"\" is not a reason", `use "unspecified", "key_compromise", "affiliation_changed", "superseded" or "cessation_of_operation"`)
}

// AuthorityState is how a CA is doing here.
type AuthorityState struct {
	Authority
	Priority   int
	AccountURI string // "" until something was ordered
	Pauses     []authority.Pause
	Used       []LimitUse
}

// LimitUse is how much of a limit is used up. Limits by name or domain are
// counted for each, so only their height is told.
type LimitUse struct {
	authority.Limit
	Used int
}

// AuthorityStates tells of every CA that certificates are ordered from.
func (s *Service) AuthorityStates(ctx context.Context) ([]AuthorityState, error) {
	list, err := s.authorities(ctx, TypeACME, "")
	if err != nil {
		return nil, err
	}
	now := s.Now()
	states := make([]AuthorityState, 0, len(list))
	for _, a := range list {
		state := AuthorityState{Authority: a}
		if state.Pauses, err = s.Ledger.Pauses(ctx, a.Name, now); err != nil {
			return nil, err
		}
		if holder, ok := a.Issuer.(AccountHolder); ok {
			if state.AccountURI, err = holder.AccountURI(ctx); err != nil {
				return nil, err
			}
		}
		for _, l := range a.Limits {
			use := LimitUse{Limit: l}
			if counter, ok := s.Ledger.(authority.Counter); ok && l.Kind == authority.SpentOrders {
				if use.Used, err = counter.Spent(ctx, a.Name, l.Kind, "", now.Add(-l.Window)); err != nil {
					return nil, err
				}
			}
			state.Used = append(state.Used, use)
		}
		states = append(states, state)
	}
	return states, nil
}

// PlannedPerHour is about how many certificates an hour the CAs' budgets leave to
// mass replacements; 0: they have no limits.
func (s *Service) PlannedPerHour(ctx context.Context) (int, error) {
	list, err := s.authorities(ctx, TypeACME, "")
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, a := range list {
		least := 0.0
		for _, w := range authority.Wants(a.Limits, nil, true, authority.Planned) {
			if pace := float64(w.Max) / w.Window.Hours(); w.Kind == authority.SpentOrders && (least == 0 || pace < least) {
				least = pace
			}
		}
		if least == 0 {
			return 0, nil
		}
		sum += least
	}
	return int(sum), nil
}

// AccountHolder is the ability of an issuer to tell its account at the CA
// without asking the CA; "" when there is none yet.
type AccountHolder interface {
	AccountURI(ctx context.Context) (string, error)
}
