package score

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// best is what an edge serves when everything is set.
func best() Seen {
	return Seen{
		Versions: []string{"1.3", "1.2"}, Ciphers: []string{"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
		Key: "ECDSA 256", Signature: "ECDSA-SHA256", Chain: "trusted", NotAfter: now.Add(time.Hour), HSTS: "max-age=31536000; includeSubDomains",
	}
}

func TestGrade(t *testing.T) {
	for name, c := range map[string]struct {
		change          func(*Seen)
		grade, ignoring string
		number          int
		says            string
	}{
		// 30% of 100, 30% of 90, 40% of 90.
		"all set":            {func(*Seen) {}, "A+", "", 93, ""},
		"RSA 2048":           {func(s *Seen) { s.Key = "RSA 2048" }, "A+", "", 93, ""},
		"RSA 4096":           {func(s *Seen) { s.Key = "RSA 4096" }, "A+", "", 93, ""}, // the exchange is X25519
		"Ed25519":            {func(s *Seen) { s.Key = "Ed25519" }, "A+", "", 93, ""},
		"no staple":          {func(s *Seen) { s.Stapled = false }, "A+", "", 93, ""},
		"modern":             {func(s *Seen) { s.Versions, s.Ciphers = []string{"1.3"}, []string{"TLS_AES_128_GCM_SHA256"} }, "A+", "", 93, ""},
		"no HSTS":            {func(s *Seen) { s.HSTS = "" }, "A", "", 93, "no Strict-Transport-Security"},
		"HSTS of nothing":    {func(s *Seen) { s.HSTS = "max-age=0" }, "A", "", 93, "no Strict-Transport-Security"},
		"short HSTS":         {func(s *Seen) { s.HSTS = `includeSubDomains; Max-Age="300"` }, "A", "", 93, "lasts 300 seconds"},
		"no TLS 1.3":         {func(s *Seen) { s.Versions, s.Ciphers = []string{"1.2"}, s.Ciphers[1:] }, "A-", "", 93, "TLS 1.3 is not offered"},
		"TLS 1.0":            {func(s *Seen) { s.Versions = append(s.Versions, "1.0", "1.1") }, "B", "", 92, "TLS 1.0 or 1.1"},
		"TLS 1.0 alone":      {func(s *Seen) { s.Versions = []string{"1.0"} }, "C", "", 90, "neither"},
		"no forward secrecy": {func(s *Seen) { s.Versions, s.Ciphers = []string{"1.2"}, []string{"TLS_RSA_WITH_AES_128_GCM_SHA256"} }, "B", "", 89, "forward secrecy"},
		"some without":       {func(s *Seen) { s.Ciphers = append(s.Ciphers, "TLS_RSA_WITH_AES_128_GCM_SHA256") }, "A-", "", 93, "without forward secrecy"},
		"no AEAD": {func(s *Seen) {
			s.Versions, s.Ciphers = []string{"1.2"}, []string{"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"}
		}, "B", "", 89, "AEAD"},
		"RC4":                  {func(s *Seen) { s.Ciphers = append(s.Ciphers, "TLS_RSA_WITH_RC4_128_SHA") }, "B", "", 93, "RC4"},
		"3DES":                 {func(s *Seen) { s.Ciphers = append(s.Ciphers, "TLS_RSA_WITH_3DES_EDE_CBC_SHA") }, "C", "", 81, "3DES"},
		"weak key":             {func(s *Seen) { s.Key = "RSA 1024" }, "B", "", 90, "weak"},
		"broken key":           {func(s *Seen) { s.Key = "RSA 512" }, "F", "", 78, "broken"},
		"unknown key":          {func(s *Seen) { s.Key = "DSA" }, "F", "", 66, "broken"},
		"SHA-1":                {func(s *Seen) { s.Signature = "SHA1-RSA" }, "F", "", 93, "SHA1-RSA"},
		"local CA":             {func(s *Seen) { s.Chain = "private" }, "T", "A+", 93, "public clients do not know"},
		"broken chain":         {func(s *Seen) { s.Chain = "broken" }, "T", "A+", 93, "chain is broken"},
		"expired":              {func(s *Seen) { s.NotAfter = now.Add(-time.Second) }, "T", "A+", 93, "expired"},
		"wrong name, no HSTS":  {func(s *Seen) { s.WrongName, s.HSTS = true, "" }, "M", "A", 93, "not valid for the name"},
		"must staple":          {func(s *Seen) { s.MustStaple = true }, "B", "", 93, "demands an OCSP response"},
		"must staple, stapled": {func(s *Seen) { s.MustStaple, s.Stapled = true, true }, "A+", "", 93, ""},
		"nothing":              {func(s *Seen) { *s = Seen{} }, "F", "", 0, "no handshake"},
	} {
		s := best()
		c.change(&s)
		r := Grade(s, now)
		if r.Grade != c.grade || r.Ignoring != c.ignoring || r.Number != c.number {
			t.Errorf("%s: %s (%s) with %d, want %s (%s) with %d", name, r.Grade, r.Ignoring, r.Number, c.grade, c.ignoring, c.number)
		}
		if c.says != "" && !slices.ContainsFunc(r.Deductions, func(d Deduction) bool { return strings.Contains(d.What, c.says) }) {
			t.Errorf("%s: no deduction says %q: %+v", name, c.says, r.Deductions)
		}
		for _, d := range r.Deductions {
			if d.What == "" || d.Cost == "" || d.Fix == "" {
				t.Errorf("%s: a deduction is incomplete: %+v", name, d)
			}
		}
	}
}

// TestWorseIsNeverBetter: taking something good away, or adding something weak,
// never improves a grade.
func TestWorseIsNeverBetter(t *testing.T) {
	order := append(slices.Clone(grades), "T", "M")
	rapid.Check(t, func(t *rapid.T) {
		s := best()
		s.Key = rapid.SampledFrom([]string{"ECDSA 256", "ECDSA 384", "RSA 2048", "RSA 1024", "Ed25519"}).Draw(t, "key")
		s.HSTS = rapid.SampledFrom([]string{"", "max-age=60", "max-age=31536000"}).Draw(t, "hsts")
		before := Grade(s, now)
		worse := s
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			worse.HSTS = ""
		case 1:
			worse.Versions = append(slices.Clone(s.Versions), "1.0")
		case 2:
			worse.Ciphers = append(slices.Clone(s.Ciphers), "TLS_RSA_WITH_RC4_128_SHA")
		case 3:
			worse.Key = "RSA 512"
		case 4:
			worse.Chain = "broken"
		case 5:
			worse.Signature = "SHA1-RSA"
		}
		if after := Grade(worse, now); slices.Index(order, after.Grade) < slices.Index(order, before.Grade) || after.Number > before.Number {
			t.Fatalf("%+v: %s %d, worse: %s %d", worse, before.Grade, before.Number, after.Grade, after.Number)
		}
	})
}
