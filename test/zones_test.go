package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestManagedZone: a zone made on the command line is answered by every edge,
// a record changes, a zone file of a thousand names comes in, the zone is signed, and
// a process that was killed makes the same version again.
func TestManagedZone(t *testing.T) {
	dir := t.TempDir()
	s := up(t, dir, "--regions", "fra,iad", "--resolvers", "127.0.0.1:1")
	cli := func(s *system, args ...string) string {
		t.Helper()
		env := []string{"EDGEWRIGHT_URL=http://" + s.Ready.API, "EDGEWRIGHT_TOKEN=" + token}
		out, err := run(t, env, binary, append([]string{"dns"}, args...)...)
		if err != nil {
			t.Fatalf("dns %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	ask := func(server, name string, typ uint16) (*dns.Msg, error) {
		q := new(dns.Msg).SetQuestion(name, typ).SetEdns0(1232, true)
		answer, _, err := (&dns.Client{}).Exchange(q, server)
		return answer, err
	}
	// everywhere waits until each edge answers a name with an address.
	everywhere := func(s *system, name, address string) {
		t.Helper()
		for _, e := range s.Ready.Edges {
			eventually(t, 60*time.Second, func() error {
				answer, err := ask(e.DNS, name, dns.TypeA)
				if err != nil {
					return err
				}
				for _, rr := range answer.Answer {
					if a, is := rr.(*dns.A); is && a.A.String() == address {
						return nil
					}
				}
				return fmt.Errorf("%s at %s: %v", name, e.Region, answer)
			})
		}
	}
	cli(s, "create", "example.com")
	cli(s, "set", "example.com", "www", "A", "192.0.2.1", "--ttl", "60")
	cli(s, "set", "example.com", "@", "ALIAS", "--edges")
	everywhere(s, "www.example.com.", "192.0.2.1")
	everywhere(s, "example.com.", "127.0.0.1")
	cli(s, "set", "example.com", "www", "A", "192.0.2.2")
	everywhere(s, "www.example.com.", "192.0.2.2")

	var zone strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&zone, "n%d 60 IN A 10.1.%d.%d\n", i, i/256, i%256)
	}
	file := filepath.Join(dir, "zone")
	if err := os.WriteFile(file, []byte(zone.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := cli(s, "import", "example.com", file); !strings.Contains(out, "1000 created") {
		t.Fatalf("%s", out)
	}
	everywhere(s, "n999.example.com.", "10.1.3.231")
	cli(s, "dnssec", "example.com", "--enable")
	for _, e := range s.Ready.Edges {
		eventually(t, 60*time.Second, func() error {
			answer, err := ask(e.DNS, "n1.example.com.", dns.TypeA)
			if err == nil && len(answer.Answer) != 2 {
				err = fmt.Errorf("not signed at %s: %v", e.Region, answer)
			}
			return err
		})
	}
	// Edges sign what nobody could have signed before it was asked.
	cli(s, "dnssec", "example.com", "--enable", "--denial", "compact")
	for _, e := range s.Ready.Edges {
		eventually(t, 60*time.Second, func() error {
			answer, err := ask(e.DNS, "no.such.name.example.com.", dns.TypeA)
			if err != nil {
				return err
			}
			for _, rr := range answer.Ns {
				if n, is := rr.(*dns.NSEC); is && n.Hdr.Name == "no.such.name.example.com." && slices.Contains(n.TypeBitMap, dns.TypeNXNAME) {
					return nil
				}
			}
			return fmt.Errorf("not denied compactly at %s: %v", e.Region, answer)
		})
	}
	serial := func(s *system) uint32 {
		var z struct{ Serial uint32 }
		var traced struct {
			Agree   bool
			Servers []struct{ Serial uint32 }
		}
		args := []string{"trace", "www.example.com", "A", "-o", "json"}
		for _, e := range s.Ready.Edges {
			args = append(args, "--at", e.DNS)
		}
		if err := json.Unmarshal([]byte(cli(s, args...)), &traced); err != nil || !traced.Agree {
			t.Fatalf("%+v, %v", traced, err)
		}
		z.Serial = traced.Servers[0].Serial
		return z.Serial
	}
	before := serial(s)
	s.kill()
	s = up(t, dir, "--regions", "fra,iad", "--resolvers", "127.0.0.1:1")
	cli(s, "set", "example.com", "late", "A", "192.0.2.9")
	everywhere(s, "late.example.com.", "192.0.2.9")
	everywhere(s, "n999.example.com.", "10.1.3.231")
	if after := serial(s); int32(after-before) <= 0 {
		t.Errorf("the serial went from %d to %d", before, after)
	}

	// Steering is read from a file, and not lost by a change that does not speak
	// of it.
	steering := filepath.Join(dir, "steering.yaml")
	if err := os.WriteFile(steering, []byte("answers:\n  - {order: 0, check: port, values: [192.0.2.50]}\n  - {order: 1, values: [192.0.2.51]}\nchecks:\n  port: {type: tcp, port: 9, interval: 60}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cli(s, "set", "example.com", "late", "A", "192.0.2.9", "--steering", steering)
	everywhere(s, "late.example.com.", "192.0.2.50")
	env := []string{"EDGEWRIGHT_URL=http://" + s.Ready.API, "EDGEWRIGHT_TOKEN=" + token}
	if out, err := run(t, env, binary, "dns", "set", "example.com", "late", "A", "192.0.2.9"); err == nil || !strings.Contains(out, "late.example.com A is steered") {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.WriteFile(steering, []byte("answers: [{ordr: 1}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, env, binary, "dns", "set", "example.com", "late", "A", "--steering", steering); err == nil || !strings.Contains(out, `unknown field "ordr"`) {
		t.Errorf("%v: %s", err, out)
	}
	cli(s, "set", "example.com", "late", "A", "192.0.2.9", "--steering", "none")
	everywhere(s, "late.example.com.", "192.0.2.9")

	if out := cli(s, "export", "example.com"); strings.Count(out, " IN A ") != 1002 {
		t.Errorf("%d records are exported", strings.Count(out, " IN A "))
	}
}
