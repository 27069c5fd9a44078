package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Zone is a managed zone.
type Zone struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Project     string      `json:"project_id"`
	Environment string      `json:"environment"`
	Revision    int64       `json:"revision"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	NameServers []string    `json:"name_servers" doc:"To be set at the registrar"`
	Serial      uint32      `json:"serial" doc:"0: not answered"`
	Records     int         `json:"records" doc:"Sets, those made by themselves included"`
	TTL         int         `json:"ttl" doc:"Seconds, of sets without their own"`
	NegativeTTL int         `json:"negative_ttl" doc:"Seconds that an absence is cached"`
	Contact     string      `json:"contact,omitempty"`
	Comment     string      `json:"comment,omitempty"`
	Sites       bool        `json:"sites" doc:"Names that are served here get their records by themselves"`
	Signed      bool        `json:"signed"`
	Problems    []string    `json:"problems" doc:"Records that are left out, and why"`
	Primaries   []string    `json:"primaries,omitempty" doc:"Of a secondary zone: the servers that its records come from, where they are changed. Absent: its records are its own"`
	Parent      *ZoneParent `json:"parent,omitempty"`
	Conditions  []Condition `json:"conditions"`
	Rollout     Rollout     `json:"rollout"`
}

// ZoneParent is what the zone above says.
type ZoneParent struct {
	At          time.Time `json:"at"`
	NameServers []string  `json:"name_servers"`
	DS          []string  `json:"ds"`
	Error       string    `json:"error,omitempty"`
}

// ZoneAnswer holds one zone.
type ZoneAnswer struct {
	Zone Zone `json:"zone"`
}

// ZonePatch changes what is present.
type ZonePatch struct {
	TTL         *int    `json:"ttl,omitempty"`
	NegativeTTL *int    `json:"negative_ttl,omitempty"`
	Contact     *string `json:"contact,omitempty" maxLength:"253"`
	Comment     *string `json:"comment,omitempty" maxLength:"500"`
	Sites       *bool   `json:"sites,omitempty"`
}

// ZoneFile is a zone file to be read.
type ZoneFile struct {
	Zone    string `json:"zone" doc:"As RFC 1035 section 5 has it" maxLength:"33554432"`
	Replace bool   `json:"replace,omitempty" doc:"Sets that the file has not go"`
	Partial bool   `json:"partial,omitempty" doc:"Take what is well-formed, leave the rest out"`
	Consent bool   `json:"consent,omitempty" doc:"To empty the zone, or to remove more than 30% of it"`
	Preview bool   `json:"preview,omitempty" doc:"Answer with the report and the plan, change nothing"`
}

// ZoneImport tells what became of a zone file.
type ZoneImport struct {
	Records   int             `json:"records"`
	Sets      int             `json:"sets"`
	Created   int             `json:"created"`
	Updated   int             `json:"updated"`
	Deleted   int             `json:"deleted"`
	Unchanged int             `json:"unchanged"`
	Skipped   []SkippedRecord `json:"skipped"`
	Notes     []string        `json:"notes"`
	Warnings  []string        `json:"warnings"`
	Plan      *Plan           `json:"plan,omitempty" doc:"With preview"`
}

// SkippedRecord is a record that was left out.
type SkippedRecord struct {
	Line   int    `json:"line,omitempty"`
	Record string `json:"record"`
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
	Fault  bool   `json:"fault,omitempty" doc:"It is malformed"`
}

type makeZoneInput struct {
	DomainPath
	InDryRun
	InKey
}

type patchZoneInput struct {
	DomainPath
	InDryRun
	InMatch
	Body ZonePatch
}

type putZoneInput struct {
	DomainPath
	InDryRun
	InMatch
	Body ZoneFile
}

type deleteZoneInput struct {
	DomainPath
	InDryRun
	InMatch
	Consent bool `query:"consent" doc:"The zone has records, and they go with it"`
}

func (s *Server) addZones() {
	const tag, path = "Zones", infrastructure + "/domains/{domain}/zone"
	addStream(s, op{
		method: http.MethodGet, path: path, id: "zones-export", tag: tag, summary: "A managed zone as a zone file",
		level: onProject, resource: access.Domains, verb: access.Read, contentType: "text/dns", answers: []answerDoc{{http.StatusOK, "", ""}},
	}, s.exportZone)
	add(s, op{
		method: http.MethodPost, path: path, id: "zones-create", tag: tag, summary: "Manage the DNS of a domain here",
		doc:   "The zone is answered as soon as it exists. 409 when it does already, or another project has it.",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusCreated, ZoneAnswer{}, ""}},
	}, s.makeZone)
	add(s, op{
		method: http.MethodPut, path: path, id: "zones-import", tag: tag, summary: "Read a zone file into a managed zone",
		doc:   "A malformed record refuses the file, unless partial is set. With preview the report comes with the plan, and nothing changes.",
		level: onProject, resource: access.Domains, verb: access.Write, maxBody: zones.MaxZoneFile + (1 << 20), timeout: 5 * time.Minute,
		answers: []answerDoc{{http.StatusOK, ZoneImport{}, ""}},
	}, s.importZone)
	add(s, op{
		method: http.MethodDelete, path: path, id: "zones-delete", tag: tag, summary: "Manage the DNS of a domain here no more",
		doc:   "409 while a domain with dns managed has its records in it, or one in it is locked.",
		level: onProject, resource: access.Domains, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.deleteZone)
	add(s, op{
		method: http.MethodGet, path: path + "/settings", id: "zones-get", tag: tag, summary: "State and settings of a managed zone",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, ZoneAnswer{}, ""}},
	}, s.getZone)
	add(s, op{
		method: http.MethodPatch, path: path + "/settings", id: "zones-update", tag: tag, summary: "Change settings of a managed zone",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusOK, ZoneAnswer{}, ""}},
	}, s.updateZone)
}

func (s *Server) zoneAnswer(z zones.Zone, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	out := Zone{
		ID: z.ID, Name: z.Name, Project: z.Project, Environment: z.Environment, Revision: z.Revision, CreatedAt: z.CreatedAt, UpdatedAt: z.UpdatedAt,
		NameServers: append([]string{}, z.Status.NameServers...), Serial: z.Status.Serial, Records: z.Status.Records,
		TTL: z.Spec.TTL, NegativeTTL: z.Spec.Negative, Contact: z.Spec.Contact, Comment: z.Spec.Comment, Sites: z.Spec.Sites,
		Signed: len(z.Status.Keys.Keys) > 0, Problems: append([]string{}, z.Status.Problems...), Conditions: conditionsOf(z.Status.Conditions),
	}
	if s := z.Spec.Secondary; s != nil {
		for _, p := range s.Primaries {
			out.Primaries = append(out.Primaries, p.Address)
		}
	}
	if p := z.Status.Parent; p != nil {
		out.Parent = &ZoneParent{At: p.At, NameServers: append([]string{}, p.NameServers...), DS: append([]string{}, p.DS...), Error: p.Error}
	}
	state := s.fleet.DocumentState(edgeconfig.ZoneKey(z.ID))
	out.Rollout = Rollout{Edges: state.Edges, Pending: state.Pending, Applied: state.Applied, Verified: state.Verified, Rejected: state.Rejected}
	return &answer{ETag: etag(z.Revision), Body: ZoneAnswer{out}}, nil
}

func (s *Server) exportZone(ctx context.Context, c *call, in *DomainPath) (func(huma.Context), error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := s.options.Zones.Export(ctx, c.project, c.environment, z.Name, &text); err != nil {
		return nil, err
	}
	return func(hc huma.Context) {
		hc.SetHeader("Content-Type", "text/dns; charset=utf-8")
		hc.SetHeader("Content-Disposition", `attachment; filename="`+strings.ReplaceAll(z.Name, "/", "_")+`.zone"`)
		_, _ = hc.BodyWriter().Write([]byte(text.String())) // a client that went away
	}, nil
}

func (s *Server) makeZone(ctx context.Context, c *call, in *makeZoneInput) (*answer, error) {
	plan, err := s.options.Zones.PlanEnsure(ctx, c.project, c.environment, in.Domain)
	if err == nil && plan.Empty() {
		err = fault.New(fault.Conflict, "the zone is managed here already").About("zone " + in.Domain)
	}
	if err != nil || c.dryRun {
		return planAnswer(plan, err)
	}
	return s.zoneAnswer(s.options.Zones.Ensure(ctx, c.project, c.environment, in.Domain, c.cause))
}

func (s *Server) getZone(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	return s.zoneAnswer(s.zoneOf(ctx, c, in.Domain))
}

func (s *Server) updateZone(ctx context.Context, c *call, in *patchZoneInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	patch, err := raw(in.Body)
	if err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(s.options.Zones.PlanConfigure(ctx, c.project, c.environment, z.Name, patch, c.ifRevision))
	}
	return s.zoneAnswer(s.options.Zones.Configure(ctx, c.project, c.environment, z.Name, patch, c.ifRevision, c.cause))
}

func (s *Server) deleteZone(ctx context.Context, c *call, in *deleteZoneInput) (*answer, error) {
	z, err := s.options.Zones.Get(ctx, c.project, c.environment, in.Domain) // this one, not one above it
	if err != nil {
		return nil, err
	}
	if err := stale(c, z.Revision, "zone "+z.Name); err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(s.options.Zones.PlanRemove(ctx, c.project, c.environment, z.Name, in.Consent))
	}
	return &answer{}, s.options.Zones.Remove(ctx, c.project, c.environment, z.Name, in.Consent, c.cause)
}

func (s *Server) importZone(ctx context.Context, c *call, in *putZoneInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	if err := stale(c, z.Revision, "zone "+z.Name); err != nil {
		return nil, err
	}
	b := in.Body
	plan, report, err := s.options.Zones.PlanImport(ctx, c.project, c.environment, z.Name, b.Zone, b.Replace, b.Partial, b.Consent)
	if err != nil {
		return nil, err
	}
	if err := s.mayCarryOut(c, plan); err != nil {
		return nil, err
	}
	if c.dryRun {
		for _, k := range report.Skipped {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("line %d is left out: %s", k.Line, k.Reason))
		}
		return planAnswer(plan, nil)
	}
	out := ZoneImport{Warnings: append([]string{}, plan.Warnings...)}
	if b.Preview {
		shown := planOf(plan)
		shown.ID = ""
		out.Plan = &shown
	} else if report, err = s.options.Zones.Import(ctx, c.project, c.environment, z.Name, b.Zone, b.Replace, b.Partial, b.Consent, c.cause); err != nil {
		return nil, err
	}
	if err := convert(report, &out); err != nil {
		return nil, err
	}
	return &answer{Body: out}, nil
}

// stale refuses a change of what has another revision than the caller saw.
func stale(c *call, revision int64, what string) error {
	if c.ifRevision != 0 && c.ifRevision != revision {
		return fault.New(fault.Stale, "it is at revision %d, you saw %d: read it again and repeat your change", revision, c.ifRevision).About(what)
	}
	return nil
}
