package node_test

import (
	"net"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// TestProbeLooksAtFurtherNames: a certificate of several names is looked at by all
// of them in turn, one for an address at that address, and over HTTP/3 too.
func TestProbeLooksAtFurtherNames(t *testing.T) {
	e, other := nodetest.Start(t), nodetest.Start(t)
	names := []string{"a.test", "*.b.test", "c.test", "d.test", "e.test", "f.test", "g.test"}
	chain := e.CA.Issue(t, names...)
	address := e.CA.Issue(t, "127.0.0.1", "192.0.2.7")
	e.MustApply(
		e.Document("certificate/crt_many", nodetest.Sealed(t, chain, e.GroupKey, "crt_many", names...)),
		e.Document("certificate/crt_ip", nodetest.Sealed(t, address, e.GroupKey, "crt_ip", "127.0.0.1", "192.0.2.7")),
	)
	// The other lacks the last name.
	other.MustApply(
		other.Document("certificate/crt_many", nodetest.Sealed(t, chain, other.GroupKey, "crt_many", names[:6]...)),
	)
	seen := map[string]edgeconfig.Served{}
	for _, s := range e.Probe(t.Context(), nil).Served {
		seen[s.Certificate] = s
	}
	if s := seen["crt_many"]; s.Problem != "" || s.Name != "a.test" || len(s.Offers) != 2 {
		t.Errorf("several names: %+v", s)
	}
	if s := seen["crt_ip"]; s.Problem != "" || s.Name != "127.0.0.1" || s.Fingerprint == "" {
		t.Errorf("an address: %+v", s)
	}
	peer := &edgeconfig.Peer{Edge: "edge_other", Address: other.HTTPSAddr()}
	problem := ""
	for range 8 { // some names each round
		for _, s := range e.Probe(t.Context(), peer).Served {
			if s.Certificate == "crt_many" && s.Problem != "" {
				problem = s.Problem
			}
		}
		e.Probe(t.Context(), nil)
	}
	if !strings.Contains(problem, "for g.test") {
		t.Errorf("a name that the peer does not serve: %q", problem)
	}
}

// TestProbeOverHTTP3: clients of HTTP/3 get the same certificate, and where it is
// switched off nothing is asked.
func TestProbeOverHTTP3(t *testing.T) {
	for _, off := range []bool{false, true} {
		e := nodetest.Start(t, func(o *node.Options) { o.NoHTTP3 = off })
		e.MustApply(e.Document("certificate/crt_1", e.Certificate("crt_1", "a.test")))
		if off { // what else has the port now speaks no QUIC
			socket, err := net.ListenPacket("udp", e.HTTPSAddr())
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
		}
		served := e.Probe(t.Context(), nil).Served
		if len(served) == 0 || served[0].Problem != "" {
			t.Errorf("HTTP/3 off %t: %+v", off, served)
		}
	}
}
