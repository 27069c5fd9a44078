package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

// BenchmarkResumed measures resumed handshakes, client and server together: with
// the settings of an edge, and with crypto/tls as it comes. What lies between is
// ours.
func BenchmarkResumed(b *testing.B) {
	ca := newAuthority(b)
	document := ca.issue(b, "crt_1", time.Now().Add(1000*time.Hour), "shop.example")
	d, v := (*Table)(nil).Edit(), NewVault(0)
	e := entry(b, v, document)
	d.Add(e)
	table, tickets := d.Table(), NewTickets(time.Now)
	tickets.Set(edgeconfig.TicketChain{Hour: edgeconfig.HourOf(time.Now()) - edgeconfig.TicketWindow})
	ours := NewSettings(Options{Table: func() *Table { return table }, Tickets: tickets, Now: time.Now}).TCP
	certificate, err := e.Open(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	if certificate.Leaf, err = x509.ParseCertificate(certificate.Certificate[0]); err != nil {
		b.Fatal(err)
	}
	plain := &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12, CipherSuites: suites, CurvePreferences: curves, NextProtos: []string{"h2", "http/1.1"}}
	plain.SetSessionTicketKeys([][32]byte{{1}})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, server := range map[string]*tls.Config{"edge": ours, "plain": plain} {
			b.Run(tls.VersionName(version)+"/"+name, func(b *testing.B) {
				client := &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
				resumed := 0
				b.ReportAllocs()
				for b.Loop() {
					here, there := net.Pipe()
					done := make(chan error, 1)
					go func() {
						s := tls.Server(there, server)
						err := s.HandshakeContext(WithAttempt(context.Background(), &Attempt{}))
						if err == nil {
							_, err = s.Write([]byte("x")) // after it a client of 1.3 has its ticket
						}
						done <- err
					}()
					c := tls.Client(here, client)
					if err := c.Handshake(); err != nil {
						b.Fatal(err)
					}
					if _, err := c.Read(make([]byte, 1)); err != nil {
						b.Fatal(err)
					}
					if err := <-done; err != nil {
						b.Fatal(err)
					}
					if c.ConnectionState().DidResume {
						resumed++
					}
					here.Close()
					there.Close()
				}
				if resumed < b.N-1 {
					b.Errorf("%d of %d were resumed", resumed, b.N)
				}
			})
		}
	}
}
