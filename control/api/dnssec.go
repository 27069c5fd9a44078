package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// ZoneSecurity is how a managed zone is signed, and what the parent has to know.
type ZoneSecurity struct {
	Enabled   bool          `json:"enabled" doc:"As wanted"`
	Signed    bool          `json:"signed" doc:"As it is"`
	Secure    bool          `json:"secure" doc:"The parent knows the keys"`
	Algorithm string        `json:"algorithm" doc:"ecdsap256 or ed25519"`
	Keys      string        `json:"keys" doc:"csk or ksk-zsk"`
	Denial    string        `json:"denial" doc:"nsec, nsec3 or compact"`
	DS        []string      `json:"ds" doc:"For the registrar: tag algorithm digest-type digest"`
	ParentDS  []string      `json:"parent_ds" doc:"What the parent was last seen to have"`
	List      []ZoneKey     `json:"key_list"`
	Rollover  *ZoneRollover `json:"rollover,omitempty" doc:"What is under way"`
	Message   string        `json:"message,omitempty" doc:"What is, and what to do"`
}

// ZoneKey is a key that signs a zone, or will, or has.
type ZoneKey struct {
	ID        string    `json:"id"`
	Role      string    `json:"role" doc:"csk, ksk or zsk"`
	Algorithm int       `json:"algorithm" doc:"By number: 13 is ECDSA P-256, 15 Ed25519"`
	Tag       int       `json:"tag"`
	Published bool      `json:"published"`
	Active    bool      `json:"active" doc:"It signs"`
	Announced bool      `json:"announced" doc:"The parent is asked for its DS"`
	DS        []string  `json:"ds"`
	CreatedAt time.Time `json:"created_at"`
}

// ZoneRollover is a change of keys under way.
type ZoneRollover struct {
	Kind    string    `json:"kind" doc:"enable, disable, key, zsk or algorithm"`
	Step    string    `json:"step"`
	Since   time.Time `json:"since"`
	Next    time.Time `json:"next" doc:"The next step, not before"`
	Waiting string    `json:"waiting" doc:"What for"`
}

// ZoneSecurityAnswer holds how a zone is signed.
type ZoneSecurityAnswer struct {
	DNSSEC ZoneSecurity `json:"dnssec"`
}

// ZoneSecurityWish is how a zone shall be signed.
type ZoneSecurityWish struct {
	Enabled   bool   `json:"enabled"`
	Algorithm string `json:"algorithm,omitempty" doc:"ecdsap256 (default) or ed25519" maxLength:"20"`
	Keys      string `json:"keys,omitempty" doc:"csk (default) or ksk-zsk" maxLength:"20"`
	Denial    string `json:"denial,omitempty" doc:"nsec (default), nsec3 or compact" maxLength:"20"`
}

// NewRollover asks for new keys.
type NewRollover struct {
	Key string `json:"key,omitempty" doc:"csk or ksk (default): the one that the parent knows; zsk" maxLength:"10"`
}

type putSecurityInput struct {
	DomainPath
	InDryRun
	InMatch
	Body ZoneSecurityWish
}

type rolloverInput struct {
	DomainPath
	InDryRun
	InKey
	Body *NewRollover `required:"false"`
}

func (s *Server) addDNSSEC() {
	const tag, path = "Zones", infrastructure + "/domains/{domain}/dnssec"
	add(s, op{
		method: http.MethodGet, path: path, id: "dnssec-get", tag: tag, summary: "How a managed zone is signed, and the DS for its registrar",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, ZoneSecurityAnswer{}, ""}},
	}, s.getSecurity)
	add(s, op{
		method: http.MethodPut, path: path, id: "dnssec-set", tag: tag, summary: "Sign a managed zone, sign it otherwise, or no more",
		doc:   "Steps that resolvers have to forget something for, or the parent has to do something for, wait; the answer and later reads tell.",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusOK, ZoneSecurityAnswer{}, ""}},
	}, s.setSecurity)
	add(s, op{
		method: http.MethodPost, path: path + "/rollover", id: "dnssec-rollover", tag: tag, summary: "Roll a key of a managed zone",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusAccepted, ZoneSecurityAnswer{}, ""}},
	}, s.rollover)
}

func securityOf(z zones.Zone) ZoneSecurity {
	d, k := z.Spec.DNSSEC, z.Status.Keys
	condition, _ := resource.ConditionOf(z.Status.Conditions, zones.Signed)
	out := ZoneSecurity{
		Enabled: d.Enabled, Signed: len(k.Keys) > 0, Algorithm: d.Algorithm, Keys: d.Keys, Denial: d.Denial,
		Secure: condition.Status == resource.True && condition.Reason == "Secure", Message: condition.Message,
		DS: []string{}, ParentDS: []string{}, List: []ZoneKey{},
	}
	for _, s := range k.Keys {
		out.List = append(out.List, ZoneKey{
			ID: s.ID, Role: s.Role, Algorithm: int(s.Algorithm), Tag: int(s.Tag), Published: s.Publish, Active: s.Active, Announced: s.Announce,
			DS: append([]string{}, s.DS...), CreatedAt: s.CreatedAt,
		})
		if s.Announce && len(s.DS) > 0 {
			out.DS = append(out.DS, s.DS[0])
		}
	}
	if p := z.Status.Parent; p != nil {
		out.ParentDS = append(out.ParentDS, p.DS...)
	}
	if r := k.Roll; r != nil {
		out.Rollover = &ZoneRollover{Kind: r.Kind, Step: r.Step, Since: r.Since, Next: r.Next, Waiting: r.Waiting}
	}
	return out
}

func securityAnswer(z zones.Zone, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(z.Revision), Body: ZoneSecurityAnswer{securityOf(z)}}, nil
}

func (s *Server) getSecurity(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	return securityAnswer(s.zoneOf(ctx, c, in.Domain))
}

func (s *Server) setSecurity(ctx context.Context, c *call, in *putSecurityInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	wish := map[string]any{"enabled": in.Body.Enabled}
	for name, value := range map[string]string{"algorithm": in.Body.Algorithm, "keys": in.Body.Keys, "denial": in.Body.Denial} {
		if value != "" {
			wish[name] = value
		}
	}
	return s.secure(ctx, c, z, wish, c.ifRevision)
}

// secure changes how a zone is signed.
func (s *Server) secure(ctx context.Context, c *call, z zones.Zone, wish map[string]any, ifRevision int64) (*answer, error) {
	patch, err := raw(map[string]any{"dnssec": wish})
	if err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(s.options.Zones.PlanConfigure(ctx, c.project, c.environment, z.Name, patch, ifRevision))
	}
	return securityAnswer(s.options.Zones.Configure(ctx, c.project, c.environment, z.Name, patch, ifRevision, c.cause))
}

func (s *Server) rollover(ctx context.Context, c *call, in *rolloverInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	which := ""
	if in.Body != nil {
		which = strings.ToLower(in.Body.Key)
	}
	d := z.Spec.DNSSEC
	switch {
	case !d.Enabled:
		return nil, fault.New(fault.Conflict, "the zone is not signed, so that there is no key to roll: switch DNSSEC on first").About("zone " + z.Name)
	case z.Status.Keys.Roll != nil:
		return nil, fault.New(fault.Conflict, "a change of keys is under way (%s): wait for its end", z.Status.Keys.Roll.Waiting).About("zone " + z.Name)
	case which == "zsk" && d.Keys != zones.KeysSplit:
		return nil, fault.InvalidField("/key", "the zone has one key for everything", `write "csk"`)
	case which == "zsk":
		return s.secure(ctx, c, z, map[string]any{"roll_zsk": d.RollZSK + 1}, z.Revision)
	case which == "" || which == "csk" || which == "ksk":
		return s.secure(ctx, c, z, map[string]any{"roll": d.Roll + 1}, z.Revision)
	}
	return nil, fault.InvalidField("/key", `"`+which+`" is no key of a zone`, `write "csk", "ksk" or "zsk"`)
}
