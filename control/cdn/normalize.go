package cdn

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// Bounds of a configuration.
const (
	MaxOrigins   = 32
	MaxRules     = 200
	MaxTTL       = 10 * 365 * 24 * 3600 // seconds; RFC 9111 section 1.2.2 lets caches stop at 2^31
	MaxTimeoutMS = 10 * 60 * 1000
	maxPattern   = 1000 // edges take 1,024, and Glob adds a little
	maxName      = 63

	defaultConnectMS  = 5_000
	defaultResponseMS = 30_000
)

// Type is the kind's row in the table of types. origins is the operator's
// address policy: an origin that it refuses is refused here, before any edge
// meets it. nil refuses everything but public addresses.
func Type(origins *netguard.Policy) resource.Type {
	return resource.Type{
		Kind:          Kind,
		Prefix:        "cdn",
		Scope:         resource.ScopeEnvironment,
		CanonicalName: canonicalName,
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			if err := checkName(name); err != nil {
				return nil, err
			}
			var spec Spec
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if err := spec.normalize(origins); err != nil {
				return nil, err
			}
			return spec.Encode(), nil
		},
	}
}

func canonicalName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" {
		return DefaultName, nil
	}
	return name, nil
}

// checkName wants what stands well in a URL and in a list: letters, digits,
// dots and hyphens. Names of domains, for which configurations are made, fit;
// a wildcard's "*" does too.
func checkName(name string) error {
	if name == "" || len(name) > 253 {
		return fault.InvalidField("/name", "a name has 1 to 253 characters", `write one such as "default" or "shop"`)
	}
	if i := strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' || r == '*')
	}); i >= 0 {
		return fault.InvalidField("/name", fmt.Sprintf("%q is not allowed in a name", []rune(name[i:])[0]), "use lower-case letters, digits, dots and hyphens")
	}
	return nil
}

// normalize fills in defaults and validates. It is idempotent.
func (s *Spec) normalize(policy *netguard.Policy) error {
	if policy == nil {
		policy = &netguard.Policy{}
	}
	var faults []fault.Field
	add := func(pointer, detail, fix string) {
		faults = append(faults, fault.Field{Pointer: pointer, Detail: detail, Fix: fix})
	}
	switch n := len(s.Origins); {
	case n == 0:
		add("/origins", "there is no origin", `add one, such as {"url": "https://origin.example.com"}`)
	case n > MaxOrigins:
		add("/origins", fmt.Sprintf("%d origins are more than %d", n, MaxOrigins), "remove some, or put a load balancer in front of them")
	}
	names := map[string]int{}
	for i := range s.Origins {
		s.Origins[i].normalize(i, policy, add)
		if first, taken := names[s.Origins[i].Name]; taken {
			add(fmt.Sprintf("/origins/%d/name", i), fmt.Sprintf("%q is also the name of origin %d", s.Origins[i].Name, first+1), "give each origin its own name")
		}
		names[s.Origins[i].Name] = i
	}
	if s.CacheRules == nil {
		s.CacheRules = []Rule{}
	}
	if n := len(s.CacheRules); n > MaxRules {
		add("/cache_rules", fmt.Sprintf("%d rules are more than %d", n, MaxRules), "join some with broader patterns")
	}
	patterns := map[string]int{}
	for i := range s.CacheRules {
		rule := &s.CacheRules[i]
		rule.normalize(fmt.Sprintf("/cache_rules/%d", i), add)
		glob := rule.Glob()
		if first, taken := patterns[glob]; taken {
			add(fmt.Sprintf("/cache_rules/%d/pattern", i), fmt.Sprintf("rule %d matches the same paths and comes first, so this one is never reached", first), "remove one of them")
		} else {
			patterns[glob] = i
		}
	}
	s.Timeouts.normalize(add)
	if s.MaxBodyBytes < 0 {
		add("/max_body_bytes", "a bound is not negative", "write 0 for no bound")
	}
	return fault.InvalidFields(faults)
}

type adder = func(pointer, detail, fix string)

func (o *Origin) normalize(index int, policy *netguard.Policy, add adder) {
	at := fmt.Sprintf("/origins/%d", index)
	if o.Name = strings.TrimSpace(o.Name); o.Name == "" {
		o.Name = "origin"
		if index > 0 {
			o.Name = fmt.Sprintf("origin-%d", index+1)
		}
	}
	if len(o.Name) > maxName {
		add(at+"/name", fmt.Sprintf("a name has at most %d characters", maxName), "shorten it")
	}
	if text, err := normalizeOriginURL(o.URL, policy); err != nil {
		add(at+"/url", messageOf(err), fixOf(err))
	} else {
		o.URL = text
	}
	if o.HostHeader = strings.TrimSpace(o.HostHeader); o.HostHeader != "" {
		host, port, hasPort := strings.Cut(o.HostHeader, ":")
		ascii, ok := asciiHost(host)
		if n, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || n == 0) {
			ok = false
		}
		if _, err := netip.ParseAddrPort(o.HostHeader); err == nil {
			ascii, ok = host, true
		}
		if !ok {
			add(at+"/host_header", fmt.Sprintf("%q is not a host", o.HostHeader), `write a name, such as "www.example.com", without scheme and path`)
		} else if o.HostHeader = ascii; hasPort {
			o.HostHeader += ":" + port
		}
	}
	if o.ServerName = strings.TrimSpace(o.ServerName); o.ServerName != "" {
		ascii, ok := asciiHost(o.ServerName)
		if !ok {
			add(at+"/server_name", fmt.Sprintf("%q is not a host name", o.ServerName), `write the name in the origin's certificate, such as "origin.example.com"`)
		}
		o.ServerName = ascii
	}
	https := strings.HasPrefix(o.URL, "https:")
	switch o.HTTP2 {
	case "":
	case "prior_knowledge":
		if https {
			add(at+"/http2", "prior knowledge is for origins without TLS", "leave it out: with https, HTTP/2 is agreed on by ALPN")
		}
	default:
		add(at+"/http2", fmt.Sprintf("%q is not known", o.HTTP2), `leave it out, or write "prior_knowledge" for a gRPC server without TLS`)
	}
	if o.RootCAPEM != "" {
		if o.SkipVerify {
			add(at+"/skip_verify", "a certificate that is not verified needs no CA", "remove skip_verify or root_ca_pem")
		}
		if detail, fix := checkRoots(o.RootCAPEM); detail != "" {
			add(at+"/root_ca_pem", detail, fix)
		}
	}
}

// checkRoots wants certificates and nothing else.
func checkRoots(text string) (detail, fix string) {
	const paste = "paste the CA's certificate in PEM, from -----BEGIN CERTIFICATE----- on"
	rest, count := []byte(text), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return "this holds a private key", "paste the certificate only, and consider the key disclosed"
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Sprintf("a block of type %q is not a certificate", block.Type), paste
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Sprintf("certificate %d cannot be read: %v", count+1, err), "copy it again, without changes"
		}
		count++
	}
	if count == 0 {
		return "no certificate can be read from it", paste
	}
	return "", ""
}

// asciiHost returns a host name in lower-case A-labels, without trailing dot.
// Underscores are met in the field and let pass, as edges do.
func asciiHost(host string) (string, bool) {
	ascii, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false)).ToASCII(strings.TrimSuffix(host, "."))
	if err != nil || len(ascii) > 253 {
		return host, false
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}) {
			return host, false
		}
	}
	return ascii, true
}

// normalizeOriginURL understands what people paste: upper case, a trailing
// slash, a default port, an international name.
func normalizeOriginURL(text string, policy *netguard.Policy) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", fault.InvalidField("", "the URL is missing", `write one such as "https://origin.example.com" or "http://127.0.0.1:3000"`)
	}
	if !strings.Contains(text, "://") {
		return "", fault.InvalidField("", "the URL has no scheme", fmt.Sprintf(`write "https://%s" or "http://%s"`, text, text))
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", fault.InvalidField("", "the URL cannot be read: "+urlReason(err), `write one such as "https://origin.example.com"`)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Path != "" && u.Path != "/" {
		return "", fault.InvalidField("", fmt.Sprintf("an origin is a server; %q is a path", u.Path), fmt.Sprintf(`write "%s://%s": requests keep their own paths`, u.Scheme, u.Host))
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fault.InvalidField("", "an origin has no query and no fragment", fmt.Sprintf(`write "%s://%s"`, u.Scheme, u.Host))
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", fault.InvalidField("", fmt.Sprintf("%q names a network interface, which differs from edge to edge", host), "write the address alone")
		}
		host = addr.String()
	} else if host != "" {
		ascii, ok := asciiHost(host)
		if !ok {
			return "", fault.InvalidField("", fmt.Sprintf("%q is not a host name", host), "use letters, digits, hyphens and dots")
		}
		host = ascii
	}
	port := u.Port()
	if n, err := strconv.Atoi(port); err == nil && (u.Scheme == "http" && n == 80 || u.Scheme == "https" && n == 443) {
		port = ""
	}
	switch {
	case port != "":
		u.Host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		u.Host = "[" + host + "]"
	default:
		u.Host = host
	}
	if err := policy.CheckURL(u); err != nil {
		return "", err
	}
	return u.Scheme + "://" + u.Host, nil
}

func urlReason(err error) string {
	if wrapped, ok := err.(*url.Error); ok {
		return wrapped.Err.Error()
	}
	return err.Error()
}

// messageOf and fixOf take a fault about a value apart, to be put at its
// pointer.
func messageOf(err error) string {
	if f, ok := err.(*fault.Error); ok && len(f.Fields) == 1 {
		return f.Fields[0].Detail
	}
	message, _, _ := strings.Cut(err.Error(), ": ")
	return message
}

func fixOf(err error) string {
	if f, ok := err.(*fault.Error); ok && len(f.Fields) == 1 {
		return f.Fields[0].Fix
	}
	_, fix, _ := strings.Cut(err.Error(), ": ")
	return fix
}

func (t *Timeouts) normalize(add adder) {
	if t.ConnectMS == 0 {
		t.ConnectMS = defaultConnectMS
	}
	if t.ResponseMS == 0 {
		t.ResponseMS = defaultResponseMS
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"connect_ms", t.ConnectMS}, {"response_ms", t.ResponseMS}, {"idle_ms", t.IdleMS}} {
		if f.value < 0 || f.value > MaxTimeoutMS {
			add("/timeouts/"+f.name, fmt.Sprintf("%d ms is out of range", f.value), fmt.Sprintf("write 0 to %d", MaxTimeoutMS))
		}
	}
}
