package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
)

// PostgreSQL restarts, fails over, or cuts idle connections: the store connects
// again for writing, reading and watching.
func TestPostgresConnectionsAreReplaced(t *testing.T) {
	dsn := storetest.PostgresDSN(t)
	db := storetest.Open(t, dsn, storetest.Keyring(t), store.Options{PollInterval: 20 * time.Millisecond})
	raw := behind(t, dsn)
	w := watch(t, db, 0)
	a := create(t, db, "p", "a", `{}`)
	w.expect(t, resource.Put, a.ID)
	for range 3 {
		if _, err := raw.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
		a = commit(t, db, update(get(t, db, a), `{"at":"`+resource.NewID("x")+`"}`)).Resources[0]
		w.expect(t, resource.Put, a.ID)
		if _, err := db.VerifyAudit(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// Names and IDs are ordered by bytes, whatever the database's locale would do.
func TestPostgresOrdersByBytes(t *testing.T) {
	db := storetest.Postgres(t)
	ids := []string{"a_B", "a_a", "aa", "b", "é"}
	for i := range ids {
		change := creation("p", ids[i], `{}`)
		change.ID = ids[len(ids)-1-i]
		commit(t, db, change)
	}
	page, err := db.List(context.Background(), resource.Query{Kind: "domain"})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range page.Items {
		if r.ID != ids[i] {
			t.Errorf("place %d has %s, want %s", i, r.ID, ids[i])
		}
	}
}
