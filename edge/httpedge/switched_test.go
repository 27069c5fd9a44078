package httpedge_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/edge/node/nodetest"
)

// TestOriginThatSwitchesUnasked: a 101 that nobody asked for is the origin's
// fault, and what follows it reaches no client.
func TestOriginThatSwitchesUnasked(t *testing.T) {
	switches := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: secret\r\n\r\nswapped\n")
	})
	plain := httptest.NewServer(switches)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(switches)
	secure.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	secure.StartTLS()
	defer secure.Close()
	for name, origin := range map[string]string{"plain": plain.URL, "TLS": secure.URL} {
		t.Run(name, func(t *testing.T) {
			e := nodetest.Start(t)
			site := nodetest.Site("dom_shop", "shop.test", origin)
			site.Pool.Origins[0].SkipVerify = true
			e.Serve(site)
			eachVersion(t, func(t *testing.T, version int) {
				for _, method := range []string{"GET", "POST", "DELETE"} {
					body := ""
					if method == "POST" {
						body = "content"
					}
					a := do(t, e.Client(version), request(t, method, "https://shop.test/", body))
					if a.status != http.StatusBadGateway || a.header.Get("X-Request-Id") == "" || strings.Contains(a.body, "swapped") || a.header.Get("Upgrade") != "" {
						t.Errorf("%s: %d %v %q", method, a.status, a.header, a.body)
					}
				}
			})
		})
	}
}
