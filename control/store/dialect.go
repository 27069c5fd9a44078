package store

import "strings"

// dialect holds everything in which the two databases differ.
type dialect struct {
	name string

	// begin opens a writing transaction.
	begin string
	// forUpdate, after a SELECT, locks the rows it found until the end of the
	// transaction. SQLite's write lock already covers the database.
	forUpdate string
	// notify, run inside a transaction, tells other processes of its commit; ""
	// when there is no such thing and they poll.
	notify string
	// now is the database's clock in Unix microseconds, which several control
	// planes share; "" when the process's clock is the only one.
	now string
	// tables lists the names of all tables of the schema.
	tables string
	// types translates the words of migrations.
	types *strings.Replacer
}

// changesChannel is the channel of PostgreSQL's LISTEN and NOTIFY.
const changesChannel = "edgewright_changes"

var sqliteDialect = dialect{
	name:   "sqlite",
	begin:  "BEGIN IMMEDIATE",
	tables: `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
	types:  strings.NewReplacer("{key}", "TEXT", "{int}", "INTEGER", "{bytes}", "BLOB"),
}

var postgresDialect = dialect{
	name:      "postgres",
	begin:     "BEGIN ISOLATION LEVEL READ COMMITTED",
	forUpdate: " FOR UPDATE",
	notify:    "NOTIFY " + changesChannel,
	now:       "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
	tables: `SELECT table_name FROM information_schema.tables
		WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name`,
	// Keys compare by bytes as in SQLite, whatever the database's locale.
	types: strings.NewReplacer("{key}", `TEXT COLLATE "C"`, "{int}", "BIGINT", "{bytes}", "BYTEA"),
}
