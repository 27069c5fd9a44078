package acme

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// LetsEncryptStaging is the twin of LetsEncrypt, for rehearsals.
const LetsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory"

// SetOptions say which CAs there are.
type SetOptions struct {
	// Default is the CA of the command line, named authority.Default; what it
	// says of Vault, Presenter, TXT, Resolver, Logger and Now holds for all.
	Default Options
	Staging string // directory of its twin; "": none
	// Internal says that it signs for a network of its own, so that no preflight
	// looks at public DNS.
	Internal bool
	Limits   []authority.Limit // nil: authority.DefaultLimits
	Store    resource.Store    // for the CAs that the operator adds; nil: none
}

// Set is the platform's CAs in their order. It is a certificates.Issuer, by the
// first of them, and certificates.Authorities. Its methods may be called from
// any goroutine.
type Set struct {
	options  SetOptions
	standard certificates.Authority

	mu    sync.Mutex
	added map[string]made // by name
}

// made is a client for one revision of a CA resource.
type made struct {
	revision  int64
	authority certificates.Authority
	err       error
}

var (
	_ certificates.Issuer      = (*Set)(nil)
	_ certificates.Authorities = (*Set)(nil)
)

// NewSet returns the set. It reaches out on first use only. Errors: Invalid, as
// of New.
func NewSet(o SetOptions) (*Set, error) {
	s := &Set{options: o, added: map[string]made{}}
	var err error
	s.standard, err = s.authority(authority.Default, o.Default, o.Staging, o.Limits, o.Internal, authority.DefaultPriority)
	return s, err
}

func (s *Set) authority(name string, o Options, staging string, limits []authority.Limit, internal bool, priority int) (certificates.Authority, error) {
	client, err := New(o)
	if err != nil {
		return certificates.Authority{}, err
	}
	if limits == nil {
		limits = authority.DefaultLimits()
	}
	a := certificates.Authority{Name: name, Directory: client.options.Directory, Issuer: client, Limits: limits, Internal: internal, Priority: priority}
	if staging != "" {
		twin := o
		twin.Directory, twin.EABKeyID, twin.EABMACKey, twin.Profile = staging, "", "", ""
		rehearsal, err := New(twin)
		if err != nil {
			return certificates.Authority{}, err
		}
		a.Rehearsal = rehearsal
	}
	return a, nil
}

// Authorities implements certificates.Authorities.
func (s *Set) Authorities(ctx context.Context) ([]certificates.Authority, error) {
	list := []certificates.Authority{s.standard}
	if s.options.Store == nil {
		return list, nil
	}
	cas, err := authority.List(ctx, s.options.Store)
	if err != nil {
		return nil, err
	}
	for _, ca := range cas {
		if ca.Name == authority.Default {
			list = slices.DeleteFunc(list, func(a certificates.Authority) bool { return a.Name == ca.Name })
		}
		a, err := s.of(ctx, ca)
		if err != nil {
			// One that is set up wrongly must not stop the others.
			s.log("a CA cannot be used", ca.Name, err)
			continue
		}
		a.Retired = ca.Spec.Disabled
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(a, b certificates.Authority) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

func (s *Set) log(message, name string, err error) {
	if l := s.options.Default.Logger; l != nil {
		l.Warn(message, "authority", name, "error", err)
	}
}

// of returns the client for a CA, made once for each revision of it.
func (s *Set) of(ctx context.Context, ca authority.CA) (certificates.Authority, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, ok := s.added[ca.Name]; ok && had.revision == ca.Revision {
		return had.authority, had.err
	}
	mac, err := authority.EABKey(ctx, s.options.Default.Vault, ca)
	if err != nil {
		return certificates.Authority{}, err
	}
	o := s.options.Default
	o.Directory, o.RootPEM, o.Email, o.Profile = ca.Spec.Directory, ca.Spec.RootPEM, ca.Spec.Email, ca.Spec.Profile
	o.EABKeyID, o.EABMACKey = ca.Spec.EABKeyID, mac
	var limits []authority.Limit
	if len(ca.Spec.Limits) > 0 {
		limits = ca.Spec.Limits
	}
	a, err := s.authority(ca.Name, o, ca.Spec.Staging, limits, ca.Spec.Internal, ca.Spec.Priority)
	s.added[ca.Name] = made{ca.Revision, a, err}
	return a, err
}

// Issue implements certificates.Issuer by the first CA.
func (s *Set) Issue(ctx context.Context, o certificates.Order) (string, error) {
	list, err := s.Authorities(ctx)
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(a certificates.Authority) bool { return a.Retired })
	if len(list) == 0 {
		return "", fault.New(fault.Unavailable, "no CA is in use")
	}
	return list[0].Issuer.Issue(ctx, o)
}
