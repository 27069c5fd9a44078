package edgeconfig

import "time"

// Subjects of the bus. Down subjects are published by the control plane only,
// up subjects by the named edge only; credentials enforce it.
//
//	edgewright.down.all              Document, to every edge
//	edgewright.down.<edge>           Document, to one edge
//	edgewright.down.manifest         Manifest, at a fixed cadence
//	edgewright.down.purge            Purge, to every edge
//	edgewright.up.<edge>.ack         Acknowledgement
//	edgewright.up.<edge>.purged      PurgeReport
//	edgewright.up.<edge>.heartbeat   Heartbeat
//	edgewright.up.<edge>.rollup      Rollup (with an ID, so that a repeat counts once)
//	edgewright.up.<edge>.entries     request EntriesRequest, reply Entries
//	edgewright.up.<edge>.documents   request DocumentsRequest, reply Documents
//	edgewright.up.<edge>.purges      request PurgesRequest, reply Purges
const (
	SubjectDown = "edgewright.down."
	SubjectUp   = "edgewright.up."
)

// Buckets is the number of parts a manifest is compared in.
const Buckets = 256

// Manifest is the constant-size summary that edges compare with what they
// hold, whatever has changed or not. Digest i covers the entries whose key's
// SHA-256 begins with byte i: see BucketOf and BucketDigest.
type Manifest struct {
	Seq      int64          `json:"seq"`     // grows with every document change
	PurgeSeq int64          `json:"purge"`   // the last purge
	Digests  map[int]string `json:"digests"` // per bucket, of documents with ScopeAll; an empty bucket is absent
	At       time.Time      `json:"at"`
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

// Entries answers EntriesRequest.
type Entries struct {
	Entries []Entry `json:"entries"`
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
// edge keeps what it had; Reason says why.
const (
	Applied  AckState = "applied"
	Verified AckState = "verified"
	Rejected AckState = "rejected"
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
	Edge  string    `json:"edge"`
	Items []AckItem `json:"items"`
	At    time.Time `json:"at"`
}

// Heartbeat tells that an edge lives and what it holds.
type Heartbeat struct {
	Edge      string         `json:"edge"`
	Region    string         `json:"region"`
	Version   string         `json:"version"`
	StartedAt time.Time      `json:"started_at"`
	At        time.Time      `json:"at"`
	HTTP      string         `json:"http"` // addresses as bound, "" when it has no listener
	HTTPS     string         `json:"https"`
	Simulated bool           `json:"simulated,omitempty"` // shares its machine with other edges of a laptop set-up
	Draining  bool           `json:"draining,omitempty"`
	PurgeSeq  int64          `json:"purge_seq"`
	Digests   map[int]string `json:"digests"` // of the documents it has applied
	Sites     int            `json:"sites"`
	Live      Counters       `json:"live"` // of the last second, all sites
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
	Purges []Purge `json:"purges"`
	Gap    bool    `json:"gap,omitempty"`
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
}

// HistogramBounds are the upper bounds of latency buckets in milliseconds; the
// last bucket is everything above.
var HistogramBounds = [...]float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000}

// Histogram counts observations per bucket of HistogramBounds.
type Histogram [len(HistogramBounds) + 1]int64

// Rollup is what one edge counted in one span, per site.
type Rollup struct {
	ID      string              `json:"id"` // edge, span start and span: a repeat is the same
	Edge    string              `json:"edge"`
	Region  string              `json:"region"`
	Start   time.Time           `json:"start"`
	Seconds int                 `json:"seconds"` // 60, or 1 for a live one
	Sites   map[string]Counters `json:"sites"`   // by site ID; "" for requests that met no site
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

// JoinReply gives an edge its identity.
type JoinReply struct {
	Edge       string   `json:"edge"`       // "edge_..."
	BusURL     string   `json:"bus_url"`    // tls://host:port
	BusRootPEM string   `json:"bus_root"`   // CA of the bus's TLS
	BusJWT     string   `json:"bus_jwt"`    // user credentials bound to BusKey, own subjects only
	TrustKeys  [][]byte `json:"trust_keys"` // Ed25519 public keys that sign documents
}
