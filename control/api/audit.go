package api

import (
	"context"
	"net/http"

	"github.com/edgewright/edgewright/control/access"
)

// AuditVerification is what a look through the whole audit log has found in
// order.
type AuditVerification struct {
	Entries int64  `json:"entries" doc:"How many entries there are"`
	Head    string `json:"head" doc:"The last entry's hash. Note it elsewhere: an audit log that was exchanged whole does not hold it any more"`
}

func (s *Server) addAudit() {
	add(s, op{
		method: http.MethodGet, path: "/api/v1/audit/verify", id: "audit-verify", tag: "Audit", summary: "Whether the audit log is what was written",
		doc:   "Recomputes the chain of hashes of the whole log. 409 says which entry was changed, removed, added or cut off.",
		level: onPlatform, resource: access.AuditLog, verb: access.Read, answers: []answerDoc{{http.StatusOK, AuditVerification{}, ""}},
	}, s.verifyAudit)
}

func (s *Server) verifyAudit(ctx context.Context, _ *call, _ *struct{}) (*answer, error) {
	state, err := s.db.VerifyAudit(ctx)
	if err != nil {
		return nil, err
	}
	return &answer{Body: AuditVerification(state)}, nil
}
