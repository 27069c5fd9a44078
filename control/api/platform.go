package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/edgewright/edgewright/control/access"
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
	InProjectOnly
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
		level: onProject, resource: access.Operations, verb: access.Read, answers: []answerDoc{{http.StatusOK, OperationAnswer{}, ""}},
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
}
