// Package test drives the real binary as its users do: over its command line,
// its API and its listeners, with tools that were not written here.
package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the edgewright under test, built once for this package.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "edgewright-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "edgewright")
	build := exec.Command("go", "build", "-o", binary, "../cmd/edgewright")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the binary:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const token = "ew_test_0123456789abcdef0123456789abcdef"

// system is one running process of the binary.
type system struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
	logs  string        // file with what it and its successors log
	Ready ready
	next  chan ready   // READY lines of processes that took over
	api   *http.Client // trusts the API's own certificate
}

// ready is the READY line.
type ready struct {
	API, Dashboard, HTTP, HTTPS, DNS, Login string
	PID                                     int
	Edges                                   []struct{ ID, Region, HTTP, HTTPS, DNS string }
}

// log is what the process has logged so far.
func (s *system) log() string {
	b, _ := os.ReadFile(s.logs)
	return string(b)
}

// loopback are listener flags on ports the kernel picks.
var loopback = []string{"--listen-api", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-https", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0", "--no-open"}

// start runs the binary and waits for its READY line. The process is killed
// when the test ends.
func start(t *testing.T, env []string, args ...string) *system {
	t.Helper()
	home := t.TempDir()
	s := &system{t: t, cmd: exec.Command(binary, args...), ended: make(chan struct{}), logs: filepath.Join(home, "log"), next: make(chan ready, 4), api: http.DefaultClient}
	s.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "EDGEWRIGHT_ADMIN_TOKEN="+token)
	s.cmd.Env = append(s.cmd.Env, env...)
	// Files, not pipes of os/exec: a process that takes over keeps them open,
	// and waiting for this one must not wait for that.
	log, err := os.Create(s.logs)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stdoutWriter, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr, s.cmd.Stdout = log, stdoutWriter
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = log.Close()
	_ = stdoutWriter.Close()
	go func() {
		defer stdout.Close()
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if line, ok := strings.CutPrefix(lines.Text(), "READY "); ok {
				var r ready
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Errorf("READY line %q: %v", line, err)
				}
				s.next <- r
			}
		}
	}()
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("%s %s logged:\n%s", filepath.Base(binary), strings.Join(args, " "), s.log())
		}
	})
	select {
	case s.Ready = <-s.next:
	case <-s.ended:
		t.Fatalf("%v ended before it was ready:\n%s", args, s.log())
	case <-time.After(60 * time.Second):
		t.Fatalf("%v was not ready within a minute:\n%s", args, s.log())
	}
	return s
}

// up starts `edgewright up` with its data in dir.
func up(t *testing.T, dir string, args ...string) *system {
	t.Helper()
	return start(t, nil, append(append([]string{"up", "--data", dir}, loopback...), args...)...)
}

// kill ends the process as a power cut would.
func (s *system) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// stop asks the process to end and expects that it does so cleanly.
func (s *system) stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("the process did not end within 30 s of SIGTERM:\n%s", s.log())
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Fatalf("the process ended with status %d:\n%s", code, s.log())
	}
}

// answer is an API answer.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// decode reads the JSON body into v.
func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("status %d, body %s: %v", a.Status, a.Body, err)
	}
}

// call sends one API request below /api/v1/infrastructure, or below the root
// when path begins with /api/ or is a system path.
func (s *system) call(method, path string, in any, header ...string) (answer, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(b)
	}
	if !strings.HasPrefix(path, "/api/") && path != "/metrics" {
		path = "/api/v1/infrastructure" + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.Ready.Dashboard+path, body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.api.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, b}, err
}

// must is call that fails the test unless the status is the wanted one.
func (s *system) must(status int, method, path string, in any, header ...string) answer {
	s.t.Helper()
	a, err := s.call(method, path, in, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status != status {
		s.t.Fatalf("%s %s: status %d, wanted %d: %s", method, path, a.Status, status, a.Body)
	}
	return a
}

// roots fetches the local CA's root.
func (s *system) roots() *x509.CertPool {
	s.t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.must(200, "GET", "/api/v1/trust/root.pem", nil).Body) {
		s.t.Fatal("the local CA's root is not PEM")
	}
	return pool
}

// browser is an HTTP client that resolves every name to the edge at address
// and trusts roots only.
func browser(address string, roots *x509.CertPool) *http.Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get fetches a URL and returns status, header and body.
func get(t *testing.T, c *http.Client, url string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	res, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, b}, err
}

// eventually polls until check returns nil, and fails the test with its last
// error after the deadline.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", within, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// origin is an HTTP server that counts what reaches it.
type origin struct {
	URL string

	mu   sync.Mutex
	seen map[string]int // by path
}

func startOrigin(t *testing.T, handler http.HandlerFunc) *origin {
	t.Helper()
	o := &origin{seen: map[string]int{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.URL = "http://" + l.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.seen[r.URL.Path]++
		o.mu.Unlock()
		handler(w, r)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return o
}

func (o *origin) count(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen[path]
}

// run executes a program to its end and returns what it printed.
func run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
