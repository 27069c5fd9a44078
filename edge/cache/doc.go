// Package cache is HTTP caching for the edge: the semantics of RFC 9111 for a
// shared cache, and the memory that stored responses live in.
//
// # Types
//
//   - Cache: everything that is stored, for all sites. State is keyed by site
//     ID first, so that it survives configuration changes and one tenant's
//     appetite can be bounded.
//   - Rules, Rule: the compiled cache rules of one site. They belong to the
//     configuration and are passed with each request.
//   - Result: what Lookup found. Entry: one stored response, its header block
//     ready to send and its content in chunks. Neither look-up nor a fresh hit
//     allocates.
//   - Response: what Fetch answers, for the general lane.
//   - Storage, Sink, Content: where contents live; memory here, a disk tier is
//     a second implementation. Index, header blocks and freshness always stay
//     in memory.
//
// # Phases of a request
//
//	rule := site.Rules.Match(view)
//	result := cache.Lookup(site.ID, view, rule, now)
//	  1 classify    method, body, preconditions, rule          -> Bypass
//	  2 key         scheme, authority, path, keyed query, headers, cookies
//	  3 select      the stored variant that Vary allows         -> Miss
//	  4 freshness   response and request directives, the rule   -> Hit, Stale, Revalidate
//	result.Direct: a fresh hit that the stored header block answers as it is
//	otherwise: response, err := cache.Fetch(ctx, site.ID, view, &result, origin)
//	  5 collapse    wait for a fill of the same key, or lead one
//	  6 origin      with validators of what is stored, if any
//	  7 decide      may it be stored, may it be shared, for how long
//	  8 store       while streaming to everyone who waits
//	  9 answer      preconditions and ranges against the whole response
//
// A Stale result is answered at once and validated in the background
// (RFC 5861). A response that may not be shared is handed to the request that
// caused it and to no other; those who waited go on their own, and the key is
// remembered for a while so that nobody waits for it again.
//
// # What is stored
//
// What RFC 9111 section 3 allows a shared cache to store, and of that only what
// can be reused. Deliberately narrower than the RFC, for safety:
//
//   - A response with Set-Cookie is not stored, unless a qualified no-cache or
//     private directive names the field, which then is left out.
//   - Statuses shaped by request fields outside the key (400, 401, 403, 407,
//     408, 413, 415 to 417, 421, 425, 426, 428, 429, 431) are not stored, 206
//     and 304 never as complete responses.
//   - 5xx are kept for a minute at most. A rule's TTL applies to success and
//     redirects; to 404 and 410 for a minute at most; to other errors not.
//   - Without explicit freshness, only what has Last-Modified, came for a
//     request without Cookie, and for an hour at most.
//   - A GET with content is never answered from here nor stored (RFC 9110
//     section 9.3.1: such content has no defined meaning, and the key does not
//     hold it).
//   - A response delimited by the end of its connection is not stored: a cut
//     one cannot be told from a complete one.
//
// # Purge
//
// When Purge returns, none of the responses it covers is used for a request
// that begins afterwards: stored ones are gone, and fills and background
// validations in flight have been cut off from being stored or joined.
package cache
