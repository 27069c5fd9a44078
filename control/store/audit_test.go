package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to tamper with the database behind the store's back
	_ "modernc.org/sqlite"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// behind opens the database without the store.
func behind(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	driver := "pgx"
	if path, ok := strings.CutPrefix(dsn, "sqlite://"); ok {
		driver, dsn = "sqlite", path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestCommitsAreAudited(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		one := commit(t, db, creation("p", "a", `{"secret":"no"}`))
		two := commit(t, db, creation("p", "b", `{}`), creation("p", "c", `{}`), creation("q", "d", `{}`))
		commit(t, db, update(one.Resources[0], `{"secret":"no"}`)) // changes nothing
		if err := db.Audit(ctx, store.AuditRecord{Actor: "user\x00 usr_2", Action: "session.login", RequestID: "req_2", Detail: json.RawMessage(`{"ok":true}`)}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, db.Audit(ctx, store.AuditRecord{Detail: json.RawMessage(`{`)}), fault.Invalid)

		log, next, err := db.AuditLog(ctx, store.AuditQuery{})
		if err != nil || next != "" || len(log) != 4 {
			t.Fatalf("%d entries, next %q, %v", len(log), next, err)
		}
		if e := log[0]; e.Action != "session.login" || e.Actor != "user\ufffd usr_2" || string(e.Detail) != `{"ok":true}` || e.Seq != 4 {
			t.Fatalf("entry %+v", e)
		}
		first := log[3]
		if first.Action != "domain.create" || first.Target != "domain "+one.Resources[0].ID+" a" || first.Project != "p" ||
			first.Actor != cause.Actor || first.RequestID != cause.RequestID || !first.At.Equal(one.At) || strings.Contains(string(first.Detail), "secret") {
			t.Fatalf("entry %+v", first)
		}
		var detail struct {
			Revision int64
			Changes  []struct{ ID string }
		}
		if err := json.Unmarshal(log[2].Detail, &detail); err != nil || detail.Revision != two.Revision || len(detail.Changes) != 2 || log[2].Action != "commit" || log[2].Target != "2 resources" {
			t.Fatalf("entry %+v, %v", log[2], err)
		}

		var paged []store.AuditEntry
		q := store.AuditQuery{Project: "p", Limit: 1}
		for {
			page, next, err := db.AuditLog(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			paged = append(paged, page...)
			if q.Cursor = next; next == "" {
				break
			}
		}
		if d := cmp.Diff([]store.AuditEntry{log[2], log[3]}, paged); d != "" {
			t.Fatal(d)
		}
		state, err := db.VerifyAudit(ctx)
		if err != nil || state.Entries != 4 || state.Head != log[0].Hash {
			t.Fatalf("verified %+v, %v", state, err)
		}
	})
}

func TestTamperingShows(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := storetest.Keyring(t)
		ctx := context.Background()
		raw := behind(t, dsn)
		db := storetest.Open(t, dsn, keys, store.Options{})
		state, err := db.VerifyAudit(ctx)
		if err != nil || state.Entries != 0 {
			t.Fatalf("an empty log: %+v, %v", state, err)
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			create(t, db, "p", name, `{}`)
		}
		for _, c := range []struct{ name, tamper, says string }{
			{"a changed actor", `UPDATE audit SET actor = 'somebody else' WHERE seq = 2`, "entry 2"},
			{"a changed time", `UPDATE audit SET at = at + 1 WHERE seq = 1`, "entry 1"},
			{"text moved between fields", `UPDATE audit SET action = action || substr(target, 1, 1), target = substr(target, 2) WHERE seq = 3`, "entry 3"},
			{"a removed entry", `DELETE FROM audit WHERE seq = 2`, "entry 2 is missing"},
			{"a log cut at its end", `DELETE FROM audit WHERE seq = 4`, "it has 3 entries, but 4 were written"},
			{"a cut log with its mark", `DELETE FROM audit WHERE seq = 4; UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)`, "mark of its end"},
			{"a removed log", `DELETE FROM audit`, "it has 0 entries"},
			{"an added entry", `INSERT INTO audit SELECT 5, at, actor, action, target, project, detail, request_id, hash FROM audit WHERE seq = 4`, "entry 5"},
		} {
			t.Run(c.name, func(t *testing.T) {
				for _, table := range []string{"audit", "audit_head"} {
					if _, err := raw.Exec(`CREATE TABLE kept_` + table + ` AS SELECT * FROM ` + table); err != nil {
						t.Fatal(err)
					}
				}
				for statement := range strings.SplitSeq(c.tamper, ";") {
					if _, err := raw.Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
				_, err := db.VerifyAudit(ctx)
				wantCode(t, err, fault.Conflict)
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("%q does not say %q", err, c.says)
				}
				for _, table := range []string{"audit", "audit_head"} {
					for _, statement := range []string{`DELETE FROM ` + table, `INSERT INTO ` + table + ` SELECT * FROM kept_` + table, `DROP TABLE kept_` + table} {
						if _, err := raw.Exec(statement); err != nil {
							t.Fatal(err)
						}
					}
				}
				if _, err := db.VerifyAudit(ctx); err != nil {
					t.Fatalf("put back, and: %v", err)
				}
			})
		}
	})
}

// The chain goes on across control planes and restarts.
func TestAuditChainAcrossControlPlanes(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := storetest.Keyring(t)
		a, b := storetest.Open(t, dsn, keys, store.Options{}), storetest.Open(t, dsn, keys, store.Options{})
		for i, db := range []resource.Store{a, b, a, b} {
			create(t, db, "p", string(rune('a'+i)), `{}`)
		}
		state, err := storetest.Open(t, dsn, keys, store.Options{}).VerifyAudit(context.Background())
		if err != nil || state.Entries != 4 {
			t.Fatalf("verified %+v, %v", state, err)
		}
	})
}

// An entry that was once written at this place, before the database was put back
// to an earlier state, is genuine by itself; the one after it tells.
func TestEntryOfAnotherHistoryShows(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		raw := behind(t, dsn)
		db := storetest.Open(t, dsn, storetest.Keyring(t), store.Options{})
		run := func(statements ...string) {
			t.Helper()
			for _, statement := range statements {
				if _, err := raw.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
		}
		create(t, db, "p", "a", `{}`)
		run(`CREATE TABLE kept_head AS SELECT * FROM audit_head`)
		create(t, db, "p", "b", `{}`)
		run(`CREATE TABLE kept_entry AS SELECT * FROM audit WHERE seq = 2`,
			`DELETE FROM audit WHERE seq = 2`, `DELETE FROM audit_head`, `INSERT INTO audit_head SELECT * FROM kept_head`)
		create(t, db, "p", "c", `{}`)
		create(t, db, "p", "d", `{}`)
		if _, err := db.VerifyAudit(ctx); err != nil {
			t.Fatal(err)
		}
		run(`DELETE FROM audit WHERE seq = 2`, `INSERT INTO audit SELECT * FROM kept_entry`)
		_, err := db.VerifyAudit(ctx)
		wantCode(t, err, fault.Conflict)
		if !strings.Contains(err.Error(), "entry 3") {
			t.Errorf("%q does not say entry 3", err)
		}
	})
}
