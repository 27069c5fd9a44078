package edgeconfig

import (
	"net/netip"
	"time"
)

// Fetch is the last that an edge saw of one secondary in some time span: that it
// has asked for a zone, and what became of it. What a secondary has got and what
// it has not are told apart, so that a failure does not hide which version it has.
type Fetch struct {
	Client  string    `json:"client"`        // address
	Key     string    `json:"key,omitempty"` // name of the TSIG key, when it is one of the zone's; never another's
	Kind    FetchKind `json:"kind"`
	Outcome Fetched   `json:"outcome"`
	Serial  uint32    `json:"serial,omitempty"` // of the version that it has, or was being given
	At      time.Time `json:"at"`
}

// FetchKind is how a zone is given, or asked for when it is not: whole (AXFR,
// RFC 5936), or as what changed (IXFR, RFC 1995).
type FetchKind string

// The kinds.
const (
	FetchWhole      FetchKind = "axfr"
	FetchDifference FetchKind = "ixfr"
)

// Fetched is what became of a Fetch. A reader survives others than these: they
// are of a newer edge.
type Fetched string

// What becomes of a Fetch. The first two leave the secondary with the version.
const (
	FetchGiven        Fetched = "given"         // all of it was written
	FetchCurrent      Fetched = "current"       // it had that version
	FetchBroken       Fetched = "broken"        // the connection ended before it was written
	FetchSlow         Fetched = "slow"          // it was read so slowly that we ended it
	FetchLater        Fetched = "later"         // told to come again: too many at once, or not given any more
	FetchExpired      Fetched = "expired"       // the zone is a copy that is too old to be given on
	FetchUnsigned     Fetched = "unsigned"      // asked without a key
	FetchUnknownKey   Fetched = "unknown_key"   // no key of that name and algorithm
	FetchBadSignature Fetched = "bad_signature" // another secret
	FetchBadTime      Fetched = "bad_time"      // the clocks differ
	FetchForeignKey   Fetched = "foreign_key"   // signed well, with a key that the zone does not name
	FetchFromAfar     Fetched = "from_afar"     // not from an address that may ask
)

// Has reports whether the secondary has the version after that.
func (f Fetched) Has() bool { return f == FetchGiven || f == FetchCurrent }

// Bounds of the fetches of one rollup: of all zones, and of one zone those that
// got it and those that did not. What is more is told when it comes again.
const (
	MaxFetches       = 2048
	MaxFetchesFailed = 512
	MaxFetchesOf     = 16
	MaxFailedOf      = 8
)

// Plausible reports whether a fetch has the form of one.
func (f *Fetch) Plausible() bool {
	a, err := netip.ParseAddr(f.Client)
	return err == nil && a.Zone() == "" && a.Unmap().String() == f.Client &&
		len(f.Key) <= 1024 && word(string(f.Kind)) && word(string(f.Outcome)) && !f.At.IsZero()
}

// word reports whether s is a short name of lower-case letters.
func word(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
