// Package store keeps resources, secrets, plans, the audit log and leases in
// SQL: SQLite on one machine, PostgreSQL for several control planes. It
// implements resource.Store, resource.Vault and resource.PlanStore, and is the
// package in which other rooms' tables have their methods too (one file a room).
//
// One SQL text serves both databases; dialect.go holds the few words in which
// they differ. What a new file needs to know:
//
//   - Placeholders are $1, $2, ... on both. Times are integers, Unix
//     microseconds (micros, fromMicros). JSON is TEXT and passed as a string,
//     []byte is for sealed or raw bytes only. Upserts are INSERT ... ON CONFLICT
//     (...) DO UPDATE SET x = excluded.x; RETURNING works.
//   - Write with db.write. One function runs at a time, on SQLite and on
//     PostgreSQL alike, also across control planes: what it has read stays true
//     until it commits. So it must be short and do nothing but SQL. Functions
//     that wait at the same moment share one transaction, and so one fsync; each
//     still succeeds or fails by itself. A nil error means it is on disk.
//   - Read with db.query and db.queryRow.
//   - A migration is one file in migrations/, NNNN_name.sql, with the words
//     {key} (an identifier: compared by bytes), {int} (64 bits) and {bytes}
//     where the databases' types differ. Ranges of numbers belong to rooms: 1-19
//     core, 20-39 fleet and traffic, 40-59 access and idempotency. No foreign
//     keys: backups restore table by table.
//   - Tests live in package store_test and run on both databases through
//     storetest.Each.
//
// Life of a write: db.write -> queue -> one transaction for all that wait ->
// COMMIT (fsync) -> watchers wake -> callers return.
package store
