// Package dns is the authoritative name server of an edge.
//
// Zones arrive as documents (edgeconfig.Zone, edgeconfig.ZonePart) and are
// compiled, off the path of queries, into immutable indexes: hash of
// (lower-cased name, type, DO) -> ready wire answer. A query costs a look-up of
// its zone, one or two of its answer, and a copy.
//
//	documents -> Apply -> model (zone.go)  what the zone says, owned by the writer
//	                   -> shards (shard.go, pack.go)  changed names only
//	                   -> index (index.go) -> one atomic pointer per zone
//
//	datagram or TCP message
//	  -> parse (message.go): header, question, OPT wherever it is      drop | FORMERR | NOTIMP | BADVERS
//	  -> zone (table.go): longest suffix                               REFUSED
//	  -> resolve (resolve.go): exact, CNAME chain, delegation, DNAME, wildcard
//	  -> denial (denial.go): SOA, NSEC or NSEC3
//	  -> limit (rrl.go), EDNS (edns.go), length: answer | TC | drop
//
// Everything an answer is made of is stored as it appears right behind the
// question that has the record's owner as its name, with pointers. Where it
// appears elsewhere (behind a longer question that a wildcard or a delegation
// answers, or behind a CNAME), its pointers are moved while it is copied.
//
// Two kinds of doors: UDP in batches from locked threads, one SO_REUSEPORT
// socket each (udp_linux.go), or net.UDPConn anywhere (udp.go); TCP, in clear or
// below TLS (tcp.go), where answers overtake the zone transfers of their
// connection. DNS over HTTPS comes in at the edge's HTTPS door and is answered by
// Exchange (secure.go).
//
// Each worker counts by itself, also per zone (counts.go); Take hands that to
// rollups, and TakeFetches what was last seen of secondaries (fetches.go).
//
// Secondaries get zones by AXFR and IXFR (transfer.go, history.go), a few at a
// time (gate.go), signed with TSIG (tsig.go), and are told of new versions (notify.go). What primaries of
// zones that are secondary here say is heard and passed on (heard.go).
//
// Nothing is allocated for a datagram.
package dns
