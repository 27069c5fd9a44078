package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/zones/tsig"
)

// TSIGKey is a key that zone transfers are signed with. Its secret is not in it.
type TSIGKey struct {
	ID          string     `json:"id"`
	Name        string     `json:"name" doc:"As both sides know it"`
	Project     string     `json:"project_id"`
	Environment string     `json:"environment"`
	Algorithm   string     `json:"algorithm"`
	Generation  int        `json:"generation" doc:"Of the secret: grows when it is replaced"`
	Ready       bool       `json:"ready" doc:"The secret is made, and edges get it"`
	MadeAt      *time.Time `json:"made_at,omitempty" doc:"When the secret was made"`
	Comment     string     `json:"comment,omitempty"`
	Revision    int64      `json:"revision"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// NewTSIGKey is a key to be made.
type NewTSIGKey struct {
	BodyProject
	Name      string `json:"name" maxLength:"254" doc:"A domain name that says what the key joins, such as transfer.example.com"`
	Algorithm string `json:"algorithm,omitempty" maxLength:"20" doc:"hmac-sha256, hmac-sha384 or hmac-sha512. Default: hmac-sha256"`
	Secret    string `json:"secret,omitempty" maxLength:"400" writeOnly:"true" doc:"In base64, when the other side has made it. Default: one is made"`
	Comment   string `json:"comment,omitempty" maxLength:"500"`
}

// NewTSIGSecret replaces a key's secret.
type NewTSIGSecret struct {
	Secret string `json:"secret,omitempty" maxLength:"400" writeOnly:"true" doc:"In base64. Default: one is made"`
}

// TSIGKeyAnswer holds one key.
type TSIGKeyAnswer struct {
	Key TSIGKey `json:"key"`
}

// TSIGKeyList is a page of keys.
type TSIGKeyList struct {
	Keys       []TSIGKey `json:"keys"`
	NextCursor string    `json:"next_cursor"`
}

// ExportedTSIGKey is a key with its secret.
type ExportedTSIGKey struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Secret    string `json:"secret" doc:"In base64, as BIND, Knot, NSD and PowerDNS have it"`
}

// TSIGKeyPath names a key in the path.
type TSIGKeyPath struct {
	InProject
	Name string `path:"name" maxLength:"254"`
}

type createTSIGInput struct {
	InProject
	InDryRun
	InKey
	Body NewTSIGKey
}

func (in createTSIGInput) bodyScopeNames() (project, environment string) {
	return in.Body.ProjectID, in.Body.Environment
}

type replaceTSIGInput struct {
	TSIGKeyPath
	InDryRun
	InMatch
	Body NewTSIGSecret
}

type deleteTSIGInput struct {
	TSIGKeyPath
	InDryRun
	InMatch
}

func (s *Server) addTSIG() {
	const tag, path = "DNS", infrastructure + "/dns/tsig"
	one := []answerDoc{{http.StatusOK, TSIGKeyAnswer{}, ""}}
	add(s, op{
		method: http.MethodGet, path: path, id: "tsig-list", tag: tag, summary: "TSIG keys of an environment",
		level: onProject, resource: access.Domains, verb: access.Read, answers: []answerDoc{{http.StatusOK, TSIGKeyList{}, ""}},
	}, s.listTSIG)
	add(s, op{
		method: http.MethodPost, path: path, id: "tsig-create", tag: tag, summary: "Make a TSIG key",
		level: onProject, resource: access.Domains, verb: access.Write, answers: []answerDoc{{http.StatusCreated, TSIGKeyAnswer{}, ""}},
	}, s.createTSIG)
	add(s, op{
		method: http.MethodGet, path: path + "/{name}", id: "tsig-get", tag: tag, summary: "One TSIG key, without its secret",
		level: onProject, resource: access.Domains, verb: access.Read, answers: one,
	}, s.getTSIG)
	add(s, op{
		method: http.MethodPut, path: path + "/{name}/secret", id: "tsig-replace", tag: tag, summary: "Replace a TSIG key's secret",
		doc:   "Transfers with the key fail until the other side has the new one. To change keys without a gap, make a second one and name both in the zone.",
		level: onProject, resource: access.Domains, verb: access.Write, answers: one,
	}, s.replaceTSIG)
	add(s, op{
		method: http.MethodPost, path: path + "/{name}/export", id: "tsig-export", tag: tag, summary: "Take out a TSIG key's secret",
		doc:   "For owners. Every export is in the audit log.",
		level: onProject, resource: access.PrivateKeys, verb: access.Read, noKey: true, audit: "tsigkey.export",
		answers: []answerDoc{{http.StatusOK, ExportedTSIGKey{}, ""}},
	}, s.exportTSIG)
	add(s, op{
		method: http.MethodDelete, path: path + "/{name}", id: "tsig-delete", tag: tag, summary: "Delete a TSIG key that no zone names",
		level: onProject, resource: access.Domains, verb: access.Delete, answers: []answerDoc{{http.StatusNoContent, nil, ""}},
	}, s.deleteTSIG)
}

func tsigOf(k tsig.Key) TSIGKey {
	out := TSIGKey{
		ID: k.ID, Name: k.Name, Project: k.Project, Environment: k.Environment, Algorithm: k.Spec.Algorithm, Generation: k.Spec.Generation, Comment: k.Spec.Comment,
		Ready: k.Status.Generation == k.Spec.Generation, Revision: k.Revision, CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
	if out.Ready {
		out.MadeAt = k.Status.MadeAt
	}
	return out
}

func tsigAnswer(k tsig.Key, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return &answer{ETag: etag(k.Revision), Body: TSIGKeyAnswer{tsigOf(k)}}, nil
}

func (s *Server) listTSIG(ctx context.Context, c *call, in *listDomainsInput) (*answer, error) {
	list, next, err := s.options.TSIG.List(ctx, c.project, c.environment, in.Limit, in.Cursor)
	if err != nil {
		return nil, err
	}
	out := TSIGKeyList{Keys: []TSIGKey{}, NextCursor: next}
	for _, k := range list {
		out.Keys = append(out.Keys, tsigOf(k))
	}
	return &answer{Body: out}, nil
}

func (s *Server) createTSIG(ctx context.Context, c *call, in *createTSIGInput) (*answer, error) {
	w := tsig.Wish{Name: in.Body.Name, Algorithm: in.Body.Algorithm, Secret: in.Body.Secret, Comment: in.Body.Comment}
	if c.dryRun {
		return planAnswer(s.options.TSIG.PlanCreate(ctx, c.project, c.environment, w))
	}
	made, err := s.options.TSIG.Create(ctx, c.project, c.environment, w, c.cause)
	a, err := tsigAnswer(made, err)
	if err == nil {
		a.Location = infrastructure + "/dns/tsig/" + url.PathEscape(made.Name)
	}
	return a, err
}

func (s *Server) getTSIG(ctx context.Context, c *call, in *TSIGKeyPath) (*answer, error) {
	return tsigAnswer(s.options.TSIG.Get(ctx, c.project, c.environment, in.Name))
}

func (s *Server) replaceTSIG(ctx context.Context, c *call, in *replaceTSIGInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.options.TSIG.PlanReplace(ctx, c.project, c.environment, in.Name, in.Body.Secret, c.ifRevision))
	}
	return tsigAnswer(s.options.TSIG.Replace(ctx, c.project, c.environment, in.Name, in.Body.Secret, c.ifRevision, c.cause))
}

func (s *Server) exportTSIG(ctx context.Context, c *call, in *TSIGKeyPath) (*answer, error) {
	k, secret, err := s.options.TSIG.Export(ctx, c.project, c.environment, in.Name)
	if err != nil {
		return nil, err
	}
	c.target = "tsigkey " + k.ID
	c.detail = map[string]any{"name": k.Name, "generation": k.Spec.Generation}
	return &answer{Body: ExportedTSIGKey{Name: k.Name, Algorithm: k.Spec.Algorithm, Secret: secret}}, nil
}

func (s *Server) deleteTSIG(ctx context.Context, c *call, in *deleteTSIGInput) (*answer, error) {
	if c.dryRun {
		return planAnswer(s.options.TSIG.PlanDelete(ctx, c.project, c.environment, in.Name, c.ifRevision))
	}
	return &answer{}, s.options.TSIG.Delete(ctx, c.project, c.environment, in.Name, c.ifRevision, c.cause)
}
