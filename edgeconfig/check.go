package edgeconfig

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A check tells whether something lives that DNS answers depend on (Variant.Check
// names it by ID). Every edge asks for itself, and goes by its own view.
//
//	check/<check ID>   Check
const KindCheck = "check" // body Check

// Types of checks.
const (
	CheckTCP   = "tcp"   // a connection is accepted
	CheckHTTP  = "http"  // a GET is answered with 2xx or 3xx
	CheckHTTPS = "https" // the same below TLS
)

// Check is one health check. What fails Fall times in a row is dead, what then
// succeeds Rise times in a row lives again; what is not known yet lives.
type Check struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Target     string `json:"target"`                // host:port, a name or an address
	Host       string `json:"host,omitempty"`        // of HTTP and TLS; "": the target's
	Path       string `json:"path,omitempty"`        // of HTTP; "": "/"
	SkipVerify bool   `json:"skip_verify,omitempty"` // accept any certificate
	IntervalMS int    `json:"interval_ms,omitempty"` // 0: 10000; 1000 to 300000
	TimeoutMS  int    `json:"timeout_ms,omitempty"`  // 0: 3000; 100 to 30000
	Fall       int    `json:"fall,omitempty"`        // 0: 3
	Rise       int    `json:"rise,omitempty"`        // 0: 2
}

// ValidateCheck checks a check as both towers require it.
func ValidateCheck(k *Check) error {
	var c checker
	if k.ID == "" {
		c.add("/id", "the check has no ID")
	}
	switch k.Type {
	case CheckTCP, CheckHTTP, CheckHTTPS:
	default:
		c.add("/type", "%q is not among %s, %s and %s", k.Type, CheckTCP, CheckHTTP, CheckHTTPS)
	}
	host, port, err := net.SplitHostPort(k.Target)
	if n, numeric := strconv.Atoi(port); err != nil || numeric != nil || n < 1 || n > 65535 {
		c.add("/target", "%q is not host:port", k.Target)
	} else if _, err := netip.ParseAddr(host); err != nil && !validHost(host, false) {
		c.add("/target", "%q is neither an address nor a host name", host)
	}
	if k.Host != "" && !validHost(k.Host, false) {
		c.add("/host", "%q is no host name", k.Host)
	}
	if k.Path != "" && (!strings.HasPrefix(k.Path, "/") || strings.ContainsAny(k.Path, " \r\n#")) {
		c.add("/path", "%q is no path: it begins with / and has no spaces", k.Path)
	}
	for _, b := range []struct {
		pointer         string
		value, from, to int
	}{{"/interval_ms", k.IntervalMS, 1000, 300_000}, {"/timeout_ms", k.TimeoutMS, 100, 30_000}, {"/fall", k.Fall, 1, 10}, {"/rise", k.Rise, 1, 10}} {
		if b.value != 0 && (b.value < b.from || b.value > b.to) {
			c.add(b.pointer, "%d is not within %d and %d", b.value, b.from, b.to)
		}
	}
	return c.err()
}
