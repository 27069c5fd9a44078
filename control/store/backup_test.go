package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/fault"
)

// fill writes something of everything.
func fill(t testing.TB, db *store.DB) {
	t.Helper()
	ctx := context.Background()
	a := create(t, db, "p", "a", `{"text":"ünïcode <&> \"quoted\" \u2028","number":9007199254740993}`)
	putStatus(t, db, a, `{"ok":true}`)
	commit(t, db, creation("p", "b", `{}`), creation("", "platform", `{}`))
	gone := create(t, db, "p", "gone", `{}`)
	commit(t, db, deletion(gone), update(a, `{"x":2}`))
	plan := resource.NewPlan("p", "production")
	_, _, leaseErr := db.AcquireLease(ctx, "lease", "a", 1)
	if err := errors.Join(
		db.PutSecret(ctx, "certificate/1", []byte("secret")),
		db.PutSecret(ctx, "empty", nil),
		db.PutPlan(ctx, plan),
		db.Audit(ctx, store.AuditRecord{Actor: "user usr_1", Action: "test"}),
		leaseErr,
	); err != nil {
		t.Fatal(err)
	}
}

func backup(t testing.TB, db *store.DB) []byte {
	t.Helper()
	var dump bytes.Buffer
	if err := db.Backup(context.Background(), &dump); err != nil {
		t.Fatalf("backing up: %v", err)
	}
	return dump.Bytes()
}

// contents are a dump's rows by table, whatever their order.
func contents(dump []byte) map[string][]string {
	tables := map[string][]string{}
	table := ""
	for line := range strings.SplitSeq(string(dump), "\n") {
		if strings.HasPrefix(line, `{"table"`) {
			table = line
			tables[table] = nil
		}
		if strings.HasPrefix(line, "[") {
			tables[table] = append(tables[table], line)
		}
	}
	for _, rows := range tables {
		slices.Sort(rows)
	}
	return tables
}

// sealDump gives changed lines their trailer.
func sealDump(lines []string) []byte {
	body := strings.Join(lines, "\n") + "\n"
	rows := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "[") {
			rows++
		}
	}
	sum := sha256.Sum256([]byte(body))
	return fmt.Appendf(nil, "%s{\"end\":true,\"rows\":%d,\"sha256\":\"%s\"}\n", body, rows, hex.EncodeToString(sum[:]))
}

// dumpLines are a dump's lines without its trailer.
func dumpLines(dump []byte) []string {
	lines := strings.Split(strings.TrimSuffix(string(dump), "\n"), "\n")
	return lines[:len(lines)-1]
}

// Every database's backup restores into every database, and everything works on.
func TestBackupAndRestoreAcrossDatabases(t *testing.T) {
	kinds := map[string]func(testing.TB) string{"sqlite": storetest.SQLiteDSN, "postgres": storetest.PostgresDSN}
	for from, fromDSN := range kinds {
		for to, toDSN := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) {
				ctx := context.Background()
				keys := storetest.Keyring(t)
				source := storetest.Open(t, fromDSN(t), keys, store.Options{})
				fill(t, source)
				dump := backup(t, source)

				target := storetest.Open(t, toDSN(t), keys, store.Options{})
				w := watch(t, target, 0) // one that began before the restore
				if err := store.Restore(ctx, bytes.NewReader(dump), target); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(contents(dump), contents(backup(t, target))); d != "" {
					t.Fatalf("restored differently:\n%s", d)
				}
				if got, err := target.Secret(ctx, "certificate/1"); err != nil || string(got) != "secret" {
					t.Fatalf("secret is %q, %v", got, err)
				}
				before, err := source.VerifyAudit(ctx)
				if err != nil {
					t.Fatal(err)
				}
				after, err := target.VerifyAudit(ctx)
				if err != nil || after != before {
					t.Fatalf("the audit log was %+v and is %+v, %v", before, after, err)
				}
				w.next(t)
				last := create(t, target, "p", "next", `{}`)
				history, _, err := target.History(ctx, resource.HistoryQuery{Limit: 2})
				if err != nil || history[0].Revision != last.Revision || history[1].Revision >= last.Revision {
					t.Fatalf("history after the restore: %+v, %v", history, err)
				}
				if _, err := target.VerifyAudit(ctx); err != nil {
					t.Fatal(err)
				}
				// A second restore would overwrite.
				wantCode(t, store.Restore(ctx, bytes.NewReader(dump), target), fault.Conflict)
			})
		}
	}
}

// A backup made under writes holds one moment: each commit whole or not at all,
// and the counter, resources, history and audit of the same one.
func TestBackupWhileWriting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		create(t, db, "p", "first", `{}`)
		// As many as one page lists.
		var group sync.WaitGroup
		for g := range 3 {
			group.Go(func() {
				for i := range 80 {
					if err := tryCommit(db, creation("p", fmt.Sprint("l", g, "-", i), `{}`), creation("p", fmt.Sprint("r", g, "-", i), `{}`)); err != nil {
						t.Errorf("writing: %v", err)
						return
					}
				}
			})
		}
		written := make(chan struct{})
		go func() { group.Wait(); close(written) }()
		var dumps [][]byte
		for writing := true; writing; {
			dumps = append(dumps, backup(t, db))
			select {
			case <-written:
				writing = false
			default:
			}
		}
		if len(dumps) < 3 {
			t.Errorf("%d backups were made while it was written: this test shows nothing", len(dumps))
		}
		for _, dump := range dumps[max(0, len(dumps)-3):] {
			target := storetest.Open(t, storetest.MigratedDSN(t), nil, store.Options{})
			if err := store.Restore(context.Background(), bytes.NewReader(dump), target); err != nil {
				t.Fatal(err)
			}
			page, err := target.List(context.Background(), resource.Query{Kind: "domain", Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			if page.Next != "" || len(page.Items)%2 != 1 {
				t.Fatalf("%d resources: half a commit", len(page.Items))
			}
			history, _, err := target.History(context.Background(), resource.HistoryQuery{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			log, _, err := target.AuditLog(context.Background(), store.AuditQuery{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			var detail struct{ Revision int64 }
			if err := json.Unmarshal(log[0].Detail, &detail); err != nil || detail.Revision != history[0].Revision {
				t.Fatalf("history ends at %d, the audit log at %d, %v", history[0].Revision, detail.Revision, err)
			}
		}
	})
}

func TestDamagedBackupsAreRefusedWhole(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		keys := storetest.Keyring(t)
		source := storetest.Open(t, storetest.SQLiteDSN(t), keys, store.Options{})
		fill(t, source)
		dump := backup(t, source)
		lines := dumpLines(dump)
		firstRow := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "[") })
		replace := func(old, new string) []byte { return bytes.Replace(dump, []byte(old), []byte(new), 1) }
		resealed := func(old, new string) []byte { return sealDump(dumpLines(replace(old, new))) }

		db := storetest.Open(t, dsn, keys, store.Options{})
		for _, c := range []struct {
			name string
			dump []byte
			says string
		}{
			{"empty", nil, "cut short"},
			{"something else", []byte("PGDMP\n"), "not an Edgewright backup"},
			{"cut at a line", []byte(strings.Join(lines, "\n") + "\n"), "cut short"},
			{"cut in a line", dump[:len(dump)/2], ""},
			{"without its first row", []byte(strings.Join(slices.Delete(slices.Clone(lines), firstRow, firstRow+1), "\n")), "cut short"},
			{"a changed word", replace(`"user usr_1"`, `"user usr_2"`), "checksum"},
			{"more after the end", append(bytes.Clone(dump), "[]\n"...), "damaged"},
			{"newer format", replace(`"version":1`, `"version":2`), "format version 2"},
			{"newer schema", resealed(`"migrations":[1,`, `"migrations":[9999,1,`), "newer Edgewright (migration 9999)"},
			{"no schema", resealed(`"migrations":[1,`, `"migrations":[`), "names no schema"},
			{"unknown table", resealed(`{"table":"audit",`, `{"table":"audit; DROP TABLE resources",`), "table"},
			{"unknown column", resealed(`{"name":"actor","type":"text"}`, `{"name":"actor) --","type":"text"}`), "column"},
			{"wrong type", resealed(`{"name":"actor","type":"text"}`, `{"name":"actor","type":"int"}`), "column"},
			{"a row before a table", sealDump(append([]string{lines[0], "[1]"}, lines[1:]...)), "line 2"},
			{"no counter", resealed(`["seq",`, `["other",`), "counter"},
			{"row twice", sealDump(slices.Insert(slices.Clone(lines), firstRow, lines[firstRow])), ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				err := store.Restore(ctx, bytes.NewReader(c.dump), db)
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("restored with %v, want %q", err, c.says)
				}
				page, err := db.List(ctx, resource.Query{Kind: "domain"})
				if err != nil || len(page.Items) != 0 {
					t.Fatalf("the store has %d resources, %v", len(page.Items), err)
				}
				if log, _, err := db.AuditLog(ctx, store.AuditQuery{}); err != nil || len(log) != 0 {
					t.Fatalf("the audit log has %d entries, %v", len(log), err)
				}
			})
		}
		// After all that the store is as good as new.
		if err := store.Restore(ctx, bytes.NewReader(dump), db); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(contents(dump), contents(backup(t, db))); d != "" {
			t.Fatal(d)
		}
	})
}

func TestRestoreNeedsTheMasterKey(t *testing.T) {
	source := storetest.SQLite(t)
	fill(t, source)
	dump := backup(t, source)
	target := storetest.SQLite(t) // with another master key
	err := store.Restore(context.Background(), bytes.NewReader(dump), target)
	wantCode(t, err, fault.Invalid)
	if !strings.Contains(err.Error(), "put the key file") {
		t.Fatal(err)
	}
	create(t, target, "p", "a", `{}`) // still usable, with its own audit key
	if _, err := target.VerifyAudit(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A backup of an older version, whose schema lacks later migrations, is restored
// and migrated.
func TestRestoreOfAnOlderBackup(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := storetest.Keyring(t)
		source := storetest.Open(t, storetest.SQLiteDSN(t), keys, store.Options{})
		fill(t, source)
		core := []string{"audit", "audit_head", "counters", "leases", "plans", "resources", "revision_entries", "revisions", "secrets", "tombstones"}
		var lines []string
		keep := true
		for i, line := range dumpLines(backup(t, source)) {
			if i == 0 {
				var header map[string]any
				if err := json.Unmarshal([]byte(line), &header); err != nil {
					t.Fatal(err)
				}
				header["migrations"] = []int{1}
				text, err := json.Marshal(header)
				if err != nil {
					t.Fatal(err)
				}
				line = string(text)
			}
			if strings.HasPrefix(line, `{"table"`) {
				var table struct{ Table string }
				if err := json.Unmarshal([]byte(line), &table); err != nil {
					t.Fatal(err)
				}
				keep = slices.Contains(core, table.Table)
			}
			if keep {
				lines = append(lines, line)
			}
		}
		target := storetest.Open(t, dsn, keys, store.Options{})
		if err := store.Restore(context.Background(), bytes.NewReader(sealDump(lines)), target); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(contents(backup(t, source)), contents(backup(t, target))); d != "" {
			t.Fatalf("restored differently:\n%s", d)
		}
		create(t, target, "p", "new", `{}`)
	})
}
