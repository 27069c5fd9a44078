package node_test

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// TestProbe: the node sees its certificates as a client does, counts nothing of
// it, and another node sees the same.
func TestProbe(t *testing.T) {
	e := nodetest.Start(t)
	s := nodetest.Site("dom_1", "one.test", origin(t, "a"))
	s.HSTS = &edgeconfig.HSTS{MaxAge: 300}
	e.Serve(s)
	strict := nodetest.Site("dom_2", "*.two.test", origin(t, "b"))
	strict.TLS = &edgeconfig.TLS{Policy: edgeconfig.PolicyModern}
	e.Serve(strict)
	e.Take(time.Minute)
	r := e.Probe(t.Context(), nil)
	if r.Target != nodetest.EdgeID || len(r.Served) < 2 {
		t.Fatalf("%+v", r)
	}
	byID := map[string]edgeconfig.Served{}
	for _, served := range r.Served {
		byID[served.Certificate] = served
	}
	one, two := byID["crt_dom_1"], byID["crt_dom_2"]
	if one.Problem != "" || one.Chain != edgeconfig.ChainPrivate || one.Key != "ECDSA 256" || one.HSTS != "max-age=300" || len(one.Fingerprint) != 64 || one.NotAfter == 0 {
		t.Errorf("one.test: %+v", one)
	}
	if len(one.Offers) != 2 || one.Offers[0].Version != "1.3" || one.Offers[0].Group != "X25519MLKEM768" || one.Offers[1].Version != "1.2" {
		t.Errorf("one.test offers %+v", one.Offers)
	}
	if two.Problem != "" || len(two.Offers) != 1 || two.Name != "edgewright-verify.two.test" {
		t.Errorf("two.test, which is modern: %+v", two)
	}
	if counted := e.Take(time.Minute).Sites; len(counted) != 0 {
		t.Errorf("looking at itself was counted: %+v", counted)
	}
	// A peer: looked at for what this round has looked at.
	other := nodetest.Start(t)
	seen := e.Probe(t.Context(), &edgeconfig.Peer{Edge: "edge_other", Address: other.HTTPSAddr()})
	if seen.Target != "edge_other" || len(seen.Served) == 0 || seen.Served[0].Problem == "" {
		t.Errorf("a peer that serves nothing: %+v", seen)
	}
	e.Probe(t.Context(), nil)
	seen = e.Probe(t.Context(), &edgeconfig.Peer{Edge: "edge_same", Address: e.HTTPSAddr()})
	if len(seen.Served) == 0 || seen.Served[0].Problem != "" || len(seen.Served[0].Offers) != 1 {
		t.Errorf("a peer that serves the same: %+v", seen)
	}
}

// TestProbeSweeps: everything is looked at in turn, what changes first.
func TestProbeSweeps(t *testing.T) {
	e := nodetest.Start(t)
	var docs []edgeconfig.Document
	const n = 30
	for i := range n {
		id, host := "crt_"+string(rune('a'+i)), string(rune('a'+i))+"x.test"
		if i >= 26 {
			id, host = "crt_z"+string(rune('a'+i-26)), "z"+string(rune('a'+i-26))+".test"
		}
		docs = append(docs, e.Document("certificate/"+id, e.Certificate(id, host)))
	}
	e.MustApply(docs...)
	if first := e.Probe(t.Context(), nil); len(first.Served) < n {
		t.Errorf("%d of %d new certificates were looked at", len(first.Served), n)
	}
	seen := map[string]bool{}
	for range n {
		r := e.Probe(t.Context(), nil)
		if len(r.Served) > 5 {
			t.Fatalf("%d in one round although nothing is new", len(r.Served))
		}
		for _, s := range r.Served {
			seen[s.Certificate] = true
		}
	}
	if len(seen) != n {
		t.Errorf("a sweep saw %d of %d", len(seen), n)
	}
}
