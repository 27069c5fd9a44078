package test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// acmeServer is Let's Encrypt's own test CA, with a DNS server that its
// validation and ours ask.
type acmeServer struct {
	Directory string
	DNS       string
	RootFile  string // verifies the directory's own HTTPS
	dns       *challtestsrv.ChallSrv
	ca        *ca.CAImpl
	// watch sees each request twice, before it is answered (status 0) and after; what
	// it says is to be dropped goes no further.
	watch atomic.Pointer[func(r *http.Request, body []byte, status int) (drop bool)]
}

// watched lets the watcher see what is asked, and holds each answer back until it
// has seen it.
func (a *acmeServer) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watch := a.watch.Load()
		if watch == nil {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if (*watch)(r, body, 0) {
			return
		}
		held := httptest.NewRecorder()
		next.ServeHTTP(held, r)
		if (*watch)(r, body, held.Code) {
			return
		}
		maps.Copy(w.Header(), held.Header())
		w.WriteHeader(held.Code)
		_, _ = w.Write(held.Body.Bytes())
	})
}

// startACME runs Pebble; its HTTP-01 validation connects to httpPort.
func startACME(t *testing.T, httpPort int) *acmeServer {
	t.Helper()
	address := freeAddress(t)
	names, err := challtestsrv.New(challtestsrv.Config{Log: log.New(io.Discard, "", 0), DNSAddrs: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	names.SetDefaultDNSIPv6("")
	names.Run()
	t.Cleanup(names.Shutdown)
	a := startACMEAsking(t, httpPort, address)
	a.dns = names
	return a
}

// startACMEAsking runs Pebble with a DNS server that is there already.
func startACMEAsking(t *testing.T, httpPort int, names string) *acmeServer {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	quiet := log.New(io.Discard, "", 0)
	a := &acmeServer{DNS: names}
	store := db.NewMemoryStore()
	a.ca = ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "90 days", ValidityPeriod: 90 * 24 * 3600}, "shortlived": {Description: "6 days", ValidityPeriod: 6 * 24 * 3600}})
	front := wfe.New(quiet, store, va.New(quiet, httpPort, 0, true, a.DNS, store), a.ca, []string{"pebble.letsencrypt.org"}, true, false, 1, 1)
	server := httptest.NewTLSServer(a.watched(front.Handler()))
	t.Cleanup(server.Close)
	a.Directory = server.URL + wfe.DirectoryPath
	a.RootFile = filepath.Join(t.TempDir(), "acme-root.pem")
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(a.RootFile, root, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// roots trusts only what this CA issues.
func (a *acmeServer) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.ca.GetRootCert(0).PEM())
	return pool
}

func freeAddress(t *testing.T) string {
	t.Helper()
	for range 50 { // a port free for both TCP and UDP
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = p.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free for both TCP and UDP")
	return ""
}

// A public name's whole way: added, proved by a TXT record, certified by an
// ACME CA over HTTP-01 through the edge, served to a client that trusts only
// that CA.
func TestPublicDomain(t *testing.T) {
	httpAddress := freeAddress(t)
	_, port, _ := net.SplitHostPort(httpAddress)
	httpPort, _ := strconv.Atoi(port)
	acme := startACME(t, httpPort)
	dir := t.TempDir()
	args := []string{"--listen-http", httpAddress, "--issuer", "acme", "--acme-directory", acme.Directory, "--acme-root", acme.RootFile, "--resolvers", acme.DNS}
	s := up(t, dir, args...)
	o := startOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "served for ", strings.TrimSuffix(r.Host, ":"+r.Header.Get("X-Forwarded-Port")))
	})

	const name = "shop.example.com"
	var added struct {
		VerificationRequired bool `json:"verification_required"`
		Config               struct {
			Verification struct {
				Records []struct {
					Type     string `json:"type"`
					FullName string `json:"full_name"`
					Value    string `json:"value"`
				} `json:"records"`
			} `json:"verification"`
		} `json:"domain_config"`
	}
	s.must(201, "POST", "/domains", map[string]any{"domain": name, "auto_configure": true, "origin": o.URL}).decode(t, &added)
	records := added.Config.Verification.Records
	if !added.VerificationRequired || len(records) == 0 || records[0].Type != "TXT" {
		t.Fatalf("no TXT record is asked for: %+v", added)
	}
	if _, err := get(t, browser(s.Ready.HTTP, nil), "http://"+name+"/"); err != nil {
		t.Fatal(err)
	}
	var verified struct{ Verified bool }
	s.must(200, "POST", "/domains/"+name+"/verify", map[string]any{"method": "dns"}).decode(t, &verified)
	if verified.Verified {
		t.Fatal("verified without a record")
	}
	acme.dns.AddDNSTXTRecord(records[0].FullName+".", records[0].Value)
	eventually(t, 30*time.Second, func() error {
		s.must(200, "POST", "/domains/"+name+"/verify", map[string]any{"method": "dns"}).decode(t, &verified)
		if !verified.Verified {
			return errors.New("not verified")
		}
		return nil
	})

	client := browser(s.Ready.HTTPS, acme.roots())
	eventually(t, 60*time.Second, func() error {
		a, err := get(t, client, "https://"+name+"/")
		if err != nil {
			return err
		}
		if string(a.Body) != "served for "+name {
			return fmt.Errorf("status %d: %.300s", a.Status, a.Body)
		}
		return nil
	})
	leaf := leafOf(t, s.Ready.HTTPS, name)

	t.Run("openssl", func(t *testing.T) {
		root := filepath.Join(t.TempDir(), "root.pem")
		if err := os.WriteFile(root, acme.ca.GetRootCert(0).PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := run(t, nil, "openssl", "s_client", "-connect", s.Ready.HTTPS, "-servername", name, "-verify_return_error", "-verify_hostname", name, "-CAfile", root, "-brief")
		if err != nil {
			t.Errorf("openssl: %v\n%s", err, out)
		}
	})
	t.Run("restart keeps it", func(t *testing.T) {
		s.kill()
		s = up(t, dir, args...)
		eventually(t, 20*time.Second, func() error {
			_, err := get(t, browser(s.Ready.HTTPS, acme.roots()), "https://"+name+"/")
			return err
		})
		if again := leafOf(t, s.Ready.HTTPS, name); !bytes.Equal(again, leaf) {
			t.Error("a restart asked for another certificate")
		}
	})
}

// leafOf is the certificate the edge serves for a name.
func leafOf(t *testing.T, address, name string) []byte {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // only looked at
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Raw
}
