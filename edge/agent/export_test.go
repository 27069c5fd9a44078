package agent

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/edgewright/edgewright/edgeconfig"
)

// KillFleet, TestKill and OnDisk let the tests that need a control plane, which
// this package must not know, use the ones here.
type KillFleet struct {
	Put     func(name, origin string) int64
	Applied func(revision int64) bool
}

func (f KillFleet) put(name, origin string) int64 { return f.Put(name, origin) }
func (f KillFleet) applied(revision int64) bool   { return f.Applied(revision) }

// RunKillTest kills an edge in dir again and again.
func RunKillTest(t *testing.T, dir string, f KillFleet, kills int) { testKill(t, dir, f, kills) }

var OnDisk = onDisk

// Feed gives one message to an agent that is not connected and returns how many
// documents reached its node.
func Feed(t *testing.T, id *Identity, kind uint8, data []byte) (applied int) {
	t.Helper()
	node := plainNode{onApply: func(docs []edgeconfig.Document) { applied += len(docs) }}
	a, err := newAgent(Options{Identity: id, Node: node})
	if err != nil {
		t.Fatal(err)
	}
	defer a.verifier.stop()
	a.spool = newSpool("", a.log)
	a.due.begin(a.now(), time.Second, time.Minute)
	if a.conn, err = nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true), nats.ReconnectWait(time.Hour)); err != nil {
		t.Fatal(err)
	}
	defer a.conn.Close()
	questions := []string{"manifest", "entries", "documents", "purges", "rollup"}
	subjects := []string{edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(id.Edge), edgeconfig.SubjectManifest, edgeconfig.SubjectPurge}
	n := int(kind) % (len(questions) + len(subjects))
	m := &nats.Msg{Data: data}
	if n < len(subjects) {
		m.Subject = subjects[n]
	} else {
		a.asking.number, a.asking.what = 7, questions[n-len(subjects)]
		m.Subject = edgeconfig.InboxPrefix(id.Edge) + ".7"
	}
	a.receive(m)
	a.ask()
	a.tick(a.now())
	a.nextDue()
	return applied
}
