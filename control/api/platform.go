package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/fault"
)

// AuditRecord is one line of the audit log. Hash covers the line and the hash
// before it, so that a changed past shows.
type AuditRecord struct {
	Seq       int64           `json:"seq"`
	At        time.Time       `json:"at"`
	Actor     string          `json:"actor"`
	Action    string          `json:"action"`
	Target    string          `json:"target"`
	Project   string          `json:"project_id,omitempty"`
	Detail    json.RawMessage `json:"detail,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Hash      string          `json:"hash"`
}

// AuditList is a page of the audit log, newest first.
type AuditList struct {
	Records    []AuditRecord `json:"records"`
	NextCursor string        `json:"next_cursor"`
}

// TrafficPoint is what edges counted in one step.
type TrafficPoint struct {
	At time.Time `json:"at" doc:"Beginning of the step"`
	TrafficTotals
}

// TrafficTotals are sums over some time.
type TrafficTotals struct {
	Requests     int64            `json:"requests"`
	Hits         int64            `json:"hits"`
	Bytes        int64            `json:"bytes" doc:"Response bytes to clients, headers left out"`
	OriginBytes  int64            `json:"origin_bytes"`
	Errors       int64            `json:"errors" doc:"Responses of 500 and above"`
	OriginErrors int64            `json:"origin_errors"`
	Status       map[string]int64 `json:"status" doc:"Requests by class, as 2xx"`
	Cache        map[string]int64 `json:"cache" doc:"Requests by outcome: hit, miss, stale, revalidated, bypass, none"`
	Handshakes   int64            `json:"handshakes" doc:"TLS handshakes"`
	Refused      map[string]int64 `json:"refused_handshakes" doc:"TLS handshakes that came to nothing, by reason: no_certificate, version, cipher, alpn, no_challenge, client_refused, client_left, not_tls, timeout, other"`
	P50MS        float64          `json:"p50_ms"`
	P95MS        float64          `json:"p95_ms"`
	P99MS        float64          `json:"p99_ms"`
}

// Traffic is what edges counted in a window.
type Traffic struct {
	Window int64          `json:"window" doc:"Seconds"`
	Step   int64          `json:"step" doc:"Seconds; may be larger than asked"`
	Series []TrafficPoint `json:"series"`
	Totals TrafficTotals  `json:"totals"`
}

// OperationAnswer holds one operation.
type OperationAnswer struct {
	Operation Operation `json:"operation"`
}

type listAuditInput struct {
	InProjectOnly
	Action string `query:"action" maxLength:"64" doc:"Only this action"`
	Actor  string `query:"actor" maxLength:"128" doc:"Only this actor"`
	InPage
}

type trafficInput struct {
	InProject
	Window int    `query:"window" minimum:"60" maximum:"34560000" default:"3600" doc:"Seconds back from now"`
	Step   int    `query:"step" minimum:"1" maximum:"86400" default:"60" doc:"Seconds"`
	Domain string `query:"domain" maxLength:"512" doc:"Default: all domains of the environment"`
}

type operationPath struct {
	ID string `path:"id" maxLength:"64"`
}

func (s *Server) addPlatform() {
	add(s, op{
		method: http.MethodGet, path: "/api/v1/audit", id: "audit-list", tag: "Audit", summary: "Every write and every failed login, newest first",
		level: onProject, resource: access.AuditLog, verb: access.Read, everywhere: true, answers: []answerDoc{{http.StatusOK, AuditList{}, ""}},
	}, s.listAudit)
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/traffic", id: "traffic", tag: "Traffic", summary: "What edges counted",
		level: onProject, resource: access.Traffic, verb: access.Read, everywhere: true, answers: []answerDoc{{http.StatusOK, Traffic{}, ""}},
	}, s.getTraffic)
	add(s, op{
		method: http.MethodGet, path: infrastructure + "/operations/{id}", id: "operations-get", tag: "Operations", summary: "How far long work has come",
		level: anyProject, resource: access.Operations, verb: access.Read, answers: []answerDoc{{http.StatusOK, OperationAnswer{}, ""}},
	}, s.getOperation)
	addStream(s, op{
		method: http.MethodGet, path: "/api/v1/backup", id: "backup", tag: "Platform", summary: "A consistent backup of everything, as a stream",
		doc:   "Secrets stay encrypted under the master key, which is not part of it.",
		level: onPlatform, resource: access.Backups, verb: access.Read, audit: "backup.read", contentType: "application/octet-stream",
		answers: []answerDoc{{http.StatusOK, "", ""}},
	}, s.backup)
	addStream(s, op{
		method: http.MethodGet, path: "/api/v1/trust/root.pem", id: "trust-root", tag: "Platform", summary: "Root certificate of the local CA",
		level: public, contentType: "application/x-pem-file", answers: []answerDoc{{http.StatusOK, "", ""}},
	}, s.trustRoot)
	addStream(s, op{
		method: http.MethodGet, path: "/api/v1/trust/crls/{issuer}", id: "trust-crl", tag: "Platform", summary: "Revoked certificates of the local CA",
		doc:   "Signed by the intermediate that issued them, which is named by its key ID in hex; \"current\" is the present one.",
		level: public, contentType: "application/pkix-crl", answers: []answerDoc{{http.StatusOK, "", ""}},
	}, s.trustCRL)
}

type crlInput struct {
	Issuer string `path:"issuer" maxLength:"64"`
}

func (s *Server) trustCRL(ctx context.Context, _ *call, in *crlInput) (func(huma.Context), error) {
	if s.options.CRL == nil {
		return nil, fault.New(fault.NotFound, "this control plane has no local CA")
	}
	if in.Issuer == "current" {
		in.Issuer = ""
	}
	list, err := s.options.CRL(ctx, in.Issuer)
	if err != nil {
		return nil, err
	}
	return func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/pkix-crl")
		hc.SetHeader("Cache-Control", "public, max-age=3600")
		_, _ = hc.BodyWriter().Write(list) // a client that went away
	}, nil
}

func (s *Server) listAudit(ctx context.Context, c *call, in *listAuditInput) (*answer, error) {
	q := store.AuditQuery{Project: c.project, Actor: in.Actor, Action: in.Action, Limit: in.Limit, Cursor: in.Cursor}
	if c.project == access.Platform {
		q.Project = ""
	}
	list, next, err := s.db.AuditLog(ctx, q)
	if err != nil {
		return nil, err
	}
	out := AuditList{Records: []AuditRecord{}, NextCursor: next}
	for _, e := range list {
		out.Records = append(out.Records, AuditRecord{
			Seq: e.Seq, At: e.At, Actor: e.Actor, Action: e.Action, Target: e.Target, Project: e.Project, Detail: e.Detail,
			RequestID: e.RequestID, Hash: e.Hash,
		})
	}
	return &answer{Body: out}, nil
}

// noSite is the ID of no site. An empty list would select all.
const noSite = "-"

func (s *Server) getTraffic(ctx context.Context, c *call, in *trafficInput) (*answer, error) {
	q := traffic.Query{Window: time.Duration(in.Window) * time.Second, Step: time.Duration(in.Step) * time.Second}
	switch {
	case in.Domain != "":
		if c.project == access.Platform || c.environment == "" {
			return nil, fault.InvalidField("query:domain", "a domain is asked for without its project and environment", "name both")
		}
		d, err := s.domains.Get(ctx, c.project, c.environment, in.Domain)
		if err != nil {
			return nil, err
		}
		q.Sites = []string{d.ID}
	case c.project != access.Platform:
		err := s.eachDomain(ctx, c.project, c.environment, func(r resource.Resource) error {
			q.Sites = append(q.Sites, r.ID)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(q.Sites) == 0 {
			q.Sites = []string{noSite}
		}
	}
	series, err := s.traffic.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	out := Traffic{Window: series.Window, Step: series.Step, Series: []TrafficPoint{}, Totals: totalsOf(series.Totals)}
	for _, p := range series.Points {
		out.Series = append(out.Series, TrafficPoint{At: p.At, TrafficTotals: totalsOf(p.Totals)})
	}
	return &answer{Body: out}, nil
}

func totalsOf(t traffic.Totals) TrafficTotals {
	return TrafficTotals{
		Requests: t.Requests, Hits: t.Hits, Bytes: t.Bytes, OriginBytes: t.OriginBytes, Errors: t.Errors, OriginErrors: t.OriginErrors,
		Status: orEmpty(t.Status), Cache: orEmpty(t.Cache), Handshakes: t.Handshakes, Refused: orEmpty(t.Refused), P50MS: t.P50MS, P95MS: t.P95MS, P99MS: t.P99MS,
	}
}

func orEmpty(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

// backup streams. What fails after the first byte cuts the connection, so that
// half a backup does not look like a whole one.
func (s *Server) backup(_ context.Context, c *call, _ *empty) (func(huma.Context), error) {
	c.target = "platform"
	return func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			s.log.DebugContext(hc.Context(), "no write deadline to take off", slog.Any("error", err))
		}
		hc.SetHeader("Content-Type", "application/octet-stream")
		hc.SetHeader("Content-Disposition", `attachment; filename="edgewright-`+s.now().UTC().Format("20060102T150405Z")+`.backup"`)
		if err := s.db.Backup(hc.Context(), w); err != nil {
			s.log.ErrorContext(hc.Context(), "a backup was cut short", slog.String("request_id", requestFrom(hc.Context()).id), slog.Any("error", err))
			panic(http.ErrAbortHandler)
		}
	}, nil
}

func (s *Server) trustRoot(ctx context.Context, _ *call, _ *empty) (func(huma.Context), error) {
	if s.options.RootPEM == nil {
		return nil, fault.New(fault.NotFound, "this control plane has no local CA")
	}
	pem, err := s.options.RootPEM(ctx)
	if err != nil {
		return nil, err
	}
	return func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/x-pem-file")
		hc.SetHeader("Content-Disposition", `attachment; filename="edgewright-root.pem"`)
		_, _ = hc.BodyWriter().Write(pem) // a client that went away
	}, nil
}
