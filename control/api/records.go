package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// Record is a set of records of one name and type in a managed zone.
type Record struct {
	ID       string `json:"id"`
	Name     string `json:"name" doc:"Relative to the zone; @ is the zone itself"`
	FullName string `json:"full_name"`
	Zone     string `json:"zone"`
	Revision int64  `json:"revision"`
	RecordData
	Type string `json:"type"`
}

// RecordData is what a set of records says.
type RecordData struct {
	TTL      int               `json:"ttl,omitempty" minimum:"0" maximum:"604800" doc:"Seconds; 0 or absent: the zone's"`
	Values   []string          `json:"values,omitempty" maxItems:"500" doc:"As zone files have them, names whole; a text may be given as it is"`
	Target   *RecordTarget     `json:"target,omitempty" doc:"What to point at, in place of values"`
	Steering *RecordSteering   `json:"steering,omitempty" doc:"Other answers for some clients"`
	Comment  string            `json:"comment,omitempty" maxLength:"500"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// RecordTarget is something of the platform's own.
type RecordTarget struct {
	Kind string `json:"kind" doc:"edges, edge or region" maxLength:"20"`
	ID   string `json:"id,omitempty" doc:"Of the edge, or the region's name" maxLength:"64"`
}

// RecordSteering gives clients different answers.
type RecordSteering struct {
	Policy  string                 `json:"policy,omitempty" doc:"latency: the nearest region of the target; absent: the answers" maxLength:"20"`
	Answers []RecordAnswer         `json:"answers,omitempty" maxItems:"200"`
	Checks  map[string]RecordCheck `json:"checks,omitempty" doc:"What tells whether answers live, by the names that answers have for it"`
}

// RecordCheck tells edges how to see whether an answer lives.
type RecordCheck struct {
	Type       string `json:"type" doc:"tcp, http or https" maxLength:"10"`
	Port       int    `json:"port,omitempty" doc:"0: 80 or 443 of http and https"`
	Address    string `json:"address,omitempty" doc:"To ask; absent: the value of the answer" maxLength:"253"`
	Host       string `json:"host,omitempty" doc:"Of HTTP and TLS; absent: the name of the records" maxLength:"253"`
	Path       string `json:"path,omitempty" maxLength:"1000"`
	SkipVerify bool   `json:"skip_verify,omitempty" doc:"Take any certificate"`
	Interval   int    `json:"interval,omitempty" doc:"Seconds; 0: 10"`
	Timeout    int    `json:"timeout,omitempty" doc:"Seconds; 0: 3"`
	Rise       int    `json:"rise,omitempty" doc:"Successes until it lives again; 0: 2"`
	Fall       int    `json:"fall,omitempty" doc:"Failures until it is dead; 0: 3"`
}

// RecordAnswer is one answer of a steered set.
type RecordAnswer struct {
	Countries  []string      `json:"countries,omitempty" doc:"ISO 3166-1, two letters"`
	Continents []string      `json:"continents,omitempty" doc:"AF AN AS EU NA OC SA"`
	Regions    []string      `json:"regions,omitempty" doc:"Of edges"`
	Order      int           `json:"order,omitempty" doc:"The lowest whose check passes wins"`
	Weight     int           `json:"weight,omitempty" doc:"Among equals; 0 counts as 1"`
	Check      string        `json:"check,omitempty" doc:"Name of one of the checks, that must pass" maxLength:"64"`
	Values     []string      `json:"values,omitempty"`
	Target     *RecordTarget `json:"target,omitempty"`
}

// NewRecord is a set of records to be made.
type NewRecord struct {
	BodyProject
	Name string `json:"name" doc:"Relative to the zone, or whole; @ is the zone itself" maxLength:"512"`
	Type string `json:"type" doc:"A, AAAA, ALIAS, CNAME, MX, TXT, ...; TYPE and a number for others (RFC 3597)" maxLength:"16"`
	RecordData
}

// PutRecord is a set of records as it shall be. Its name and type are those it has.
type PutRecord struct {
	Name string `json:"name,omitempty" doc:"As it is, if at all" maxLength:"512"`
	Type string `json:"type,omitempty" doc:"As it is, if at all" maxLength:"16"`
	RecordData
}

// RecordAnswerBody holds one set of records.
type RecordAnswerBody struct {
	Record   Record   `json:"record"`
	Warnings []string `json:"warnings"`
}

// RecordList is a page of sets.
type RecordList struct {
	Records    []Record `json:"records"`
	NextCursor string   `json:"next_cursor"`
}

// RecordEdit changes many sets as one.
type RecordEdit struct {
	Records []EditedRecord `json:"records" maxItems:"10000"`
	Replace bool           `json:"replace,omitempty" doc:"Sets that are not among these go"`
	Consent bool           `json:"consent,omitempty" doc:"To empty the zone, or to remove more than 30% of it"`
}

// EditedRecord is a set as it shall be.
type EditedRecord struct {
	Name string `json:"name" maxLength:"512"`
	Type string `json:"type" maxLength:"16"`
	RecordData
	Remove bool `json:"remove,omitempty" doc:"The set shall go"`
}

// RecordsEdited tells what became of an edit.
type RecordsEdited struct {
	Created  int      `json:"created"`
	Updated  int      `json:"updated"`
	Deleted  int      `json:"deleted"`
	Warnings []string `json:"warnings"`
}

type recordsInput struct {
	DomainPath
	InPage
}

type newRecordInput struct {
	DomainPath
	InDryRun
	InKey
	Body NewRecord
}

func (in newRecordInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

// RecordPath names a set in the path.
type RecordPath struct {
	DomainPath
	ID string `path:"id" maxLength:"64"`
}

type putRecordInput struct {
	RecordPath
	InDryRun
	InMatch
	Body PutRecord
}

type deleteRecordInput struct {
	RecordPath
	InDryRun
	InMatch
}

type editRecordsInput struct {
	DomainPath
	InDryRun
	InKey
	Body RecordEdit
}

func (s *Server) addRecords() {
	const tag, path = "Records", infrastructure + "/domains/{domain}/records"
	const doc = "The domain is that of a managed zone, or a name in one."
	add(s, op{
		method: http.MethodGet, path: path, id: "records-list", tag: tag, summary: "Records of a managed zone", doc: doc,
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, RecordList{}, ""}},
	}, s.listRecords)
	add(s, op{
		method: http.MethodPost, path: path, id: "records-create", tag: tag, summary: "Make a set of records", doc: doc,
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusCreated, RecordAnswerBody{}, ""}},
	}, s.createRecord)
	add(s, op{
		method: http.MethodPost, path: path + "/edit", id: "records-edit", tag: tag, summary: "Change many sets of records as one", doc: doc,
		level: onProject, resource: access.Domains, verb: access.Write, maxBody: 16 << 20, answers: []answerDoc{{http.StatusOK, RecordsEdited{}, ""}},
	}, s.editRecords)
	add(s, op{
		method: http.MethodGet, path: path + "/{id}", id: "records-get", tag: tag, summary: "One set of records",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, RecordAnswerBody{}, ""}},
	}, s.getRecord)
	add(s, op{
		method: http.MethodPut, path: path + "/{id}", id: "records-update", tag: tag, summary: "Change a set of records",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusOK, RecordAnswerBody{}, ""}},
	}, s.updateRecord)
	add(s, op{
		method: http.MethodDelete, path: path + "/{id}", id: "records-delete", tag: tag, summary: "Remove a set of records",
		level: onProject, resource: access.Domains, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.deleteRecord)
}

// zoneOf finds the managed zone of a domain in a path.
func (s *Server) zoneOf(ctx context.Context, c *call, domain string) (zones.Zone, error) {
	return s.options.Zones.ZoneFor(ctx, c.project, c.environment, domain)
}

func recordOf(set zones.RRset) (Record, error) {
	owner, typ, apex, err := zones.ParseRRsetName(set.Name)
	if err != nil {
		return Record{}, err
	}
	out := Record{ID: set.ID, Name: owner, FullName: zones.FullName(owner, apex), Zone: apex, Type: typ, Revision: set.Revision}
	return out, convert(set.Spec, &out.RecordData)
}

// convert copies between a room's type and the API's of the same JSON.
func convert(from, into any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func (s *Server) recordAnswer(set zones.RRset, warnings []string, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	out, err := recordOf(set)
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(set.Revision), Body: RecordAnswerBody{out, append([]string{}, warnings...)}}, nil
}

func (s *Server) listRecords(ctx context.Context, c *call, in *recordsInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	list, next, err := s.options.Zones.ListRRsets(ctx, c.project, c.environment, z.Name, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := RecordList{Records: []Record{}, NextCursor: next}
	for _, set := range list {
		r, err := recordOf(set)
		if err != nil {
			return nil, err
		}
		out.Records = append(out.Records, r)
	}
	return &answer{Body: out}, nil
}

func (s *Server) createRecord(ctx context.Context, c *call, in *newRecordInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	spec, err := raw(in.Body.RecordData)
	if err != nil {
		return nil, err
	}
	set := zones.Set{Name: in.Body.Name, Type: in.Body.Type, Spec: spec}
	if c.dryRun {
		return planAnswer(s.options.Zones.PlanSetRRset(ctx, c.project, c.environment, z.Name, set, true, 0))
	}
	made, warnings, err := s.options.Zones.SetRRset(ctx, c.project, c.environment, z.Name, set, true, 0, c.cause)
	a, err := s.recordAnswer(made, warnings, err)
	if err == nil {
		a.Location = infrastructure + "/domains/" + url.PathEscape(z.Name) + "/records/" + made.ID
	}
	return a, err
}

// record is the set that a path names.
func (s *Server) record(ctx context.Context, c *call, in RecordPath) (zones.Zone, zones.RRset, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return z, zones.RRset{}, err
	}
	set, err := s.options.Zones.GetRRset(ctx, c.project, c.environment, z.Name, in.ID)
	return z, set, err
}

func (s *Server) getRecord(ctx context.Context, c *call, in *RecordPath) (*answer, error) {
	_, set, err := s.record(ctx, c, *in)
	return s.recordAnswer(set, nil, err)
}

func (s *Server) updateRecord(ctx context.Context, c *call, in *putRecordInput) (*answer, error) {
	z, set, err := s.record(ctx, c, in.RecordPath)
	if err != nil {
		return nil, err
	}
	owner, typ, _, err := zones.ParseRRsetName(set.Name)
	if err != nil {
		return nil, err
	}
	if err := keeps(in.Body, owner, typ, z.Name); err != nil {
		return nil, err
	}
	spec, err := raw(in.Body.RecordData)
	if err != nil {
		return nil, err
	}
	// What was found may be gone by now; then it must not be made anew.
	revision := set.Revision
	if c.ifRevision != 0 {
		revision = c.ifRevision
	}
	// As a whole name: an owner may end in the zone's name by itself.
	wanted := zones.Set{Name: zones.FullName(owner, z.Name) + ".", Type: typ, Spec: spec}
	if c.dryRun {
		return planAnswer(s.options.Zones.PlanSetRRset(ctx, c.project, c.environment, z.Name, wanted, false, revision))
	}
	made, warnings, err := s.options.Zones.SetRRset(ctx, c.project, c.environment, z.Name, wanted, false, revision, c.cause)
	return s.recordAnswer(made, warnings, err)
}

// keeps refuses to give a set another name or type: it is known by them.
func keeps(body PutRecord, owner, typ, apex string) error {
	const fix = "make a set of the new name and type and remove this one; POST .../records/edit does both as one"
	if body.Name != "" {
		switch name, err := zones.ParseOwner(body.Name, apex); {
		case err != nil:
			return err
		case name != owner:
			return fault.InvalidField("/name", fmt.Sprintf("the set is that of %s, and keeps its name", owner), fix)
		}
	}
	if body.Type != "" {
		switch t, err := zones.ParseType(body.Type); {
		case err != nil:
			return err
		case t != typ:
			return fault.InvalidField("/type", fmt.Sprintf("the set is one of %s records, and keeps its type", typ), fix)
		}
	}
	return nil
}

func (s *Server) deleteRecord(ctx context.Context, c *call, in *deleteRecordInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(s.options.Zones.PlanDeleteRRset(ctx, c.project, c.environment, z.Name, in.ID, c.ifRevision))
	}
	return &answer{}, s.options.Zones.DeleteRRset(ctx, c.project, c.environment, z.Name, in.ID, c.ifRevision, c.cause)
}

func (s *Server) editRecords(ctx context.Context, c *call, in *editRecordsInput) (*answer, error) {
	z, err := s.zoneOf(ctx, c, in.Domain)
	if err != nil {
		return nil, err
	}
	edit := zones.Edit{Replace: in.Body.Replace, Consent: in.Body.Consent}
	for _, r := range in.Body.Records {
		set := zones.Set{Name: r.Name, Type: r.Type}
		if !r.Remove {
			if set.Spec, err = raw(r.RecordData); err != nil {
				return nil, err
			}
		}
		edit.Sets = append(edit.Sets, set)
	}
	plan, err := s.options.Zones.PlanEdit(ctx, c.project, c.environment, z.Name, edit)
	if err != nil {
		return nil, err
	}
	if err := s.mayCarryOut(c, plan); err != nil {
		return nil, err
	}
	if c.dryRun {
		return planAnswer(plan, nil)
	}
	if plan, err = s.options.Zones.Edit(ctx, c.project, c.environment, z.Name, edit, c.cause); err != nil {
		return nil, err
	}
	out := RecordsEdited{Warnings: append([]string{}, plan.Warnings...)}
	for _, a := range plan.Actions {
		switch a.Op {
		case resource.Create:
			out.Created++
		case resource.Update:
			out.Updated++
		default:
			out.Deleted++
		}
	}
	return &answer{Body: out}, nil
}
