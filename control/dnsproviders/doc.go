// Package dnsproviders is the room of DNS providers: a project's credentials at
// Cloudflare, Route 53 or whatever a driver exists for, and what is done with
// them.
//
// Types: Spec (driver, generation of the credentials), Status (what the last
// test found), Provider (the resource), Reconciler (credentials go with their
// provider), DriverType (one row of the table that cmd builds), Credentials (only
// in the Vault, under "dnsprovider/<id>/<generation>", and only ever written).
//
// Use cases: Service.Create, Replace (credentials), Get, List, Delete, Test,
// Zones, Accounts; Plan and Apply (records of a domain, by dnsplan); PresentTXT
// (ACME DNS-01). Records sets those of domains for control/domains.
//
// Interfaces needed: resource.Store, resource.ListedVault, Driver, Users. Optional
// abilities of a Driver: Batcher (several changes as one), Settler (says when its
// name servers have them), Looker (reads one name), Limited (what it can store).
// A driver reports trouble as *Error, which says in a word why, and what to do.
//
// Phases of an apply: observe the zone -> dnsplan.Resume (drop what is done,
// refuse what is stale) -> batches, each of whole names -> wait until the
// provider's name servers have them. A failure half way keeps what is done; the
// same plan, applied again, goes on.
package dnsproviders
