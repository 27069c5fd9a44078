package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/api"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// masterKeyEnv holds the master key for those who do not want it in a file.
const masterKeyEnv = "EDGEWRIGHT_MASTER_KEY"

// Names in the data directory of a control plane.
const (
	databaseFile  = "edgewright.db"
	masterKeyFile = "master.key"
	clientFile    = "client.json"    // how the command line on this machine reaches the API
	controlCAFile = "control-ca.pem" // signs the API's own certificate
	busConfigFile = "nats.conf"      // for the servers of an external bus
)

func keyring(data string) (*secrets.Keyring, error) {
	return secrets.LoadKeyring(filepath.Join(data, masterKeyFile), os.Getenv(masterKeyEnv))
}

// openStore opens the database of a data directory, or the one that dsn names.
func openStore(ctx context.Context, data, dsn string, log *slog.Logger) (*store.DB, error) {
	keys, err := keyring(data)
	if err != nil {
		return nil, err
	}
	if dsn == "" {
		dsn = filepath.Join(data, databaseFile)
	}
	return store.Open(ctx, dsn, keys, store.Options{Logger: log})
}

// withStore runs fn on the database of a command that works without a server.
//
// It makes no database: working on a new, empty one in place of the one that is
// meant (a control plane's on PostgreSQL) would lose the keys of that.
func withStore(ctx context.Context, o cli.StoreOptions, fn func(db *store.DB) error) error {
	if file := filepath.Join(o.Data, databaseFile); o.Database == "" {
		if _, err := os.Stat(file); err != nil {
			return fault.New(fault.NotFound, "there is no database %s: name the right directory with --data, or with --database the one your control plane runs on: %w", file, err)
		}
	}
	return useStore(ctx, o, fn)
}

func useStore(ctx context.Context, o cli.StoreOptions, fn func(db *store.DB) error) error {
	db, err := openStore(ctx, o.Data, o.Database, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	err = fn(db)
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}

func backup(ctx context.Context, o cli.StoreOptions, w io.Writer) error {
	return withStore(ctx, o, func(db *store.DB) error { return db.Backup(ctx, w) })
}

func restore(ctx context.Context, o cli.StoreOptions, r io.Reader) error {
	if _, err := os.Stat(filepath.Join(o.Data, masterKeyFile)); err != nil && os.Getenv(masterKeyEnv) == "" {
		return fault.New(fault.NotFound, "the master key that the backup was made under must be there first: copy %s into %s, or set %s", masterKeyFile, o.Data, masterKeyEnv)
	}
	_, err := os.Stat(filepath.Join(o.Data, databaseFile))
	made := o.Database == "" && err != nil
	err = useStore(ctx, o, func(db *store.DB) error { return store.Restore(ctx, r, db) })
	if err != nil && made { // leave the directory as it was, so that the next try is a first one
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(filepath.Join(o.Data, databaseFile+suffix))
		}
	}
	return err
}

func rotateMasterKey(ctx context.Context, o cli.StoreOptions) (keyID string, err error) {
	err = withStore(ctx, o, func(db *store.DB) error {
		rotation, err := db.RotateMasterKey(ctx)
		keyID = rotation.KeyID
		return err
	})
	return keyID, err
}

// loginLink works with the database alone, so that an operator who has the
// machine gets in when nothing else works.
func loginLink(ctx context.Context, o cli.StoreOptions) (link string, err error) {
	err = withStore(ctx, o, func(db *store.DB) error {
		service, err := access.New(access.Options{Store: db})
		if err != nil {
			return err
		}
		secret, err := service.IssueLoginLink(ctx, "", access.Caller{Actor: "system command line"})
		link = api.LoginURL(o.URL, secret)
		return err
	})
	return link, err
}
