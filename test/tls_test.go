package test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// session asks one edge for the demo's first page over TLS and tells whether the
// client's session went on.
func session(address string, roots *x509.CertPool, version uint16, sessions tls.ClientSessionCache) (resumed bool, err error) {
	conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: "demo.localhost", RootCAs: roots, MaxVersion: version, ClientSessionCache: sessions, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /robots.txt HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, conn) // tickets come after the handshake
	return conn.ConnectionState().DidResume, err
}

// A session goes on with another edge, and after everything was killed; and the
// control plane knows, by the edges' own handshakes, what they serve and how
// well.
func TestSessionsAndScore(t *testing.T) {
	dir := t.TempDir()
	s := up(t, dir, "--demo", "--regions", "fra,iad")
	roots := s.roots()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		eventually(t, 30*time.Second, func() error {
			sessions := tls.NewLRUClientSessionCache(4)
			if _, err := session(s.Ready.Edges[0].HTTPS, roots, version, sessions); err != nil {
				return err
			}
			resumed, err := session(s.Ready.Edges[1].HTTPS, roots, version, sessions)
			if err == nil && !resumed {
				err = errors.New("a session of one edge does not go on with the other")
			}
			return err
		})
	}
	type view struct {
		Edge, By, Chain, Problem string
		Current                  bool
	}
	eventually(t, time.Minute, func() error {
		var got struct {
			Certificate struct{ Served []view }
		}
		s.must(200, "GET", "/ssl/demo.localhost", nil).decode(t, &got)
		if len(got.Certificate.Served) != 4 {
			return fmt.Errorf("%d views, wanted two of each edge: %+v", len(got.Certificate.Served), got)
		}
		for i, v := range got.Certificate.Served {
			if self := v.Edge == v.By; !v.Current || v.Problem != "" || v.Chain != "private" || self != (i%2 == 0) {
				return fmt.Errorf("view %d: %+v", i, v)
			}
		}
		return nil
	})
	var score struct {
		Score struct {
			Grade      string
			Ignoring   string `json:"grade_ignoring_trust"`
			Deductions []struct{ What, Fix string }
		}
		Edges []struct{ Grade string }
	}
	s.must(200, "GET", "/ssl/demo.localhost/score", nil).decode(t, &score)
	if score.Score.Grade != "T" || score.Score.Ignoring != "A" || len(score.Edges) != 2 || len(score.Score.Deductions) == 0 {
		t.Errorf("a local CA's certificate without HSTS: %+v", score)
	}

	sessions := tls.NewLRUClientSessionCache(4)
	if _, err := session(s.Ready.HTTPS, roots, tls.VersionTLS13, sessions); err != nil {
		t.Fatal(err)
	}
	s.kill()
	s = up(t, dir, "--demo", "--regions", "fra,iad")
	if resumed, err := session(s.Ready.HTTPS, roots, tls.VersionTLS13, sessions); err != nil || !resumed {
		t.Errorf("after a restart: %v, resumed %v", err, resumed)
	}
}
