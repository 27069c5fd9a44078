package zones_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/zones"
	edgedns "github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edgeconfig"
)

// edge is a real name server that serves the versions it is given, to clients
// who are wherever where says.
type edge struct {
	*edgedns.Server
	revision int64
	where    atomic.Pointer[edgedns.Place]
	clock    atomic.Int64      // Unix time, for what it signs itself
	held     map[string]string // hash by key
}

func (e *edge) Locate(netip.Addr) edgedns.Place { return *e.where.Load() }

func newEdge(t testing.TB) *edge {
	t.Helper()
	e := &edge{held: map[string]string{}}
	e.where.Store(&edgedns.Place{})
	s, err := edgedns.New(edgedns.Options{Addr: "127.0.0.1:0", Workers: 1, RRL: edgedns.RRL{Rate: -1}, Locator: e, Now: func() time.Time { return time.Unix(e.clock.Load(), 0) }})
	ok(t, err)
	e.Server = s
	ok(t, s.Start())
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// serve gives the edge a version, as the agent does: what changed of it.
func (e *edge) serve(t testing.TB, v zones.Version) {
	t.Helper()
	e.revision++
	var docs []edgeconfig.Document
	add := func(key string, body []byte) {
		d := edgeconfig.Document{Key: key, Scope: edgeconfig.ScopeAll, Revision: e.revision, Hash: edgeconfig.HashBody(body), Body: body}
		if e.held[key] != d.Hash {
			e.held[key] = d.Hash
			docs = append(docs, d)
		}
	}
	for i, body := range v.Parts {
		add(edgeconfig.ZonePartKey(v.Head.ID, i), body)
	}
	if len(v.Keys) > 0 {
		keys := &edgeconfig.ZoneKeys{Zone: v.Head.ID}
		var opened [][]byte
		for _, k := range v.Keys {
			keys.Keys = append(keys.Keys, edgeconfig.ZoneSigningKey{Tag: k.Tag, Algorithm: k.Algorithm})
			opened = append(opened, k.DER)
		}
		signer, err := edgedns.NewSigner(keys, opened)
		ok(t, err)
		e.PutSigner(signer)
	}
	head, err := json.Marshal(&v.Head)
	ok(t, err)
	add(edgeconfig.ZoneKey(v.Head.ID), head)
	for _, item := range e.Apply(docs) {
		if item.State != edgeconfig.Applied {
			t.Fatalf("%s: %s", item.Key, item.Reason)
		}
	}
}

func (e *edge) port() uint16 { return netip.MustParseAddrPort(e.Addr()).Port() }

// ask is a question that a validating resolver is to answer, and how: with the
// bit that says that all of it is proved, or not at all (SERVFAIL).
type ask struct {
	name  string
	typ   uint16
	rcode int
	// answers counts the records of the type asked for.
	answers int
}

// resolves has unbound, as a resolver that knows the zone's DS alone, answer
// questions about what the edge serves, as of a time.
func resolves(t testing.TB, e *edge, apex string, ds []string, at time.Time, asks []ask) {
	t.Helper()
	e.clock.Store(at.Unix())
	dir := t.TempDir()
	port := freePort(t)
	var conf strings.Builder
	fmt.Fprintf(&conf, `server:
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  so-reuseport: no
  verbosity: 1
  val-log-level: 2
  interface: 127.0.0.1
  port: %d
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-signaling: no
  aggressive-nsec: no
  harden-algo-downgrade: yes
  val-clean-additional: yes
  local-zone: "%s" nodefault
  val-override-date: %q
`, dir, port, apex, at.UTC().Format("20060102150405"))
	for _, d := range ds {
		fmt.Fprintf(&conf, "  trust-anchor: \"%s. DS %s\"\n", apex, d)
	}
	fmt.Fprintf(&conf, "stub-zone:\n  name: %q\n  stub-addr: 127.0.0.1@%d\nremote-control:\n  control-enable: no\n", apex, e.port())
	file := filepath.Join(dir, "unbound.conf")
	ok(t, os.WriteFile(file, []byte(conf.String()), 0o600))
	cmd := exec.Command(tool(t, "unbound"), "-d", "-c", file)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	ok(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("unbound says:\n%s", log.String())
		}
	}()
	server := fmt.Sprintf("127.0.0.1:%d", port)
	exchange := func(a ask) (*dns.Msg, error) {
		q := new(dns.Msg).SetQuestion(a.name, a.typ).SetEdns0(1232, true)
		q.AuthenticatedData = true
		m, _, err := (&dns.Client{Timeout: 20 * time.Second}).Exchange(q, server)
		return m, err
	}
	for begin := time.Now(); ; {
		if _, err := exchange(ask{name: "localhost.", typ: dns.TypeA}); err == nil {
			break
		}
		select {
		case <-ended:
			t.Fatalf("unbound ended:\n%s", log.String())
		default:
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("unbound does not answer:\n%s", log.String())
		}
	}
	for _, a := range asks {
		m, err := exchange(a)
		if err != nil {
			t.Errorf("%s %s: %v", a.name, dns.TypeToString[a.typ], err)
			continue
		}
		got := 0
		for _, rr := range m.Answer {
			if rr.Header().Rrtype == a.typ {
				got++
			}
		}
		if m.Rcode != a.rcode || got != a.answers || m.AuthenticatedData != (a.rcode != dns.RcodeServerFailure) {
			t.Errorf("%s %s at %s: want %s, %d answers, validated; got\n%v", a.name, dns.TypeToString[a.typ], at, dns.RcodeToString[a.rcode], a.answers, m)
		}
	}
}

// delves has BIND's delv validate one answer of the edge's, from the zone's DS
// alone, as of a time.
func delves(t testing.TB, e *edge, apex string, ds []string, at time.Time, a ask) {
	t.Helper()
	e.clock.Store(at.Unix())
	out, err := asOf(t, at, "delv", "@127.0.0.1", "-p", fmt.Sprint(e.port()), "-a", anchorsFile(t, apex, ds), "+root="+apex, a.name, dns.TypeToString[a.typ])
	want := "; fully validated"
	if a.answers == 0 {
		want = "; negative response, fully validated"
	}
	if err != nil || !strings.Contains(out, want) {
		t.Errorf("delv %s %s at %s: %v\n%s", a.name, dns.TypeToString[a.typ], at, err, out)
	}
}

// anchorsFile writes DS records as BIND's programs read them.
func anchorsFile(t testing.TB, apex string, ds []string) string {
	t.Helper()
	var anchors strings.Builder
	anchors.WriteString("trust-anchors {\n")
	for _, d := range ds {
		f := strings.Fields(d)
		fmt.Fprintf(&anchors, " %q static-ds %s %s %s \"%s\";\n", apex, f[0], f[1], f[2], strings.ToUpper(f[3]))
	}
	anchors.WriteString("};\n")
	file := filepath.Join(t.TempDir(), "anchors")
	ok(t, os.WriteFile(file, []byte(anchors.String()), 0o600))
	return file
}

// clock is a library that moves the clock of the program it is loaded into. The
// race detector needs the compiler too.
var clock = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "clock")
	if err != nil {
		return "", err
	}
	lib := filepath.Join(dir, "clock.so")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", lib, "testdata/clock.c").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return lib, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if lib, err := clock(); err == nil {
		_ = os.RemoveAll(filepath.Dir(lib))
	}
	os.Exit(code)
}

// asOf runs a program that goes by the clock at another time.
func asOf(t testing.TB, at time.Time, program string, args ...string) (string, error) {
	t.Helper()
	lib, err := clock()
	ok(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, program), args...)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+lib, fmt.Sprintf("CLOCK_OFFSET=%d", int64(time.Until(at)/time.Second)))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func tool(t testing.TB, program string) string {
	t.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: test/needs.sh installs it", program)
	return ""
}

// ports are below those that the system gives to clients, and no two tests of
// this process get the same one.
var ports atomic.Uint32

// freePort is one that nobody has for UDP and TCP at the moment.
func freePort(t testing.TB) int {
	t.Helper()
	ports.CompareAndSwap(0, 10_000+rand.Uint32N(15_000))
	for range 5000 {
		address := fmt.Sprintf("127.0.0.1:%d", ports.Add(1))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", address)
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return l.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// anchors are the DS that a resolver may know a zone by: the parent's, before it
// has any, those of all keys that are published for it.
func (w *world) anchors(s zones.Status) []string {
	if len(w.ds) > 0 {
		return w.ds
	}
	var out []string
	for _, k := range s.Keys.Keys {
		if k.Publish && len(k.DS) > 0 {
			out = append(out, k.DS[0])
		}
	}
	slices.Sort(out)
	return out
}
