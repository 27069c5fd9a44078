package cache

import (
	"strings"
)

// codings is the set of content codings that a request accepts, of those the
// edge knows. It is what Accept-Encoding is normalised to: stored responses
// that vary on the field are few, and the origin is sent exactly what the set
// says, so that key and request agree.
type codings uint8

const (
	codingBrotli codings = 1 << iota
	codingGzip
	codingZstd
	noIdentity // an unencoded response is not acceptable
)

// acceptedCodings reads Accept-Encoding (RFC 9110 section 12.5.3). Preferences
// among acceptable codings are dropped. "*" adds nothing: who sends it accepts
// an unencoded response as well.
func acceptedCodings(lines []string) codings {
	var set codings
	identity, wildcard := unlisted, unlisted
	for _, line := range lines {
		for line != "" {
			var member string
			member, line, _ = strings.Cut(line, ",")
			coding, parameters, _ := strings.Cut(member, ";")
			coding = trim(coding)
			is := accepted
			if zeroQuality(parameters) {
				is = refused
			}
			var bit codings
			switch {
			case strings.EqualFold(coding, "br"):
				bit = codingBrotli
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				bit = codingGzip
			case strings.EqualFold(coding, "zstd"):
				bit = codingZstd
			case strings.EqualFold(coding, "identity"):
				identity = is
			case coding == "*":
				wildcard = is
			}
			if is == refused {
				set &^= bit
			} else {
				set |= bit
			}
		}
	}
	if identity == refused || identity == unlisted && wildcard == refused {
		set |= noIdentity
	}
	return set
}

// acceptance is what a list says of one coding.
type acceptance uint8

const (
	unlisted acceptance = iota
	accepted
	refused
)

// zeroQuality reports whether parameters hold a weight of 0 (RFC 9110 section
// 12.4.2).
func zeroQuality(parameters string) bool {
	for parameters != "" {
		var p string
		p, parameters, _ = strings.Cut(parameters, ";")
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(trim(name), "q") {
			value = trim(value)
			return value != "" && strings.Trim(value, "0.") == ""
		}
	}
	return false
}

// String is the field value that the origin is sent; "" for no field at all.
func (s codings) String() string {
	names := make([]string, 0, 4)
	if s&codingBrotli != 0 {
		names = append(names, "br")
	}
	if s&codingGzip != 0 {
		names = append(names, "gzip")
	}
	if s&codingZstd != 0 {
		names = append(names, "zstd")
	}
	if s&noIdentity != 0 {
		names = append(names, "identity;q=0")
	}
	return strings.Join(names, ", ")
}
