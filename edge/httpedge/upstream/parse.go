package upstream

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

type kind uint8

const (
	noBody kind = iota
	byLength
	byChunks
	byClose
)

// framing says where the body of a response ends (RFC 9112 section 6.3).
type framing struct {
	kind  kind
	left  int64 // of the body, or of the chunk
	reuse bool  // the connection may carry another request
}

func malformed(what string) error {
	return fmt.Errorf("the origin's answer is not HTTP/1.1: %s", what)
}

// parseHead makes a response of its head. The strings of its header are parts
// of one copy.
func parseHead(head []byte, r *http.Request) (*http.Response, framing, error) {
	var f framing
	text := string(head)
	start, rest, _ := strings.Cut(text, "\n")
	start = strings.TrimSuffix(start, "\r")
	if len(start) < 12 || start[:7] != "HTTP/1." || start[7] != '0' && start[7] != '1' || start[8] != ' ' || len(start) > 12 && start[12] != ' ' {
		return nil, f, malformed("its status line")
	}
	status, err := strconv.ParseUint(start[9:12], 10, 16)
	if err != nil || status < 100 {
		return nil, f, malformed("its status")
	}
	resp := &http.Response{
		Status: start[9:], StatusCode: int(status), Proto: start[:8], ProtoMajor: 1, ProtoMinor: int(start[7] - '0'),
		ContentLength: -1, Request: r,
	}
	if resp.Header, err = parseFields(rest); err != nil {
		return nil, f, err
	}
	if err := f.find(resp, r.Method); err != nil {
		return nil, f, err
	}
	return resp, f, nil
}

func parseFields(rest string) (http.Header, error) {
	lines := strings.Count(rest, "\n")
	h := make(http.Header, lines)
	space := make([]string, lines)
	last := ""
	for {
		line, more, ok := strings.Cut(rest, "\n")
		line = strings.TrimSuffix(line, "\r")
		if !ok || line == "" {
			return h, nil
		}
		rest = more
		if strings.IndexByte(line, '\r') >= 0 || strings.IndexByte(line, 0) >= 0 {
			return nil, malformed("a field with a control character")
		}
		if line[0] == ' ' || line[0] == '\t' { // folded: RFC 9112 section 5.2
			values := h[last]
			if len(values) == 0 {
				return nil, malformed("its first field is folded")
			}
			values[len(values)-1] += " " + strings.Trim(line, " \t")
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, malformed("the name of a field")
		}
		value = strings.Trim(value, " \t")
		name = textproto.CanonicalMIMEHeaderKey(name)
		last = name
		if values, again := h[name]; again {
			h[name] = append(values, value)
			continue
		}
		space[0] = value
		h[name], space = space[:1:1], space[1:]
	}
}

func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// find reads the framing fields, and takes those out of the header that belong
// to this connection only.
func (f *framing) find(resp *http.Response, method string) error {
	h := resp.Header
	f.reuse = resp.ProtoMinor == 1
	for _, value := range h["Connection"] {
		for token := range strings.SplitSeq(value, ",") {
			switch token = strings.TrimSpace(token); {
			case strings.EqualFold(token, "close"):
				f.reuse = false
			case strings.EqualFold(token, "keep-alive") && resp.ProtoMinor == 0:
				f.reuse = true
			}
		}
	}
	length, err := contentLength(h["Content-Length"])
	if err != nil {
		return err
	}
	coding := h["Transfer-Encoding"]
	delete(h, "Transfer-Encoding")
	if names := h["Trailer"]; names != nil {
		announce(resp, names)
		delete(h, "Trailer")
	}
	switch status := resp.StatusCode; {
	case method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified:
		f.kind, resp.ContentLength = noBody, max(length, 0)
		if method == http.MethodHead {
			resp.ContentLength = length
		}
	case coding != nil && resp.ProtoMinor == 0: // RFC 9112 section 6.1: the framing is faulty
		return malformed("a transfer coding in HTTP/1.0")
	case coding != nil:
		if len(coding) != 1 || !strings.EqualFold(coding[0], "chunked") {
			return malformed("a transfer coding other than chunked")
		}
		f.kind, resp.TransferEncoding = byChunks, chunkedCoding
		if length >= 0 { // RFC 9112 section 6.1: not to be trusted any further
			delete(h, "Content-Length")
			f.reuse = false
		}
	case length >= 0:
		f.kind, f.left, resp.ContentLength = byLength, length, length
	default:
		f.kind, f.reuse = byClose, false
	}
	resp.Close = !f.reuse
	return nil
}

var chunkedCoding = []string{"chunked"}

func contentLength(values []string) (int64, error) {
	if len(values) == 0 {
		return -1, nil
	}
	for _, v := range values[1:] {
		if v != values[0] {
			return 0, malformed("two lengths that differ")
		}
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil {
		return 0, malformed("its length")
	}
	return int64(n), nil
}

func announce(resp *http.Response, values []string) {
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
			switch name {
			case "", "Transfer-Encoding", "Trailer", "Content-Length":
				continue
			}
			if resp.Trailer == nil {
				resp.Trailer = http.Header{}
			}
			resp.Trailer[name] = nil
		}
	}
}
