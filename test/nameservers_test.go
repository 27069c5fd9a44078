package test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The platform's name servers are verified by their names, over TLS and HTTPS,
// at every edge, without anybody asking for their certificates. They may lie in a
// zone of the operator's own, which then has their addresses by itself.
func TestNameServersAreVerifiedByName(t *testing.T) {
	const first, second = "ns1.platform.localhost", "ns2.platform.localhost"
	overTLS := freeAddress(t)
	s := up(t, t.TempDir(), "--regions", "fra,iad", "--resolvers", "127.0.0.1:1", "--name-servers", first, "--name-servers", second, "--listen-dot", overTLS)
	s.must(201, "POST", "/domains/platform.localhost/zone", map[string]any{})
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
		has(t, s.Ready.Edges[0].DNS, name+".", "127.0.0.1")
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

// Name servers in a zone itself have no certificates of their own. A wildcard that
// its owner has asked for is theirs too.
func TestNameServersInAZoneAreVerifiedByItsWildcard(t *testing.T) {
	overTLS := freeAddress(t)
	s := up(t, t.TempDir(), "--regions", "fra", "--resolvers", "127.0.0.1:1", "--listen-dot", overTLS)
	s.must(201, "POST", "/domains/shop.localhost/zone", map[string]any{})
	question := new(dns.Msg).SetQuestion("shop.localhost.", dns.TypeNS)
	var name string
	eventually(t, 30*time.Second, func() error {
		m, _, err := new(dns.Client).Exchange(question, s.Ready.Edges[0].DNS)
		if err == nil && len(m.Answer) != 2 {
			err = fmt.Errorf("%v", m)
		}
		if err == nil {
			name = m.Answer[0].(*dns.NS).Ns
		}
		return err
	})
	ask := func() error {
		c := dns.Client{Net: "tcp-tls", TLSConfig: &tls.Config{ServerName: strings.TrimSuffix(name, "."), RootCAs: s.roots()}}
		m, _, err := c.Exchange(question, overTLS)
		if err == nil && len(m.Answer) != 2 {
			err = fmt.Errorf("%v", m)
		}
		return err
	}
	if err := ask(); err == nil || !strings.HasSuffix(name, ".shop.localhost.") {
		t.Errorf("%s: %v", name, err)
	}
	s.must(201, "POST", "/domains", map[string]any{"domain": "*.shop.localhost", "origin": "http://127.0.0.1:9"})
	eventually(t, 30*time.Second, ask)
}
