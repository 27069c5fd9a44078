package replacement_test

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/secrets"
)

var replacedSQL = flag.Int("replaced-sql", 100, "how many certificates TestMassReplacementOnDisk replaces; the figure to be shown is 10000")

// The same run with the database under it: the statuses, the ledger and the keys
// are on disk, and the restarts begin from there.
func TestMassReplacementOnDisk(t *testing.T) {
	dir, began := t.TempDir(), time.Now()
	synctest.Test(t, func(t *testing.T) {
		keys, err := secrets.LoadKeyring(filepath.Join(dir, "master.key"), "")
		if err != nil {
			t.Fatal(err)
		}
		// What this process writes it hears of at once; the polling is for others.
		db, err := store.Open(t.Context(), filepath.Join(dir, "store.db"), keys, store.Options{PollInterval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		start := time.Now()
		replaceAll(t, newFleet(t, *replacedSQL, db, db))
		t.Logf("%v in simulated time", time.Since(start).Round(time.Minute))
	})
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	size := int64(0)
	if info, err := os.Stat(filepath.Join(dir, "store.db")); err == nil {
		size = info.Size()
	}
	t.Logf("%v in real time; %d MiB from the system, %d MiB of database", time.Since(began).Round(time.Second), memory.Sys>>20, size>>20)
}
