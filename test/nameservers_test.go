package test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The platform's name servers are verified by their names, over TLS and HTTPS,
// at every edge, without anybody asking for their certificates.
func TestNameServersAreVerifiedByName(t *testing.T) {
	const first, second = "ns1.platform.localhost", "ns2.platform.localhost"
	overTLS := freeAddress(t)
	s := up(t, t.TempDir(), "--regions", "fra,iad", "--resolvers", "127.0.0.1:1", "--name-servers", first, "--name-servers", second, "--listen-dot", overTLS)
	s.must(201, "POST", "/domains/example.com/zone", map[string]any{})
	s.must(201, "POST", "/domains/example.com/records", map[string]any{"name": "www", "type": "A", "values": []string{"192.0.2.7"}})
	roots := s.roots()
	question := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	answers := func(m *dns.Msg) error {
		if len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.7" {
			return fmt.Errorf("%v", m)
		}
		return nil
	}
	for _, name := range []string{first, second} {
		eventually(t, 30*time.Second, func() error {
			c := dns.Client{Net: "tcp-tls", TLSConfig: &tls.Config{ServerName: name, RootCAs: roots}}
			m, _, err := c.Exchange(question, overTLS)
			if err != nil {
				return err
			}
			return answers(m)
		})
		packed, err := question.Pack()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range s.Ready.Edges {
			client := browser(e.HTTPS, roots)
			eventually(t, 30*time.Second, func() error {
				a, err := get(t, client, "https://"+name+"/dns-query?dns="+base64.RawURLEncoding.EncodeToString(packed))
				if err != nil {
					return err
				}
				m := new(dns.Msg)
				if err := m.Unpack(a.Body); a.Status != 200 || err != nil {
					return fmt.Errorf("status %d: %.100q, %v", a.Status, a.Body, err)
				}
				return answers(m)
			})
		}
	}
}
