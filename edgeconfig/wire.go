package edgeconfig

import (
	"crypto/ed25519"
	"encoding/json"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Subjects of the bus. Down subjects are published by the control plane only,
// up subjects by the named edge only; credentials enforce it.
//
//	edgewright.down.all              Document, to every edge
//	edgewright.down.<edge>           Document, to one edge
//	edgewright.down.manifest         Manifest, at a fixed cadence
//	edgewright.down.purge            Purge, to every edge
//	_INBOX.<edge>.purge              Purge, once more, to an edge that did not report
//	edgewright.up.<edge>.ack         Acknowledgement
//	edgewright.up.<edge>.purged      PurgeReport
//	edgewright.up.<edge>.heartbeat   Heartbeat
//	edgewright.up.<edge>.rollup      Rollup (with an ID, so that a repeat counts once)
//	edgewright.up.<edge>.notice      Notice
//	edgewright.up.<edge>.probe       request ProbeReport, reply ProbeReply
//	edgewright.up.<edge>.manifest    request (empty), reply Manifest
//	edgewright.up.<edge>.entries     request EntriesRequest, reply Entries
//	edgewright.up.<edge>.documents   request DocumentsRequest, reply Documents
//	edgewright.up.<edge>.purges      request PurgesRequest, reply Purges
//	edgewright.up.<edge>.leave       request (empty), reply (empty): the edge goes for good
//
// A rollup may carry a reply subject; an empty reply then tells that it is
// stored. Replies go to the asking edge's own inboxes only (InboxPrefix).
const (
	SubjectDown = "edgewright.down."
	SubjectUp   = "edgewright.up."

	SubjectDownAll  = SubjectDown + "all"
	SubjectManifest = SubjectDown + "manifest"
	SubjectPurge    = SubjectDown + "purge"
)

// Notice is what an edge heard from a primary (RFC 1996): a secondary zone has
// another version there.
type Notice struct {
	Zone   string `json:"zone"` // ID
	Serial uint32 `json:"serial,omitempty"`
	Known  bool   `json:"known,omitempty"` // the notice had a serial
}

// SubjectDownTo is the subject of documents for one edge.
func SubjectDownTo(edge string) string { return SubjectDown + edge }

// SubjectPurgeTo is the subject of purges for one edge.
func SubjectPurgeTo(edge string) string { return InboxPrefix(edge) + ".purge" }

// SubjectUpOf is the subject on which an edge sends what ("ack", "purged", ...).
func SubjectUpOf(edge, what string) string { return SubjectUp + edge + "." + what }

// InboxPrefix is where an edge receives replies; the edge may subscribe to
// nothing below another edge's.
func InboxPrefix(edge string) string { return "_INBOX." + edge }

// Buckets is the number of parts a manifest is compared in.
const Buckets = 256

// Manifest is the constant-size summary that edges compare with what they
// hold, whatever has changed or not. Digest i covers the entries whose key's
// SHA-256 begins with byte i: see BucketOf and BucketDigest. Index.Manifest
// makes one.
type Manifest struct {
	Seq      int64           `json:"seq"`            // grows with every document change
	PurgeSeq int64           `json:"purge"`          // the last purge
	Root     string          `json:"root"`           // RootDigest of Digests: who holds the same has nothing to read in them
	Digests  json.RawMessage `json:"digests"`        // per bucket, of documents with ScopeAll; an empty bucket is absent: see ReadDigests
	Live     *LiveRequest    `json:"live,omitempty"` // somebody is watching
}

// ReadDigests returns the digest of every bucket that is not empty. Error:
// Invalid.
func (m *Manifest) ReadDigests() (map[int]string, error) {
	var digests map[int]string
	if len(m.Digests) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(m.Digests, &digests); err != nil {
		return nil, fault.New(fault.Invalid, "the manifest's digests are not understood: %w", err)
	}
	return digests, nil
}

// LiveRequest asks edges for rollups of short spans, while somebody watches.
type LiveRequest struct {
	Seconds int       `json:"seconds"` // span of each; longer when the fleet is large
	Until   time.Time `json:"until"`
}

// Entry names one version of one document.
type Entry struct {
	Key      string `json:"key"`
	Revision int64  `json:"revision"`
	Hash     string `json:"hash"`
}

// EntriesRequest asks for the entries of some buckets, tombstones included,
// and with Own for those scoped to the asking edge.
type EntriesRequest struct {
	Buckets []int `json:"buckets,omitempty"`
	Own     bool  `json:"own,omitempty"`
}

// Entries answers EntriesRequest. Buckets lists those that are answered, and
// answered in full; what did not fit one reply is asked for again.
type Entries struct {
	Entries []Entry `json:"entries"`
	Buckets []int   `json:"buckets,omitempty"`
	Own     bool    `json:"own,omitempty"` // the edge's own are among the entries, all of them
}

// DocumentsRequest asks for documents by key. Keys beyond what fits one reply
// are left out of the answer and asked for again.
type DocumentsRequest struct {
	Keys []string `json:"keys"`
}

// Documents answers DocumentsRequest.
type Documents struct {
	Documents []Document `json:"documents"`
}

// AckState is how far a document has come on one edge.
type AckState string

// Applied: the running configuration holds it. Verified: the edge asked itself
// over its own listener and got the answer of that revision. Rejected: the
// edge keeps what it had; Reason says why. Ahead: the edge holds this revision,
// which the control plane does not know (it was restored from a backup), and
// asks for a newer one or a tombstone.
const (
	Applied  AckState = "applied"
	Verified AckState = "verified"
	Rejected AckState = "rejected"
	Ahead    AckState = "ahead"
)

// AckItem is the state of one document on one edge.
type AckItem struct {
	Key      string   `json:"key"`
	Revision int64    `json:"revision"`
	State    AckState `json:"state"`
	Reason   string   `json:"reason,omitempty"`
}

// Acknowledgement reports items, many at once after a catch-up.
type Acknowledgement struct {
	Edge   string    `json:"edge"`
	Items  []AckItem `json:"items"`
	At     time.Time `json:"at"`
	Digest string    `json:"digest,omitempty"` // with Own, as a heartbeat's: an edge need not beat because something changed
	Own    string    `json:"own,omitempty"`
	// Verified, as a heartbeat's.
	Verified bool `json:"verified,omitempty"`
}

// Heartbeat tells that an edge lives and what it holds.
type Heartbeat struct {
	Edge      string    `json:"edge"`
	Region    string    `json:"region"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	At        time.Time `json:"at"`
	HTTP      string    `json:"http"` // addresses as bound, "" when it has no listener
	HTTPS     string    `json:"https"`
	DNS       string    `json:"dns,omitempty"`
	Simulated bool      `json:"simulated,omitempty"` // shares its machine with other edges of a laptop set-up
	Draining  bool      `json:"draining,omitempty"`
	PurgeSeq  int64     `json:"purge_seq"`
	Digest    string    `json:"digest"`             // RootDigest of the documents with ScopeAll it has applied
	Own       string    `json:"own"`                // RootDigest of the documents with its own scope
	Verified  bool      `json:"verified,omitempty"` // since its start the edge has asked itself about every document of Digest and Own
	Rejected  int       `json:"rejected"`           // documents of which it keeps an older version; Digest and Own are "" then
	Sites     int       `json:"sites"`
	Live      Counters  `json:"live"` // of the last second, all sites
}

// Purge removes stored responses. It is kept by number: an edge that was away
// asks for the numbers it missed.
type Purge struct {
	Seq         int64     `json:"seq"`
	ID          string    `json:"id"` // "prg_..."
	Project     string    `json:"project_id"`
	Environment string    `json:"environment"`
	Sites       []string  `json:"sites,omitempty"` // site IDs; empty: all of project and environment
	Paths       []string  `json:"paths,omitempty"` // "/a", "/img/*" (prefix), or a full URL; empty with All
	All         bool      `json:"all,omitempty"`
	At          time.Time `json:"at"`
	Signature   []byte    `json:"signature"` // as Document's, over SigningInput
}

// SigningInput is what the signature of a purge covers: all of it.
func (p *Purge) SigningInput() []byte {
	b := make([]byte, 0, 256)
	b = append(b, "edgewright purge v1\n"...)
	b = strconv.AppendInt(b, p.Seq, 10)
	for _, s := range []string{p.ID, p.Project, p.Environment, strconv.FormatBool(p.All), p.At.UTC().Format(time.RFC3339Nano)} {
		b = append(b, '\n')
		b = strconv.AppendQuote(b, s)
	}
	for _, list := range [][]string{p.Sites, p.Paths} {
		b = append(b, '\n')
		b = strconv.AppendInt(b, int64(len(list)), 10)
		for _, s := range list {
			b = append(b, ' ')
			b = strconv.AppendQuote(b, s)
		}
	}
	return b
}

// Sign sets Signature.
func (p *Purge) Sign(key ed25519.PrivateKey) { p.Signature = ed25519.Sign(key, p.SigningInput()) }

// Verify checks the signature against the control plane's public keys. Error:
// Forbidden.
func (p *Purge) Verify(keys []ed25519.PublicKey) error {
	input := p.SigningInput()
	for _, k := range keys {
		if len(k) == ed25519.PublicKeySize && ed25519.Verify(k, input, p.Signature) {
			return nil
		}
	}
	return fault.New(fault.Forbidden, "purge %d is not signed by a control plane this edge trusts", p.Seq)
}

// PurgeReport acknowledges a purge: when it is sent, no stale byte is served
// any more by this edge, fills in flight included.
type PurgeReport struct {
	Edge  string    `json:"edge"`
	Seq   int64     `json:"seq"`
	Count int       `json:"count"` // objects removed
	At    time.Time `json:"at"`
}

// PurgesRequest asks for purges after a number.
type PurgesRequest struct {
	Since int64 `json:"since"`
}

// Purges answers PurgesRequest. With Gap, older ones are no longer known and
// the edge must drop everything it holds.
type Purges struct {
	Purges []Purge `json:"purges"` // as many as fit one reply, in order
	Gap    bool    `json:"gap,omitempty"`
	Last   int64   `json:"last"` // the last number there is
}

// Counters of some time span.
type Counters struct {
	Requests     int64            `json:"requests"`
	Bytes        int64            `json:"bytes"`                // response bytes to clients, headers left out
	OriginBytes  int64            `json:"origin_bytes"`         // response bytes from origins
	Status       [6]int64         `json:"status"`               // by class; index 1 to 5
	Cache        map[string]int64 `json:"cache,omitempty"`      // outcome (hit, miss, stale, revalidated, bypass, none) -> requests
	LatencyMS    Histogram        `json:"latency_ms"`           // to the first byte of the response
	OriginErrors int64            `json:"origin_errors"`        // no usable response from an origin
	Handshakes   int64            `json:"handshakes,omitempty"` // TLS handshakes completed
	HandshakeErr int64            `json:"handshake_err,omitempty"`
	Refusals     map[string]int64 `json:"handshake_refusals,omitempty"` // of HandshakeErr, by reason
}

// RefusalReasons are the keys of Counters.Refusals; what is none of them counts
// as the last.
var RefusalReasons = []string{"no_certificate", "version", "cipher", "alpn", "no_challenge", "client_refused", "client_left", "not_tls", "timeout", "other"}

// Add adds o to c.
func (c *Counters) Add(o Counters) {
	c.Requests += o.Requests
	c.Bytes += o.Bytes
	c.OriginBytes += o.OriginBytes
	for i, n := range o.Status {
		c.Status[i] += n
	}
	if len(o.Cache) > 0 && c.Cache == nil {
		c.Cache = make(map[string]int64, len(o.Cache))
	}
	for outcome, n := range o.Cache {
		c.Cache[outcome] += n
	}
	for i, n := range o.LatencyMS {
		c.LatencyMS[i] += n
	}
	c.OriginErrors += o.OriginErrors
	c.Handshakes += o.Handshakes
	c.HandshakeErr += o.HandshakeErr
	if len(o.Refusals) > 0 && c.Refusals == nil {
		c.Refusals = make(map[string]int64, len(o.Refusals))
	}
	for reason, n := range o.Refusals {
		c.Refusals[reason] += n
	}
}

// HistogramBounds are the upper bounds of latency buckets in milliseconds; the
// last bucket is everything above.
var HistogramBounds = [...]float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000}

// Histogram counts observations per bucket of HistogramBounds.
type Histogram [len(HistogramBounds) + 1]int64

// Quantile estimates the q-th quantile (0 to 1) in milliseconds, by linear
// interpolation within a bucket; the last bucket answers its lower bound. It is
// 0 when nothing was observed.
func (h *Histogram) Quantile(q float64) float64 {
	var total int64
	for _, n := range h {
		total += n
	}
	rank, seen := q*float64(total), 0.0
	for i, n := range h {
		if n == 0 || seen+float64(n) < rank {
			seen += float64(n)
			continue
		}
		low := 0.0
		if i > 0 {
			low = HistogramBounds[i-1]
		}
		if i == len(HistogramBounds) {
			return low
		}
		return low + (HistogramBounds[i]-low)*(rank-seen)/float64(n)
	}
	return 0
}

// Rollup is what one edge counted and saw in one span, per site and per zone.
type Rollup struct {
	ID      string              `json:"id"` // edge, span start and span: a repeat is the same
	Edge    string              `json:"edge"`
	Region  string              `json:"region"`
	Start   time.Time           `json:"start"`
	Seconds int                 `json:"seconds"` // 60, or 1 for a live one
	Sites   map[string]Counters `json:"sites"`   // by site ID; "" for requests that met no site
	// Zones are by zone ID. Live ones have none.
	Zones map[string]ZoneCounters `json:"zones,omitempty"`
	// Fetches are who asked for zones whole, by zone ID: what was last seen of each,
	// in no order. Live ones have none.
	Fetches map[string][]Fetch `json:"fetches,omitempty"`
}

// JoinRequest is posted over HTTPS to the control plane by a new edge.
type JoinRequest struct {
	Token      string `json:"token"` // one-time join token
	Region     string `json:"region"`
	Name       string `json:"name,omitempty"`
	BusKey     string `json:"bus_key"`     // the edge's public NKey
	SealingKey []byte `json:"sealing_key"` // the edge's public key for secrets.SealTo
	Version    string `json:"version"`
	Simulated  bool   `json:"simulated,omitempty"`
}

// BusServerName is the name in the certificate of a control plane's own bus,
// whatever address it is dialled by: its root signs nothing else.
const BusServerName = "bus.edgewright.internal"

// JoinReply gives an edge its identity.
type JoinReply struct {
	Edge          string   `json:"edge"`   // "edge_..."
	Region        string   `json:"region"` // the token's, when it names one
	Name          string   `json:"name"`
	BusURL        string   `json:"bus_url"`         // tls://host:port; an empty host is that of the API
	BusRootPEM    string   `json:"bus_root"`        // CA of the bus's TLS; "": the system's roots
	BusServerName string   `json:"bus_server_name"` // name to verify; "": the host dialled
	BusJWT        string   `json:"bus_jwt"`         // user credentials bound to BusKey, own subjects only
	TrustKeys     [][]byte `json:"trust_keys"`      // Ed25519 public keys that sign documents
}
