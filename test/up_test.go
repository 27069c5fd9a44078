package test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A newcomer's first minutes: the demo answers over HTTPS with a certificate
// of the local CA, the second answer comes from the cache, an app of one's own
// is one command away, and what curl and openssl see agrees.
func TestFirstMinutes(t *testing.T) {
	s := up(t, t.TempDir(), "--demo")
	// Nobody has a zone yet: the name server says so, with an extended error.
	for _, network := range []string{"udp", "tcp"} {
		q := new(dns.Msg).SetQuestion("shop.example.", dns.TypeA).SetEdns0(1232, false)
		answer, _, err := (&dns.Client{Net: network}).Exchange(q, s.Ready.DNS)
		if err != nil || answer.Rcode != dns.RcodeRefused || answer.IsEdns0() == nil {
			t.Errorf("the name server at %q, over %s: %v, %v", s.Ready.DNS, network, err, answer)
		}
	}
	if !strings.HasPrefix(s.Ready.Login, "http://"+s.Ready.API+"/") {
		t.Errorf("the login link %q is not on the API address %q", s.Ready.Login, s.Ready.API)
	}
	client := browser(s.Ready.HTTPS, s.roots())
	first, err := get(t, client, "https://demo.localhost/gallery")
	if err != nil || first.Status != 200 || !strings.Contains(string(first.Body), "harbour") {
		t.Fatalf("the demo through the edge: status %d, %v: %.200s", first.Status, err, first.Body)
	}
	second, err := get(t, client, "https://demo.localhost/gallery")
	if err != nil || second.Status != 200 || !strings.Contains(second.Header.Get("Cache-Status"), "hit") {
		t.Fatalf("the second answer is no hit: status %d, Cache-Status %q, %v", second.Status, second.Header.Get("Cache-Status"), err)
	}

	o := startOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprintf(w, "origin saw %s", r.URL.Path)
	})
	env := []string{"EDGEWRIGHT_URL=http://" + s.Ready.API, "EDGEWRIGHT_TOKEN=" + token}
	if out, err := run(t, env, binary, "domains", "add", "shop.localhost", "--origin", o.URL); err != nil {
		t.Fatalf("domains add: %v\n%s", err, out)
	}
	eventually(t, 30*time.Second, func() error {
		a, err := get(t, client, "https://shop.localhost/")
		if err != nil {
			return err
		}
		if string(a.Body) != "origin saw /" {
			return fmt.Errorf("status %d: %.200s", a.Status, a.Body)
		}
		return nil
	})
	if n := o.count("/"); n != 1 {
		t.Errorf("the origin was asked %d times for one path", n)
	}

	t.Run("redirect", func(t *testing.T) {
		a, err := get(t, browser(s.Ready.HTTP, nil), "http://shop.localhost/x?y=1")
		if err != nil || a.Status != http.StatusPermanentRedirect || !strings.Contains(a.Header.Get("Location"), "/x?y=1") {
			t.Errorf("status %d, Location %q, %v", a.Status, a.Header.Get("Location"), err)
		}
	})
	t.Run("unknown host", func(t *testing.T) {
		a, err := get(t, browser(s.Ready.HTTP, nil), "http://nobody.localhost/")
		if err != nil || a.Status != http.StatusMisdirectedRequest {
			t.Errorf("status %d, %v", a.Status, err)
		}
	})
	t.Run("curl", func(t *testing.T) {
		_, port, _ := strings.Cut(s.Ready.HTTPS, ":")
		out, err := run(t, nil, "curl", "-sS", "--insecure", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
			"--connect-to", "shop.localhost:443:127.0.0.1:"+port, "https://shop.localhost/")
		if err != nil || out != "2 200" {
			t.Errorf("curl: %v: %s", err, out)
		}
	})
	t.Run("purge", func(t *testing.T) {
		var purged struct {
			PurgedCount int `json:"purged_count"`
		}
		s.must(200, "POST", "/cdn/purge", map[string]any{"paths": []string{"/"}, "purge_all": false}).decode(t, &purged)
		if purged.PurgedCount < 1 {
			t.Errorf("purged_count %d", purged.PurgedCount)
		}
		before := o.count("/")
		if _, err := get(t, client, "https://shop.localhost/"); err != nil {
			t.Fatal(err)
		}
		if o.count("/") != before+1 {
			t.Error("the origin was not asked again after the purge")
		}
	})
	t.Run("restart from disk", func(t *testing.T) {
		s.stop()
	})
}

// The spec's calls with their bodies, as automation makes them.
func TestContract(t *testing.T) {
	s := up(t, t.TempDir())
	var added struct {
		Config struct {
			Domain string `json:"domain"`
		} `json:"domain_config"`
		VerificationRequired *bool `json:"verification_required"`
	}
	s.must(201, "POST", "/domains", map[string]any{"domain": "shop.localhost", "auto_configure": true}).decode(t, &added)
	if added.Config.Domain != "shop.localhost" || added.VerificationRequired == nil || *added.VerificationRequired {
		t.Errorf("added %+v", added)
	}
	s.must(201, "POST", "/domains", map[string]any{"domain": "shop.example.com", "auto_configure": true}).decode(t, &added)
	if added.VerificationRequired == nil || !*added.VerificationRequired {
		t.Error("a public name needs no verification")
	}
	var list struct {
		Domains []struct {
			Domain string `json:"domain"`
		} `json:"domains"`
	}
	s.must(200, "GET", "/domains", nil).decode(t, &list)
	if len(list.Domains) != 2 {
		t.Errorf("domains %+v", list.Domains)
	}
	var verified struct {
		Verified *bool `json:"verified"`
		Records  []struct {
			Type, Name, Value string
		} `json:"dns_records"`
	}
	s.must(200, "POST", "/domains/shop.example.com/verify", map[string]any{"method": "dns"}).decode(t, &verified)
	if verified.Verified == nil || *verified.Verified || len(verified.Records) == 0 || verified.Records[0].Type != "TXT" {
		t.Errorf("verify %+v", verified)
	}
	o := startOrigin(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	var cdn struct {
		Deployment map[string]any `json:"cdn_deployment"`
	}
	a, err := s.call("POST", "/cdn", map[string]any{"origins": []map[string]any{{"name": "app", "url": o.URL}}, "cache_rules": []any{}})
	if err != nil || a.Status/100 != 2 {
		t.Fatalf("configure CDN: %d %v %s", a.Status, err, a.Body)
	}
	a.decode(t, &cdn)
	if cdn.Deployment == nil {
		t.Errorf("cdn: %s", a.Body)
	}
	var cert struct {
		Certificate map[string]any `json:"certificate"`
		ExpiresAt   time.Time      `json:"expires_at"`
	}
	a, err = s.call("POST", "/ssl/shop.localhost", map[string]any{"type": "lets_encrypt", "auto_renew": true})
	if err != nil || a.Status/100 != 2 {
		t.Fatalf("provision: %d %v %s", a.Status, err, a.Body)
	}
	a.decode(t, &cert)
	if cert.Certificate == nil || cert.ExpiresAt.Before(time.Now()) {
		t.Errorf("certificate: %s", a.Body)
	}
	client := browser(s.Ready.HTTPS, s.roots())
	eventually(t, 30*time.Second, func() error {
		a, err := get(t, client, "https://shop.localhost/")
		if err == nil && string(a.Body) != "hello" {
			err = errors.New(string(a.Body))
		}
		return err
	})
	var purge struct {
		Count *int `json:"purged_count"`
	}
	s.must(200, "POST", "/cdn/purge", map[string]any{"paths": []string{}, "purge_all": true}).decode(t, &purge)
	if purge.Count == nil {
		t.Error("purge has no purged_count")
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"} {
		res, err := http.Get("http://" + s.Ready.API + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
	}
}

// Several regions in one process: each edge serves, is listed, and counts for
// itself.
func TestRegions(t *testing.T) {
	s := up(t, t.TempDir(), "--regions", "fra,iad,sin", "--demo")
	if len(s.Ready.Edges) != 3 {
		t.Fatalf("READY lists %+v", s.Ready.Edges)
	}
	for _, e := range s.Ready.Edges {
		client := browser(e.HTTPS, s.roots())
		eventually(t, 20*time.Second, func() error {
			a, err := get(t, client, "https://demo.localhost/robots.txt")
			if err == nil && a.Status != 200 {
				err = fmt.Errorf("status %d", a.Status)
			}
			return err
		})
	}
	metrics := string(s.must(200, "GET", "/metrics", nil).Body)
	for _, e := range s.Ready.Edges {
		if !strings.Contains(metrics, e.ID) {
			t.Errorf("/metrics does not tell of %s in %s", e.ID, e.Region)
		}
	}
}
