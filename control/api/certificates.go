package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/fault"
)

// Certificate is a certificate and the state of its issuance. Its key is never
// shown.
type Certificate struct {
	ID          string      `json:"id"`
	Domain      string      `json:"domain" doc:"The domain it was made for"`
	Domains     []string    `json:"domains" doc:"What it is wanted for"`
	Names       []string    `json:"names" doc:"What it is valid for"`
	Project     string      `json:"project_id"`
	Environment string      `json:"environment"`
	Revision    int64       `json:"revision"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
	Type        string      `json:"type" doc:"lets_encrypt, local or custom"`
	AutoRenew   bool        `json:"auto_renew"`
	KeyType     string      `json:"key_type,omitempty"`
	State       string      `json:"state" doc:"none, issuing, valid, expiring, expired, failed or external"`
	Step        string      `json:"step,omitempty" doc:"What is being done"`
	StartedAt   *time.Time  `json:"started_at,omitempty" doc:"When the attempt under way began"`
	Issuer      string      `json:"issuer,omitempty"`
	NotBefore   *time.Time  `json:"not_before,omitempty"`
	NotAfter    *time.Time  `json:"not_after,omitempty"`
	DaysLeft    *int        `json:"days_left,omitempty"`
	Serial      string      `json:"serial,omitempty"`
	Fingerprint string      `json:"fingerprint,omitempty" doc:"Lower-case hex SHA-256 of the leaf"`
	Failures    int         `json:"failures,omitempty" doc:"Since the last success"`
	Reason      string      `json:"reason,omitempty" doc:"Why the last attempt failed"`
	Fix         string      `json:"fix,omitempty" doc:"What to do about it"`
	NextAttempt *time.Time  `json:"next_attempt,omitempty"`
	RenewAt     *time.Time  `json:"renew_at,omitempty"`
	Conditions  []Condition `json:"conditions"`
	Served      []ServedBy  `json:"served,omitempty" doc:"How each edge serves it, as seen by itself and by another; one certificate's details only"`
}

// Provision asks for a certificate.
type Provision struct {
	Type      string `json:"type,omitempty" doc:"lets_encrypt, local, custom or auto. Default: auto" maxLength:"20"`
	AutoRenew *bool  `json:"auto_renew,omitempty" doc:"Default: true"`
	Renew     bool   `json:"renew,omitempty" doc:"Get a new certificate although the present one is not due"`
	ChainPEM  string `json:"chain_pem,omitempty" doc:"For custom: the chain, leaf first" maxLength:"131072"`
	KeyPEM    string `json:"key_pem,omitempty" doc:"For custom: the leaf's private key. It is stored encrypted and never shown" maxLength:"32768"`
}

// Provisioned is what became of it. With operation, issuance goes on.
type Provisioned struct {
	Certificate Certificate `json:"certificate"`
	ExpiresAt   *time.Time  `json:"expires_at" doc:"Null until there is a certificate"`
	Operation   *Operation  `json:"operation,omitempty"`
}

// CertificateAnswer holds one certificate.
type CertificateAnswer struct {
	Certificate Certificate `json:"certificate"`
}

// CertificateList is a page of certificates.
type CertificateList struct {
	Certificates []Certificate `json:"certificates"`
	NextCursor   string        `json:"next_cursor"`
}

type provisionInput struct {
	DomainPath
	InDryRun
	InKey
	Body Provision
}

func (s *Server) addCertificates() {
	const tag, path = "Certificates", infrastructure + "/ssl"
	add(s, op{
		method: http.MethodGet, path: path, id: "certificates-list", tag: tag, summary: "Certificates of an environment",
		level: onProject, resource: access.Certificates, verb: access.Read, answers: []answerDoc{{http.StatusOK, CertificateList{}, ""}},
	}, s.listCertificates)
	add(s, op{
		method: http.MethodGet, path: path + "/{domain}", id: "certificates-get", tag: tag, summary: "A domain's certificate",
		level: onProject, resource: access.Certificates, verb: access.Read, answers: []answerDoc{{http.StatusOK, CertificateAnswer{}, ""}},
	}, s.getCertificate)
	add(s, op{
		method: http.MethodPost, path: path + "/{domain}", id: "certificates-provision", tag: tag, summary: "Provision, upload or renew a domain's certificate",
		doc:   "Waits for issuance for up to a minute; then it goes on, and the answer is 202 with an operation to watch.",
		level: onProject, resource: access.Certificates, verb: access.Write, timeout: 90 * time.Second,
		answers: []answerDoc{{http.StatusOK, Provisioned{}, "There is a certificate"}, {http.StatusAccepted, Provisioned{}, "Issuance goes on"}},
	}, s.provision)
	add(s, op{
		method: http.MethodDelete, path: path + "/{domain}", id: "certificates-remove", tag: tag, summary: "Remove a domain's certificate",
		level: onProject, resource: access.Certificates, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.removeCertificate)
	s.addServed()
}

// issueWait is how long a request waits for a certificate.
const issueWait = time.Minute

func (s *Server) listCertificates(ctx context.Context, c *call, in *listDomainsInput) (*answer, error) {
	list, next, err := s.certificates.List(ctx, c.project, c.environment, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := CertificateList{Certificates: []Certificate{}, NextCursor: next}
	for _, one := range list {
		out.Certificates = append(out.Certificates, s.certificateOf(one))
	}
	return &answer{Body: out}, nil
}

func (s *Server) getCertificate(ctx context.Context, c *call, in *DomainPath) (*answer, error) {
	found, err := s.certificates.Get(ctx, c.project, c.environment, in.Domain)
	if err != nil {
		return nil, err
	}
	out := s.certificateOf(found)
	out.Served = s.servedBy(found)
	return &answer{ETag: etag(found.Revision), Body: CertificateAnswer{out}}, nil
}

func (s *Server) removeCertificate(ctx context.Context, c *call, in *deleteDomainInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.certificates.PlanDelete(ctx, c.project, c.environment, in.Domain, c.ifRevision))
	}
	return &answer{}, s.certificates.Delete(ctx, c.project, c.environment, in.Domain, c.ifRevision, c.cause)
}

func (s *Server) provision(ctx context.Context, c *call, in *provisionInput) (*answer, error) {
	request := certificates.ProvisionRequest{
		Project: c.project, Environment: c.environment, Domain: in.Domain, Type: certificates.CertType(in.Body.Type), AutoRenew: orTrue(in.Body.AutoRenew),
	}
	upload := certificates.UploadRequest{
		Project: c.project, Environment: c.environment, Domain: in.Domain, ChainPEM: in.Body.ChainPEM, KeyPEM: in.Body.KeyPEM,
	}
	custom := request.Type == certificates.TypeCustom
	switch {
	case !custom && in.Body.ChainPEM+in.Body.KeyPEM != "":
		return nil, fault.InvalidField("/type", "a chain or key was sent for a certificate that is issued", "set type to custom, or leave chain_pem and key_pem out")
	case c.dryRun && custom:
		return planAnswer(s.planUpload(ctx, upload))
	case c.dryRun:
		return planAnswer(s.certificates.PlanProvision(ctx, request))
	}
	wait, cancel := context.WithTimeout(ctx, s.issueWait)
	defer cancel()
	var made certificates.Certificate
	var err error
	switch {
	case custom:
		made, err = s.certificates.Upload(wait, upload, c.cause)
	case in.Body.Renew:
		made, err = s.certificates.Renew(wait, c.project, c.environment, in.Domain, c.cause)
	default:
		made, err = s.certificates.Provision(wait, request, c.cause)
	}
	if err != nil {
		return nil, uploadPointers(err)
	}
	out := Provisioned{Certificate: s.certificateOf(made), ExpiresAt: made.Status.NotAfter}
	done := operationState(made, made.Revision)
	if done == operationSucceeded {
		return &answer{ETag: etag(made.Revision), Body: out}, nil
	}
	operation, err := s.startIssue(ctx, made)
	if err != nil {
		return nil, err
	}
	out.Operation = &operation
	return &answer{Status: http.StatusAccepted, ETag: etag(made.Revision), Location: infrastructure + "/operations/" + operation.ID, Body: out}, nil
}

// planUpload tells what an upload would change, after the same checks. The
// bundle is not stored; an upload in between takes the number shown.
func (s *Server) planUpload(ctx context.Context, r certificates.UploadRequest) (resource.Plan, error) {
	p := resource.NewPlan(r.Project, r.Environment)
	name, err := certificates.CanonicalName(r.Domain)
	if err != nil {
		return p, err
	}
	owned, err := s.domains.Verified(ctx, r.Project, r.Environment, name)
	if err != nil {
		return p, err
	}
	if !owned {
		return p, fault.New(fault.Conflict, "the domain is not verified in this project and environment: add and verify it first").About("domain " + name)
	}
	_, warnings, err := certificates.CheckUpload(name, r.ChainPEM, r.KeyPEM, s.now())
	if err != nil {
		return p, uploadPointers(err)
	}
	p.Warnings = warnings
	t, ok := s.options.Types.Of(certificates.Kind)
	if !ok {
		return p, fault.New(fault.Internal, "certificates are not in the table of types")
	}
	spec := certificates.Spec{Domains: []string{name}}
	found, err := s.store.List(ctx, resource.Query{Kind: certificates.Kind, Project: r.Project, Environment: r.Environment, Name: name, Limit: 1})
	if err != nil {
		return p, err
	}
	if len(found.Items) > 0 {
		old, err := certificates.Decode(found.Items[0])
		if err != nil {
			return p, err
		}
		spec.Domains, spec.KeyType, spec.Upload = old.Spec.Domains, old.Spec.KeyType, old.Spec.Upload
	}
	spec.Type = certificates.TypeCustom
	spec.Upload++
	body, err := raw(spec)
	if err != nil {
		return p, err
	}
	if body, err = t.Normalize(name, body); err != nil {
		return p, err
	}
	if len(found.Items) > 0 {
		p.Update(found.Items[0], body)
	} else {
		p.Create(t, r.Project, r.Environment, name, body)
	}
	return p, nil
}

// uploadPointers gives faults of an upload the names that its fields have here.
func uploadPointers(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Fields) == 0 {
		return err
	}
	named := *f
	named.Fields = slices.Clone(f.Fields)
	for i, field := range named.Fields {
		switch field.Pointer {
		case "/chain", "/key":
			named.Fields[i].Pointer = field.Pointer + "_pem"
		}
	}
	return &named
}

// The states of an operation.
const (
	operationRunning   = "running"
	operationSucceeded = "succeeded"
	operationFailed    = "failed"
)

// kindIssue is the kind of operation that waits for a certificate.
const kindIssue = "certificate.issue"

// issueDetail tells which issuance an operation is about.
type issueDetail struct {
	Revision int64 `json:"revision"` // of the certificate's spec
}

func (s *Server) startIssue(ctx context.Context, c certificates.Certificate) (Operation, error) {
	detail, err := json.Marshal(issueDetail{c.Revision})
	if err != nil {
		return Operation{}, err
	}
	o := store.Operation{
		ID: resource.NewID("op"), Kind: kindIssue, Project: c.Project, Environment: c.Environment,
		TargetKind: string(certificates.Kind), TargetID: c.ID, Detail: detail, CreatedAt: s.now().UTC(),
	}
	if err := s.db.PutOperation(ctx, o); err != nil {
		return Operation{}, err
	}
	return s.issueOperation(o, c), nil
}

// operationState tells how far an issuance asked for by a revision has come. A
// failed one is tried again by itself and may yet succeed.
func operationState(c certificates.Certificate, revision int64) string {
	if c.Status.Observed < revision || c.Status.Step != "" {
		return operationRunning
	}
	switch c.Status.State {
	case certificates.StateValid, certificates.StateExpiring, certificates.StateExternal:
		return operationSucceeded
	case certificates.StateFailed, certificates.StateExpired:
		return operationFailed
	}
	return operationRunning
}

func (s *Server) issueOperation(o store.Operation, c certificates.Certificate) Operation {
	var detail issueDetail
	_ = json.Unmarshal(o.Detail, &detail) // ours; without it revision 0 counts as answered
	out := Operation{
		ID: o.ID, Kind: o.Kind, State: operationState(c, detail.Revision), Step: c.Status.Step, Message: certificates.Describe(c),
		Resource: string(certificates.Kind) + " " + c.ID, StartedAt: o.CreatedAt,
	}
	if out.State == operationSucceeded {
		out.FinishedAt = c.Status.NotBefore
		if ready, ok := resource.ConditionOf(c.Status.Conditions, certificates.Ready); ok {
			out.FinishedAt = timeOrNil(ready.Since)
		}
	}
	return out
}

func (s *Server) getOperation(ctx context.Context, c *call, in *operationPath) (*answer, error) {
	o, err := s.db.Operation(ctx, in.ID)
	if err == nil && !c.principal.Can(o.Project, access.Operations, access.Read) || fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "there is no such operation, or it is not yours").About("operation " + in.ID)
	}
	if err != nil {
		return nil, err
	}
	out, err := s.operation(ctx, o)
	if err != nil {
		return nil, err
	}
	return &answer{Body: OperationAnswer{out}}, nil
}

// operation reads from its target how far an operation has come.
func (s *Server) operation(ctx context.Context, o store.Operation) (Operation, error) {
	gone := Operation{
		ID: o.ID, Kind: o.Kind, State: operationFailed, Message: "what it worked on was deleted", Resource: strings.TrimSpace(o.TargetKind + " " + o.TargetID),
		StartedAt: o.CreatedAt,
	}
	r, err := s.store.Get(ctx, resource.Kind(o.TargetKind), o.TargetID)
	if fault.Is(err, fault.NotFound) || err == nil && r.Kind != certificates.Kind {
		return gone, nil
	}
	if err != nil {
		return gone, err
	}
	c, err := certificates.Decode(r)
	if err != nil {
		return gone, fault.New(fault.Internal, "a stored certificate cannot be read: %w", err).About("certificate " + r.Name)
	}
	return s.issueOperation(o, c), nil
}
