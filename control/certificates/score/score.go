// Package score grades how a certificate is served, by the SSL Labs server
// rating guide (version 2009q, with 2009r's word on TLS 1.3).
//
//	Seen    what one edge was seen to serve
//	Grade   pure: Seen -> Result
//	Result  a letter, a number, three parts, and every Deduction with its fix
//
// The number is 30% protocol, 30% key exchange, 40% cipher, each the mean of the
// best and the worst that is offered. The letter follows from the number (A from
// 80, B from 65, C from 50, D from 35, E from 20, else F) and is then capped: by
// what makes the rest worthless (a name that does not match: M; a certificate
// that clients do not trust: T), by what is known to be weak, and by what is
// missing for an A or A+. What the guide does not ask for costs nothing; a
// missing OCSP response is nothing at all, unless the certificate demands one.
package score

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Seen is what one edge was seen to serve.
type Seen struct {
	Versions     []string  // "1.0" to "1.3"
	Ciphers      []string  // IANA names
	Key          string    // "ECDSA 256", "RSA 2048", "Ed25519"
	Signature    string    // algorithm of the leaf's signature: "ECDSA-SHA256"
	Chain        string    // "trusted", "private" or "broken"
	WrongName    bool      // the leaf is not valid for the name
	NotAfter     time.Time // of the leaf
	HSTS         string    // the Strict-Transport-Security field, "" for none
	MustStaple   bool
	Stapled      bool
	NoConnection bool // no handshake at all
}

// Deduction is one reason why the result is not the best there is.
type Deduction struct {
	What string
	Cost string // "caps the grade at B", "-3 points"
	Fix  string
}

// Result is a grade.
type Result struct {
	Grade       string // "A+", "A", "A-", "B", ... "F"; "T": not trusted; "M": wrong name
	Number      int    // 0 to 100, before caps
	Protocol    int    // 0 to 100
	KeyExchange int
	Cipher      int
	// Ignoring is the grade if trust is left out of account: that of a local CA
	// says as much about the set-up as a public one's. "" when Grade says all.
	Ignoring   string
	Deductions []Deduction
}

// grades from the best to the worst, as caps compare them.
var grades = []string{"A+", "A", "A-", "B", "C", "D", "E", "F"}

// longHSTS is six months: what the guide asks for an A+.
const longHSTS = 15_768_000

// Grade rates what was seen at a time.
func Grade(s Seen, now time.Time) Result {
	g := grading{limit: 0}
	if s.NoConnection || len(s.Versions) == 0 {
		g.cap("F", "no handshake succeeds", "look at the edge's problem in the certificate's details")
		return Result{Grade: "F", Deductions: g.deductions}
	}
	r := Result{Protocol: g.protocol(s.Versions), KeyExchange: g.keyExchange(s), Cipher: g.cipher(s)}
	r.Number = (30*r.Protocol + 30*r.KeyExchange + 40*r.Cipher + 50) / 100
	letter := g.letter(r.Number)
	g.features(s)
	g.certificate(s, now)
	letter = grades[max(slices.Index(grades, letter), g.limit)]
	r.Grade, r.Deductions = letter, g.deductions
	switch {
	case s.WrongName:
		r.Grade, r.Ignoring = "M", letter
	case s.Chain != "trusted" || now.After(s.NotAfter):
		r.Grade, r.Ignoring = "T", letter
	}
	return r
}

type grading struct {
	limit      int // index into grades: not better than
	deductions []Deduction
}

func (g *grading) cap(grade, what, fix string) {
	g.limit = max(g.limit, slices.Index(grades, grade))
	g.note(what, "caps the grade at "+grade, fix)
}

func (g *grading) note(what, cost, fix string) {
	g.deductions = append(g.deductions, Deduction{what, cost, fix})
}

// points notes what a part below 100 costs of the number.
func (g *grading) points(part, weight int, what, fix string) {
	if part < 100 {
		g.note(what, fmt.Sprintf("-%g points", float64((100-part)*weight)/100), fix)
	}
}

func (*grading) letter(number int) string {
	switch {
	case number >= 80:
		return "A+" // until something is missing
	case number >= 65:
		return "B"
	case number >= 50:
		return "C"
	case number >= 35:
		return "D"
	case number >= 20:
		return "E"
	}
	return "F"
}

// protocol is the mean of the best and the worst version.
func (g *grading) protocol(versions []string) int {
	points := map[string]int{"3.0": 80, "1.0": 90, "1.1": 95, "1.2": 100, "1.3": 100}
	best, worst := 0, 100
	for _, v := range versions {
		best, worst = max(best, points[v]), min(worst, points[v])
	}
	part := (best + worst) / 2
	old := slices.Contains(versions, "1.0") || slices.Contains(versions, "1.1")
	g.points(part, 30, "versions before TLS 1.2 are offered", "set the domain's TLS policy to intermediate or modern")
	if old {
		g.cap("B", "TLS 1.0 or 1.1 is offered", "set the domain's TLS policy to intermediate or modern")
	}
	if !slices.Contains(versions, "1.2") && !slices.Contains(versions, "1.3") {
		g.cap("C", "neither TLS 1.2 nor 1.3 is offered", "set the domain's TLS policy to intermediate or modern")
	}
	if !slices.Contains(versions, "1.3") {
		g.cap("A-", "TLS 1.3 is not offered", "leave the domain's TLS policy at intermediate, or set modern")
	}
	return part
}

// strength is the size of a key in bits of RSA that are as hard (NIST SP 800-57
// part 1, table 2).
func strength(key string) int {
	kind, size, _ := strings.Cut(key, " ")
	bits, _ := strconv.Atoi(size)
	switch {
	case kind == "Ed25519":
		return 3072
	case kind == "RSA":
		return bits
	case kind != "ECDSA":
		return 0
	case bits >= 512:
		return 15360
	case bits >= 384:
		return 7680
	case bits >= 256:
		return 3072
	case bits >= 224:
		return 2048
	}
	return 1024
}

// keyExchange rates the weaker of the certificate's key and the ephemeral one,
// which for edges is X25519 or stronger: 3072.
func (g *grading) keyExchange(s Seen) int {
	bits := strength(s.Key)
	part := 0
	switch {
	case bits == 0:
	case bits < 512:
		part = 20
	case bits < 1024:
		part = 40
	case bits < 2048:
		part = 80
	case bits < 4096:
		part = 90
	default:
		part = 100
	}
	if slices.ContainsFunc(s.Ciphers, ephemeral) {
		part = min(part, 90)
	}
	g.points(part, 30, "keys of less than 4096 bits of RSA or their equal: "+s.Key+", and X25519 for the exchange",
		"nothing: more would cost every handshake time and bring no security that is known of")
	switch {
	case bits < 1024:
		g.cap("F", "the certificate's key "+s.Key+" can be broken", "get a certificate with a P-256 key")
	case bits < 2048:
		g.cap("B", "the certificate's key "+s.Key+" is weak", "get a certificate with a P-256 key")
	}
	return part
}

func ephemeral(cipher string) bool { return tls13(cipher) || strings.HasPrefix(cipher, "TLS_ECDHE_") }

func tls13(cipher string) bool {
	return strings.HasPrefix(cipher, "TLS_AES_") || strings.HasPrefix(cipher, "TLS_CHACHA20_")
}

func aead(cipher string) bool {
	return strings.Contains(cipher, "_GCM_") || strings.Contains(cipher, "_CHACHA20_") || strings.Contains(cipher, "_CCM")
}

// bits is a cipher's strength.
func bits(cipher string) int {
	switch {
	case strings.Contains(cipher, "NULL"):
		return 0
	case strings.Contains(cipher, "RC4"):
		return 128
	case strings.Contains(cipher, "3DES"):
		return 112
	case strings.Contains(cipher, "_256_"), strings.Contains(cipher, "CHACHA20"):
		return 256
	}
	return 128
}

// cipher is the mean of the strongest and the weakest. Who offers TLS 1.3 offers
// 128 and 256 bits.
func (g *grading) cipher(s Seen) int {
	points := func(n int) int {
		switch {
		case n == 0:
			return 0
		case n < 128:
			return 20
		case n < 256:
			return 80
		}
		return 100
	}
	best, worst := 0, 100
	for _, c := range s.Ciphers {
		p := points(bits(c))
		best, worst = max(best, p), min(worst, p)
		if tls13(c) {
			best, worst = 100, min(worst, 80)
		}
	}
	if len(s.Ciphers) == 0 {
		worst = 0
	}
	part := (best + worst) / 2
	if worst >= 80 {
		g.points(part, 40, "ciphers of 128 bits are offered beside those of 256",
			"nothing: TLS 1.3 demands AES-128, and nobody can break it")
	} else {
		g.points(part, 40, "ciphers of less than 128 bits are offered", "set the domain's TLS policy to intermediate or modern")
	}
	return part
}

func (g *grading) features(s Seen) {
	const fix = "set the domain's TLS policy to intermediate or modern"
	if slices.ContainsFunc(s.Ciphers, func(c string) bool { return strings.Contains(c, "RC4") }) {
		g.cap("B", "RC4 is offered", fix)
	}
	if slices.ContainsFunc(s.Ciphers, func(c string) bool { return strings.Contains(c, "3DES") }) {
		g.cap("C", "3DES is offered", fix)
	}
	if !slices.ContainsFunc(s.Ciphers, ephemeral) {
		g.cap("B", "no cipher has forward secrecy", fix)
	} else if slices.ContainsFunc(s.Ciphers, func(c string) bool { return !ephemeral(c) }) {
		g.cap("A-", "ciphers without forward secrecy are offered", fix)
	}
	if !slices.ContainsFunc(s.Ciphers, aead) {
		g.cap("B", "no cipher is AEAD", fix)
	}
	age, sent := maxAge(s.HSTS)
	switch {
	case !sent:
		g.cap("A", "no Strict-Transport-Security is sent", "set hsts on the domain, with a max_age of six months or more: edgewright domains set DOMAIN --hsts 31536000")
	case age < longHSTS:
		g.cap("A", fmt.Sprintf("Strict-Transport-Security lasts %d seconds, less than six months", age), "raise hsts.max_age to 15768000 or more: edgewright domains set DOMAIN --hsts 31536000")
	}
}

// maxAge reads the directive of RFC 6797 section 6.1.1.
func maxAge(field string) (seconds int64, sent bool) {
	for directive := range strings.SplitSeq(field, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64)
		return n, err == nil && n > 0
	}
	return 0, false
}

func (g *grading) certificate(s Seen, now time.Time) {
	const untrusted = "makes the grade T"
	if s.WrongName {
		g.note("the certificate is not valid for the name", "makes the grade M", "get a certificate that names the domain")
	}
	switch s.Chain {
	case "trusted":
	case "private":
		g.note("the chain leads to a root that public clients do not know", untrusted, "use a public CA for names that the public asks for; for a local CA, install its root in your clients: edgewright trust")
	default:
		g.note("the chain is broken", untrusted, "upload the certificate again with the intermediate certificates of its issuer")
	}
	if now.After(s.NotAfter) {
		g.note("the certificate has expired", untrusted, "renew it: edgewright certs renew DOMAIN")
	}
	switch {
	case strings.Contains(s.Signature, "MD5"), strings.Contains(s.Signature, "MD2"):
		g.cap("F", "the certificate is signed with "+s.Signature, "get a certificate that is signed with SHA-256")
	case strings.Contains(s.Signature, "SHA1"):
		g.cap("F", "the certificate is signed with "+s.Signature+", which clients no longer accept", "get a certificate that is signed with SHA-256")
	}
	if s.MustStaple && !s.Stapled {
		g.cap("B", "the certificate demands an OCSP response, and none is served: some clients refuse it", "wait until the CA's responder answers, or get a certificate without must-staple")
	}
}
