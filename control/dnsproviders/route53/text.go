package route53

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// Route 53 writes bytes that are no plain characters as a backslash and three
// octal digits, where zone files have three decimal ones (RFC 1035, section 5.1).

// digits reads three digits of a base.
func digits(s string, base int) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[:3]) {
		if c < '0' || int(c-'0') >= base {
			return 0, false
		}
		n = n*base + int(c-'0')
	}
	return byte(n), n < 256
}

// escapes rewrites every numeric escape.
func escapes(s string, base int, write func(c byte) string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if c, ok := digits(s[i+1:], base); ok {
			b.WriteString(write(c))
			i += 3
			continue
		}
		b.WriteString(s[i : i+2])
		i++
	}
	return b.String()
}

func decimal(c byte) string { return fmt.Sprintf(`\%03d`, c) }

func octal(c byte) string { return fmt.Sprintf(`\%03o`, c) }

// nameIn turns Route 53's form of a name into ours: lower case, no final dot,
// the wildcard as an asterisk.
func nameIn(name string) string {
	name = escapes(name, 8, func(c byte) string {
		if c == '.' || c == '\\' || c == '"' || c <= ' ' || c > '~' {
			return decimal(c)
		}
		return string(rune(c))
	})
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// nameOut is the way back.
func nameOut(name string) string { return escapes(name, 10, octal) + "." }

func valueIn(typ types.RRType, value string) string {
	if typ == types.RRTypeTxt {
		return escapes(value, 8, decimal)
	}
	return value
}

func valueOut(typ, value string) string {
	if typ == string(types.RRTypeTxt) {
		return escapes(value, 10, octal)
	}
	return value
}
