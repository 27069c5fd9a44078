package traffic

import (
	"context"
	"slices"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// What is kept of one zone: secondaries that got it, and those that did not. The
// oldest go first, so that whoever asks from ever new addresses displaces others
// of its sort at most.
const (
	KeepFetches = 32
	KeepFailed  = 16
)

// maxRollupFetches is what a rollup says of one zone at most.
const maxRollupFetches = edgeconfig.MaxFetchesOf + edgeconfig.MaxFailedOf

// Fetches returns what was last seen of the secondaries of a zone, by ID, newest
// first: of each what it got, and what it did not get.
func (s *Service) Fetches(ctx context.Context, zone string) ([]edgeconfig.Fetch, error) {
	return s.store.ZoneFetches(ctx, zone)
}

// checkFetches refuses what no edge says, and brings what one whose clock is
// ahead has seen to now, so that what comes after it is newer.
func checkFetches(r *edgeconfig.Rollup, now time.Time) error {
	if len(r.Fetches) > maxRollupZones {
		return fault.New(fault.Invalid, "rollup %s has fetches of %d zones", r.ID, len(r.Fetches))
	}
	for zone, list := range r.Fetches {
		if zone == "" || len(zone) > 100 || len(list) > maxRollupFetches || slices.ContainsFunc(list, func(f edgeconfig.Fetch) bool { return !f.Plausible() }) {
			return fault.New(fault.Invalid, "rollup %s has fetches of %q that cannot be", r.ID, zone)
		}
		for i := range list {
			if list[i].At.After(now) {
				list[i].At = now
			}
		}
	}
	return nil
}
