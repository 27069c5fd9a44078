package api

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/custom"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/readiness"
	"github.com/edgewright/edgewright/control/certificates/replacement"
	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/traffic"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Replays keeps answers to requests with an Idempotency-Key. store.DB is one.
type Replays interface {
	BeginReplay(ctx context.Context, principal, key, holder string, hash []byte, abandoned, expires time.Time) (replay store.Replay, claimed bool, err error)
	FinishReplay(ctx context.Context, principal, key, holder string, replay store.Replay) error
	DropReplay(ctx context.Context, principal, key, holder string) error
	DeleteOldReplays(ctx context.Context, now time.Time) error
}

// Operations keeps long work. store.DB is one.
type Operations interface {
	PutOperation(ctx context.Context, o store.Operation) error
	Operation(ctx context.Context, id string) (store.Operation, error)
	LastOperation(ctx context.Context, target string) (store.Operation, error)
}

// Records reads the audit log and tells whether it is what was written. store.DB is one.
type Records interface {
	AuditLog(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, string, error)
	VerifyAudit(ctx context.Context) (store.AuditState, error)
}

// Backups writes a consistent copy of everything. store.DB is one.
type Backups interface {
	Backup(ctx context.Context, w io.Writer) error
}

// Database is what the API needs of the database besides resources.
type Database interface {
	resource.Store
	resource.PlanStore
	Replays
	Operations
	Records
	Backups
}

// Edges manages edge nodes. fleet.Fleet is one.
type Edges interface {
	Edges(ctx context.Context) ([]fleet.Edge, error)
	Edge(ctx context.Context, idOrName string) (fleet.Edge, error)
	Drain(ctx context.Context, idOrName string, draining bool, cause resource.Cause) (fleet.Edge, error)
	Revoke(ctx context.Context, idOrName string, cause resource.Cause) error
	NewJoinToken(ctx context.Context, region string, ttl time.Duration) (fleet.JoinToken, error)
	Join(ctx context.Context, r edgeconfig.JoinRequest) (edgeconfig.JoinReply, error)
}

// Holder tells which removals the fleet has held back because they would have
// emptied much of a kind, and lets them go. fleet.Fleet is one.
type Holder interface {
	Held() []fleet.Held
	ReleaseHeld(ctx context.Context, kind string) (int, error)
}

// Rollouts tells how far configuration has come, and drops caches. fleet.Fleet
// is one.
type Rollouts interface {
	Rollout(revision int64) fleet.Rollout
	DocumentState(key string) fleet.Rollout
	Purge(ctx context.Context, r fleet.PurgeRequest) (fleet.PurgeState, error)
	PurgeState(ctx context.Context, id string) (fleet.PurgeState, error)
	Subscribe(live bool) (events <-chan fleet.Event, cancel func())
}

// Fleet is all edges.
type Fleet interface {
	Edges
	Holder
	Rollouts
	Watcher
}

// TrafficSource answers what edges counted. traffic.Service is one.
type TrafficSource interface {
	Query(ctx context.Context, q traffic.Query) (traffic.Series, error)
	Queries(ctx context.Context, zones []string, window, step time.Duration) (traffic.QuerySeries, error)
	Fetches(ctx context.Context, zone string) ([]edgeconfig.Fetch, error)
}

// Certificates are the use cases of certificates. provision.Service is one.
type Certificates interface {
	PlanProvision(ctx context.Context, r provision.Request) (resource.Plan, error)
	Provision(ctx context.Context, r provision.Request, cause resource.Cause) (certificates.Certificate, error)
	PlanRenew(ctx context.Context, project, environment, domain string, set provision.Settings) (resource.Plan, error)
	Renew(ctx context.Context, project, environment, domain string, set provision.Settings, cause resource.Cause) (certificates.Certificate, error)
	Upload(ctx context.Context, r custom.UploadRequest, cause resource.Cause) (certificates.Certificate, error)
	Get(ctx context.Context, project, environment, domain string) (certificates.Certificate, error)
	List(ctx context.Context, project, environment string, limit int, cursor string) ([]certificates.Certificate, string, error)
	PlanDelete(ctx context.Context, project, environment, domain string, ifRevision int64) (resource.Plan, error)
	Delete(ctx context.Context, project, environment, domain string, ifRevision int64, cause resource.Cause) error
	CertificateActions
	AuthorityStates(ctx context.Context) ([]readiness.AuthorityState, error)
}

// CertificateActions are what is done with one certificate besides.
type CertificateActions interface {
	PlanUpload(ctx context.Context, r custom.UploadRequest) (resource.Plan, error)
	PlanChange(ctx context.Context, project, environment, domain string, set provision.Settings, ifRevision int64) (resource.Plan, error)
	Change(ctx context.Context, project, environment, domain string, set provision.Settings, ifRevision int64, cause resource.Cause) (certificates.Certificate, error)
	PlanRevoke(ctx context.Context, project, environment, domain, reason string) (resource.Plan, error)
	Revoke(ctx context.Context, project, environment, domain, reason string, cause resource.Cause) (certificates.Certificate, error)
	Export(ctx context.Context, project, environment, domain, password string) (provision.Exported, certificates.Certificate, error)
	Chain(ctx context.Context, c certificates.Certificate) ([]*x509.Certificate, error)
	Requests(ctx context.Context, project, environment, domain string) ([]custom.Request, error)
	NewRequest(ctx context.Context, project, environment, domain string, extra []string, keyType pki.KeyType, subject pki.Subject) (custom.Request, error)
	CheckReadiness(ctx context.Context, project, environment, domain string, extra []string, challenge certificates.Challenge) (readiness.Readiness, error)
}

// Authorities are the CAs that the operator adds. authority.Service is one.
type Authorities interface {
	CA(ctx context.Context, name string) (authority.CA, error)
	PutCA(ctx context.Context, name string, spec authority.Spec, mac string, ifRevision int64, keep bool) (resource.Plan, error)
	DeleteCA(ctx context.Context, name string, ifRevision int64) (resource.Plan, error)
	Order(ctx context.Context, names []string) (resource.Plan, error)
}

// Replacements are the mass replacements of certificates. replacement.Service is
// one.
type Replacements interface {
	Plan(ctx context.Context, spec replacement.Spec) (resource.Plan, replacement.Status, error)
	Run(ctx context.Context, id string) (replacement.Run, error)
	List(ctx context.Context, limit int, cursor string) ([]replacement.Run, string, error)
	PlanRun(ctx context.Context, id string, want replacement.State) (resource.Plan, error)
}

// raw is a JSON document under construction.
func raw(v any) (json.RawMessage, error) { return json.Marshal(v) }
