package readiness

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/fault"
)

// Authorities are the CAs that may issue a type, in their order, or the one that
// is named. Where nothing is ordered from that one any more, they are all again: a
// certificate must not expire for the name of a CA that is gone.
func (j *Judge) Authorities(ctx context.Context, typ certificates.CertType, named string) ([]certificates.Authority, error) {
	list, err := j.known(ctx, typ)
	list = slices.DeleteFunc(slices.Clone(list), func(a certificates.Authority) bool { return a.Retired })
	if i := slices.IndexFunc(list, func(a certificates.Authority) bool { return a.Name == named }); i >= 0 && typ == certificates.TypeACME {
		return list[i : i+1], err
	}
	return list, err
}

// Orders reports whether certificates are ordered from the CA of a name.
func (j *Judge) Orders(ctx context.Context, named string) (bool, error) {
	a, ok, err := j.Named(ctx, certificates.TypeACME, named)
	return ok && !a.Retired, err
}

// CheckNamed checks that certificates are ordered from the CA that is named.
// Errors: Invalid.
func (j *Judge) CheckNamed(ctx context.Context, named string) error {
	if named == "" {
		return nil
	}
	list, err := j.Authorities(ctx, certificates.TypeACME, "")
	if err != nil {
		return err
	}
	names := make([]string, 0, len(list))
	for _, a := range list {
		names = append(names, a.Name)
	}
	switch {
	case len(names) == 0:
		return fault.InvalidField("/authority", fmt.Sprintf("there is no CA named %q", named), "leave it out: this platform orders from none")
	case !slices.Contains(names, named):
		return fault.InvalidField("/authority", fmt.Sprintf("there is no CA named %q", named), fmt.Sprintf("use one of %s, or leave it out", strings.Join(names, ", ")))
	}
	return nil
}

// known are all CAs of a type, those among them that nothing is ordered from.
func (j *Judge) known(ctx context.Context, typ certificates.CertType) ([]certificates.Authority, error) {
	issuer := j.issuers[typ]
	if issuer == nil {
		return nil, nil
	}
	list := []certificates.Authority{{Name: string(typ), Issuer: issuer}}
	if several, ok := issuer.(certificates.Authorities); ok {
		var err error
		if list, err = several.Authorities(ctx); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Named returns a CA of a type, also one that nothing is ordered from.
func (j *Judge) Named(ctx context.Context, typ certificates.CertType, name string) (a certificates.Authority, ok bool, err error) {
	list, err := j.known(ctx, typ)
	if i := slices.IndexFunc(list, func(a certificates.Authority) bool { return a.Name == name }); i >= 0 {
		return list[i], true, err
	}
	return a, false, err
}

// IssuerOf returns who has issued the certificate in use, if it is still there.
func (j *Judge) IssuerOf(ctx context.Context, st certificates.Status) (certificates.Authority, bool) {
	list, err := j.known(ctx, st.IssuedType)
	if err != nil {
		return certificates.Authority{}, false
	}
	for _, a := range list {
		if (a.Name == st.Authority || st.Authority == "") && (a.Directory == st.AuthorityAt || st.AuthorityAt == "") {
			return a, true
		}
	}
	return certificates.Authority{}, false
}

// Owned reports whether a project may have a certificate for a name: it has
// verified the name, or for a wildcard what stands below the star. Addresses are
// the platform's, and those of its edges are for its own project, as are the names
// of its name servers.
func (j *Judge) Owned(ctx context.Context, project, environment, name string) (bool, error) {
	if certificates.Address(name) {
		if j.room.Addresses == nil || project != operatorProject {
			return false, nil
		}
		list, err := j.room.Addresses(ctx)
		if err != nil {
			return false, err
		}
		return slices.ContainsFunc(list, func(a string) bool {
			canonical, err := certificates.CanonicalName(a)
			return err == nil && canonical == name
		}), nil
	}
	if project == operatorProject && slices.Contains(j.room.NameServers, name) {
		return true, nil
	}
	owned, err := j.room.Ownership.Verified(ctx, project, environment, name)
	if base, wildcard := strings.CutPrefix(name, "*."); wildcard && !owned && err == nil {
		return j.room.Ownership.Verified(ctx, project, environment, base)
	}
	return owned, err
}

func (j *Judge) CheckOwned(ctx context.Context, project, environment, name string) error {
	owned, err := j.Owned(ctx, project, environment, name)
	if err != nil {
		return err
	}
	if !owned && certificates.Address(name) {
		return fault.New(fault.Conflict, "the address is not one of the platform's edges, or this is not the platform's own project").About("address " + name)
	}
	if !owned {
		return fault.New(fault.Conflict, "the domain is not verified in this project and environment: add and verify it first").About("domain " + name)
	}
	return nil
}

// operatorProject is the project that every platform begins with.
const operatorProject = "default"

// AuthorityState is how a CA is doing here.
type AuthorityState struct {
	certificates.Authority
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
func (j *Judge) AuthorityStates(ctx context.Context) ([]AuthorityState, error) {
	list, err := j.Authorities(ctx, certificates.TypeACME, "")
	if err != nil {
		return nil, err
	}
	now := j.room.Now()
	states := make([]AuthorityState, 0, len(list))
	for _, a := range list {
		state := AuthorityState{Authority: a}
		if state.Pauses, err = j.room.Ledger.Pauses(ctx, a.Name, now); err != nil {
			return nil, err
		}
		if holder, ok := a.Issuer.(certificates.AccountHolder); ok {
			if state.AccountURI, err = holder.AccountURI(ctx); err != nil {
				return nil, err
			}
		}
		for _, l := range a.Limits {
			use := LimitUse{Limit: l}
			if counter, ok := j.room.Ledger.(authority.Counter); ok && l.Kind == authority.SpentOrders {
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
func (j *Judge) PlannedPerHour(ctx context.Context) (int, error) {
	list, err := j.Authorities(ctx, certificates.TypeACME, "")
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
