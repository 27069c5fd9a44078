package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// shake is one row of the table: how clients shake hands.
type shake struct {
	name    string
	version uint16
	resumed bool
	group   tls.CurveID
	lacks   []string // servers whose OpenSSL does not know the group
}

var shakes = []shake{
	{"full, TLS 1.3, X25519", tls.VersionTLS13, false, tls.X25519, nil},
	{"resumed, TLS 1.3, X25519", tls.VersionTLS13, true, tls.X25519, nil},
	{"full, TLS 1.2, X25519", tls.VersionTLS12, false, tls.X25519, nil},
	{"resumed, TLS 1.2", tls.VersionTLS12, true, tls.X25519, nil},
	{"full, TLS 1.3, X25519MLKEM768", tls.VersionTLS13, false, tls.X25519MLKEM768, []string{"nginx", "haproxy"}},
}

// chosenShakes are those whose name holds what is asked for.
func chosenShakes(s settings) []shake {
	return slices.DeleteFunc(slices.Clone(shakes), func(sc shake) bool { return !strings.Contains(sc.name, s.only) })
}

// handshakesAtATime is how many connections are opened at once.
const handshakesAtATime = 16

// benchTLS counts handshakes and nothing else: connect, shake hands, close.
func benchTLS(ctx context.Context, s settings) (string, error) {
	if err := install(ctx, map[string]string{"taskset": "util-linux", "nginx": "nginx-light", "haproxy": "haproxy"}); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "edgewright-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	b := &bed{dir: dir, s: s}
	stopOrigin, err := b.prepare()
	if err != nil {
		return "", err
	}
	defer stopOrigin()
	peer := func(file, program string, args ...string) func(context.Context, *bed) (ports, process, error) {
		return func(ctx context.Context, b *bed) (ports, process, error) {
			p, err := freePorts("hit-tls")
			if err != nil {
				return nil, process{}, err
			}
			config, err := b.render(file, p)
			if err != nil {
				return nil, process{}, err
			}
			for i, a := range args {
				args[i] = strings.NewReplacer("@CONFIG@", config, "@DIR@", b.dir).Replace(a)
			}
			started, err := b.pinned(ctx, program, args...)
			return p, started, err
		}
	}
	servers := []*server{
		{name: "edgewright", start: startEdgewright},
		{name: "nginx", start: peer("nginx-tls.conf", "nginx", "-c", "@CONFIG@", "-p", "@DIR@")},
		{name: "haproxy", start: peer("haproxy-tls.cfg", "haproxy", "-f", "@CONFIG@")},
		{name: "net/http", start: startNetHTTP},
	}
	if s.against != "" {
		servers = append(servers, &server{name: "before", start: func(ctx context.Context, b *bed) (ports, process, error) {
			before := &bed{dir: filepath.Join(b.dir, "before"), s: b.s, origin: b.origin}
			before.s.binary = s.against
			if err := os.Mkdir(before.dir, 0o700); err != nil {
				return nil, process{}, err
			}
			return startEdgewright(ctx, before)
		}})
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
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: benchHost}}} //nolint:gosec // loopback, made for this run
		if err := answers(ctx, client, "https://"+x.ports["hit-tls"]+"/1k", benchHost, time.Minute); err != nil {
			return "", fmt.Errorf("%s: %w", x.name, err)
		}
	}
	n := max(s.requests/10, 100)
	results := map[string]map[string][]float64{}
	for _, sc := range chosenShakes(s) {
		results[sc.name] = map[string][]float64{}
		for round := -1; round < s.rounds; round++ { // round -1 warms up
			for _, x := range servers {
				if slices.Contains(sc.lacks, x.name) {
					continue
				}
				us, err := handshakes(ctx, x, sc, n)
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
	table := tlsTable(s, n, servers, results)
	if s.only != "" {
		return table, nil
	}
	certificates, err := goBenchmarks(ctx, "100,000 certificates on one edge",
		"From signed documents to the table of server names. B/certificate: memory of all, keys sealed, divided by their number. Selecting is what a handshake does; changing is one certificate's renewal among all.",
		"./edge/certs", "^BenchmarkHundredThousand$", "1s")
	return table + "\n" + certificates, err
}

// oneTicket offers the same session again and again, and takes no other.
type oneTicket struct {
	session atomic.Pointer[tls.ClientSessionState]
}

func (c *oneTicket) Get(string) (*tls.ClientSessionState, bool) {
	s := c.session.Load()
	return s, s != nil
}

func (c *oneTicket) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		c.session.CompareAndSwap(nil, s)
	}
}

// handshakes makes n of them and returns the server's CPU microseconds for each.
func handshakes(ctx context.Context, x *server, sc shake, n int) (float64, error) {
	address := x.ports["hit-tls"]
	config := &tls.Config{ //nolint:gosec // loopback, made for this run
		InsecureSkipVerify: true, ServerName: benchHost, MinVersion: sc.version, MaxVersion: sc.version, CurvePreferences: []tls.CurveID{sc.group},
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, NextProtos: []string{"http/1.1"},
	}
	if sc.version == tls.VersionTLS12 {
		// In TLS 1.2 the list names the curves of certificates too.
		config.CurvePreferences = append(config.CurvePreferences, tls.CurveP256)
	}
	if sc.resumed {
		config.ClientSessionCache = &oneTicket{}
		if err := fetchTicket(ctx, address, config); err != nil {
			return 0, err
		}
	}
	before, err := treeCPU(x.process.pid)
	if err != nil {
		return 0, err
	}
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	failed := make([]error, handshakesAtATime)
	for i := range handshakesAtATime {
		wg.Go(func() {
			for left.Add(-1) >= 0 && failed[i] == nil {
				failed[i] = shakeOnce(ctx, address, config, sc)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	after, err := treeCPU(x.process.pid)
	if err != nil {
		return 0, err
	}
	return float64((after - before).Nanoseconds()) / 1000 / float64(n), nil
}

func shakeOnce(ctx context.Context, address string, config *tls.Config, sc shake) error {
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer tcp.Close()
	_ = tcp.(*net.TCPConn).SetLinger(0) // else the client's ports run out
	conn := tls.Client(tcp, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if state := conn.ConnectionState(); state.DidResume != sc.resumed || state.Version != sc.version {
		return fmt.Errorf("resumed %v with version %x", state.DidResume, state.Version)
	}
	// The server has finished when it answers the close, or a request after it.
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	_ = tcp.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = io.Copy(io.Discard, conn)
	return ignoreReset(err)
}

// ignoreReset: some servers reset a connection that ends without a request.
func ignoreReset(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && !op.Timeout() {
		return nil
	}
	return err
}

// fetchTicket gets a session by a whole request: in TLS 1.3 it comes after the
// handshake.
func fetchTicket(ctx context.Context, address string, config *tls.Config) error {
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /1k HTTP/1.1\r\nHost: "+benchHost+"\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return err
	}
	if _, ok := config.ClientSessionCache.Get(""); !ok {
		return errors.New("the server gives no ticket")
	}
	return nil
}

func tlsTable(s settings, n int, servers []*server, results map[string]map[string][]float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# TLS: CPU microseconds per handshake\n\n")
	fmt.Fprintf(&b, "Median of %d interleaved rounds (lowest to highest); %d handshakes a round, %d at a time: connect, shake hands, close. ECDSA P-256, AES-128-GCM, tickets. Peers without a figure are built on an OpenSSL that does not know the group. In brackets after a median: handshakes per second that one core would do. %s, %s.\n\n",
		s.rounds, n, handshakesAtATime, runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&b, "| handshake |")
	for _, x := range servers {
		fmt.Fprintf(&b, " %s |", x.name)
	}
	fmt.Fprintf(&b, " to best C peer | to net/http |\n|---|%s\n", strings.Repeat("---:|", len(servers)+2))
	for _, sc := range chosenShakes(s) {
		row := results[sc.name]
		fmt.Fprintf(&b, "| %s |", sc.name)
		for _, x := range servers {
			if v := row[x.name]; len(v) > 0 {
				fmt.Fprintf(&b, " %.0f [%.0f/s] (%.0f to %.0f) |", median(v), 1e6/median(v), slices.Min(v), slices.Max(v))
			} else {
				fmt.Fprintf(&b, " none |")
			}
		}
		best := 0.0
		for _, name := range []string{"nginx", "haproxy"} {
			if v := row[name]; len(v) > 0 && (best == 0 || median(v) < best) {
				best = median(v)
			}
		}
		ratio := func(to float64) string {
			if own := row["edgewright"]; len(own) > 0 && to > 0 {
				return fmt.Sprintf(" %.2f |", median(own)/to)
			}
			return " none |"
		}
		fmt.Fprintf(&b, "%s%s\n", ratio(best), ratio(median(row["net/http"])))
	}
	return b.String()
}
