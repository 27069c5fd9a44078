package api

import (
	"github.com/edgewright/edgewright/edgeconfig"
)

// unfetched says why a secondary did not get a zone, and what mends it.
var unfetched = map[edgeconfig.Fetched]struct{ error, fix string }{
	edgeconfig.FetchBroken:       {"the connection ended before all of the zone was sent", "look at the secondary's log, and at what is between it and the edge"},
	edgeconfig.FetchSlow:         {"it read so slowly that the edge ended the transfer", "look at the network between it and the edge; it may ask for differences (IXFR), which are shorter"},
	edgeconfig.FetchLater:        {"the edge had too many transfers at once, or the zone was just not given any more", "wait: it asks again by itself"},
	edgeconfig.FetchExpired:      {"the zone is a copy that has expired, and is not given on", "see why its primaries do not answer"},
	edgeconfig.FetchUnsigned:     {"it asked without a key", "give it the key and have it sign with it (\"edgewright dns tsig export\")"},
	edgeconfig.FetchUnknownKey:   {"there is no key of the name and algorithm that it signs with", "compare the key's name and algorithm on both sides (\"edgewright dns tsig list\")"},
	edgeconfig.FetchBadSignature: {"it has another secret for the key", "give it the key again (\"edgewright dns tsig export\")"},
	edgeconfig.FetchBadTime:      {"its clock and the edge's are more than five minutes apart", "set the clock, on both sides by NTP"},
	edgeconfig.FetchForeignKey:   {"it signs with a key that is not among this zone's", "name the key in the zone's transfers, or have it sign with one that is named"},
	edgeconfig.FetchFromAfar:     {"it asks from an address that may not", "add the address to those that may ask, when it is your secondary's"},
}

// fetchesOf is what edges saw of secondaries as it is told.
func fetchesOf(seen []edgeconfig.Fetch) []TransferFetch {
	out := []TransferFetch{}
	for _, f := range seen {
		told := TransferFetch{Address: f.Client, Key: f.Key, Kind: string(f.Kind), Outcome: string(f.Outcome), Serial: f.Serial, At: f.At}
		if why, ok := unfetched[f.Outcome]; ok {
			told.Error, told.Fix = why.error, why.fix
		} else if !f.Outcome.Has() {
			told.Error = "it did not get the zone (" + told.Outcome + ")" // a newer edge knows more
		}
		out = append(out, told)
	}
	return out
}
