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
func withStore(ctx context.Context, o cli.StoreOptions, fn func(db *store.DB) error) error {
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
	return withStore(ctx, o, func(db *store.DB) error { return store.Restore(ctx, r, db) })
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
