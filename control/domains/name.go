package domains

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/edgewright/edgewright/fault"
)

// Name is a domain name that this platform can serve.
type Name struct {
	ASCII       string // A-labels, lower-case, no trailing dot; begins with "*." for a wildcard
	Unicode     string // the same for people
	Wildcard    bool
	Base        string // ASCII without "*."
	Registrable string // the public suffix and one label: the zone people manage; below localhost, that label and localhost
}

// Bounds of names (RFC 1035 section 2.3.4).
const (
	maxNameLength  = 253
	maxLabelLength = 63
	maxInputLength = 2048
)

const localhost = "localhost"

// mapping is UTS 46 non-transitional processing: what browsers do. Rules on
// labels are checked by hand, so that each has its own message.
var mapping = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.BidiRule())

// ParseName understands what people type and paste: a URL, a port, upper case,
// a trailing dot, international letters, a wildcard. What cannot be served is
// an Invalid fault at /domain that says why and what to write instead.
func ParseName(text string) (Name, error) {
	host, err := hostOf(text)
	if err != nil {
		return Name{}, err
	}
	wildcard, base, err := splitWildcard(host)
	if err != nil {
		return Name{}, err
	}
	ascii, err := toASCII(base)
	if err != nil {
		return Name{}, err
	}
	name := Name{ASCII: ascii, Base: ascii, Wildcard: wildcard}
	if wildcard {
		name.ASCII = "*." + ascii
	}
	if len(name.ASCII) > maxNameLength {
		return Name{}, bad(fmt.Sprintf("the name has %d characters, more than %d", len(name.ASCII), maxNameLength), "shorten it")
	}
	if err := name.place(); err != nil {
		return Name{}, err
	}
	if name.Unicode, err = idna.Display.ToUnicode(ascii); err != nil {
		name.Unicode = ascii
	}
	if wildcard {
		name.Unicode = "*." + name.Unicode
	}
	return name, nil
}

func bad(detail, fix string) error { return fault.InvalidField("/domain", detail, fix) }

// hostOf takes the host out of what was typed.
func hostOf(text string) (string, error) {
	if len(text) > maxInputLength {
		return "", bad(fmt.Sprintf("the text has %d characters, more than a name can have", len(text)), "write only the domain, such as shop.example.com")
	}
	text = strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	if text == "" {
		return "", bad("the domain is empty", "write one, such as shop.example.com")
	}
	for _, quote := range []string{"\"\"", "''", "``", "<>", "()", "[]", "“”"} {
		q := []rune(quote)
		if r := []rune(text); len(r) > 2 && r[0] == q[0] && r[len(r)-1] == q[1] && !strings.Contains(text, ":") {
			return "", bad(fmt.Sprintf("%c is not part of a name", q[0]), fmt.Sprintf("write %s", string(r[1:len(r)-1])))
		}
	}
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(text, "://"):
		return hostOfURL(text)
	case strings.HasPrefix(text, "//"):
		return hostOfURL("https:" + text)
	case strings.HasPrefix(lower, "mailto:"):
		return "", bad("this is an e-mail link", "write the domain alone, such as shop.example.com")
	case strings.HasPrefix(lower, "http:"), strings.HasPrefix(lower, "https:"), strings.HasPrefix(lower, "http//"), strings.HasPrefix(lower, "https//"):
		_, rest, _ := strings.Cut(text, "/")
		if rest = strings.Trim(rest, "/"); rest == "" {
			_, rest, _ = strings.Cut(text, ":")
		}
		return "", bad("the URL is misspelt", fmt.Sprintf("write %s, or the whole URL with ://", rest))
	}
	if strings.ContainsAny(text, ",;|") || len(strings.Fields(text)) > 1 {
		return "", severalNames(text)
	}
	if strings.Contains(text, "@") {
		return "", bad("this is an e-mail address", "write the domain alone: "+text[strings.LastIndexByte(text, '@')+1:])
	}
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return "", address(addr.String())
	}
	// "example.com/path", "example.com:8443", "example.com?x".
	if i := strings.IndexAny(text, "/?#:"); i >= 0 {
		if i == 0 {
			return "", bad(fmt.Sprintf("%q is not a domain", text), "write one, such as shop.example.com")
		}
		return hostOfURL("https://" + text)
	}
	return text, nil
}

func severalNames(text string) error {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",;|", r) || unicode.IsSpace(r) })
	if len(parts) == 0 {
		return bad(fmt.Sprintf("%q is not a domain", text), "write one, such as shop.example.com")
	}
	dotted := 0
	for _, p := range parts {
		if strings.Contains(p, ".") {
			dotted++
		}
	}
	if dotted >= 2 {
		return bad("this is more than one domain", "add them one at a time, first "+parts[0])
	}
	joined := strings.Join(parts, ".")
	if _, err := toASCII(joined); err != nil {
		return bad("a name holds no spaces, commas or semicolons", "write the domain alone, such as shop.example.com")
	}
	return bad("a name holds no spaces, commas or semicolons", "did you mean "+joined+"?")
}

func hostOfURL(text string) (string, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	switch strings.ToLower(scheme) {
	case "http", "https":
	case "":
		return "", bad("the URL has no scheme", "write the domain alone: "+strings.TrimLeft(rest, "/"))
	default:
		return "", bad(fmt.Sprintf("%s is not a web address", scheme), "write the domain alone, such as shop.example.com")
	}
	// Browsers end the authority at a backslash too.
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		end = i
	}
	authority := rest[:end]
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return "", bad("the URL holds a user name or password", "remove it: "+authority[i+1:])
	}
	if unescaped, err := url.PathUnescape(authority); err == nil {
		authority = unescaped
	}
	if strings.HasPrefix(authority, "[") {
		return "", address(strings.Trim(authority, "[]"))
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if hasPort && (port == "" || strings.Trim(port, "0123456789") != "") {
		return "", bad(fmt.Sprintf("%q is not a port", port), "write the domain alone: "+host)
	}
	if host == "" {
		return "", bad("the URL names no host", "write the domain, such as shop.example.com")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return "", address(addr.String())
	}
	return host, nil
}

func address(text string) error {
	return bad(text+" is an IP address", "write the name that leads to it; certificates and hosts are told apart by name")
}

func splitWildcard(host string) (wildcard bool, base string, err error) {
	if host == "*" {
		return false, "", bad("a star alone would be every domain there is", "write *.example.com with your own domain")
	}
	base, wildcard = strings.CutPrefix(host, "*.")
	switch {
	case wildcard && base == "":
		return false, "", bad("the wildcard has no domain", "write *.example.com with your own domain")
	case strings.HasPrefix(base, "*") && wildcard:
		return false, "", bad("a wildcard stands for one label, once", "write *."+strings.TrimLeft(base, "*."))
	case strings.HasPrefix(base, "*"):
		return false, "", bad("a wildcard is a whole label", "write *."+strings.TrimLeft(base, "*."))
	case strings.Contains(base, "*"):
		return false, "", bad("a wildcard is the first label only (RFC 6125 section 6.4.3)", "write *."+base[strings.LastIndexByte(base, '*')+1:][min(1, len(base)-strings.LastIndexByte(base, '*')-1):])
	}
	return wildcard, base, nil
}

// toASCII checks a host label by label and returns its A-labels.
func toASCII(host string) (string, error) {
	for _, label := range strings.Split(strings.ToLower(host), ".") {
		if label == "xn--" { // the mapping would drop it
			return "", bad(fmt.Sprintf("%q is not valid Punycode", label), "write the name in its own letters")
		}
	}
	mapped, mapErr := mapping.ToASCII(host)
	if mapErr != nil {
		mapped = strings.ToLower(host)
	}
	mapped = strings.TrimSuffix(mapped, ".")
	if mapped == "" {
		return "", bad("a dot alone is the root of the DNS", "write a domain, such as shop.example.com")
	}
	labels := strings.Split(mapped, ".")
	for i, label := range labels {
		if err := checkLabel(label, i, labels); err != nil {
			return "", err
		}
	}
	if mapErr != nil {
		return "", bad(fmt.Sprintf("%q holds characters that no domain may hold", host), "check for look-alike letters, and letters of mixed direction")
	}
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "" {
		return "", bad(fmt.Sprintf("the last label %q is a number, so this would be read as an IP address", last), "write the name with its ending, such as example.com")
	}
	return mapped, nil
}

func checkLabel(label string, index int, labels []string) error {
	switch {
	case label == "" && index == 0:
		rest := strings.TrimLeft(strings.Join(labels, "."), ".")
		if rest == "" {
			return bad("dots alone are no name", "write a domain, such as shop.example.com")
		}
		return bad("the name begins with a dot", fmt.Sprintf("write %s, or *.%s for all below it", rest, rest))
	case label == "":
		return bad("there are two dots in a row", "write one")
	case len(label) > maxLabelLength:
		return bad(fmt.Sprintf("the label %q has %d characters in its ASCII form, more than %d", shorten(label), len(label), maxLabelLength), "shorten it")
	case strings.Contains(label, "_"):
		return bad(fmt.Sprintf("%q holds an underscore, which names of hosts may not", label), "write a hyphen, if that is the name")
	case strings.HasPrefix(label, "-"):
		return bad(fmt.Sprintf("the label %q begins with a hyphen", label), "remove it")
	case strings.HasSuffix(label, "-"):
		return bad(fmt.Sprintf("the label %q ends with a hyphen", label), "remove it")
	}
	if i := strings.IndexFunc(label, func(r rune) bool {
		return r < 0x80 && !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}); i >= 0 {
		if label[i] < ' ' || label[i] == 0x7f {
			return bad("the name holds a control character", "type it again instead of pasting")
		}
		return bad(fmt.Sprintf("%q is not allowed in a name", label[i]), "use letters, digits, hyphens and dots")
	}
	if rest, punycode := strings.CutPrefix(label, "xn--"); punycode {
		decoded, err := idna.Punycode.ToUnicode(label)
		if rest == "" || err != nil || decoded == label {
			return bad(fmt.Sprintf("%q is not valid Punycode", label), "write the name in its own letters")
		}
		again, err := mapping.ToASCII(decoded)
		if err != nil {
			return bad(fmt.Sprintf("%q stands for characters that no domain may hold", label), "write the name in its own letters")
		}
		if again != label {
			return bad(fmt.Sprintf("%q is not the canonical form of %s", label, decoded), "write "+again)
		}
	} else if len(label) >= 4 && label[2:4] == "--" {
		return bad(fmt.Sprintf("the label %q has hyphens in third and fourth place, which is kept for encodings (RFC 5891 section 4.2.3.1)", label), "check its spelling")
	}
	return nil
}

func shorten(label string) string {
	if len(label) > 20 {
		return label[:20] + "..."
	}
	return label
}

// place refuses names that nobody can own and finds the registrable one.
func (n *Name) place() error {
	if n.Base == localhost {
		if n.Wildcard {
			return bad("*.localhost would take every local name", "name one, such as shop.localhost")
		}
		n.Registrable = localhost
		return nil
	}
	if rest, ok := strings.CutSuffix(n.Base, "."+localhost); ok {
		n.Registrable = rest[strings.LastIndexByte(rest, '.')+1:] + "." + localhost
		return nil
	}
	switch tld := n.Base[strings.LastIndexByte(n.Base, '.')+1:]; {
	case tld == "onion":
		return bad("names below onion are reached through Tor, not through an edge", "use a name of the DNS")
	case tld == "invalid":
		return bad("names below invalid never exist (RFC 6761)", "use shop.localhost to try things out")
	case tld == "arpa" && n.Base != "home.arpa" && !strings.HasSuffix(n.Base, ".home.arpa"):
		return bad("names below arpa are for the DNS itself", "use a name of yours")
	}
	suffix, icann := publicsuffix.PublicSuffix(n.Base)
	if n.Base == "home.arpa" {
		suffix = n.Base
	}
	listed := icann || strings.Contains(suffix, ".") // the default rule takes one label
	if suffix == n.Base && (listed || n.Wildcard) {
		if n.Wildcard {
			return bad(fmt.Sprintf("*.%s would be everybody's names", suffix), fmt.Sprintf("write *.yours.%s", suffix))
		}
		return bad(fmt.Sprintf("%s is a public suffix: people register names below it", suffix), fmt.Sprintf("write yours.%s", suffix))
	}
	if suffix == n.Base {
		return bad(fmt.Sprintf("%q has no ending", n.Base), fmt.Sprintf("write the whole name, such as %s.example.com, or %s.localhost on your own machine", n.Base, n.Base))
	}
	head := strings.TrimSuffix(n.Base, "."+suffix)
	n.Registrable = head[strings.LastIndexByte(head, '.')+1:] + "." + suffix
	return nil
}

// Below reports whether the name is under parent, not parent itself.
func (n Name) Below(parent string) bool {
	return parent != "" && (strings.HasSuffix(n.Base, "."+parent) || n.Wildcard && n.Base == parent)
}

// Probe is the host that tells where the name leads; of a wildcard, one below it.
func (n Name) Probe() string {
	if n.Wildcard {
		return "edgewright-probe." + n.Base
	}
	return n.Base
}

// Relative returns a name as DNS panels of the registrable domain want it.
func (n Name) Relative(full string) string {
	if full == n.Registrable {
		return "@"
	}
	return strings.TrimSuffix(full, "."+n.Registrable)
}

// above lists the names whose owner decides about this one, nearest first, and
// for each the wildcard below it. It ends where names are registered: at a
// public suffix, localhost or the platform's own domain.
func (n Name) above(platform string) []string {
	var list []string
	if n.Wildcard && n.Base != platform {
		list = append(list, n.Base)
	}
	for name := n.Base; name != n.Registrable; {
		_, name, _ = strings.Cut(name, ".")
		if name == platform || name == localhost || name == "" {
			break
		}
		list = append(list, name, "*."+name)
	}
	return list
}
