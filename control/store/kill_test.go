package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// killWriter, in the environment, makes the test binary a writer to be killed:
// its value is the directory of the database.
const killWriter = "EDGEWRIGHT_TEST_KILL_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killWriter); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// acknowledged is one write that the store said is on disk.
type acknowledged struct {
	Writer   int    `json:"writer"`
	Op       string `json:"op"` // commit, status, delete, secret
	ID       string `json:"id"`
	N        int    `json:"n"`
	Revision int64  `json:"revision"`
}

func killDSN(dir string) string  { return filepath.Join(dir, "edgewright.db") }
func killKeys(dir string) string { return filepath.Join(dir, "master.key") }

// writeUntilKilled writes from several goroutines, as fast as it can, and
// prints each write once it is acknowledged.
func writeUntilKilled(dir string) error {
	keys, err := secrets.LoadKeyring(killKeys(dir), "")
	if err != nil {
		return err
	}
	db, err := store.Open(context.Background(), killDSN(dir), keys, store.Options{})
	if err != nil {
		return err
	}
	var out sync.Mutex
	lines := json.NewEncoder(os.Stdout) // a pipe, unbuffered
	say := func(a acknowledged) error {
		out.Lock()
		defer out.Unlock()
		return lines.Encode(a)
	}
	failed := make(chan error)
	// It leads too, so that each kill leaves a lease behind.
	go func() {
		failed <- db.Lead(context.Background(), "leader", resource.NewID("plane"), time.Hour, func(ctx context.Context, _ store.Lease) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	for writer := range 4 {
		go func() { failed <- keepWriting(db, writer, say) }()
	}
	return <-failed
}

func keepWriting(db *store.DB, writer int, say func(acknowledged) error) error {
	ctx := context.Background()
	change := creation("p", fmt.Sprintf("%d-%s", writer, resource.NewID("n")), `{"n":0}`)
	done, err := db.Commit(ctx, resource.Commit{Changes: []resource.Change{change}, Cause: cause})
	if err != nil {
		return err
	}
	r := done.Resources[0]
	if err := say(acknowledged{writer, "commit", r.ID, 0, r.Revision}); err != nil {
		return err
	}
	for n := 1; ; n++ {
		a := acknowledged{Writer: writer, Op: "commit", ID: r.ID, N: n}
		switch n % 5 {
		case 2:
			a.Op = "status"
			_, err = db.PutStatus(ctx, r.Kind, r.ID, fmt.Appendf(nil, `{"n":%d}`, n), 0)
		case 3:
			a.Op = "secret"
			err = db.PutSecret(ctx, r.ID, []byte(strconv.Itoa(n)))
		case 4:
			// Something comes and goes in one life.
			a.Op = "delete"
			brief := creation("p", fmt.Sprint(writer, "-brief-", n, r.ID), `{}`)
			a.ID = brief.ID
			if done, err = db.Commit(ctx, resource.Commit{Changes: []resource.Change{brief}, Cause: cause}); err == nil {
				done, err = db.Commit(ctx, resource.Commit{Changes: []resource.Change{deletion(done.Resources[0])}, Cause: cause})
				a.Revision = done.Revision
			}
		default:
			if done, err = db.Commit(ctx, resource.Commit{Changes: []resource.Change{update(r, fmt.Sprintf(`{"n":%d}`, n))}, Cause: cause}); err == nil {
				r = done.Resources[0]
				a.Revision = done.Revision
			}
		}
		if err != nil {
			return err
		}
		if err := say(a); err != nil {
			return err
		}
	}
}

// Promise 3: acknowledged means durable. A writer is killed at random instants,
// again and again on the same database; it must open each time and hold every
// write that was acknowledged. EDGEWRIGHT_KILL_ROUNDS asks for more rounds.
func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	rounds := 4
	if asked := os.Getenv("EDGEWRIGHT_KILL_ROUNDS"); asked != "" {
		var err error
		if rounds, err = strconv.Atoi(asked); err != nil {
			t.Fatalf("EDGEWRIGHT_KILL_ROUNDS is not a number: %v", err)
		}
	}
	dir := t.TempDir()
	var log []acknowledged
	for round := range rounds {
		// Short lives hit the opening and migrating too.
		life := time.Duration(rand.Int64N(int64(300 * time.Millisecond)))
		if round == 0 {
			life = 300 * time.Millisecond
		}
		log = append(log, killedRun(t, dir, life)...)
		checkAcknowledged(t, dir, log)
	}
	if len(log) == 0 {
		t.Fatal("no write was acknowledged in any round")
	}
	t.Logf("%d writes acknowledged in %d rounds", len(log), rounds)
}

// killedRun starts a writer, kills it after its life (which begins with its
// first acknowledgement, or half of the time at once), and returns what it said.
func killedRun(t *testing.T, dir string, life time.Duration) []acknowledged {
	t.Helper()
	writer := exec.Command(os.Args[0])
	writer.Env = append(os.Environ(), killWriter+"="+dir)
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var said []acknowledged
	hear := func() bool {
		if !lines.Scan() {
			return false
		}
		var a acknowledged
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return false // the last line may be cut
		}
		said = append(said, a)
		return true
	}
	if life >= 150*time.Millisecond && !hear() {
		t.Fatalf("the writer ended by itself: %v", writer.Wait())
	}
	killer := time.AfterFunc(life, func() { writer.Process.Kill() })
	for hear() {
	}
	if killer.Stop() {
		t.Fatalf("the writer ended by itself: %v", writer.Wait())
	}
	if err := writer.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer was to be killed, but: %v", err)
	}
	return said
}

// checkAcknowledged opens the store and looks for every write of the log.
func checkAcknowledged(t *testing.T, dir string, log []acknowledged) {
	t.Helper()
	ctx := context.Background()
	keys, err := secrets.LoadKeyring(killKeys(dir), "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, killDSN(dir), keys, store.Options{})
	if err != nil {
		t.Fatalf("after a kill the store does not open: %v", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	number := func(document json.RawMessage) int {
		var v struct{ N int }
		if len(document) > 0 {
			if err := json.Unmarshal(document, &v); err != nil {
				t.Fatal(err)
			}
		}
		return v.N
	}
	history := map[int64]bool{}
	q := resource.HistoryQuery{Limit: 500}
	for {
		page, next, err := db.History(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			history[r.Revision] = true
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	for _, a := range log {
		if a.Revision != 0 && !history[a.Revision] {
			t.Fatalf("revision %d was acknowledged and is not in the history", a.Revision)
		}
		if a.Op == "delete" {
			if _, err := db.Get(ctx, "domain", a.ID); !fault.Is(err, fault.NotFound) {
				t.Fatalf("the deletion of %s was acknowledged, but: %v", a.ID, err)
			}
			continue
		}
		if a.Op == "secret" {
			got, err := db.Secret(ctx, a.ID)
			if n, _ := strconv.Atoi(string(got)); err != nil || n < a.N {
				t.Fatalf("secret %d of %s was acknowledged, it is %q, %v", a.N, a.ID, got, err)
			}
			continue
		}
		r, err := db.Get(ctx, "domain", a.ID)
		if err != nil {
			t.Fatalf("%s was acknowledged, but: %v", a.ID, err)
		}
		if a.Op == "commit" && number(r.Spec) < a.N || a.Op == "status" && number(r.Status) < a.N {
			t.Fatalf("%s %d of %s was acknowledged, it is %s, %s", a.Op, a.N, a.ID, r.Spec, r.Status)
		}
	}
	if _, err := db.VerifyAudit(ctx); err != nil {
		t.Fatal(err)
	}
	// Nobody has to wait for the hour that the dead one's lease lasts.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := db.Lead(ctx, "leader", resource.NewID("plane"), time.Hour, func(context.Context, store.Lease) error { return nil }); err != nil {
		t.Fatalf("leading after a kill: %v", err)
	}
}
