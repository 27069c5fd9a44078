package store_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

func TestVault(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		_, err := db.Secret(ctx, "certificate/1")
		wantCode(t, err, fault.NotFound)
		for _, value := range []string{"first", "second", ""} {
			if err := db.PutSecret(ctx, "certificate/1", []byte(value)); err != nil {
				t.Fatal(err)
			}
			if got, err := db.Secret(ctx, "certificate/1"); err != nil || string(got) != value {
				t.Fatalf("secret is %q, %v", got, err)
			}
		}
		for range 2 {
			if err := db.DeleteSecret(ctx, "certificate/1"); err != nil {
				t.Fatal(err)
			}
		}
		_, err = db.Secret(ctx, "certificate/1")
		wantCode(t, err, fault.NotFound)
		for _, name := range []string{"zone/ä/2", "zone/ä/1", "zone/äb/1", "zones/1"} {
			if err := db.PutSecret(ctx, name, nil); err != nil {
				t.Fatal(err)
			}
		}
		names, err := db.SecretNames(ctx, "zone/ä/")
		if err != nil || fmt.Sprint(names) != "[zone/ä/1 zone/ä/2]" {
			t.Fatalf("%v, %v", names, err)
		}
		wantCode(t, db.PutSecret(ctx, "", nil), fault.Invalid)
		wantCode(t, db.PutSecret(ctx, "large", make([]byte, 2<<20)), fault.TooLarge)
	})
}

// A secret appears nowhere: not in a backup, which holds every table.
func TestSecretsAreSealedAtRest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		plaintext := []byte("-----BEGIN PRIVATE KEY----- of a test")
		if err := db.PutSecret(context.Background(), "certificate/1", plaintext); err != nil {
			t.Fatal(err)
		}
		var dump bytes.Buffer
		if err := db.Backup(context.Background(), &dump); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(dump.Bytes(), []byte("certificate/1")) || bytes.Contains(dump.Bytes(), plaintext[5:20]) {
			t.Fatal("the backup lacks the secret, or shows it")
		}
	})
}

func TestStoreWithoutKeysRefusesSecrets(t *testing.T) {
	db := storetest.Open(t, storetest.SQLiteDSN(t), nil, store.Options{})
	ctx := context.Background()
	wantCode(t, db.PutSecret(ctx, "a", nil), fault.Unavailable)
	_, err := db.Secret(ctx, "a")
	wantCode(t, err, fault.Unavailable)
	wantCode(t, tryCommit(db, creation("p", "a", `{}`)), fault.Unavailable) // it could not be audited
	_, err = db.VerifyAudit(ctx)
	wantCode(t, err, fault.Unavailable)
}

// Rotation runs while this control plane and another one, with a keyring of its
// own on the same file, write and read secrets.
func TestRotateMasterKeyWhileRunning(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		path := filepath.Join(t.TempDir(), "master.key")
		planes := make([]*store.DB, 2)
		for i := range planes {
			keys, err := secrets.LoadKeyring(path, "")
			if err != nil {
				t.Fatal(err)
			}
			planes[i] = storetest.Open(t, dsn, keys, store.Options{})
		}
		const old = 450 // more than two batches
		var fill sync.WaitGroup
		for part := range 10 {
			fill.Go(func() {
				for i := part; i < old; i += 10 {
					if err := planes[0].PutSecret(ctx, fmt.Sprint("old/", i), fmt.Append(nil, i)); err != nil {
						t.Errorf("filling: %v", err)
					}
				}
			})
		}
		fill.Wait()

		rotated := make(chan struct{})
		var group sync.WaitGroup
		written := make([]int, len(planes))
		for p, plane := range planes {
			group.Go(func() {
				for {
					name := fmt.Sprint("new/", p, "/", written[p])
					if err := plane.PutSecret(ctx, name, []byte(name)); err != nil {
						t.Errorf("putting while rotating: %v", err)
						return
					}
					if got, err := plane.Secret(ctx, "old/7"); err != nil || string(got) != "7" {
						t.Errorf("reading while rotating: %q, %v", got, err)
					}
					written[p]++
					select {
					case <-rotated:
						return
					default:
					}
				}
			})
		}
		rotation, err := planes[0].RotateMasterKey(ctx)
		close(rotated)
		group.Wait()
		if err != nil || rotation.Rewrapped < old {
			t.Fatalf("rotation %+v, %v", rotation, err)
		}

		// Who starts now has the new key only, and reads everything.
		keys, err := secrets.LoadKeyring(path, "")
		if err != nil {
			t.Fatal(err)
		}
		if ids := keys.IDs(); len(ids) != 1 || ids[0] != rotation.KeyID {
			t.Fatalf("after the rotation to %s the key file holds %v", rotation.KeyID, ids)
		}
		fresh := storetest.Open(t, dsn, keys, store.Options{})
		for i := range old {
			if got, err := fresh.Secret(ctx, fmt.Sprint("old/", i)); err != nil || string(got) != fmt.Sprint(i) {
				t.Fatalf("old/%d is %q, %v", i, got, err)
			}
		}
		for p, n := range written {
			for i := range n {
				name := fmt.Sprint("new/", p, "/", i)
				if got, err := fresh.Secret(ctx, name); err != nil || string(got) != name {
					t.Fatalf("%s is %q, %v", name, got, err)
				}
			}
		}
		if again, err := fresh.RewrapSecrets(ctx); err != nil || again.Rewrapped != 0 {
			t.Fatalf("rewrapped again: %+v, %v", again, err)
		}
	})
}
