package httpedge_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/edgewright/edgewright/edge/node/nodetest"
)

// BenchmarkHandshake opens connections and closes them: both sides' cost.
func BenchmarkHandshake(b *testing.B) {
	for _, c := range []struct {
		name    string
		version uint16
		resumed bool
	}{{"TLS 1.3 full", tls.VersionTLS13, false}, {"TLS 1.3 resumed", tls.VersionTLS13, true}, {"TLS 1.2 full", tls.VersionTLS12, false}, {"TLS 1.2 resumed", tls.VersionTLS12, true}} {
		b.Run(c.name, func(b *testing.B) {
			e := nodetest.Start(b)
			e.Serve(nodetest.Site("dom_shop", "shop.test", "http://127.0.0.1:1"))
			config := e.TLS("http/1.1")
			config.ServerName, config.MinVersion, config.MaxVersion = "shop.test", c.version, c.version
			config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
			if c.resumed {
				config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			b.ReportAllocs()
			for b.Loop() {
				conn, err := tls.Dial("tcp", e.HTTPSAddr(), config)
				if err != nil {
					b.Fatal(err)
				}
				if c.version == tls.VersionTLS13 && c.resumed { // tickets come with what is read
					_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				} else {
					_ = conn.CloseWrite()
				}
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		})
	}
}
