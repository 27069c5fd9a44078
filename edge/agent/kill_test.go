package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// childVariable makes the test binary an edge that runs until it is killed, in
// the directory that the variable names.
const childVariable = "EDGEWRIGHT_TEST_AGENT_DIR"

// plainNode takes everything.
type plainNode struct{ onApply func([]edgeconfig.Document) }

func (n plainNode) Apply(docs []edgeconfig.Document) []edgeconfig.AckItem {
	if n.onApply != nil {
		n.onApply(docs)
	}
	items := make([]edgeconfig.AckItem, len(docs))
	for i, d := range docs {
		items[i] = edgeconfig.AckItem{Key: d.Key, Revision: d.Revision, State: edgeconfig.Applied}
	}
	return items
}
func (plainNode) Purge(edgeconfig.Purge) int { return 0 }
func (plainNode) DropCache() int             { return 0 }

func child() {
	dir := os.Getenv(childVariable)
	id, err := LoadIdentity(dir)
	if err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err = Run(ctx, Options{Identity: id, Dir: dir, Node: plainNode{}, HeartbeatEvery: 50 * time.Millisecond, Ready: func() { fmt.Println("READY") }})
	if err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
}

// StartChild starts an edge in a process of its own and waits until it has read
// its directory.
func startChild(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "READY\n" {
		t.Fatalf("the edge says %q, %v", line, err)
	}
	return cmd
}

// OnDisk runs an edge whose control plane is dead and returns what it serves.
func onDisk(t *testing.T, dir string) map[string]edgeconfig.Document {
	t.Helper()
	id, err := LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	id.BusURL = "tls://127.0.0.1:1" // nobody is there
	held := map[string]edgeconfig.Document{}
	ctx, stop := context.WithCancel(t.Context())
	err = Run(ctx, Options{Identity: id, Dir: dir, Ready: stop, Node: plainNode{onApply: func(docs []edgeconfig.Document) {
		for _, d := range docs {
			held[d.Key] = d
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// killFleet is what the test needs of a control plane; fleet_test.go has it.
type killFleet interface {
	put(name, origin string) int64
	applied(revision int64) bool
}

// kill -9 at any instant: whatever an edge has acknowledged it still has, and it
// starts without a control plane.
func testKill(t *testing.T, dir string, f killFleet, kills int) {
	acknowledged := map[string]int{} // site -> the newest origin that was acknowledged
	revisions := map[string]map[int64]int{}
	counter := 0
	for round := range kills {
		cmd := startChild(t, dir)
		deadline := time.Now().Add(time.Duration(50+rand.IntN(250)) * time.Millisecond)
		for time.Now().Before(deadline) {
			counter++
			name := fmt.Sprint("s", counter%7)
			if revisions[name] == nil {
				revisions[name] = map[int64]int{}
			}
			revisions[name][f.put(name, fmt.Sprintf("http://origin/%d", counter))] = counter
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for name, list := range revisions {
			for revision, number := range list {
				if f.applied(revision) {
					acknowledged[name] = max(acknowledged[name], number)
				}
			}
		}
		held := onDisk(t, dir)
		for name, number := range acknowledged {
			var s edgeconfig.Site
			got := 0
			if d, has := held["site/site_"+name]; has && json.Unmarshal(d.Body, &s) == nil {
				_, _ = fmt.Sscanf(s.Pool.Origins[0].URL, "http://origin/%d", &got)
			}
			if got < number {
				t.Fatalf("round %d: %s has origin %d, %d was acknowledged", round, name, got, number)
			}
		}
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was ever acknowledged: this test shows nothing")
	}
}
