// Package registry asks domain registries what they hold of a name: until when
// it is registered and with whom, its name servers and DS records, and the EPP
// states that protect it (RFC 8056, RFC 5731 section 2.3).
//
// Types: State (what is known), Client (asks). Asked tells which name a registry
// is asked about, or why none is.
//
// Phases of Client.Lookup: which name? -> RDAP server of its ending, from IANA's
// bootstrap file (RFC 9224) -> RDAP (RFC 9083) -> where the ending has no RDAP or
// its server is away: WHOIS (RFC 3912), found through whois.iana.org. Answers are
// bounded in size and time and are kept for an hour, so that many names below one
// registration cost one question.
package registry

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Sources of a State.
const (
	SourceRDAP  = "rdap"
	SourceWHOIS = "whois"
)

// State is what a registry holds of a registered name.
type State struct {
	Name        string     `json:"name"`             // the registered name, in A-labels
	Source      string     `json:"source,omitempty"` // "rdap" or "whois"; "" while nothing is known
	Server      string     `json:"server,omitempty"` // who answered
	Registrar   string     `json:"registrar,omitempty"`
	RegistrarID string     `json:"registrar_id,omitempty"` // of IANA
	CreatedAt   *time.Time `json:"created_at,omitempty"`
	UpdatedAt   *time.Time `json:"updated_at,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`   // nil: the registry does not say
	NameServers []string   `json:"name_servers,omitempty"` // lower-case, without trailing dots, sorted
	DS          []string   `json:"ds,omitempty"`           // "12345 13 2 49FD46E6..."
	Signed      *bool      `json:"signed,omitempty"`       // the parent has a DS; nil: the registry does not say
	EPP         []string   `json:"epp,omitempty"`          // "clientTransferProhibited", ...; sorted

	Unregistered bool `json:"unregistered,omitempty"` // the registry says that nobody has it

	Skipped   string     `json:"skipped,omitempty"` // why no registry is asked; everything else is empty then
	Error     string     `json:"error,omitempty"`   // of the last look; what was known before stays
	CheckedAt *time.Time `json:"checked_at,omitempty"`
	NextAt    *time.Time `json:"next_at,omitempty"`
}

// Has reports whether the registry has set one of the states.
func (s State) Has(states ...string) bool {
	return slices.ContainsFunc(states, func(e string) bool { return slices.Contains(s.EPP, e) })
}

// TransferProtected reports whether moving the name to another registrar is
// forbidden until somebody at the registrar or registry allows it. known is false
// when the registry says nothing of states.
func (s State) TransferProtected() (protected, known bool) {
	return s.Has("clientTransferProhibited", "serverTransferProhibited"), len(s.EPP) > 0
}

// Endings that no registry has: RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476,
// ICANN's list of names that are never delegated, and what networks use at home.
var unregistered = []string{
	"localhost", "local", "localdomain", "internal", "intranet", "private", "lan", "home", "corp", "mail",
	"test", "example", "invalid", "onion", "alt", "arpa",
}

// Asked returns the name that a registry is asked about for a domain: the
// registered name above it. When no registry has it, reason says why and asked
// is "". domain is in A-labels; a wildcard stands for the name below its star.
func Asked(domain string) (asked, reason string) {
	name := strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(domain), "."), "*.")
	ending := name[strings.LastIndexByte(name, '.')+1:]
	if slices.Contains(unregistered, ending) {
		return "", "names below " + ending + " are in no registry"
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	switch {
	case !icann && strings.Contains(suffix, "."):
		return "", "names below " + suffix + " are given out by its operator, not by a registry"
	case !icann:
		return "", "no registry is known for names that end in " + ending
	}
	registered, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return "", name + " is a public suffix, which nobody registers"
	}
	return registered, ""
}

// eppState turns an RDAP status ("client transfer prohibited") or the words of a
// WHOIS server ("clientTransferProhibited https://icann.org/epp#...") into the
// state's EPP name (RFC 8056 section 2).
func eppState(text string) string {
	text, _, _ = strings.Cut(text, "http")
	text, _, _ = strings.Cut(text, "(")
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '_' || r == '-' || r == '\t' || r == ',' })
	if len(words) == 0 {
		return ""
	}
	if len(words) == 1 && strings.EqualFold(words[0], "active") {
		return "ok"
	}
	if len(words) > 1 {
		for i, w := range words {
			w = strings.ToLower(w)
			if i > 0 && w != "" {
				w = strings.ToUpper(w[:1]) + w[1:]
			}
			words[i] = w
		}
	} else {
		words[0] = strings.ToLower(words[0][:1]) + words[0][1:]
	}
	state := strings.Join(words, "")
	if len(state) > maxState || strings.ContainsFunc(state, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
		return ""
	}
	return state
}

// Bounds of what is kept of an answer.
const (
	maxState = 40  // bytes of an EPP state
	maxList  = 32  // name servers, DS records, states
	maxText  = 200 // bytes of a registrar's name
)

// tidy sorts, removes repeats and bounds what came from outside.
func (s *State) tidy() {
	for _, list := range []*[]string{&s.NameServers, &s.DS, &s.EPP} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		if len(*list) > maxList {
			*list = (*list)[:maxList]
		}
	}
	s.Registrar, s.RegistrarID = text(s.Registrar), text(s.RegistrarID)
}

// text bounds a text and takes control characters out of it.
func text(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s), "")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return strings.TrimSpace(s)
}

// hostName returns a name server's name as it is compared, "" for what is none.
func hostName(s string) string {
	s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if s == "" || len(s) > 253 || !strings.Contains(s, ".") || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) {
		return ""
	}
	return s
}
