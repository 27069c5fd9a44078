package test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/edgewright/edgewright/control/store/storetest"
)

// TestTwoControlPlanes runs two on one PostgreSQL database and a NATS server of
// its own: both answer the API, one publishes, and when that one is killed the
// other does, while the edge serves on.
func TestTwoControlPlanes(t *testing.T) {
	dsn, busAddress := storetest.PostgresDSN(t), freeAddress(t)
	first, second := t.TempDir(), t.TempDir()
	bus := sync.OnceFunc(func() { startBus(t, first, busAddress) })
	plane := func(dir string) *system {
		t.Helper()
		go func() { // a control plane writes what the bus needs, and then connects to it
			for t.Context().Err() == nil {
				if _, err := os.Stat(filepath.Join(first, "nats.conf")); err == nil {
					bus()
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		s := start(t, nil, "control", "--data", dir, "--database", dsn, "--listen-api", "127.0.0.1:0", "--issuer", "local",
			"--nats-url", "nats://"+busAddress, "--allow-origin-ranges", "127.0.0.0/8", "--no-registry-lookups")
		roots := x509.NewCertPool()
		pem, err := os.ReadFile(filepath.Join(dir, "control-ca.pem"))
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			t.Fatalf("control-ca.pem: %v", err)
		}
		s.api = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		return s
	}
	a := plane(first)
	key, err := os.ReadFile(filepath.Join(first, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(second, "master.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	b := plane(second)

	var join struct{ Token string }
	b.must(201, "POST", "/edges/join-tokens", map[string]any{"region": "fra"}).decode(t, &join)
	edge := start(t, nil, "edge", "--join", b.Ready.Dashboard, "--root-ca", filepath.Join(second, "control-ca.pem"), "--token", join.Token,
		"--region", "fra", "--data", t.TempDir(), "--listen-http", "127.0.0.1:0", "--listen-https", "127.0.0.1:0", "--listen-dns", "127.0.0.1:0")
	from := func(text string) *origin {
		return startOrigin(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	one, two, three := from("one"), from("two"), from("three")

	// Written at either, published by the one that leads.
	b.must(201, "POST", "/domains", map[string]any{"domain": "shop.localhost", "origin": one.URL})
	client := browser(edge.Ready.HTTPS, a.roots())
	serves := func(want string) {
		t.Helper()
		eventually(t, 60*time.Second, func() error {
			answer, err := get(t, client, "https://shop.localhost/"+want)
			if err == nil && (answer.Status != 200 || string(answer.Body) != want) {
				err = fmt.Errorf("status %d: %s", answer.Status, answer.Body)
			}
			return err
		})
	}
	serves("one")
	var domain struct {
		Domain struct{ CDN string } `json:"domain_config"`
	}
	b.must(200, "GET", "/domains/shop.localhost", nil).decode(t, &domain)
	config := domain.Domain.CDN
	point := func(s *system, url string) {
		t.Helper()
		cdn := s.must(200, "GET", "/cdn/"+config, nil)
		s.must(200, "PUT", "/cdn/"+config, map[string]any{"origins": []map[string]any{{"name": "origin", "url": url}}},
			"If-Match", cdn.Header.Get("ETag"))
	}
	point(a, two.URL)
	serves("two")

	// Writers at both that have seen the same version: one wins each time.
	for round := range 20 {
		tag := a.must(200, "GET", "/cdn/"+config, nil).Header.Get("ETag")
		var won, lost atomic.Int32
		var writers sync.WaitGroup
		for i, s := range []*system{a, b, a, b} {
			writers.Go(func() {
				answer, err := s.call("PUT", "/cdn/"+config, map[string]any{"origins": []map[string]any{{"name": "origin", "url": two.URL}}, "max_body_bytes": 1 + round*10 + i}, "If-Match", tag)
				switch {
				case err != nil:
					t.Error(err)
				case answer.Status == 200:
					won.Add(1)
				case answer.Status == 412:
					lost.Add(1)
				default:
					t.Errorf("status %d: %s", answer.Status, answer.Body)
				}
			})
		}
		writers.Wait()
		if won.Load() != 1 || lost.Load() != 3 {
			t.Fatalf("%d writers won and %d lost", won.Load(), lost.Load())
		}
	}

	// The leader is killed: the edge serves, the other publishes.
	leader, other := a, b
	if strings.Contains(b.log(), `"msg":"issued"`) { // only the leader issues
		leader, other = b, a
	}
	leader.kill()
	serves("two")
	point(other, three.URL)
	serves("three")

	// The one that was killed comes back and answers with what the other wrote.
	dir := map[*system]string{a: first, b: second}[leader]
	back := plane(dir)
	var now struct {
		CDN struct {
			Origins []struct{ URL string }
		} `json:"cdn_deployment"`
	}
	back.must(200, "GET", "/cdn/"+config, nil).decode(t, &now)
	if len(now.CDN.Origins) != 1 || now.CDN.Origins[0].URL != three.URL {
		t.Errorf("after its return: %+v", now)
	}
	point(back, one.URL)
	serves("one")
}

// startBus runs a NATS server as the control plane in dir wants it.
func startBus(t *testing.T, dir, address string) {
	config, err := os.ReadFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Error(err)
		return
	}
	host, port, _ := strings.Cut(address, ":")
	text := strings.Replace(string(config), "./edgewright-accounts", t.TempDir(), 1)
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte("host: "+host+"\nport: "+port+"\n"+text), 0o600); err != nil {
		t.Error(err)
		return
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	options.NoSigs, options.NoLog = true, true
	bus, err := server.NewServer(options)
	if err != nil {
		t.Error(err)
		return
	}
	bus.Start()
	t.Cleanup(func() { bus.Shutdown(); bus.WaitForShutdown() })
}
