// Package client is the Go client of the Edgewright API: what the CLI and the
// Terraform provider are built on, and what a program of yours may use.
//
//	c, err := client.New(client.Options{URL: "http://127.0.0.1:7070", Token: token})
//	added, err := c.AddDomain(ctx, client.AddDomain{Domain: "shop.localhost", AutoConfigure: true})
//	for d, err := range c.Domains(ctx) { ... }
//
// # Types
//
// Client is one connection's worth of settings: address, credentials, and the
// project and environment that calls are about (see Client.In). The other
// types are the JSON of the API with Go names; unknown fields and unknown enum
// values are kept out silently, so an older client reads a newer server.
//
// # Errors
//
// A call that the API refused returns an *Error. It unwraps to a *fault.Error,
// so fault.Is(err, fault.Stale) and the like work on it; its Fields carry JSON
// pointers into the request that was sent. Everything else (no connection, a
// proxy's HTML page) is a *fault.Error of code Unavailable, or the context's
// error.
//
// # Retries
//
// GET and keyed POST requests are repeated after a connection failed; those,
// PUT, PATCH and DELETE are repeated after a 429 or 503 that has a Retry-After.
// Every POST carries an Idempotency-Key that stays the same over its repeats,
// so a write happens once.
//
// # Concurrency
//
// Writes to something that exists take the revision the caller saw and are
// refused with fault.Stale when it is no longer the current one; revision 0
// stands for whatever is there. A Client may
// be used by several goroutines.
package client
