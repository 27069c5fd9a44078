package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/edge/request"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Rules is the compiled cache policy of one site. It is immutable.
type Rules struct {
	rules    []*Rule
	fallback *Rule // for what no rule matches: by headers, whole query
}

// Rule is one compiled cache rule. It is immutable; a nil Rule is the fallback.
type Rule struct {
	ID string

	pattern    string
	action     edgeconfig.CacheAction
	edgeTTL    time.Duration
	browserTTL int64 // seconds; noBrowserTTL leaves Cache-Control alone

	query   queryMode
	names   []string // sorted query parameter names, for include and exclude
	headers []string // canonical names, sorted, without duplicates
	cookies []string // sorted, without duplicates

	set *Rules // of which it is one, to find the rule of a Location
}

const noBrowserTTL = -1

// bare is used where no Rules are at hand.
var bare = CompilePolicy(nil).fallback

// CompilePolicy compiles the cache rules of a site. The rules have passed
// edgeconfig's validation; what is unknown in them is treated as absent.
func CompilePolicy(rules []edgeconfig.CacheRule) *Rules {
	r := &Rules{rules: make([]*Rule, 0, len(rules))}
	r.fallback = &Rule{browserTTL: noBrowserTTL, set: r}
	for i := range rules {
		r.rules = append(r.rules, compileRule(&rules[i], r))
	}
	return r
}

func compileRule(c *edgeconfig.CacheRule, set *Rules) *Rule {
	rule := &Rule{
		ID: c.ID, pattern: c.Pattern, action: c.Action, browserTTL: noBrowserTTL,
		edgeTTL: time.Duration(max(c.EdgeTTL, 0)) * time.Second, set: set,
	}
	if c.BrowserTTL != nil {
		rule.browserTTL = int64(max(*c.BrowserTTL, 0))
	}
	switch c.Key.Query.Mode {
	case "none":
		rule.query = queryNone
	case "include":
		rule.query = queryInclude
	case "exclude":
		rule.query = queryExclude
	}
	rule.names = sorted(c.Key.Query.Names)
	for _, name := range c.Key.Headers {
		rule.headers = append(rule.headers, http.CanonicalHeaderKey(strings.TrimSpace(name)))
	}
	rule.headers = sorted(rule.headers)
	rule.cookies = sorted(c.Key.Cookies)
	return rule
}

func sorted(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// Match returns the first rule whose pattern matches the request's path, or the
// fallback. It never returns nil and does not allocate.
func (r *Rules) Match(v *request.View) *Rule {
	if r == nil {
		return bare
	}
	return r.forPath(v.Path)
}

func (r *Rules) forPath(path string) *Rule {
	for _, rule := range r.rules {
		if match(rule.pattern, path) {
			return rule
		}
	}
	return r.fallback
}

// keyed reports whether the key holds more than the URI.
func (r *Rule) keyed() bool { return len(r.headers)+len(r.cookies) > 0 }

// match reports whether the glob pattern matches the whole path: "**" any run,
// "*" any run without a slash, "?" one character but a slash.
//
// Only the last "**" and the last "*" after it are ever tried again: what
// stands before them has matched as early as possible, which leaves the most
// to what follows. So the time is bounded by the product of the lengths.
func match(pattern, path string) bool {
	p, s := 0, 0
	starP, starS := -1, 0     // after the last "*", and where its run ends
	doubleP, doubleS := -1, 0 // the same for the last "**"
	for s < len(path) || p < len(pattern) {
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == '*' && p+1 < len(pattern) && pattern[p+1] == '*':
				for p < len(pattern) && pattern[p] == '*' {
					p++
				}
				doubleP, doubleS, starP = p, s, -1
				continue
			case c == '*':
				p++
				starP, starS = p, s
				continue
			case s < len(path) && (c == path[s] || c == '?' && path[s] != '/'):
				p++
				s++
				continue
			}
		}
		switch {
		case starP >= 0 && starS < len(path) && path[starS] != '/':
			starS++
			p, s = starP, starS
		case doubleP >= 0 && doubleS < len(path):
			doubleS++
			p, s, starP = doubleP, doubleS, -1
		default:
			return false
		}
	}
	return true
}
