package api

import (
	"cmp"
	"context"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// level says what an operation's permission is checked against.
type level int

const (
	public     level = iota // no credentials
	signedIn                // any credentials; the handler checks what it touches
	anyProject              // the permission on at least one project: what tenants share
	onProject               // the permission on the project that the request names
	onPlatform              // the permission on the platform
)

// op describes one operation. Everything about it that can be checked before
// its handler runs is said here, and OpenAPI is generated from it.
type op struct {
	method, path string
	id           string // OpenAPI operationId, "domains-add"
	tag          string
	summary      string
	doc          string

	level    level
	resource access.Resource // with anyProject, onProject, onPlatform
	verb     access.Verb

	// answers lists the successful statuses with an example value of the body's
	// type, nil for none. The first is the usual one.
	answers []answerDoc

	// audit is the action that is recorded when the operation succeeds. Empty
	// for reads, and for operations whose own transaction writes the record.
	audit string

	everywhere  bool          // the project may be "*", the platform, and the environment "*", all
	noMatch     bool          // PUT, PATCH or DELETE that needs no If-Match
	noKey       bool          // POST that takes no Idempotency-Key
	maxBody     int64         // bytes; 0: defaultMaxBody
	timeout     time.Duration // 0: defaultTimeout; negative: none
	contentType string        // of a stream's answer
}

type answerDoc struct {
	status int
	body   any
	doc    string
}

const (
	defaultMaxBody = 256 << 10
	defaultTimeout = 30 * time.Second
	bodyTimeout    = 30 * time.Second
)

// call is what the checks before a handler have found out.
type call struct {
	principal   *access.Principal // nil for public operations without credentials
	project     string            // ID, with level onProject
	environment string            // name, with level onProject
	dryRun      bool
	ifRevision  int64 // from If-Match; 0: whatever is there ("*")
	cause       resource.Cause
	caller      access.Caller
	target      string // what the audit record names; the handler may set it
	detail      map[string]any
	audited     bool // the handler's own transaction wrote the record
}

// answer is what a handler answers. Status 0 is the operation's usual one.
type answer struct {
	Status   int
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     any
}

// InProject are the query parameters that name project and environment.
type InProject struct {
	Project     string `query:"project_id" doc:"Project, by ID or name. Default: default" maxLength:"64"`
	Environment string `query:"environment" doc:"Environment, by name. Default: production" maxLength:"64"`
}

func (in InProject) scopeNames() (project, environment string) { return in.Project, in.Environment }

func (in InProject) inEnvironment() {}

// InProjectOnly is the query parameter that names the project, where the
// environment does not matter.
type InProjectOnly struct {
	Project string `query:"project_id" doc:"Project, by ID or name, or * for the whole platform. Default: default" maxLength:"64"`
}

func (in InProjectOnly) scopeNames() (project, environment string) { return in.Project, "" }

// BodyProject are the same names inside a body; the query wins.
type BodyProject struct {
	ProjectID   string `json:"project_id,omitempty" doc:"Project, by ID or name, unless the query names one" maxLength:"64"`
	Environment string `json:"environment,omitempty" doc:"Environment, by name, unless the query names one" maxLength:"64"`
}

// InProjectPath names the project in the path.
type InProjectPath struct {
	Project string `path:"project" doc:"Project, by ID or name" maxLength:"64"`
}

func (in InProjectPath) scopeNames() (project, environment string) { return in.Project, "" }

// InDryRun asks for the plan of a write instead of the write.
type InDryRun struct {
	DryRun bool   `query:"dry_run" doc:"Answer with the plan, change nothing"`
	Reason string `query:"reason" doc:"Why; kept with the revision" maxLength:"500"`
}

func (in InDryRun) wantsPlan() (bool, string) { return in.DryRun, in.Reason }

// InMatch is the precondition of a change (RFC 9110, section 13.1.1).
type InMatch struct {
	IfMatch string `header:"If-Match" doc:"The ETag that was read, or * for whatever is there. Needed: 428 without, 412 when stale" example:"\"42\"" maxLength:"64"`
}

// InKey makes repeating a POST harmless.
type InKey struct {
	Key string `header:"Idempotency-Key" doc:"Any string. A repeat with the same key and body within 24 hours gets the first answer; with another body 422" maxLength:"255"`
}

// InPage selects a page of a list.
type InPage struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Items on a page"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before" maxLength:"512"`
}

type scopeNamer interface {
	scopeNames() (project, environment string)
}

// environmentNamer marks inputs whose environment must exist.
type environmentNamer interface{ inEnvironment() }

type bodyScopeNamer interface {
	bodyScopeNames() (project, environment string)
}

type planWisher interface{ wantsPlan() (bool, string) }

// handler carries out one operation.
type handler[I any] func(ctx context.Context, c *call, in *I) (*answer, error)

// add registers an operation that answers JSON.
func add[I any](s *Server, o op, h handler[I]) {
	hop := s.describe(o, reflect.TypeFor[I]())
	huma.Register(s.huma, hop, func(ctx context.Context, in *I) (*answer, error) {
		if o.timeout >= 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeoutOf(o))
			defer cancel()
		}
		a, err := run(ctx, s, o, in, h)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		if a.Status == 0 {
			a.Status = hop.DefaultStatus
		}
		return a, nil
	})
	tidyResponses(hop)
}

type stream struct {
	Body func(huma.Context)
}

// addStream registers an operation that writes its answer itself. The handler
// checks everything that can fail before it returns the writer.
func addStream[I any](s *Server, o op, h func(ctx context.Context, c *call, in *I) (func(huma.Context), error)) {
	hop := s.describe(o, reflect.TypeFor[I]())
	huma.Register(s.huma, hop, func(ctx context.Context, in *I) (*stream, error) {
		var write func(huma.Context)
		_, err := run(ctx, s, o, in, func(ctx context.Context, c *call, in *I) (*answer, error) {
			var err error
			write, err = h(ctx, c, in)
			return &answer{}, err
		})
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &stream{Body: write}, nil
	})
	tidyResponses(hop)
}

func timeoutOf(o op) time.Duration {
	if o.timeout == 0 {
		return defaultTimeout
	}
	return o.timeout
}

// run is the one path from a parsed request to a handler: who, which project,
// may they, and afterwards the audit record.
func run[I any](ctx context.Context, s *Server, o op, in *I, h handler[I]) (*answer, error) {
	if err := checkBody(in); err != nil {
		return nil, err
	}
	c, err := s.callFor(ctx, o, in)
	if err != nil {
		return nil, err
	}
	a, err := h(ctx, c, in)
	if err != nil {
		return nil, err
	}
	if o.audit != "" && !c.audited && !c.dryRun {
		record := access.Audit{Actor: c.caller.Actor, Action: o.audit, Target: c.target, Project: c.project, Detail: c.detail, RequestID: c.caller.RequestID}
		if err := s.access.Record(context.WithoutCancel(ctx), record); err != nil {
			return nil, fault.New(fault.Unavailable, "the change was made but the audit log could not be written: %w", err)
		}
	}
	return a, nil
}

// callFor finds project and environment and asks the permission table.
func (s *Server) callFor(ctx context.Context, o op, in any) (*call, error) {
	r := requestFrom(ctx)
	c := &call{principal: r.principal, ifRevision: r.ifRevision}
	c.caller = access.Caller{Actor: "anonymous", RequestID: r.id, Address: r.address}
	if c.principal != nil {
		c.caller.Actor = c.principal.Actor()
	}
	c.cause = resource.Cause{Actor: c.caller.Actor, Via: r.via, RequestID: r.id}
	if w, ok := in.(planWisher); ok {
		c.dryRun, c.cause.Reason = w.wantsPlan()
	}
	if o.level == public {
		return c, nil
	}
	if c.principal == nil {
		return nil, errUnauthenticated()
	}
	switch o.level {
	case anyProject:
		if !c.principal.CanSomewhere(o.resource, o.verb) {
			return nil, s.refuse(c.principal, o)
		}
	case onPlatform:
		if !c.principal.Can(access.Platform, o.resource, o.verb) {
			return nil, s.refuse(c.principal, o)
		}
	case onProject:
		if err := s.resolve(ctx, o, c, in); err != nil {
			return nil, err
		}
		if !c.principal.Can(c.project, o.resource, o.verb) {
			return nil, s.refuse(c.principal, o)
		}
	}
	return c, nil
}

func (s *Server) refuse(p *access.Principal, o op) error {
	return fault.New(fault.Forbidden, "this needs the permission %s:%s, which %s does not have here; ask an admin of the project for a stronger role or a token with that scope",
		o.resource, o.verb, p.Actor())
}

// resolve turns the names in a request into a project and an environment that
// the principal may know of.
func (s *Server) resolve(ctx context.Context, o op, c *call, in any) error {
	n := in.(scopeNamer) // every operation on a project has one; describe checks
	project, environment := n.scopeNames()
	if b, ok := in.(bodyScopeNamer); ok {
		p, e := b.bodyScopeNames()
		project, environment = cmp.Or(project, p), cmp.Or(environment, e)
	}
	var err error
	if c.project, err = s.projectNamed(ctx, c.principal, cmp.Or(project, projects.Default), o.everywhere); err != nil {
		return err
	}
	if _, ok := in.(environmentNamer); ok {
		c.environment, err = s.environmentNamed(ctx, c.project, cmp.Or(environment, projects.DefaultEnvironment), o.everywhere)
	}
	return err
}

// describe turns an op into huma's form.
func (s *Server) describe(o op, in reflect.Type) huma.Operation {
	maxBody := o.maxBody
	if maxBody == 0 {
		maxBody = defaultMaxBody
	}
	input := reflect.New(in).Interface()
	if _, ok := input.(scopeNamer); o.level == onProject && !ok {
		panic("api: " + o.id + " is on a project but its input names none")
	}
	hop := huma.Operation{
		Method: o.method, Path: o.path, OperationID: o.id, Summary: o.summary, Description: o.doc, Tags: []string{o.tag},
		DefaultStatus: o.answers[0].status, MaxBodyBytes: maxBody, BodyReadTimeout: s.bodyTimeout,
		Responses: map[string]*huma.Response{}, Metadata: map[string]any{opKey: o},
	}
	if body, ok := in.FieldByName("Body"); ok {
		hop.Metadata[bodyTypeKey] = body.Type
	}
	if o.level != public {
		hop.Security = []map[string][]string{{"token": {}}, {"session": {}}}
		if o.resource != "" {
			hop.Extensions = map[string]any{"x-permission": string(o.resource) + ":" + string(o.verb)}
		}
	}
	answers := o.answers
	if _, ok := input.(planWisher); ok {
		answers = append(answers[:len(answers):len(answers)], answerDoc{http.StatusOK, Plan{}, "With dry_run: the plan"})
	}
	for _, a := range answers {
		s.describeAnswer(&hop, a, o.contentType)
	}
	s.describeProblem(&hop)
	return hop
}

func (s *Server) describeAnswer(hop *huma.Operation, a answerDoc, contentType string) {
	status := strconv.Itoa(a.status)
	doc := a.doc
	if doc == "" {
		doc = http.StatusText(a.status)
	}
	var schema *huma.Schema
	switch {
	case contentType != "":
		schema = &huma.Schema{Type: huma.TypeString}
	case a.body != nil:
		contentType = "application/json"
		schema = s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(a.body), true, hop.OperationID)
	default:
		hop.Responses[status] = &huma.Response{Description: doc}
		return
	}
	if had := hop.Responses[status]; had != nil && had.Content["application/json"] != nil {
		had.Description += ". " + doc
		had.Content["application/json"].Schema = &huma.Schema{OneOf: []*huma.Schema{had.Content["application/json"].Schema, schema}}
		return
	}
	hop.Responses[status] = &huma.Response{Description: doc, Content: map[string]*huma.MediaType{contentType: {Schema: schema}}}
}

// describeProblem documents the error answer of an operation.
func (s *Server) describeProblem(hop *huma.Operation) {
	schema := s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	hop.Responses["default"] = &huma.Response{
		Description: "An error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
}

// describeType puts a type into the document that no operation mentions.
func (s *Server) describeType(example any) {
	s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(example), true, "")
}

// tidyResponses takes away the empty body that huma documents for an answer
// without one.
func tidyResponses(hop huma.Operation) {
	if r := hop.Responses["204"]; r != nil {
		r.Content = nil
	}
}

// Keys of a huma operation's metadata.
const (
	opKey       = "edgewright.op"
	bodyTypeKey = "edgewright.body"
)

func opOf(hop *huma.Operation) op {
	o, _ := hop.Metadata[opKey].(op)
	return o
}

// etag is the ETag of a revision.
func etag(revision int64) string { return strconv.Quote(strconv.FormatInt(revision, 10)) }
