package edgeconfig

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testKey(t *testing.T) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func TestPurgeSignatureCoversEveryField(t *testing.T) {
	public, private := testKey(t)
	other, _ := testKey(t)
	original := Purge{
		Seq: 7, ID: "prg_1", Project: "p", Environment: "production",
		Sites: []string{"dom_1"}, Paths: []string{"/a", "/b"}, At: time.Unix(1, 5).UTC(),
	}
	original.Sign(private)

	// What crosses the bus must verify after decoding.
	encoded, err := json.Marshal(original)
	if err != nil {
		t.Fatal(err)
	}
	var p Purge
	if err := json.Unmarshal(encoded, &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify([]ed25519.PublicKey{other, public}); err != nil {
		t.Fatalf("a decoded purge does not verify: %v", err)
	}
	if err := p.Verify([]ed25519.PublicKey{other}); err == nil {
		t.Fatal("a purge verifies with a key that did not sign it")
	}
	if err := p.Verify([]ed25519.PublicKey{nil, public[:5]}); err == nil {
		t.Fatal("a purge verifies with keys of the wrong size")
	}

	for name, change := range map[string]func(*Purge){
		"seq":         func(p *Purge) { p.Seq++ },
		"id":          func(p *Purge) { p.ID += "x" },
		"project":     func(p *Purge) { p.Project = "q" },
		"environment": func(p *Purge) { p.Environment = "staging" },
		"all":         func(p *Purge) { p.All = true },
		"at":          func(p *Purge) { p.At = p.At.Add(1) },
		"sites":       func(p *Purge) { p.Sites = nil },
		"paths":       func(p *Purge) { p.Paths = []string{"/a"} },
		"joined":      func(p *Purge) { p.Paths = []string{`/a" "/b`} },
		"moved":       func(p *Purge) { p.Sites, p.Paths = []string{"dom_1", "/a"}, []string{"/b"} },
	} {
		changed := original
		change(&changed)
		if err := changed.Verify([]ed25519.PublicKey{public}); err == nil {
			t.Errorf("%s is not covered by the signature", name)
		}
	}
}

func TestCountersAdd(t *testing.T) {
	var sum Counters
	one := Counters{
		Requests: 1, Bytes: 2, OriginBytes: 3, Status: [6]int64{0, 0, 1}, Cache: map[string]int64{"hit": 1},
		LatencyMS: Histogram{1}, OriginErrors: 4, Handshakes: 5, HandshakeErr: 6, Refusals: map[string]int64{"alpn": 6},
	}
	sum.Add(one)
	sum.Add(one)
	want := Counters{
		Requests: 2, Bytes: 4, OriginBytes: 6, Status: [6]int64{0, 0, 2}, Cache: map[string]int64{"hit": 2},
		LatencyMS: Histogram{2}, OriginErrors: 8, Handshakes: 10, HandshakeErr: 12, Refusals: map[string]int64{"alpn": 12},
	}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
	if one.Cache["hit"] != 1 {
		t.Error("Add changed what it was given")
	}
}

func TestQuantile(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	h[0], h[3] = 50, 50 // 50 up to 1 ms, 50 between 5 and 10 ms
	for q, want := range map[float64]float64{0.25: 0.5, 0.5: 1, 0.75: 7.5, 1: 10} {
		if got := h.Quantile(q); got != want {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	h = Histogram{}
	h[len(h)-1] = 1
	if got := h.Quantile(0.99); got != 10000 {
		t.Errorf("of the last bucket: %v", got)
	}
}
