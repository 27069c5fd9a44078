package api

import (
	"cmp"
	"context"
	"encoding/pem"
	"net/http"
	"slices"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// IssuanceLimit is how much a CA is asked for at most, and is used up.
type IssuanceLimit struct {
	Kind          string `json:"kind" doc:"orders, failures (of a name), domain (certificates below a registered domain) or duplicates"`
	Max           int    `json:"max" doc:"0: no limit"`
	WindowSeconds int64  `json:"window_seconds"`
	Used          int    `json:"used,omitempty" doc:"Of orders"`
}

// IssuancePause is a CA's word to be left alone.
type IssuancePause struct {
	Subject string    `json:"subject,omitempty" doc:"A registered domain; empty: for all"`
	Until   time.Time `json:"until"`
	Reason  string    `json:"reason,omitempty"`
}

// Authority is a CA that certificates are ordered from, with our account there.
type Authority struct {
	Name       string          `json:"name"`
	ID         string          `json:"id,omitempty" doc:"Empty for the one of the command line"`
	Directory  string          `json:"directory"`
	Staging    string          `json:"staging,omitempty" doc:"Directory of its twin for rehearsals"`
	RootPEM    string          `json:"root_pem,omitempty"`
	Email      string          `json:"email,omitempty"`
	EABKeyID   string          `json:"eab_key_id,omitempty" doc:"External account binding; its MAC key is never shown"`
	Profile    string          `json:"profile,omitempty"`
	Priority   int             `json:"priority" doc:"CAs are tried from the lowest on"`
	Disabled   bool            `json:"disabled"`
	Internal   bool            `json:"internal" doc:"No preflight looks at public DNS"`
	AccountURI string          `json:"account_uri,omitempty" doc:"Our account, once something was ordered"`
	Limits     []IssuanceLimit `json:"limits"`
	Pauses     []IssuancePause `json:"pauses"`
	Revision   int64           `json:"revision"`
}

// AuthorityList is all CAs in the order in which they are tried, disabled ones
// last.
type AuthorityList struct {
	Authorities []Authority `json:"authorities"`
}

// AuthorityAnswer holds one CA.
type AuthorityAnswer struct {
	Authority Authority `json:"authority"`
}

// ReplaceAuthority sets up a CA.
type ReplaceAuthority struct {
	Directory string          `json:"directory" doc:"URL of its ACME directory" maxLength:"512"`
	Staging   string          `json:"staging,omitempty" doc:"URL of its twin's, for a rehearsal before the first order of a domain" maxLength:"512"`
	RootPEM   string          `json:"root_pem,omitempty" doc:"Who signed the directory's own certificate, for a private CA" maxLength:"65536"`
	Email     string          `json:"email,omitempty" maxLength:"254"`
	EABKeyID  string          `json:"eab_key_id,omitempty" maxLength:"256"`
	EABMACKey string          `json:"eab_mac_key,omitempty" doc:"As the CA gives it, in base64url. Kept encrypted, never shown. Left out: as before" maxLength:"512"`
	Profile   string          `json:"profile,omitempty" maxLength:"64"`
	Priority  *int            `json:"priority,omitempty" doc:"Default: 200; the CA of the command line has 100"`
	Disabled  bool            `json:"disabled,omitempty"`
	Internal  bool            `json:"internal,omitempty"`
	Limits    []IssuanceLimit `json:"limits,omitempty" doc:"Default: a little below Let's Encrypt's" maxItems:"8"`
}

// NewAuthority adds a CA.
type NewAuthority struct {
	Name string `json:"name" doc:"Lower-case letters, digits and hyphens. 'default' stands in place of the one of the command line" maxLength:"32"`
	ReplaceAuthority
}

// AuthorityPath names a CA.
type AuthorityPath struct {
	Name string `path:"authority" maxLength:"64"`
}

type newAuthorityInput struct {
	InDryRun
	InKey
	Body NewAuthority
}

type replaceAuthorityInput struct {
	AuthorityPath
	InDryRun
	InMatch
	Body ReplaceAuthority
}

// AuthorityOrder names CAs in the order in which they shall be tried.
type AuthorityOrder struct {
	Authorities []string `json:"authorities" doc:"Names; the one of the command line is default" minItems:"1" maxItems:"100"`
}

type orderAuthoritiesInput struct {
	InDryRun
	InKey
	Body AuthorityOrder
}

type deleteAuthorityInput struct {
	AuthorityPath
	InDryRun
	InMatch
}

func (s *Server) addAuthorities() {
	const tag, path = "Certificate authorities", infrastructure + "/certificate-authorities"
	add(s, op{
		method: http.MethodGet, path: path, id: "authorities-list", tag: tag, summary: "CAs, our accounts there, and what is left of their limits",
		level: onPlatform, resource: access.Authorities, verb: access.Read, answers: []answerDoc{{http.StatusOK, AuthorityList{}, ""}},
	}, s.listAuthorities)
	add(s, op{
		method: http.MethodPost, path: path, id: "authorities-add", tag: tag, summary: "Add a CA",
		level: onPlatform, resource: access.Authorities, verb: access.Write, answers: []answerDoc{{http.StatusCreated, AuthorityAnswer{}, ""}},
	}, s.addAuthority)
	add(s, op{
		method: http.MethodGet, path: path + "/{authority}", id: "authorities-get", tag: tag, summary: "One CA",
		level: onPlatform, resource: access.Authorities, verb: access.Read, answers: []answerDoc{{http.StatusOK, AuthorityAnswer{}, ""}},
	}, s.getAuthority)
	add(s, op{
		method: http.MethodPut, path: path + "/{authority}", id: "authorities-replace", tag: tag, summary: "Change a CA",
		level: onPlatform, resource: access.Authorities, verb: access.Write, answers: []answerDoc{{http.StatusOK, AuthorityAnswer{}, ""}},
	}, s.replaceAuthority)
	add(s, op{
		method: http.MethodDelete, path: path + "/{authority}", id: "authorities-remove", tag: tag, summary: "Order from a CA no longer",
		doc:   "Its certificates stay until they are due; then the next CA issues. To replace them now, plan a replacement.",
		level: onPlatform, resource: access.Authorities, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.removeAuthority)
	add(s, op{
		method: http.MethodPost, path: path + "/order", id: "authorities-order", tag: tag, summary: "Change the order in which CAs are tried",
		doc:   "Those that are not named come after, as they are. It is one change of all the priorities that it takes.",
		level: onPlatform, resource: access.Authorities, verb: access.Write, answers: []answerDoc{{http.StatusOK, AuthorityList{}, ""}},
	}, s.orderAuthorities)
}

// authorities joins what the operator has set up with how it is doing.
func (s *Server) authorities(ctx context.Context) ([]Authority, error) {
	cas, err := authority.List(ctx, s.store)
	if err != nil {
		return nil, err
	}
	states, err := s.certificates.AuthorityStates(ctx)
	if err != nil {
		return nil, err
	}
	var list []Authority
	for _, ca := range cas {
		list = append(list, authorityOf(ca))
	}
	for _, st := range states {
		i := slices.IndexFunc(list, func(a Authority) bool { return a.Name == st.Name })
		if i < 0 {
			list = append(list, Authority{Name: st.Name, Directory: st.Directory, Priority: st.Authority.Priority, Internal: st.Internal})
			i = len(list) - 1
		}
		list[i].AccountURI, list[i].Limits = st.AccountURI, nil
		for _, l := range st.Used {
			list[i].Limits = append(list[i].Limits, IssuanceLimit{Kind: l.Kind, Max: l.Max, WindowSeconds: int64(l.Window / time.Second), Used: l.Used})
		}
		for _, p := range st.Pauses {
			list[i].Pauses = append(list[i].Pauses, IssuancePause(p))
		}
	}
	for i := range list {
		list[i].Limits, list[i].Pauses = append([]IssuanceLimit{}, list[i].Limits...), append([]IssuancePause{}, list[i].Pauses...)
	}
	slices.SortStableFunc(list, func(a, b Authority) int {
		if a.Disabled != b.Disabled {
			return map[bool]int{true: 1, false: -1}[a.Disabled]
		}
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

func authorityOf(ca authority.CA) Authority {
	out := Authority{
		Name: ca.Name, ID: ca.ID, Directory: ca.Spec.Directory, Staging: ca.Spec.Staging, RootPEM: ca.Spec.RootPEM, Email: ca.Spec.Email,
		EABKeyID: ca.Spec.EABKeyID, Profile: ca.Spec.Profile, Priority: ca.Spec.Priority, Disabled: ca.Spec.Disabled, Internal: ca.Spec.Internal,
		Revision: ca.Revision,
	}
	for _, l := range ca.Spec.Limits {
		out.Limits = append(out.Limits, IssuanceLimit{Kind: l.Kind, Max: l.Max, WindowSeconds: int64(l.Window / time.Second)})
	}
	return out
}

func (r ReplaceAuthority) spec() authority.Spec {
	spec := authority.Spec{
		Directory: r.Directory, Staging: r.Staging, RootPEM: r.RootPEM, Email: r.Email, EABKeyID: r.EABKeyID, Profile: r.Profile,
		Priority: authority.AddedPriority, Disabled: r.Disabled, Internal: r.Internal,
	}
	if r.Priority != nil {
		spec.Priority = *r.Priority
	}
	for _, l := range r.Limits {
		spec.Limits = append(spec.Limits, authority.Limit{Kind: l.Kind, Max: l.Max, Window: time.Duration(l.WindowSeconds) * time.Second})
	}
	return spec
}

func (s *Server) listAuthorities(ctx context.Context, _ *call, _ *empty) (*answer, error) {
	list, err := s.authorities(ctx)
	if err != nil {
		return nil, err
	}
	return &answer{Body: AuthorityList{append([]Authority{}, list...)}}, nil
}

func (s *Server) authorityAnswer(ctx context.Context, name string) (*answer, error) {
	list, err := s.authorities(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(a Authority) bool { return a.Name == name })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "there is no such CA: list them with GET %s/certificate-authorities", infrastructure).About("ca " + name)
	}
	return &answer{ETag: etag(list[i].Revision), Body: AuthorityAnswer{list[i]}}, nil
}

func (s *Server) getAuthority(ctx context.Context, _ *call, in *AuthorityPath) (*answer, error) {
	return s.authorityAnswer(ctx, in.Name)
}

// commitOrPlan carries a plan out, or shows it.
func (s *Server) commitOrPlan(ctx context.Context, c *call, plan resource.Plan) (*answer, error) {
	if c.dryRun {
		return planAnswer(plan, nil)
	}
	if !plan.Empty() {
		if _, err := s.store.Commit(ctx, plan.Commit(c.cause)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (s *Server) addAuthority(ctx context.Context, c *call, in *newAuthorityInput) (*answer, error) {
	if _, err := s.cas.CA(ctx, in.Body.Name); err == nil {
		return nil, fault.New(fault.Conflict, "there is a CA of this name: change it with PUT, or take another name").About("ca " + in.Body.Name)
	} else if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	plan, err := s.cas.PutCA(ctx, in.Body.Name, in.Body.spec(), in.Body.EABMACKey, 0, !c.dryRun)
	if err != nil {
		return nil, err
	}
	if a, err := s.commitOrPlan(ctx, c, plan); a != nil || err != nil {
		return a, err
	}
	a, err := s.authorityAnswer(ctx, plan.Actions[0].Name)
	if err == nil {
		a.Location = infrastructure + "/certificate-authorities/" + plan.Actions[0].Name
	}
	return a, err
}

func (s *Server) replaceAuthority(ctx context.Context, c *call, in *replaceAuthorityInput) (*answer, error) {
	found, err := s.cas.CA(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	plan, err := s.cas.PutCA(ctx, found.Name, in.Body.spec(), in.Body.EABMACKey, c.ifRevision, !c.dryRun)
	if err != nil {
		return nil, err
	}
	if a, err := s.commitOrPlan(ctx, c, plan); a != nil || err != nil {
		return a, err
	}
	return s.authorityAnswer(ctx, found.Name)
}

func (s *Server) removeAuthority(ctx context.Context, c *call, in *deleteAuthorityInput) (*answer, error) {
	plan, err := s.cas.DeleteCA(ctx, in.Name, c.ifRevision)
	if err != nil {
		return nil, err
	}
	if a, err := s.commitOrPlan(ctx, c, plan); a != nil || err != nil {
		return a, err
	}
	return &answer{}, nil
}

func (s *Server) orderAuthorities(ctx context.Context, c *call, in *orderAuthoritiesInput) (*answer, error) {
	plan, err := s.cas.Order(ctx, in.Body.Authorities)
	if err != nil {
		return nil, err
	}
	if a, err := s.commitOrPlan(ctx, c, plan); a != nil || err != nil {
		return a, err
	}
	return s.listAuthorities(ctx, c, nil)
}

func encodePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
