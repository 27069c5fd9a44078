// Package storetest gives tests real databases: SQLite in a temporary
// directory, and PostgreSQL, started by the test binary itself from Debian's
// package.
//
//	storetest.Each(t, func(t *testing.T, db *store.DB) { ... })
//
// runs a test on both. One PostgreSQL server serves a test binary, with a fresh
// database for each test; it ends with the binary, however that ends. With
// EDGEWRIGHT_TEST_POSTGRES set to a URL of a server (a superuser's, or one who may
// create databases), that one is used. Without either, tests fail and say what to
// install.
package storetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/secrets"
)

// Each runs fn as a subtest on an empty store of each database.
func Each(t *testing.T, fn func(t *testing.T, db *store.DB)) {
	t.Helper()
	EachWith(t, store.Options{}, fn)
}

// EachWith is Each with options.
func EachWith(t *testing.T, o store.Options, fn func(t *testing.T, db *store.DB)) {
	t.Helper()
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": MigratedDSN, "postgres": MigratedPostgresDSN} {
		t.Run(name, func(t *testing.T) { fn(t, Open(t, dsn(t), Keyring(t), o)) })
	}
}

// EachDSN runs fn as a subtest with the name of an empty database of each sort,
// for tests that open it themselves.
func EachDSN(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLiteDSN(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, PostgresDSN(t)) })
}

// SQLite returns an empty store on SQLite, for tests whose subject is not the
// store.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, MigratedDSN(t), Keyring(t), store.Options{})
}

// migrated is an empty database whose schema is made: making it takes the better
// part of a test's time.
var migrated = sync.OnceValues(func() (database []byte, err error) {
	dir, err := os.MkdirTemp("", "edgewright-store-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "edgewright.db")
	if err := store.Migrate(context.Background(), path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// MigratedDSN names a database that exists and holds nothing but the schema.
func MigratedDSN(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edgewright.db")
	if err := WriteMigrated(path); err != nil {
		t.Fatalf("making a database: %v", err)
	}
	return "sqlite://" + path
}

// WriteMigrated makes such a database at path.
func WriteMigrated(path string) error {
	database, err := migrated()
	if err != nil {
		return err
	}
	return os.WriteFile(path, database, 0o600)
}

// Postgres returns an empty store on PostgreSQL.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, MigratedPostgresDSN(t), Keyring(t), store.Options{})
}

// SQLiteDSN names a database that does not exist yet.
func SQLiteDSN(t testing.TB) string {
	return "sqlite://" + filepath.Join(t.TempDir(), "edgewright.db")
}

// Open opens a store and closes it when the test ends.
func Open(t testing.TB, dsn string, keys *secrets.Keyring, o store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), dsn, keys, o)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return db
}

// Keyring returns a keyring with one new key in a temporary file.
func Keyring(t testing.TB) *secrets.Keyring {
	t.Helper()
	keys, err := secrets.LoadKeyring(filepath.Join(t.TempDir(), "master.key"), "")
	if err != nil {
		t.Fatalf("making a master key: %v", err)
	}
	return keys
}
