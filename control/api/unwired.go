package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgewright/edgewright/fault"
)

var errUnwired = fault.New(fault.Unavailable, "this part of the API is not connected to its room")

func (s *Server) listDomains(context.Context, *call, *listDomainsInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) addDomain(context.Context, *call, *addDomainInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getDomain(context.Context, *call, *domainPath) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) updateDomain(context.Context, *call, *patchDomainInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) removeDomain(context.Context, *call, *deleteDomainInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) verifyDomain(context.Context, *call, *verifyDomainInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) listCertificates(context.Context, *call, *listDomainsInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getCertificate(context.Context, *call, *domainPath) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) provision(context.Context, *call, *provisionInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) removeCertificate(context.Context, *call, *deleteDomainInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) listCDN(context.Context, *call, *listDomainsInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) configureCDN(context.Context, *call, *configureCDNInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getCDN(context.Context, *call, *cdnPath) (*answer, error) { return nil, errUnwired }
func (s *Server) replaceCDN(context.Context, *call, *replaceCDNInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) deleteCDN(context.Context, *call, *deleteCDNInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) purge(context.Context, *call, *newPurgeInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getPurge(context.Context, *call, *purgePath) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) listEdges(context.Context, *call, *InPage) (*answer, error) { return nil, errUnwired }
func (s *Server) getEdge(context.Context, *call, *edgePath) (*answer, error) { return nil, errUnwired }
func (s *Server) revokeEdge(context.Context, *call, *deleteEdgeInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) drainEdge(context.Context, *call, *drainInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) newJoinToken(context.Context, *call, *joinTokenInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) joinEdge(context.Context, *call, *joinInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) listRevisions(context.Context, *call, *listRevisionsInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getRevision(context.Context, *call, *revisionPath) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) revert(context.Context, *call, *revertInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) rollback(context.Context, *call, *rollbackInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) createPlan(context.Context, *call, *newPlanInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getPlan(context.Context, *call, *planPath) (*answer, error) { return nil, errUnwired }
func (s *Server) applyPlan(context.Context, *call, *applyInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) export(context.Context, *call, *InProject) (*answer, error) { return nil, errUnwired }
func (s *Server) listAudit(context.Context, *call, *listAuditInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getTraffic(context.Context, *call, *trafficInput) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) getOperation(context.Context, *call, *operationPath) (*answer, error) {
	return nil, errUnwired
}
func (s *Server) backup(context.Context, *call, *empty) (func(huma.Context), error) {
	return nil, errUnwired
}
func (s *Server) trustRoot(context.Context, *call, *empty) (func(huma.Context), error) {
	return nil, errUnwired
}
func (s *Server) events(context.Context, *call, *eventsInput) (func(huma.Context), error) {
	return nil, errUnwired
}
func (s *Server) addPages() {}
