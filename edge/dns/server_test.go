package dns

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/edgewright/edgewright/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves zone files on the loopback.
func start(t *testing.T, o Options, zones map[string]string) *Server {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for apex, text := range zones {
		c := contentOf(t, "zon_"+strings.ReplaceAll(apex, ".", "_"), apex, records(t, apex, soaLine+text))
		apply(t, s.Zones, c.documents(t, 1))
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func doors(t *testing.T, f func(t *testing.T, o Options)) {
	for name, o := range map[string]Options{
		"batches": {}, "two workers": {Workers: 2}, "portable": {Portable: true}, "IPv6": {Addr: "[::1]:0"},
		"everywhere v4": {Addr: "0.0.0.0:0"}, "everywhere": {Addr: ":0"},
	} {
		t.Run(name, func(t *testing.T) { f(t, o) })
	}
}

// dialable turns a wildcard address into one to ask at.
func dialable(addr string) string {
	return strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1").Replace(addr)
}

func TestDoors(t *testing.T) {
	doors(t, func(t *testing.T, o Options) {
		s := start(t, o, map[string]string{"example.com.": fullZone})
		oracle := newOracle("example.com.", records(t, "example.com.", soaLine+fullZone))
		for _, network := range []string{"udp", "tcp"} {
			client := &dns.Client{Net: network, Timeout: 5 * time.Second}
			for range 3 {
				var wg sync.WaitGroup
				for i := range 20 {
					wg.Go(func() {
						name := []string{"www.example.com.", "q.wild.example.com.", "sub.example.com.", "no.example.com."}[i%4]
						m, _, err := client.Exchange(question(name, dns.TypeA, i%2 == 0), dialable(s.Addr()))
						if err != nil {
							t.Errorf("%s %s: %v", network, name, err)
							return
						}
						same(t, network+" "+name, m, oracle.answer(name, dns.TypeA, false))
					})
				}
				wg.Wait()
			}
		}
		if err := s.Verify(t.Context(), "zone/zon_example_com_", 1); err != nil {
			t.Error(err)
		}
		if err := s.Verify(t.Context(), "zone/zon_other", 1); !fault.Is(err, fault.NotFound) {
			t.Errorf("Verify of an unknown zone: %v", err)
		}
		if st := s.Stats(); st.Queries < 120 || st.Answers < 60 || st.Zones != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTheAnswerLeavesFromTheAddressThatWasAsked(t *testing.T) {
	s := start(t, Options{Addr: "0.0.0.0:0"}, map[string]string{"example.com.": fullZone})
	_, port, _ := net.SplitHostPort(s.Addr())
	for i := 2; i < 5; i++ { // a connected socket drops what comes from elsewhere
		m, _, err := new(dns.Client).Exchange(question("mail.example.com.", dns.TypeA, false), fmt.Sprintf("127.0.0.%d:%s", i, port))
		if err != nil || len(m.Answer) != 1 {
			t.Fatalf("127.0.0.%d: %v", i, err)
		}
	}
}

func TestTCPPipelining(t *testing.T) {
	s := start(t, Options{}, map[string]string{"example.com.": fullZone})
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var wire []byte
	for i := range 200 {
		q := question("mail.example.com.", dns.TypeA, true)
		q.Id = uint16(i)
		b, _ := q.Pack()
		wire = append(binary.BigEndian.AppendUint16(wire, uint16(len(b))), b...)
	}
	go func() { // in odd pieces, so that lengths and messages are cut
		for len(wire) > 0 {
			n := min(len(wire), 7+len(wire)%113)
			if _, err := conn.Write(wire[:n]); err != nil {
				return
			}
			wire = wire[n:]
		}
	}()
	seen := map[uint16]bool{}
	for range 200 {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
		var m dns.Msg
		if err := m.Unpack(b); err != nil || len(m.Answer) != 1 || seen[m.Id] {
			t.Fatalf("%v %v", err, m.Id)
		}
		seen[m.Id] = true
	}
}

func TestTCPBounds(t *testing.T) {
	s := start(t, Options{MaxConnsClient: 2, Idle: 50 * time.Millisecond}, map[string]string{"example.com.": fullZone})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	closed := func(c net.Conn) bool {
		_, err := c.Read(make([]byte, 1))
		_ = c.Close()
		return err != nil && !strings.Contains(err.Error(), "timeout")
	}
	for name, bytes := range map[string][]byte{
		"idle":          nil,
		"half a length": {0},
		"half a query":  {0, 30, 1, 2},
		"too long":      {0xff, 0xff, 0},
		"no query":      {0, 3, 1, 2, 3},
		"an answer":     append([]byte{0, 12, 0, 1, 0x80}, make([]byte, 9)...),
	} {
		c := dial()
		_, _ = c.Write(bytes)
		if !closed(c) {
			t.Errorf("%s: the connection stays", name)
		}
	}
	a, b := dial(), dial()
	if c := dial(); !closed(c) {
		t.Error("a third connection of one network stays")
	}
	_, _ = a.Close(), b.Close()
}

func TestOptionsAndAddresses(t *testing.T) {
	for _, o := range []Options{{Addr: "nonsense"}, {Addr: "127.0.0.1:0", UDPSize: 100}, {Addr: "127.0.0.1:0", Workers: -1}} {
		if _, err := New(o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	s := start(t, Options{}, nil)
	if _, err := New(Options{Addr: s.Addr(), Portable: true}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a taken address: %v", err)
	}
	unused, err := New(Options{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := unused.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Start() == nil {
		t.Error("started twice")
	}
}
