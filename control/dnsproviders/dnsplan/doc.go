// Package dnsplan says what has to be done at a DNS provider so that a zone
// holds what is wanted. It is pure: no clock, no I/O.
//
// Types: RRset (all records of a name and type; the unit of everything here),
// Request (what is wanted, what was observed, who asks), Plan (data: steps,
// blocks, what is left alone, needs), Change (one RRset's part of a step).
//
// Phases: Make canonicalises what is wanted and observed -> reads the ownership
// markers -> compares set by set -> looks for what blocks (CNAME, delegation,
// proxy, CAA, somebody else's record) -> counts removals. A plan can be stored
// and shown. Resume makes it again from what is observed later: what is done
// already falls out, and anything that is not part of the plan shown makes it
// stale.
//
// Ownership: beside each RRset that it writes stands a TXT RRset, the marker
// (`_edgewright-a.www.example.com`), with the owner's name. A set without our
// marker is never changed or removed, unless the request takes it by name.
package dnsplan
