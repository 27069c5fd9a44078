package cdn

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Glob returns the pattern as edges match it, anchored at both ends of the path.
// "*" is a run within a segment there and "**" any run.
//
//	/img/*   -> /img/**    what people mean by a trailing star
//	*        -> /**
//	*.css    -> /**.css    any depth
//	/a/*.css -> as it is   one segment
func (r Rule) Glob() string {
	p := r.Pattern
	if strings.HasSuffix(p, "/*") || p == "*" {
		p += "*"
	}
	if strings.HasPrefix(p, "/") {
		return p
	}
	p = strings.TrimLeft(p, "*")
	if p == "" {
		return "/**"
	}
	if strings.HasPrefix(p, "/") || strings.HasPrefix(r.Pattern, "*") {
		return "/**" + p
	}
	// "img/a.png" at any depth: whole segments only would need two patterns, so
	// it is refused by validation and never gets here.
	return "/" + p
}

func (r *Rule) normalize(at string, add adder) {
	r.Pattern = strings.TrimSpace(r.Pattern)
	r.checkPattern(at+"/pattern", add)

	switch r.Action {
	case "":
		r.Action = ActionHeaders
		if r.TTL > 0 {
			r.Action = ActionCache
		}
	case ActionCache:
		if r.TTL == 0 {
			add(at+"/ttl", "a rule that caches needs a ttl", `write seconds, such as 3600, or the action "headers" to follow the origin`)
		}
	case ActionBypass, ActionHeaders:
		if r.TTL != 0 {
			add(at+"/ttl", fmt.Sprintf("the action %q takes no ttl", r.Action), `remove the ttl, or write the action "cache"`)
		}
	default:
		add(at+"/action", fmt.Sprintf("%q is not an action", r.Action), `use "cache", "bypass" or "headers"`)
	}
	if r.TTL < 0 || r.TTL > MaxTTL {
		add(at+"/ttl", fmt.Sprintf("%d seconds are out of range", r.TTL), fmt.Sprintf("write 1 to %d", MaxTTL))
	}
	if b := r.BrowserTTL; b != nil && (*b < 0 || *b > MaxTTL) {
		add(at+"/browser_ttl", fmt.Sprintf("%d seconds are out of range", *b), fmt.Sprintf("write 0 to %d, or leave it out", MaxTTL))
	}
	if r.Action == ActionBypass && !r.CacheKey.zero() {
		add(at+"/cache_key", "a rule that bypasses the cache has no key", "remove the key")
	}
	r.CacheKey.normalize(at+"/cache_key", add)
}

func (r *Rule) checkPattern(at string, add adder) {
	p := r.Pattern
	switch {
	case p == "":
		add(at, "the pattern is missing", `write a path such as "/img/*", "*.css" or "*" for all`)
	case len(p) > maxPattern:
		add(at, fmt.Sprintf("the pattern has %d bytes, more than %d", len(p), maxPattern), "shorten it")
	case strings.Contains(p, "://"):
		add(at, "a pattern is matched with the path, not the whole URL", fmt.Sprintf("write %q", pathOf(p)))
	case strings.ContainsAny(p, "#\\") || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		add(at, "a path holds no white space, \"#\" or \"\\\"", "write it percent-encoded, such as %20 for a space")
	case strings.Contains(p, "***"):
		add(at, "three stars in a row mean no more than two", `write "**"`)
	case p[0] != '/' && p[0] != '*':
		add(at, "a pattern begins with \"/\" or \"*\"", fmt.Sprintf(`write "/%s", or "**/%s" for any depth`, p, p))
	case strings.Contains(p, "//") || slices.Contains(strings.Split(p, "/"), "..") || slices.Contains(strings.Split(p, "/"), "."):
		add(at, "paths are matched after \"//\", \"/./\" and \"/../\" are resolved, so this never matches", "write the resolved path")
	case strings.Count(p, "*") > 16:
		add(at, "more than 16 stars make matching slow", "use fewer")
	}
}

func pathOf(pattern string) string {
	_, rest, _ := strings.Cut(pattern, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "*"
}

func (k CacheKey) zero() bool {
	return k.Query.Mode == "" && len(k.Query.Names)+len(k.Headers)+len(k.Cookies) == 0
}

func (k *CacheKey) normalize(at string, add adder) {
	switch k.Query.Mode {
	case "", "all":
		k.Query.Mode = ""
		if len(k.Query.Names) > 0 {
			add(at+"/query/names", "all parameters are in the key, so names mean nothing", `write the mode "include" or "exclude"`)
		}
	case "none":
		if len(k.Query.Names) > 0 {
			add(at+"/query/names", "no parameter is in the key, so names mean nothing", `write the mode "include" or "exclude"`)
		}
	case "include", "exclude":
		if len(k.Query.Names) == 0 {
			add(at+"/query/names", fmt.Sprintf("the mode %q needs names", k.Query.Mode), `list parameters, such as ["page"]`)
		}
	default:
		add(at+"/query/mode", fmt.Sprintf("%q is not a mode", k.Query.Mode), `use "all", "none", "include" or "exclude"`)
	}
	for i, name := range k.Query.Names {
		if name == "" || strings.ContainsAny(name, "&=#") {
			add(fmt.Sprintf("%s/query/names/%d", at, i), fmt.Sprintf("%q is not a parameter's name", name), "write the name alone")
		}
	}
	for i, name := range k.Headers {
		pointer := fmt.Sprintf("%s/headers/%d", at, i)
		switch lower := strings.ToLower(name); {
		case !httpguts.ValidHeaderFieldName(name):
			add(pointer, fmt.Sprintf("%q is not a header's name", name), `write one such as "accept-language"`)
		case lower == "cookie":
			add(pointer, "the whole Cookie header differs for everybody", `list the cookies that matter under "cookies"`)
		case lower == "host" || lower == "connection" || lower == "range" || lower == "user-agent" || strings.HasPrefix(lower, "if-"):
			add(pointer, fmt.Sprintf("%s cannot be part of the key", name), "remove it")
		default:
			k.Headers[i] = lower
		}
	}
	for i, name := range k.Cookies {
		if !httpguts.ValidHeaderFieldName(name) {
			add(fmt.Sprintf("%s/cookies/%d", at, i), fmt.Sprintf("%q is not a cookie's name", name), "write the name alone")
		}
	}
	k.Query.Names = sorted(k.Query.Names)
	k.Headers = sorted(k.Headers)
	k.Cookies = sorted(k.Cookies)
}

// sorted makes keys that mean the same look the same.
func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
