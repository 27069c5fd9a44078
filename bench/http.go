package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed peers
var peerFiles embed.FS

// ports of one server, by role: "hit-plain", "hit-tls", "proxy-plain", "proxy-tls".
type ports map[string]string

// server is one program under test.
type server struct {
	name  string
	lacks []string // roles it does not play
	start func(ctx context.Context, b *bed) (ports, process, error)

	ports   ports
	process process
}

// process is a started server.
type process struct {
	pid  int
	stop func()
}

// scenario is one row of the table.
type scenario struct {
	name string
	role string
	path string
	h2   bool
}

var scenarios = []scenario{
	{"hit, plain, 1 KiB", "hit-plain", "/1k", false},
	{"hit, plain, 64 KiB", "hit-plain", "/64k", false},
	{"hit, TLS, 1 KiB", "hit-tls", "/1k", false},
	{"hit, TLS, 64 KiB", "hit-tls", "/64k", false},
	{"hit, HTTP/2, 1 KiB", "hit-tls", "/1k", true},
	{"hit, HTTP/2, 64 KiB", "hit-tls", "/64k", true},
	{"proxy, plain, 1 KiB", "proxy-plain", "/1k", false},
	{"proxy, plain, 64 KiB", "proxy-plain", "/64k", false},
	{"proxy, TLS, 1 KiB", "proxy-tls", "/1k", false},
	{"proxy, TLS, 64 KiB", "proxy-tls", "/64k", false},
	{"proxy, HTTP/2, 1 KiB", "proxy-tls", "/1k", true},
	{"proxy, HTTP/2, 64 KiB", "proxy-tls", "/64k", true},
}

// bed is the working folder and the origin that all servers share.
type bed struct {
	dir    string
	origin string // host:port
	s      settings
}

const benchHost = "bench.localhost"

func benchHTTP(ctx context.Context, s settings) (string, error) {
	if err := install(ctx, map[string]string{"h2load": "nghttp2-client", "taskset": "util-linux", "nginx": "nginx-light", "haproxy": "haproxy", "varnishd": "varnish", "caddy": "caddy"}); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "edgewright-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // varnishd reads its VCL as another user
		return "", err
	}
	b := &bed{dir: dir, s: s}
	stopOrigin, err := b.prepare()
	if err != nil {
		return "", err
	}
	defer stopOrigin()

	servers := []*server{
		{name: "edgewright", start: startEdgewright},
		{name: "nginx", start: startNginx},
		{name: "haproxy", start: startHAProxy},
		{name: "caddy", start: startCaddy},
		{name: "varnish", start: startVarnish, lacks: []string{"hit-tls", "proxy-tls"}},
		{name: "net/http", start: startNetHTTP},
	}
	if s.peers != "" {
		servers = slices.DeleteFunc(servers, func(x *server) bool { return !slices.Contains(strings.Split(s.peers, ","), x.name) })
	}
	for _, x := range servers {
		if x.ports, x.process, err = x.start(ctx, b); err != nil {
			return "", fmt.Errorf("%s: %w", x.name, err)
		}
		defer x.process.stop()
	}
	for _, x := range servers {
		for role, address := range x.ports {
			for _, path := range []string{"/1k", "/64k"} {
				scheme := "http"
				if strings.HasSuffix(role, "tls") {
					scheme = "https"
				}
				host := benchHost
				if x.name == "edgewright" && strings.HasPrefix(role, "proxy") {
					host = "proxy." + benchHost
				}
				client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: host}}} //nolint:gosec // loopback, made for this run
				if err := answers(ctx, client, scheme+"://"+address+path, host, time.Minute); err != nil {
					return "", fmt.Errorf("%s: %w", x.name, err)
				}
			}
		}
	}

	results := map[string]map[string][]float64{} // scenario -> server -> CPU us/request per round
	for _, sc := range scenarios {
		if !strings.Contains(sc.name, s.only) {
			continue
		}
		results[sc.name] = map[string][]float64{}
		n := s.requests
		if sc.path == "/64k" {
			n = max(n/10, s.clients)
		}
		for round := -1; round < s.rounds; round++ { // round -1 warms up
			for _, x := range servers {
				if slices.Contains(x.lacks, sc.role) {
					continue
				}
				us, err := measure(ctx, x, sc, n, s.clients)
				if err != nil {
					return "", fmt.Errorf("%s, %s: %w", x.name, sc.name, err)
				}
				if round >= 0 {
					results[sc.name][x.name] = append(results[sc.name][x.name], us)
				}
			}
		}
		fmt.Fprintf(os.Stderr, "   %s done\n", sc.name)
	}
	return httpTable(s, servers, results), nil
}

func measure(ctx context.Context, x *server, sc scenario, requests, clients int) (float64, error) {
	scheme := "http"
	if strings.HasSuffix(sc.role, "tls") {
		scheme = "https"
	}
	host := benchHost
	if x.name == "edgewright" && strings.HasPrefix(sc.role, "proxy") {
		host = "proxy." + benchHost
	}
	_, port, err := net.SplitHostPort(x.ports[sc.role])
	if err != nil {
		return 0, err
	}
	before, err := treeCPU(x.process.pid)
	if err != nil {
		return 0, err
	}
	l := load{url: scheme + "://" + host + ":" + port + sc.path, connect: x.ports[sc.role], h2: sc.h2, requests: requests, clients: clients}
	if err := l.run(ctx); err != nil {
		return 0, err
	}
	after, err := treeCPU(x.process.pid)
	if err != nil {
		return 0, err
	}
	return float64((after - before).Nanoseconds()) / 1000 / float64(requests), nil
}

func httpTable(s settings, servers []*server, results map[string]map[string][]float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# HTTP: CPU microseconds per answered request\n\n")
	fmt.Fprintf(&b, "Median of %d interleaved rounds (lowest to highest); %d connections, %d requests a round (a tenth for 64 KiB). TLS 1.3, AES-128-GCM, X25519, P-256. ", s.rounds, s.clients, s.requests)
	fmt.Fprintf(&b, "Caddy has no cache: its hits are file_server's. net/http: a bare handler from memory, and httputil.ReverseProxy. HTTP/2: 16 streams a connection. %s, %s.\n\n", runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&b, "| scenario |")
	for _, x := range servers {
		fmt.Fprintf(&b, " %s |", x.name)
	}
	fmt.Fprintf(&b, " to best C peer | to Caddy | to net/http |\n|---|%s\n", strings.Repeat("---:|", len(servers)+3))
	for _, sc := range scenarios {
		row := results[sc.name]
		if row == nil {
			continue
		}
		fmt.Fprintf(&b, "| %s |", sc.name)
		for _, x := range servers {
			if v := row[x.name]; len(v) > 0 {
				fmt.Fprintf(&b, " %.1f (%.1f to %.1f) |", median(v), slices.Min(v), slices.Max(v))
			} else {
				fmt.Fprintf(&b, " none |")
			}
		}
		own := row["edgewright"]
		best := 0.0
		for _, name := range []string{"nginx", "haproxy", "varnish"} {
			if v := row[name]; len(v) > 0 && (best == 0 || median(v) < best) {
				best = median(v)
			}
		}
		ratio := func(to float64) string {
			if len(own) == 0 || to == 0 {
				return " none |"
			}
			return fmt.Sprintf(" %.2f |", median(own)/to)
		}
		fmt.Fprintf(&b, "%s%s%s\n", ratio(best), ratio(median(row["caddy"])), ratio(median(row["net/http"])))
	}
	return b.String()
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sorted := slices.Clone(v)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// prepare writes bodies and a certificate, and starts the origin on core 1's
// side: in this process.
func (b *bed) prepare() (func(), error) {
	bodies := map[string][]byte{"/1k": make([]byte, 1<<10), "/64k": make([]byte, 64<<10)}
	if err := os.MkdirAll(filepath.Join(b.dir, "www"), 0o755); err != nil {
		return nil, err
	}
	for name, body := range bodies {
		if _, err := rand.Read(body); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(b.dir, "www", name), body, 0o644); err != nil {
			return nil, err
		}
	}
	if err := b.writeCertificate(); err != nil {
		return nil, err
	}
	var core1 unix.CPUSet
	core1.Set(1)
	if runtime.NumCPU() > 1 {
		if err := unix.SchedSetaffinity(os.Getpid(), &core1); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.origin = l.Addr().String()
	origin := &http.Server{Handler: originHandler(bodies)}
	go func() { _ = origin.Serve(l) }()
	return func() { _ = origin.Close() }, nil
}

func (b *bed) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{benchHost}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return errors.Join(
		os.WriteFile(filepath.Join(b.dir, "cert.pem"), cert, 0o644),
		os.WriteFile(filepath.Join(b.dir, "key.pem"), keyPEM, 0o600),
		os.WriteFile(filepath.Join(b.dir, "both.pem"), append(bytes.Clone(cert), keyPEM...), 0o600),
	)
}
