package request

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"github.com/edgewright/edgewright/fault"
)

// What is wrong with an authority; all are fault.Invalid.
var (
	ErrAuthority = fault.New(fault.Invalid, "the host of the request is not a host name or an address")
	ErrPort      = fault.New(fault.Invalid, "the port of the request's host is not a number from 1 to 65535")
)

// Authority splits what a client sent as Host or :authority into View.Authority
// (lower-case A-labels without a trailing dot, or an address, IPv6 in brackets)
// and the port, "" when none was given. User information is refused (RFC 9110
// section 4.2.4). A name that is normal already is returned as a part of raw,
// without an allocation.
func Authority(raw string) (host, port string, err error) {
	if raw == "" {
		return "", "", ErrAuthority
	}
	if raw[0] == '[' {
		return address(raw)
	}
	host = raw
	if i := strings.IndexByte(raw, ':'); i >= 0 {
		host = raw[:i]
		if port, err = checkPort(raw[i+1:]); err != nil {
			return "", "", err
		}
	}
	host, err = hostName(host)
	return host, port, err
}

func address(raw string) (host, port string, err error) {
	end := strings.IndexByte(raw, ']')
	if end < 0 {
		return "", "", ErrAuthority
	}
	addr, err := netip.ParseAddr(raw[1:end])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", "", ErrAuthority
	}
	if rest := raw[end+1:]; rest != "" {
		if rest[0] != ':' {
			return "", "", ErrAuthority
		}
		if port, err = checkPort(rest[1:]); err != nil {
			return "", "", err
		}
	}
	return "[" + addr.String() + "]", port, nil
}

// checkPort returns a port without leading zeros; an empty one is allowed and
// means the scheme's own (RFC 3986 section 3.2.3).
func checkPort(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	n := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c < '0' || c > '9' || i > 8 {
			return "", ErrPort
		}
		n = n*10 + int(c-'0')
	}
	if n < 1 || n > 65535 {
		return "", ErrPort
	}
	return strings.TrimLeft(raw, "0"), nil
}

// Bounds of RFC 1035 section 2.3.4, without the root's dot.
const (
	maxName  = 253
	maxLabel = 63
)

func hostName(raw string) (string, error) {
	host := raw
	if n := len(host); n > 1 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) == 0 || len(host) > maxName {
		return "", ErrAuthority
	}
	label, upper := 0, false
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			label++
		case c >= 'A' && c <= 'Z':
			label++
			upper = true
		case c == '.':
			if label == 0 {
				return "", ErrAuthority
			}
			label = 0
		case c >= 0x80:
			return unicodeName(host)
		default:
			return "", ErrAuthority
		}
		if label > maxLabel {
			return "", ErrAuthority
		}
	}
	if label == 0 {
		return "", ErrAuthority
	}
	if upper {
		host = strings.ToLower(host)
	}
	return host, nil
}

// unicodeName turns U-labels, which browsers never send but other clients do,
// into A-labels (RFC 5891 section 5).
func unicodeName(host string) (string, error) {
	name, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", ErrAuthority
	}
	for i := 0; i < len(name); i++ {
		if name[i] >= 0x80 { // an idna profile that maps to nothing ASCII
			return "", ErrAuthority
		}
	}
	return hostName(name)
}

// Fields is a View's Headers over a map with canonical keys, as net/http makes.
type Fields map[string][]string

// Get returns the first value of name, "" when the field is absent.
func (f Fields) Get(name string) string {
	if values := f[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Values returns all values of name; the caller must not change the slice.
func (f Fields) Values(name string) []string { return f[name] }

// PeerIP returns the textual address of a peer given as "address:port",
// without zone or brackets.
func PeerIP(remote string) string {
	i := strings.LastIndexByte(remote, ':')
	if i < 0 {
		return remote
	}
	ip := remote[:i]
	if n := len(ip); n > 1 && ip[0] == '[' && ip[n-1] == ']' {
		ip = ip[1 : n-1]
	}
	if z := strings.IndexByte(ip, '%'); z >= 0 {
		ip = ip[:z]
	}
	return ip
}
