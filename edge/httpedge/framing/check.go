package framing

import (
	"bytes"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Framing is what a head says about the bytes after it.
type Framing struct {
	Length    int64 // of a body with Content-Length
	Chunked   bool
	WebSocket bool // asks to leave HTTP for the WebSocket protocol
}

// What is refused, and as what.
var (
	refuseLine       = &Refusal{400, "a line of the request does not end in CR LF, or holds a bare CR"}
	refuseStart      = &Refusal{400, "the request line is not a method, a target and a version, parted by single spaces"}
	refusePercent    = &Refusal{400, "the request target holds a % that two hexadecimal digits do not follow"}
	refuseVersion    = &Refusal{505, "this server speaks HTTP/1.0 and HTTP/1.1 here"}
	refuseFold       = &Refusal{400, "a header field is folded over several lines"}
	refuseName       = &Refusal{400, "a header field's name holds a character that is not allowed, or a space stands before its colon"}
	refuseValue      = &Refusal{400, "a header field's value holds a control character"}
	refuseFields     = &Refusal{431, "the request has too many header fields"}
	refuseHost       = &Refusal{400, "the request must have exactly one Host field"}
	refuseHostName   = &Refusal{400, "the Host field does not hold a host name or an address"}
	refuseLength     = &Refusal{400, "the Content-Length is not one decimal number"}
	refuseBoth       = &Refusal{400, "the request has both Content-Length and Transfer-Encoding"}
	refuseTransfer   = &Refusal{400, "Transfer-Encoding does not belong in an HTTP/1.0 request"}
	refuseCoding     = &Refusal{501, "chunked is the only transfer coding this server knows, given once"}
	refuseChunk      = &Refusal{400, "the chunked body is not framed correctly"}
	refuseChunkLines = &Refusal{400, "the chunk extensions or trailers of the body are too long"}
)

// headEnd returns the length of the head at the start of b, with its empty
// line, or 0 when it is not complete. Lines that end without CR count too, so
// that they are refused rather than waited for. The search begins at from.
func headEnd(b []byte, from int) int {
	for i := from; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return 0
		}
		i += n + 1
		if i < len(b) && b[i] == '\n' {
			return i + 1
		}
		if i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
			return i + 2
		}
	}
}

// Check checks one request head, from its request line to its empty line, and
// returns how its body is framed (RFC 9112 sections 2 to 7). It is stricter than
// the RFC where parsers are known to differ.
func Check(head []byte, maxFields int) (f Framing, bad *Refusal) {
	line, rest, ok := cutLine(head)
	if !ok {
		return f, refuseLine
	}
	old, bad := checkStart(line)
	if bad != nil {
		return f, bad
	}
	var host, length, coding, fields int
	for len(rest) > 0 {
		if line, rest, ok = cutLine(rest); !ok {
			return f, refuseLine
		}
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			return f, refuseFold
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !isToken(line[:colon]) {
			return f, refuseName
		}
		name, value := line[:colon], trim(line[colon+1:])
		if !isValue(value) {
			return f, refuseValue
		}
		if fields++; fields > maxFields {
			return f, refuseFields
		}
		switch len(name) {
		case len("Host"):
			if isName(name, "host") {
				host++
				if !httpguts.ValidHostHeader(string(value)) || bytes.IndexByte(value, '@') >= 0 {
					return f, refuseHostName
				}
			}
		case len("Upgrade"):
			if isName(name, "upgrade") && bytes.Contains(bytes.ToLower(value), []byte("websocket")) {
				f.WebSocket = true
			}
		case len("Content-Length"):
			if isName(name, "content-length") {
				length++
				if f.Length, ok = decimal(value); !ok {
					return f, refuseLength
				}
			}
		case len("Transfer-Encoding"):
			if isName(name, "transfer-encoding") {
				coding++
				if !bytes.EqualFold(value, []byte("chunked")) {
					return f, refuseCoding
				}
			}
		}
	}
	switch {
	case host > 1 || host == 0 && !old:
		return f, refuseHost
	case length > 1:
		return f, refuseLength
	case length > 0 && coding > 0:
		return f, refuseBoth
	case coding > 1:
		return f, refuseCoding
	case coding > 0 && old:
		return f, refuseTransfer
	}
	f.Chunked = coding > 0
	if f.WebSocket && (f.Chunked || f.Length > 0) {
		f.WebSocket = false // a handshake has no body (RFC 6455 section 4.1): an ordinary request
	}
	return f, nil
}

// cutLine takes the next line off b; it fails for one that does not end in CR
// LF, or holds another CR.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	n := bytes.IndexByte(b, '\n')
	if n < 1 || b[n-1] != '\r' || bytes.IndexByte(b[:n-1], '\r') >= 0 {
		return nil, nil, false
	}
	return b[:n-1], b[n+1:], true
}

// checkStart checks a request line; old means HTTP/1.0.
func checkStart(line []byte) (old bool, bad *Refusal) {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || !isToken(method) {
		return false, refuseStart
	}
	target, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(target) == 0 {
		return false, refuseStart
	}
	inPath := true
	for i, c := range target {
		switch {
		case c <= ' ' || c == 0x7f:
			return false, refuseStart
		case c == '?':
			inPath = false
		case c == '%' && inPath:
			// net/http would refuse it too, but without a page.
			if len(target)-i < 3 || !isHex(target[i+1]) || !isHex(target[i+2]) {
				return false, refusePercent
			}
		}
	}
	switch {
	case string(version) == "HTTP/1.1":
		return false, nil
	case string(version) == "HTTP/1.0":
		return true, nil
	case len(version) == 8 && string(version[:5]) == "HTTP/" && version[5] >= '0' && version[5] <= '9' && version[6] == '.' && version[7] >= '0' && version[7] <= '9':
		return false, refuseVersion
	default:
		return false, refuseStart
	}
}

// acceptOf finds the Accept field of a head that was refused, for the form of
// the answer.
func acceptOf(head []byte) string {
	for line := range bytes.SplitSeq(head, []byte{'\n'}) {
		if name, value, ok := bytes.Cut(line, []byte{':'}); ok && len(name) == len("Accept") && isName(name, "accept") {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// token marks the characters of RFC 9110 section 5.6.2.
var token = func() (t [256]bool) {
	for c := range t {
		b := byte(c)
		t[c] = b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !token[c] {
			return false
		}
	}
	return len(b) > 0
}

func isValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isName(b []byte, lower string) bool {
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
