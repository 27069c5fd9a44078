package test

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestFailoverByDNS: a steered name answers with the first origin that lives,
// moves to the second when that is stopped, and back when it is there again.
func TestFailoverByDNS(t *testing.T) {
	s := up(t, t.TempDir(), "--resolvers", "127.0.0.1:1", "--region-locations", "cellar=50.1/8.7")
	var server *http.Server
	serve := func(address string) string {
		t.Helper()
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/alive" || r.Host != "www.example.com" {
				w.WriteHeader(http.StatusNotFound)
			}
		})}
		closed := server
		go func() { _ = closed.Serve(l) }()
		t.Cleanup(func() { _ = closed.Close() })
		return l.Addr().String()
	}
	second := serve("127.0.0.2:0")
	_, port, _ := net.SplitHostPort(second)
	first := net.JoinHostPort("127.0.0.1", port)
	serve(first)

	s.must(201, "POST", "/domains/example.com/zone", nil)
	record := func(check map[string]any) map[string]any {
		return map[string]any{
			"name": "www", "type": "A", "ttl": 30, "values": []string{"192.0.2.1"},
			"steering": map[string]any{
				"answers": []map[string]any{
					{"order": 0, "check": "web", "values": []string{"127.0.0.1"}},
					{"order": 1, "check": "web", "values": []string{"127.0.0.2"}},
				},
				"checks": map[string]any{"web": check},
			},
		}
	}
	s.must(422, "POST", "/domains/example.com/records", record(map[string]any{"type": "ping"}))
	var n int
	fmt.Sscan(port, &n)
	s.must(201, "POST", "/domains/example.com/records", record(map[string]any{"type": "http", "port": n, "path": "/alive", "interval": 1, "rise": 1, "fall": 1}))

	answers := func(want string) {
		t.Helper()
		eventually(t, 60*time.Second, func() error {
			reply, _, err := (&dns.Client{}).Exchange(new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA), s.Ready.DNS)
			if err != nil {
				return err
			}
			if len(reply.Answer) == 1 {
				if a, is := reply.Answer[0].(*dns.A); is && a.A.String() == want {
					return nil
				}
			}
			return fmt.Errorf("wanted %s: %v", want, reply.Answer)
		})
	}
	answers("127.0.0.1")
	_ = server.Close()
	answers("127.0.0.2")
	serve(first)
	answers("127.0.0.1")
}
