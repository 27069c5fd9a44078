package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// Tests that need the inside of the store; the others run on both databases.

func openInternal(t testing.TB) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	keys, err := secrets.LoadKeyring(filepath.Join(dir, "master.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "data", "edgewright?&#% .db") // every character counts as itself
	db, err := Open(context.Background(), path, keys, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, path
}

func domain(name string, bytes int) resource.Commit {
	spec, _ := json.Marshal(map[string]string{"fill": strings.Repeat("x", bytes)})
	return resource.Commit{Changes: []resource.Change{{Op: resource.Create, Kind: "domain", ID: resource.NewID("dom"), Project: "p", Name: name, Spec: spec}}}
}

func TestFilesArePrivate(t *testing.T) {
	db, path := openInternal(t)
	if _, err := db.Commit(context.Background(), domain("a", 1)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(file, path) {
			t.Errorf("%s has mode %v, %v", file, info.Mode(), err)
		}
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
}

func TestDurabilitySettings(t *testing.T) {
	db, _ := openInternal(t)
	err := db.write(context.Background(), func(ctx context.Context, tx *Tx) error {
		var mode string
		var synchronous int
		if err := errors.Join(
			tx.queryRow(ctx, "PRAGMA journal_mode").Scan(&mode),
			tx.queryRow(ctx, "PRAGMA synchronous").Scan(&synchronous),
		); err != nil {
			return err
		}
		if mode != "wal" || synchronous != 2 {
			t.Errorf("the writer's journal mode is %s, synchronous is %d", mode, synchronous)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPanicOfOneWriteIsItsOwn(t *testing.T) {
	db, _ := openInternal(t)
	ctx := context.Background()
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
				if _, err := tx.exec(ctx, `INSERT INTO counters (name, value) VALUES ($1, 0)`, fmt.Sprint("test", i)); err != nil {
					return err
				}
				if i%2 == 0 {
					panic("oh")
				}
				return nil
			})
			if i%2 == 0 != fault.Is(err, fault.Internal) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	group.Wait()
	var n int
	if err := db.queryRow(ctx, `SELECT count(*) FROM counters WHERE name LIKE 'test%'`).Scan(&n); err != nil || n != 10 {
		t.Fatalf("%d of 10 writes are there, %v", n, err)
	}
}

// A full disk fails writes as Unavailable. What was acknowledged stays, and when
// there is room again the store goes on, with numbers that were not given out.
func TestFullDisk(t *testing.T) {
	db, _ := openInternal(t)
	ctx := context.Background()
	limit := func(pages int) {
		t.Helper()
		if err := db.write(ctx, func(ctx context.Context, tx *Tx) error {
			var now int
			return tx.queryRow(ctx, fmt.Sprint("PRAGMA max_page_count = ", pages)).Scan(&now)
		}); err != nil {
			t.Fatal(err)
		}
	}
	limit(300)
	var mu sync.Mutex
	written := map[int64]string{}
	refused := 0
	write := func(name string) {
		done, err := db.Commit(ctx, domain(name, 20_000))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && written[done.Revision] != "":
			t.Errorf("revision %d was given to %s and %s", done.Revision, written[done.Revision], name)
		case err == nil:
			written[done.Revision] = name
		case fault.Is(err, fault.Unavailable):
			refused++
		default:
			t.Errorf("%s: %v (%s)", name, err, fault.CodeOf(err))
		}
	}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 20 {
				write(fmt.Sprint(g, "-", i))
			}
		})
	}
	group.Wait()
	if refused == 0 || len(written) == 0 {
		t.Fatalf("%d written, %d refused", len(written), refused)
	}
	limit(1 << 20)
	for i := range 10 {
		write(fmt.Sprint("after-", i))
	}
	page, err := db.List(ctx, resource.Query{Kind: "domain", Limit: 1000})
	if err != nil || len(page.Items) != len(written) {
		t.Fatalf("%d resources, %d acknowledged, %v", len(page.Items), len(written), err)
	}
	for _, r := range page.Items {
		if written[r.Revision] != r.Name {
			t.Errorf("%s has revision %d, which was %q", r.Name, r.Revision, written[r.Revision])
		}
	}
	if _, err := db.VerifyAudit(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	db, path := openInternal(t)
	if _, err := db.writers.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), path, nil, Options{})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "newer Edgewright (migration 9999)") {
		t.Fatalf("opened with %v", err)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	db, _ := openInternal(t)
	ended := make(chan error)
	go func() { ended <- db.Watch(context.Background(), 0, func(resource.Event) error { return nil }) }()
	if _, err := db.Commit(context.Background(), domain("a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !fault.Is(err, fault.Unavailable) {
		t.Errorf("the watch ended with %v", err)
	}
	goleak.VerifyNone(t, before)
}

// nowhere receives a dump and keeps nothing.
type nowhere struct{ rows int64 }

func (n *nowhere) header(dumpHeader) error { return nil }
func (n *nowhere) table(dumpTable) error   { return nil }
func (n *nowhere) row(t dumpTable, values []any) error {
	if len(values) != len(t.Columns) {
		return errors.New("a row of another length")
	}
	n.rows++
	return nil
}

// FuzzReadDump: no file makes the reader panic, and none but a whole one passes.
func FuzzReadDump(f *testing.F) {
	db, _ := openInternal(f)
	if _, err := db.Commit(context.Background(), domain("a", 1)); err != nil {
		f.Fatal(err)
	}
	var dump bytes.Buffer
	if err := db.Backup(context.Background(), &dump); err != nil {
		f.Fatal(err)
	}
	f.Add(dump.Bytes())
	f.Add([]byte(`{"format":"edgewright-backup","version":1}` + "\n" + `{"table":"t","columns":[{"name":"a","type":"bytes"}]}` + "\n" + `["AA=="]` + "\n" + `{"end":true,"rows":1,"sha256":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		into := &nowhere{}
		err := readDump(bytes.NewReader(data), into)
		if err == nil && !bytes.Contains(data, []byte(`"sha256"`)) {
			t.Error("a dump without a checksum passed")
		}
		if err != nil && fault.CodeOf(err) == fault.Internal {
			t.Errorf("an uncoded error: %v", err)
		}
	})
}
