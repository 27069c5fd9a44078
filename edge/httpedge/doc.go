// Package httpedge is the edge's HTTP doors: it accepts HTTP/1.1, HTTP/2 and
// HTTP/3, and takes each request through its phases to an answer.
//
// # Types
//
//   - Server: listeners, limits, drain. It asks Options.Current for the Runtime.
//   - Runtime: the configuration in force, declared here, made by edge/node. A
//     request takes it once and keeps it to the end.
//   - Site: one site, compiled for the request path.
//   - exchange: one request on its way; the phases are its methods.
//
// # Phases
//
// Each phase is one function; it ends the request by answering, or lets the
// next one go on. They are listed, in this order, in the variable phases.
//
//	accept      connections are counted and bounded                        accept.go
//	TLS         handshake; SNI chooses policy and certificate              accept.go
//	            what does not complete is counted, by site and reason      refusal.go
//	parse       framing is checked (package framing), then net/http, http3
//	normalise   target and authority, once for all that follows            normalise.go
//	verify      the node asks itself which revision is in force            challenge.go
//	challenge   ACME HTTP-01 answers                                       challenge.go
//	resolve     DNS over HTTPS, at hosts of name servers                   doh.go
//	findSite    unknown host: 421; host outside the connection's certificate: 421
//	admit       body bound, loops, methods no proxy passes on              site.go
//	redirect    http -> https 308, HSTS                                    site.go
//	tunnel      WebSocket, by Upgrade or extended CONNECT                  tunnel.go
//	lookup      cache: a fresh hit is answered from its stored header      cached.go
//	forward     collapse -> balance -> origin -> store -> answer           forward.go
//	account     counters, access log; a panic becomes this site's 500     exchange.go
//
// Below: package framing checks HTTP/1 before net/http reads it, upstream carries
// requests to origins, handover and packets pass the sockets to a successor
// process, xconnect makes net/http offer WebSocket over HTTP/2.
//
// Shield will stand between findSite and redirect, transforms before the
// answer is written.
//
// What the client sends about itself is not believed: Forwarded and
// X-Forwarded-* are overwritten, X-Request-Id is the edge's own, and the Host
// that an origin sees carries the port of the edge's configuration.
package httpedge
