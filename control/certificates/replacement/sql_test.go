package replacement_test

import (
	"flag"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgewright/edgewright/control/store"
	"github.com/edgewright/edgewright/control/store/storetest"
	"github.com/edgewright/edgewright/secrets"
)

var replacedSQL = flag.Int("replaced-sql", 100, "how many certificates TestMassReplacementOnDisk replaces; the figure to be shown is 10000")

// The same run with a database under it: the statuses, the ledger and the keys
// are on disk, and the restarts begin from there.
func TestMassReplacementOnDisk(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		master, began := filepath.Join(t.TempDir(), "master.key"), time.Now()
		synctest.Test(t, func(t *testing.T) {
			keys, err := secrets.LoadKeyring(master, "")
			if err != nil {
				t.Fatal(err)
			}
			// Nobody else writes, and whoever listens for others to do so does not
			// wait in the bubble: time would stand still.
			db, err := store.Open(t.Context(), dsn, keys, store.Options{PollInterval: -1})
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
		t.Logf("%v in real time; %d MiB from the system, %d MiB of database", time.Since(began).Round(time.Second), memory.Sys>>20, storetest.Size(t, dsn)>>20)
	})
}
