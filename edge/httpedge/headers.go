package httpedge

import (
	"net/http"
	"net/textproto"
	"strings"
)

// pseudonym is this edge's name in Via and CDN-Loop.
const pseudonym = "edgewright"

// hopByHop tells the fields that end at this hop (RFC 9110 section 7.6.1, and
// what is still sent beside it). Names are in canonical form.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization", "Http2-Settings":
		return true
	}
	return false
}

// own tells the request fields that the edge itself writes, and those that
// claim what only a proxy may say: a client's own are dropped, since they are
// no part of the cache key and origins act on them.
func own(name string) bool {
	switch name {
	case "Forwarded", "Via", "Cdn-Loop", "X-Request-Id", "X-Real-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
		"X-Original-Url", "X-Rewrite-Url", "X-Original-Host", "X-Host", "Host", "Content-Length", VerifyHeader, "Early-Data", "Proxy":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// methodOverride tells the fields by which a GET may turn out to be something
// else at the origin, and so must not decide what a stored response says.
func methodOverride(name string) bool {
	return name == "X-Http-Method-Override" || name == "X-Http-Method" || name == "X-Method-Override"
}

// outgoing returns the header that goes to an origin. Value slices are shared
// with the client's header and must not be written to.
func (x *exchange) outgoing() http.Header {
	in := x.r.Header
	named := connectionNames(in["Connection"])
	safe := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	out := make(http.Header, len(in)+9)
	for name, values := range in {
		switch {
		case hopByHop(name), own(name), name[0] == ':', named != nil && named[name], safe && methodOverride(name):
			continue
		case strings.IndexByte(name, '_') >= 0 && own(textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))):
			continue // to CGI and its kin, X_Forwarded_For is X-Forwarded-For
		}
		out[name] = values
	}
	if te := in["Te"]; te != nil && containsToken(te, "trailers") {
		out["Te"] = headerTrailers
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = nil // keeps net/http from naming itself
	}
	x.introduce(out, in)
	return out
}

// introduce writes what the edge says of the client and of itself.
func (x *exchange) introduce(out, in http.Header) {
	client := []string{x.view.ClientIP}
	out["X-Forwarded-For"] = client
	out["X-Real-Ip"] = client
	out["X-Forwarded-Proto"] = schemes[x.view.Scheme]
	host := x.publicHost()
	out["X-Forwarded-Host"] = []string{host}
	out["X-Forwarded-Port"] = []string{x.publicPort()}

	var b strings.Builder
	b.Grow(40 + len(x.view.ClientIP) + len(host))
	b.WriteString("for=")
	if strings.IndexByte(x.view.ClientIP, ':') >= 0 { // RFC 7239 section 6.1
		b.WriteString(`"[`)
		b.WriteString(x.view.ClientIP)
		b.WriteString(`]"`)
	} else {
		b.WriteString(x.view.ClientIP)
	}
	if strings.IndexByte(host, ':') >= 0 || strings.IndexByte(host, '[') >= 0 {
		b.WriteString(`;host="`)
		b.WriteString(host)
		b.WriteByte('"')
	} else {
		b.WriteString(";host=")
		b.WriteString(host)
	}
	b.WriteString(";proto=")
	b.WriteString(x.view.Scheme)
	out["Forwarded"] = []string{b.String()}

	out["X-Request-Id"] = []string{x.id}
	out["Via"] = join(in["Via"], via[min(x.r.ProtoMajor, 3)])
	out["Cdn-Loop"] = join(in["Cdn-Loop"], x.s.loop)
}

// publicHost is the host as clients of this edge write it: with the port that
// the configuration says, never one that a client made up, since an origin may
// put it into links that are then cached.
func (x *exchange) publicHost() string {
	if x.view.Scheme == "https" {
		if port := x.runtime.HTTPSPort(); port != "" {
			return x.view.Authority + ":" + port
		}
	} else if x.s.plainPort != "" {
		return x.view.Authority + ":" + x.s.plainPort
	}
	return x.view.Authority
}

func (x *exchange) publicPort() string {
	port, usual := x.s.plainPort, "80"
	if x.view.Scheme == "https" {
		port, usual = x.runtime.HTTPSPort(), "443"
	}
	if port == "" {
		return usual
	}
	return port
}

var (
	headerTrailers = []string{"trailers"}
	schemes        = map[string][]string{"http": {"http"}, "https": {"https"}}
	via            = [4][]string{{"1.0 " + pseudonym}, {"1.1 " + pseudonym}, {"2.0 " + pseudonym}, {"3.0 " + pseudonym}}
)

// join returns a list with values after it, without touching either.
func join(list, values []string) []string {
	if len(list) == 0 {
		return values
	}
	return append(append(make([]string, 0, len(list)+len(values)), list...), values...)
}

// connectionNames returns the fields that Connection names, nil for none.
func connectionNames(values []string) map[string]bool {
	var names map[string]bool
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			token = strings.TrimSpace(token)
			if token == "" || strings.EqualFold(token, "close") || strings.EqualFold(token, "keep-alive") || strings.EqualFold(token, "upgrade") {
				continue
			}
			if names == nil {
				names = map[string]bool{}
			}
			names[textproto.CanonicalMIMEHeaderKey(token)] = true
		}
	}
	return names
}

// containsToken reports whether a list field holds a token, whatever its case
// and parameters.
func containsToken(values []string, token string) bool {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			part, _, _ = strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
