package certificates

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// maxNames is what Let's Encrypt allows in one certificate.
const maxNames = 100

// Mode is the operator's choice of issuers.
type Mode string

// The modes.
const (
	ModeAuto  Mode = "auto"  // the local CA for names no public CA signs, else ACME
	ModeACME  Mode = "acme"  // ACME for everything
	ModeLocal Mode = "local" // the local CA for everything
)

// ParseMode reads the operator's setting. Errors: Invalid.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(strings.ToLower(strings.TrimSpace(text))); m {
	case "":
		return ModeAuto, nil
	case ModeAuto, ModeACME, ModeLocal:
		return m, nil
	}
	return "", fault.New(fault.Invalid, "%q is not an issuer: use auto, acme or local", text)
}

// Type is the row of certificates in the table of types.
func Type(mode Mode) resource.Type {
	return resource.Type{
		Kind:          Kind,
		Prefix:        "crt",
		Scope:         resource.ScopeEnvironment,
		CanonicalName: CanonicalName,
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			spec := Spec{AutoRenew: true}
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if err := spec.Normalize(name, mode); err != nil {
				return nil, err
			}
			return spec.Encode(), nil
		},
		Carry: carry,
		Derived: func(raw json.RawMessage) bool {
			var spec struct {
				Automatic bool `json:"automatic"`
			}
			return json.Unmarshal(raw, &spec) == nil && spec.Automatic
		},
		Tuned: func(name string, raw json.RawMessage) bool { return tuned(name, raw, mode) },
	}
}

// Automatic is the certificate that the platform makes by itself for a verified
// domain. Errors: Invalid.
func Automatic(domain string, mode Mode) (Spec, error) {
	spec := Spec{Domains: []string{domain}, AutoRenew: true, Automatic: true}
	err := spec.Normalize(domain, mode)
	return spec, err
}

// tuned reports that an automatic certificate is not as the platform makes it.
func tuned(domain string, raw json.RawMessage, mode Mode) bool {
	var spec Spec
	made, err := Automatic(domain, mode)
	if err != nil || json.Unmarshal(raw, &spec) != nil {
		return false
	}
	spec.Request, spec.Revoke = made.Request, made.Revoke
	return !resource.EqualJSON(spec.Encode(), made.Encode())
}

// carry keeps what users have asked for by an operation and not by a declaration:
// a new certificate, a revocation. A file does not say that, and going back to
// what was before neither ends a revocation under way nor makes the next request
// look answered.
func carry(current, wanted json.RawMessage) json.RawMessage {
	var was, now Spec
	if json.Unmarshal(current, &was) != nil || json.Unmarshal(wanted, &now) != nil {
		return wanted
	}
	now.Request, now.Revoke = max(now.Request, was.Request), was.Revoke
	return now.Encode()
}

// CanonicalName returns a host name in lower-case A-labels without trailing
// dot, a wildcard's star kept, or an address in its shortest form (RFC 5952).
// Errors: Invalid.
func CanonicalName(name string) (string, error) {
	text := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".")
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && addr.Zone() == "" {
		return addr.Unmap().String(), nil
	}
	base, wildcard := strings.CutPrefix(text, "*.")
	ascii, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true)).ToASCII(base)
	if err != nil || ascii == "" || len(ascii) > 253 || strings.Contains(ascii, "*") || slices.Contains(strings.Split(ascii, "."), "") {
		return "", fault.InvalidField("/domains", fmt.Sprintf("%q is not a domain name", name), "write one such as shop.example.com or *.example.com")
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", fault.InvalidField("/domains", fmt.Sprintf("%q is a wildcard of an address", name), "write the address alone")
	}
	if wildcard {
		return "*." + ascii, nil
	}
	return ascii, nil
}

// Named are the names of a certificate, that of the certificate itself first; nil
// when there are none.
func Named(name string, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	own, _ := CanonicalName(name)
	if first, err := CanonicalName(names[0]); err != nil || first != own {
		return append([]string{name}, names...)
	}
	return slices.Clone(names)
}

// Normalize checks a spec of a name and puts it into its one form. Errors: Invalid.
func (s *Spec) Normalize(name string, mode Mode) error {
	var faults []fault.Field
	add := func(pointer, detail, fix string) {
		faults = append(faults, fault.Field{Pointer: pointer, Detail: detail, Fix: fix})
	}
	if len(s.Domains) == 0 {
		s.Domains = []string{name}
	}
	if len(s.Domains) > maxNames {
		add("/domains", fmt.Sprintf("%d names are more than %d", len(s.Domains), maxNames), "make several certificates")
	}
	for i, d := range s.Domains {
		canonical, err := CanonicalName(d)
		if err != nil {
			add(fmt.Sprintf("/domains/%d", i), fmt.Sprintf("%q is not a domain name", d), "write one such as shop.example.com or *.example.com")
			continue
		}
		s.Domains[i] = canonical
	}
	if own, err := CanonicalName(name); err != nil || s.Domains[0] != own {
		add("/domains/0", fmt.Sprintf("the first domain is %s, the certificate is named %s", s.Domains[0], name), "name a certificate by its first domain")
	}
	rest := slices.Clone(s.Domains[1:])
	slices.Sort(rest)
	if len(slices.Compact(rest)) < len(s.Domains)-1 || slices.Contains(rest, s.Domains[0]) {
		add("/domains", "a domain is listed twice", "list each once")
	}
	switch s.KeyType {
	case "":
		s.KeyType = pki.KeyP256
	default:
		if !slices.Contains(pki.KeyTypes, s.KeyType) {
			add("/key_type", fmt.Sprintf("%q is not a key type", s.KeyType), `use "p256", "p384", "rsa2048", "rsa3072" or "rsa4096"; "ed25519" for clients of your own`)
		}
	}
	s.checkProof(add)
	switch s.Type {
	case "", TypeAuto, TypeACME, TypeLocal:
		s.Type = mode.Resolve(s.Type, s.Domains)
		if s.Upload != 0 {
			add("/upload", "only custom certificates are uploaded", "leave it out")
		}
	case TypeCustom:
		s.AutoRenew = false
		if s.Upload <= 0 {
			add("/type", "a custom certificate is uploaded with its key, which does not belong in a spec", "upload it with POST /api/v1/infrastructure/ssl/{domain}")
		}
	case TypeExternal:
		s.AutoRenew, s.Upload = false, 0
	default:
		add("/type", fmt.Sprintf("%q is not a type", s.Type), `use "auto", "lets_encrypt", "local", "custom" or "external"`)
	}
	if s.Takeover && s.Type != TypeCustom {
		s.Takeover = false // it is automatic already
	}
	if s.Revoke != nil && (s.Revoke.Serial == "" || CheckReason(s.Revoke.Reason) != nil) {
		add("/revoke", "it names no certificate, or no reason that there is", "leave it out, and revoke with POST /api/v1/infrastructure/ssl/{domain}/revoke")
	}
	if s.Request < 0 {
		add("/request", "it counts up from 0", "leave it out")
	}
	return fault.InvalidFields(faults)
}

// checkProof checks how control over the names shall be proved.
func (s *Spec) checkProof(add func(pointer, detail, fix string)) {
	switch s.Challenge {
	case ChallengeAuto, ChallengeHTTP01, ChallengeTLSALPN, ChallengeDNS01:
	default:
		add("/challenge", fmt.Sprintf("%q is not a challenge", s.Challenge), `use "http-01", "tls-alpn-01" or "dns-01", or leave it out`)
		return
	}
	for _, name := range s.Domains {
		if strings.HasPrefix(name, "*.") && s.Challenge != ChallengeAuto && s.Challenge != ChallengeDNS01 {
			add("/challenge", fmt.Sprintf("%s is a wildcard, which is proved in its DNS only", name), `use "dns-01", or leave it out`)
			return
		}
		if Address(name) && s.Challenge == ChallengeDNS01 {
			add("/challenge", fmt.Sprintf("%s is an address, which has no DNS to prove it in", name), `use "http-01" or "tls-alpn-01" (RFC 8738)`)
			return
		}
	}
	if len(s.Profile) > 64 || strings.ContainsFunc(s.Profile, func(r rune) bool { return r <= ' ' || r > '~' }) {
		add("/profile", "a profile is one word", "use one that the CA offers, such as classic, tlsserver or shortlived")
	}
}

// Address reports whether a certificate's name is an IP address (RFC 8738).
func Address(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// Resolve turns what was asked for into an issuer. "lets_encrypt" means "issued
// automatically": for a name that no public CA signs, that is the local CA.
func (m Mode) Resolve(t CertType, names []string) CertType {
	switch {
	case t == TypeLocal || m == ModeLocal:
		return TypeLocal
	case m == ModeACME:
		return TypeACME
	}
	for _, name := range names {
		if !Internal(name) {
			return TypeACME
		}
	}
	return TypeLocal
}

// Internal reports whether a name is one that no public CA may sign: single
// labels, addresses that are not public, and the names kept for private use (RFC 6761, RFC 6762,
// RFC 8375, and ICANN's .internal).
func Internal(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if addr, err := netip.ParseAddr(name); err == nil {
		return !addr.IsGlobalUnicast() || addr.IsPrivate()
	}
	if !strings.Contains(name, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".internal", ".local", ".test", ".home.arpa"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return name == "home.arpa"
}

// Encode writes a spec as it is stored.
func (s Spec) Encode() json.RawMessage { return encode(s) }

// Encode writes a status as it is stored.
func (s Status) Encode() json.RawMessage { return encode(s) }

// encode encodes this room's own types, which hold nothing that JSON cannot.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("certificates: " + err.Error())
	}
	return b
}
