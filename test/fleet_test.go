package test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// control runs `edgewright control` on ports the kernel picks.
func control(t *testing.T, dir string, args ...string) *system {
	t.Helper()
	s := start(t, nil, append([]string{"control", "--data", dir, "--listen-api", "127.0.0.1:0", "--listen-bus", "127.0.0.1:0", "--issuer", "local", "--allow-origin-ranges", "127.0.0.0/8"}, args...)...)
	root, err := os.ReadFile(filepath.Join(dir, "control-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	s.api = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	return s
}

// edge runs `edgewright edge` on ports the kernel picks.
func edge(t *testing.T, dir string, args ...string) *system {
	t.Helper()
	return start(t, nil, append([]string{"edge", "--data", dir, "--listen-http", "127.0.0.1:0", "--listen-https", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0"}, args...)...)
}

// joinToken asks the control plane for a one-time token.
func joinToken(t *testing.T, s *system) string {
	t.Helper()
	var reply struct{ Token string }
	a, err := s.call("POST", "/edges/join-tokens", map[string]any{"region": "fra"})
	if err != nil || a.Status/100 != 2 {
		t.Fatalf("join token: %d, %v: %s", a.Status, err, a.Body)
	}
	a.decode(t, &reply)
	return reply.Token
}

// A second process joins, gets configuration and serves; killed, and restarted
// with the control plane dead, it still serves; a used token is worth nothing;
// drained it says so, revoked it is out.
func TestJoinedEdge(t *testing.T) {
	controlDir, edgeDir := t.TempDir(), t.TempDir()
	c := control(t, controlDir)
	rootFile := filepath.Join(controlDir, "control-ca.pem") // trusts the API's own certificate
	url := "https://" + c.Ready.API
	o := startOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, "from the origin")
	})
	token := joinToken(t, c)
	e := edge(t, edgeDir, "--join", url, "--token", token, "--region", "fra", "--root-ca", rootFile)
	c.must(201, "POST", "/domains", map[string]any{"domain": "far.localhost", "auto_configure": true, "origin": o.URL})
	roots := c.roots()
	serves := func(address string) func() error {
		client := browser(address, roots)
		return func() error {
			a, err := get(t, client, "https://far.localhost/")
			if err == nil && string(a.Body) != "from the origin" {
				err = fmt.Errorf("status %d: %.200s", a.Status, a.Body)
			}
			return err
		}
	}
	eventually(t, 30*time.Second, serves(e.Ready.HTTPS))

	t.Run("a token works once", func(t *testing.T) {
		out, err := run(t, nil, binary, "edge", "--data", t.TempDir(), "--listen-http", "127.0.0.1:0", "--listen-https", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0", "--join", url, "--token", token, "--region", "fra", "--root-ca", rootFile)
		if err == nil || !strings.Contains(out, "token") {
			t.Errorf("a spent token was taken: %v: %s", err, out)
		}
	})
	var edges struct {
		Edges []struct {
			ID     string `json:"id"`
			Region string `json:"region"`
			State  string `json:"state"`
		} `json:"edges"`
	}
	c.must(200, "GET", "/edges", nil).decode(t, &edges)
	if len(edges.Edges) != 1 || edges.Edges[0].Region != "fra" || edges.Edges[0].State != "online" {
		t.Errorf("edges: %+v", edges)
	}

	e.kill()
	c.kill()
	e = edge(t, edgeDir, "--join", url, "--root-ca", rootFile)
	eventually(t, 10*time.Second, serves(e.Ready.HTTPS))

	// The control plane comes back on another port of this test, so the edge is
	// told nothing new; what it serves does not change.
	if err := serves(e.Ready.HTTPS)(); err != nil {
		t.Error(err)
	}
}

// Drain and revoke, seen from outside.
func TestDrainAndRevoke(t *testing.T) {
	controlDir := t.TempDir()
	c := control(t, controlDir)
	edge(t, t.TempDir(), "--join", "https://"+c.Ready.API, "--token", joinToken(t, c), "--region", "fra", "--root-ca", filepath.Join(controlDir, "control-ca.pem"))
	var edges struct {
		Edges []struct {
			ID    string `json:"id"`
			State string `json:"state"`
		} `json:"edges"`
	}
	list := func() { c.must(200, "GET", "/edges", nil).decode(t, &edges) }
	eventually(t, 10*time.Second, func() error {
		if list(); len(edges.Edges) == 1 && edges.Edges[0].State == "online" {
			return nil
		}
		return fmt.Errorf("%+v", edges)
	})
	id := edges.Edges[0].ID
	c.must(200, "POST", "/edges/"+id+"/drain", map[string]any{"draining": true})
	eventually(t, 15*time.Second, func() error {
		if list(); edges.Edges[0].State == "draining" {
			return nil
		}
		return errors.New("not draining")
	})
	a, err := c.call("GET", "/edges/"+id, nil)
	if err != nil || a.Status != 200 {
		t.Fatal(a.Status, err)
	}
	if a, err = c.call("DELETE", "/edges/"+id, nil, "If-Match", a.Header.Get("ETag")); err != nil || a.Status/100 != 2 {
		t.Fatalf("revoke: %d %v %s", a.Status, err, a.Body)
	}
	eventually(t, 15*time.Second, func() error {
		if list(); len(edges.Edges) == 0 || edges.Edges[0].State == "offline" {
			return nil
		}
		return fmt.Errorf("%+v", edges)
	})
}

// SIGUSR2 starts a new process on the same listeners; clients on HTTP/1.1 and
// HTTP/2 with kept connections see no failure.
func TestUpgradeUnderLoad(t *testing.T) {
	controlDir := t.TempDir()
	c := control(t, controlDir)
	e := edge(t, t.TempDir(), "--join", "https://"+c.Ready.API, "--token", joinToken(t, c), "--region", "fra", "--root-ca", filepath.Join(controlDir, "control-ca.pem"))
	o := startOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, "ok")
	})
	c.must(201, "POST", "/domains", map[string]any{"domain": "load.localhost", "auto_configure": true, "origin": o.URL})
	roots := c.roots()
	eventually(t, 30*time.Second, func() error {
		_, err := get(t, browser(e.Ready.HTTPS, roots), "https://load.localhost/")
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	var answered, afterUpgrade atomic.Int64
	var upgraded atomic.Bool
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			client := browser(e.Ready.HTTPS, roots)
			if i%2 == 0 {
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
			}
			for ctx.Err() == nil {
				a, err := get(t, client, "https://load.localhost/")
				if ctx.Err() != nil {
					return
				}
				if err != nil || a.Status != 200 {
					t.Errorf("client %d: status %d, %v", i, a.Status, err)
					return
				}
				answered.Add(1)
				if upgraded.Load() {
					afterUpgrade.Add(1)
				}
			}
		})
	}
	eventually(t, 10*time.Second, atLeast(&answered, 200))
	if err := e.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.ended: // the old process has handed over and finished its work
	case <-time.After(60 * time.Second):
		t.Fatal("the old process is still there a minute after SIGUSR2")
	}
	upgraded.Store(true)
	eventually(t, 20*time.Second, atLeast(&afterUpgrade, 200))
	cancel()
	wait.Wait()
	successor := <-e.next
	if successor.PID == e.Ready.PID || successor.HTTPS != e.Ready.HTTPS {
		t.Errorf("the successor %+v of %+v", successor, e.Ready)
	}
	if err := syscall.Kill(successor.PID, syscall.SIGKILL); err != nil {
		t.Errorf("the successor is not there: %v", err)
	}
}

func atLeast(n *atomic.Int64, want int64) func() error {
	return func() error {
		if got := n.Load(); got < want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	}
}
