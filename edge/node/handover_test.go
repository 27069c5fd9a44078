package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/httpedge/handover"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// The environment variable that makes this test binary an edge process, and
// names its set-up file.
const edgeProcess = "NODE_TEST_EDGE"

func TestMain(m *testing.M) {
	if file := os.Getenv(edgeProcess); file != "" {
		if err := runEdge(file); err != nil {
			fmt.Fprintln(os.Stderr, "edge process:", err)
			os.Exit(1)
		}
		return
	}
	// Pebble has no end.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))
}

// setup is what an edge process reads at its start.
type setup struct {
	Identity  []byte
	Documents []edgeconfig.Document
	Broken    string // the file whose existence makes a new process fail
}

// runEdge is an edge process: it serves what its set-up file holds, hands over
// to a successor on SIGUSR2 and ends on SIGTERM.
func runEdge(file string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2, syscall.SIGTERM)
	inherited, err := handover.Inherit()
	if err != nil {
		return err
	}
	var s setup
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if _, err := os.Stat(s.Broken); err == nil {
		return fmt.Errorf("told to fail")
	}
	identity, err := secrets.ParseIdentity(s.Identity)
	if err != nil {
		return err
	}
	n, err := node.New(node.Options{
		HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", DNSAddr: "127.0.0.1:0", Identity: identity, EdgeID: nodetest.EdgeID,
		OriginRanges: []string{"0.0.0.0/0"}, Inherited: inherited, Limits: httpedge.Limits{DrainGrace: 500 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	for _, item := range n.Apply(s.Documents) {
		if item.State != edgeconfig.Applied {
			return fmt.Errorf("%s: %s", item.Key, item.Reason)
		}
	}
	if err := n.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := inherited.Ready(ctx); err != nil {
		return err
	}
	fmt.Printf("READY %d %s %s %s\n", os.Getpid(), n.HTTPAddr(), n.HTTPSAddr(), n.DNSAddr())
	for s := range signals {
		if s == syscall.SIGTERM {
			break
		}
		if err := n.Handover(ctx); err != nil {
			fmt.Printf("FAILED %v\n", err)
			continue
		}
		break
	}
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = n.Shutdown(end)
	fmt.Printf("ENDED %d %v\n", os.Getpid(), err)
	return err
}

// process is the latest edge process, followed by its lines on stdout.
type process struct {
	t     *testing.T
	lines chan string
	pid   int
	http  string
	https string
	dns   string
}

func startProcess(t *testing.T, s setup) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "setup.json")
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), edgeProcess+"="+file)
	cmd.Stderr = os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close() // the processes hold it now; its end is the end of the last
	p := &process{t: t, lines: make(chan string, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(p.lines)
		for in := bufio.NewScanner(r); in.Scan(); {
			p.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
		<-done
		_ = cmd.Wait()
		r.Close()
	})
	p.awaitReady()
	return p
}

// await returns the rest of the next line that begins with a word.
func (p *process) await(word string) string {
	p.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the processes ended before one said %s", word)
			}
			if rest, found := strings.CutPrefix(line, word+" "); found {
				return rest
			}
		case <-timeout:
			p.t.Fatalf("no process said %s", word)
		}
	}
}

func (p *process) awaitReady() {
	p.t.Helper()
	if _, err := fmt.Sscan(p.await("READY"), &p.pid, &p.http, &p.https, &p.dns); err != nil {
		p.t.Fatal(err)
	}
}

// upgrade replaces the process by a successor.
func (p *process) upgrade() {
	p.t.Helper()
	if err := syscall.Kill(p.pid, syscall.SIGUSR2); err != nil {
		p.t.Fatal(err)
	}
	p.awaitReady()
}

func newSetup(t *testing.T, origin string) (setup, *nodetest.CA) {
	t.Helper()
	ca, groupKey := nodetest.NewCA(t), secrets.NewGroupKey()
	identity, keys := nodetest.Keys(t, groupKey)
	return setup{
		Identity: identity.Marshal(),
		Documents: []edgeconfig.Document{
			nodetest.Document(t, "keys/"+nodetest.EdgeID, 1, keys),
			nodetest.Document(t, "site/dom_shop", 2, nodetest.Site("dom_shop", "shop.test", origin)),
			nodetest.Document(t, "certificate/crt_1", 3, nodetest.Sealed(t, ca.Issue(t, "shop.test"), groupKey, "crt_1", "shop.test")),
		},
		Broken: filepath.Join(t.TempDir(), "broken"),
	}, ca
}

// TestUpgradeLosesNoRequest replaces the edge process three times under load of
// all HTTP versions, over reused and new connections, with downloads that
// outlive the process that began them. Not one request may fail.
func TestUpgradeLosesNoRequest(t *testing.T) {
	const pieces = 400
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.URL.Path == "/slow" { // a download of about four seconds
			control := http.NewResponseController(w)
			for i := range pieces {
				_, _ = fmt.Fprintf(w, "%04d\n", i)
				_ = control.Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
			return
		}
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append([]byte("got "), b...))
	}))
	defer origin.Close()
	s, ca := newSetup(t, origin.URL)
	p := startProcess(t, s)
	address, secureAddress := p.http, p.https // the same for all processes
	plain, secure := func() string { return address }, func() string { return secureAddress }
	client := func(version int) *http.Client {
		c := nodetest.Client(t, version, (&nodetest.Edge{CA: ca}).TLS(), plain, secure)
		c.Timeout = 30 * time.Second
		return c
	}

	var wg sync.WaitGroup
	stop := make(chan struct{})
	var requests, downloads atomic.Int64
	processes := sync.Map{} // prefixes of request IDs: one for each process
	ask := func(c *http.Client, method, url string, body string) error {
		var content io.Reader
		if body != "" {
			content = strings.NewReader(body)
		}
		r, err := http.NewRequest(method, url, content)
		if err != nil {
			return err
		}
		resp, err := c.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		prefix, _, _ := strings.Cut(resp.Header.Get("X-Request-Id"), "-")
		processes.Store(prefix, true)
		if strings.HasSuffix(url, "/slow") {
			if resp.StatusCode != 200 || len(b) != 5*pieces {
				return fmt.Errorf("status %d, %d bytes of %d", resp.StatusCode, len(b), 5*pieces)
			}
			downloads.Add(1)
			return nil
		}
		if resp.StatusCode != 200 || string(b) != "got "+body {
			return fmt.Errorf("status %d, %q", resp.StatusCode, b)
		}
		requests.Add(1)
		return nil
	}
	load := func(name string, step func(i int) error) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := step(i); err != nil {
					t.Errorf("%s, request %d: %v", name, i, err)
					return
				}
			}
		})
	}
	for version := 1; version <= 3; version++ {
		reused := client(version)
		load(fmt.Sprintf("HTTP/%d", version), func(i int) error {
			if i%2 == 0 {
				return ask(reused, "GET", "https://shop.test/", "")
			}
			return ask(reused, "POST", "https://shop.test/", "content")
		})
		slow := client(version)
		load(fmt.Sprintf("HTTP/%d download", version), func(int) error { return ask(slow, "GET", "https://shop.test/slow", "") })
		load(fmt.Sprintf("HTTP/%d over new connections", version), func(int) error {
			fresh := client(version)
			defer closeClient(fresh)
			return ask(fresh, "GET", "https://shop.test/", "")
		})
	}
	inClear := client(1)
	load("in clear", func(int) error { return ask(inClear, "POST", "http://shop.test/", "x") })

	wait := func() {
		before := requests.Load()
		for deadline := time.Now().Add(30 * time.Second); requests.Load() < before+300 && time.Now().Before(deadline) && !t.Failed(); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	wait()
	for range 3 {
		p.upgrade()
		wait()
	}
	close(stop)
	wg.Wait()
	n := 0
	processes.Range(func(any, any) bool { n++; return true })
	if n != 4 {
		t.Errorf("%d processes have answered, want 4", n)
	}
	if downloads.Load() < 3 {
		t.Errorf("only %d downloads finished", downloads.Load())
	}
	t.Logf("%d requests and %d downloads over %d processes", requests.Load(), downloads.Load(), n)
}

func closeClient(c *http.Client) {
	if t, ok := c.Transport.(io.Closer); ok {
		_ = t.Close()
	} else {
		c.CloseIdleConnections()
	}
}

// TestUpgradeToABrokenBinary: the old process goes on.
func TestUpgradeToABrokenBinary(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer origin.Close()
	s, ca := newSetup(t, origin.URL)
	p := startProcess(t, s)
	if err := os.WriteFile(s.Broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if why := p.await("FAILED"); !strings.Contains(why, "ended before it was ready") {
		t.Errorf("reason: %s", why)
	}
	for version := 1; version <= 3; version++ {
		c := nodetest.Client(t, version, (&nodetest.Edge{CA: ca}).TLS(), func() string { return p.http }, func() string { return p.https })
		resp, err := c.Get("https://shop.test/")
		if err != nil {
			t.Fatalf("HTTP/%d after a failed upgrade: %v", version, err)
		}
		resp.Body.Close()
	}
}
