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
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/provision"
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

	LifeLeft   *float64           `json:"life_left,omitempty" doc:"Share of its lifetime that is left, 1 to 0"`
	Authority  string             `json:"authority,omitempty" doc:"The CA that issued it, by its name here"`
	WantedCA   string             `json:"wanted_authority,omitempty" doc:"The CA that is to be used; empty: those of the platform in their order"`
	Challenge  string             `json:"challenge,omitempty" doc:"http-01, tls-alpn-01 or dns-01; empty: chosen by itself"`
	Profile    string             `json:"profile,omitempty" doc:"Of the CA's; empty: the CA's setting"`
	MustStaple bool               `json:"must_staple,omitempty"`
	PinKey     bool               `json:"pin_key,omitempty" doc:"The key stays across renewals"`
	Takeover   bool               `json:"takeover,omitempty" doc:"An automatic certificate follows this uploaded one at its end"`
	Uploaded   bool               `json:"uploaded,omitempty" doc:"The one in use was uploaded"`
	IssuedAt   *time.Time         `json:"issued_at,omitempty"`
	RenewBy    string             `json:"renew_by,omitempty" doc:"What renew_at was chosen by: ari (the CA's word) or lifetime"`
	RevokedAt  *time.Time         `json:"revoked_at,omitempty" doc:"The certificate in use was revoked"`
	Revocation string             `json:"revocation,omitempty" doc:"Why it was revoked"`
	StapledTil *time.Time         `json:"stapled_until,omitempty" doc:"Its CA's OCSP answer, which edges staple, holds until then"`
	Events     []CertificateEvent `json:"events" doc:"The last, newest first"`
	Served     []ServedBy         `json:"served,omitempty" doc:"How each edge serves it, as seen by itself and by another; one certificate's details only"`
}

// CertificateEvent is something that happened to a certificate.
type CertificateEvent struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind" doc:"issued, recovered, failed, expiring, expired or revoked"`
	Message string    `json:"message"`
}

// Provision asks for a certificate.
type Provision struct {
	Type      string `json:"type,omitempty" doc:"lets_encrypt, local, custom or auto. Default: auto" maxLength:"20"`
	AutoRenew *bool  `json:"auto_renew,omitempty" doc:"Default: true"`
	Renew     bool   `json:"renew,omitempty" doc:"Get a new certificate although the present one is not due"`
	ChainPEM  string `json:"chain_pem,omitempty" doc:"For custom: the certificate and its intermediates, in any order" maxLength:"131072"`
	KeyPEM    string `json:"key_pem,omitempty" doc:"For custom: the leaf's private key. It is stored encrypted and never shown. Left out for a certificate that was made of a request from here" maxLength:"32768"`
	PKCS12    []byte `json:"pkcs12,omitempty" doc:"For custom, in place of both: a .p12 or .pfx file, in base64" maxLength:"131072"`
	Password  string `json:"password,omitempty" doc:"Of the PKCS #12 file" maxLength:"1024"`
	Takeover  *bool  `json:"takeover,omitempty" doc:"For custom: let an automatic certificate follow at its end. Default: as before, at first false"`

	Domains    []string `json:"domains,omitempty" doc:"All names, addresses and wildcards it shall be for, the domain first. Default: the domain" maxItems:"100"`
	KeyType    string   `json:"key_type,omitempty" doc:"p256, p384, rsa2048, rsa3072, rsa4096 or ed25519. Default: p256" maxLength:"20"`
	Challenge  string   `json:"challenge,omitempty" doc:"http-01, tls-alpn-01 or dns-01. Default: what works" maxLength:"20"`
	Profile    string   `json:"profile,omitempty" doc:"Of the CA's, such as classic, tlsserver or shortlived" maxLength:"64"`
	Authority  string   `json:"authority,omitempty" doc:"The CA, by its name here" maxLength:"64"`
	MustStaple *bool    `json:"must_staple,omitempty" doc:"Default: false"`
	PinKey     *bool    `json:"pin_key,omitempty" doc:"Keep the key across renewals. Default: false"`
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
		method: http.MethodGet, path: path + "/{domain}", id: "certificates-get", tag: tag, summary: "A domain's certificate, its chain, and where it is served",
		level: onProject, resource: access.Certificates, verb: access.Read, answers: []answerDoc{{http.StatusOK, CertificateDetail{}, ""}},
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
	s.addCertificateActions()
	s.addAuthorities()
	s.addReplacements()
	s.addServed()
}

// issueWait is how long a request waits for a certificate.
const issueWait = time.Minute

func (s *Server) certificateAnswer(c certificates.Certificate, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(c.Revision), Body: CertificateAnswer{s.certificateOf(c)}}, nil
}

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
	return s.certificateDetail(ctx, found)
}

func (s *Server) removeCertificate(ctx context.Context, c *call, in *deleteDomainInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.certificates.PlanDelete(ctx, c.project, c.environment, in.Domain, c.ifRevision))
	}
	return &answer{}, s.certificates.Delete(ctx, c.project, c.environment, in.Domain, c.ifRevision, c.cause)
}

func (s *Server) provision(ctx context.Context, c *call, in *provisionInput) (*answer, error) {
	request := provision.Request{
		Project: c.project, Environment: c.environment, Domain: in.Domain, Type: certificates.CertType(in.Body.Type), AutoRenew: orTrue(in.Body.AutoRenew),
		Domains: in.Body.Domains, KeyType: pki.KeyType(in.Body.KeyType), Challenge: certificates.Challenge(in.Body.Challenge),
		Profile: in.Body.Profile, Authority: in.Body.Authority, MustStaple: in.Body.MustStaple, PinKey: in.Body.PinKey,
	}
	upload := custom.UploadRequest{
		Project: c.project, Environment: c.environment, Domain: in.Domain, ChainPEM: in.Body.ChainPEM, KeyPEM: in.Body.KeyPEM,
		PKCS12: in.Body.PKCS12, Password: in.Body.Password, Takeover: in.Body.Takeover,
	}
	custom := request.Type == certificates.TypeCustom
	switch {
	case !custom && (in.Body.ChainPEM+in.Body.KeyPEM != "" || len(in.Body.PKCS12) > 0):
		return nil, fault.InvalidField("/type", "a chain or key was sent for a certificate that is issued", "set type to custom, or leave chain_pem, key_pem and pkcs12 out")
	case in.Body.Renew && !custom:
		return s.renewWith(ctx, c, in)
	case c.dryRun && custom:
		plan, err := s.certificates.PlanUpload(ctx, upload)
		return planAnswer(plan, uploadPointers(err))
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
	case certificates.StateValid, certificates.StateExpiring:
		// What is valid may be the one before.
		switch failed := c.Status.LastError; {
		case failed == nil:
			return operationSucceeded
		case failed.Reason == certificates.ReasonBudget:
			return operationRunning // it goes on when there is room
		}
		return operationFailed
	case certificates.StateExternal:
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
		finished := o.CreatedAt
		if at := c.Status.IssuedAt; at != nil && at.After(finished) {
			finished = *at
		}
		out.FinishedAt = &finished
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
