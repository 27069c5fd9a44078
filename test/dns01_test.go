package test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWildcardByDNS: a zone that we serve proves a wildcard to a CA that asks
// nobody but our edges. The records that prove the domain, and the challenge,
// get there without a hand.
func TestWildcardByDNS(t *testing.T) {
	names := freeAddress(t)
	acme := startACMEAsking(t, 0, names)
	s := up(t, t.TempDir(), "--regions", "fra,iad", "--listen-dns", names, "--resolvers", names,
		"--issuer", "acme", "--acme-directory", acme.Directory, "--acme-root", acme.RootFile)
	o := startOrigin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "wild") })

	const wildcard, host = "*.example.test", "any.example.test"
	s.must(201, "POST", "/domains", map[string]any{"domain": wildcard, "auto_configure": true, "dns": "managed", "origin": o.URL})
	client := browser(s.Ready.HTTPS, acme.roots())
	eventually(t, 90*time.Second, func() error {
		a, err := get(t, client, "https://"+host+"/")
		if err == nil && string(a.Body) != "wild" {
			err = fmt.Errorf("status %d: %.300s", a.Status, a.Body)
		}
		return err
	})
	for _, e := range s.Ready.Edges {
		eventually(t, 30*time.Second, func() error {
			c, err := tls.Dial("tcp", e.HTTPS, &tls.Config{ServerName: host, RootCAs: acme.roots()})
			if err != nil {
				return err
			}
			defer c.Close()
			if got := c.ConnectionState().PeerCertificates[0].DNSNames; !slices.Equal(got, []string{wildcard}) {
				return fmt.Errorf("the certificate at %s is for %v", e.Region, got)
			}
			return nil
		})
	}

	// What a zone of ours shall say is watched until everybody says so.
	s.must(201, "POST", "/domains/example.test/records", map[string]any{"name": "www", "type": "A", "values": []string{"192.0.2.7"}})
	eventually(t, 30*time.Second, func() error {
		a, err := s.call("GET", "/domains/"+wildcard+"/propagation", nil)
		if err == nil && !strings.Contains(string(a.Body), "www.example.test") {
			err = fmt.Errorf("%s", a.Body)
		}
		return err
	})
}
