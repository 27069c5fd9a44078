package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// bufferSize is what one read can bring. A large one costs little, since buffers
// are given back as soon as they are empty, and saves system calls.
const bufferSize = 32 << 10

var readBuffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// reader buffers what comes from a connection. Its buffer is borrowed while
// there is something in it.
type reader struct {
	c    net.Conn
	buf  []byte
	r, w int
}

func (b *reader) buffered() int { return b.w - b.r }

func (b *reader) empty() bool { return b.r == b.w }

// release gives the buffer back. Nothing may be in it.
func (b *reader) release() {
	if len(b.buf) == bufferSize {
		readBuffers.Put((*[bufferSize]byte)(b.buf))
	}
	b.buf, b.r, b.w = nil, 0, 0
}

// fill reads more into the buffer, which grows when it is full.
func (b *reader) fill() error {
	switch {
	case b.buf == nil:
		b.buf = readBuffers.Get().(*[bufferSize]byte)[:]
	case b.r == b.w:
		b.r, b.w = 0, 0
	case b.w == len(b.buf):
		grown := make([]byte, 2*len(b.buf))
		b.w = copy(grown, b.buf[b.r:b.w])
		b.r = 0
		b.buf = grown
	}
	n, err := b.c.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// head returns the next message head with its empty line, valid until the next
// call.
func (b *reader) head() ([]byte, error) {
	for from := b.r; ; {
		if end := endOfHead(b.buf[from:b.w]); end > 0 {
			head := b.buf[b.r : from+end]
			b.r = from + end
			return head, nil
		}
		if b.buffered() > maxHeaderBytes {
			return nil, errors.New("the header of the answer is too large")
		}
		back := max(b.buffered()-3, 0) // the end may lie across two reads
		if err := b.fill(); err != nil {
			return nil, err
		}
		from = b.r + back
	}
}

// endOfHead returns the length up to and with the empty line, 0 when there is
// none. Origins that end lines without CR are put up with (RFC 9112 section
// 2.2).
func endOfHead(b []byte) int {
	for i := 0; ; {
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

// line returns the next line without its end, valid until the next call.
func (b *reader) line() ([]byte, error) {
	for from := 0; ; {
		if n := bytes.IndexByte(b.buf[b.r+from:b.w], '\n'); n >= 0 {
			line := b.buf[b.r : b.r+from+n]
			b.r += from + n + 1
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		if from = b.buffered(); from > 8<<10 {
			return nil, errors.New("a line of the chunked answer is too long")
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
}

// Read reads what is buffered, or else straight from the connection.
func (b *reader) Read(p []byte) (int, error) {
	if b.r < b.w {
		n := copy(p, b.buf[b.r:b.w])
		b.r += n
		return n, nil
	}
	b.release()
	return b.c.Read(p)
}

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

// body is the content of a response. Read is for one goroutine; Close may come
// from another, and breaks a Read off.
type body struct {
	c    *conn
	ctx  context.Context
	stop func() bool // ends the watch over ctx
	resp *http.Response
	framing
	inside bool // a chunk, whose line end is still to come
	over   atomic.Bool
	ended  bool // all was read
}

var errClosed = errors.New("the answer's content was closed")

// finish lets go of the connection, once.
func (b *body) finish(whole bool) {
	if b.over.Swap(true) {
		return
	}
	if watching := b.stop(); whole && watching && b.reuse && b.c.in.empty() {
		b.c.owner.put(b.c)
		return
	}
	_ = b.c.Close()
}

// Close implements io.Closer. A rest that has arrived already does not cost the
// connection.
func (b *body) Close() error {
	b.finish(false)
	return nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.ended:
		return 0, io.EOF
	case b.over.Load():
		return 0, errClosed
	case len(p) == 0:
		return 0, nil
	}
	var n int
	var err error
	switch b.kind {
	case byLength:
		n, err = b.c.in.Read(p[:min(int64(len(p)), b.left)])
		if b.left -= int64(n); b.left == 0 && err == nil {
			b.ended = true
			b.finish(true)
			return n, io.EOF
		}
	case byChunks:
		n, err = b.readChunk(p)
		if err == io.EOF && b.ended {
			b.finish(true)
			return n, io.EOF
		}
	default:
		n, err = b.c.in.Read(p)
		if err == io.EOF {
			b.ended = true
			b.finish(true)
			return n, io.EOF
		}
	}
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if b.ctx.Err() != nil {
		err = b.ctx.Err()
	}
	b.finish(false)
	return n, err
}

// readChunk reads from the chunk under way, or begins the next.
func (b *body) readChunk(p []byte) (int, error) {
	in := &b.c.in
	if b.left == 0 {
		if b.inside {
			line, err := in.line()
			if err != nil {
				return 0, err
			}
			if len(line) != 0 {
				return 0, malformed("a chunk is longer than it said")
			}
			b.inside = false
		}
		line, err := in.line()
		if err != nil {
			return 0, err
		}
		size, _, _ := bytes.Cut(line, []byte{';'})
		n, err := strconv.ParseUint(string(bytes.TrimRight(size, " \t")), 16, 63)
		if err != nil {
			return 0, malformed("the size of a chunk")
		}
		if n == 0 {
			return 0, b.readTrailer()
		}
		b.left, b.inside = int64(n), true
	}
	n, err := in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// readTrailer reads the fields after the last chunk; it returns io.EOF when all
// is read.
func (b *body) readTrailer() error {
	var text strings.Builder
	for {
		line, err := b.c.in.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		if text.Len()+len(line) > maxHeaderBytes {
			return errors.New("the trailers of the answer are too large")
		}
		text.Write(line)
		text.WriteByte('\n')
	}
	if text.Len() > 0 {
		fields, err := parseFields(text.String() + "\n")
		if err != nil {
			return err
		}
		if b.resp.Trailer == nil {
			b.resp.Trailer = http.Header{}
		}
		for name, values := range fields {
			switch name {
			case "Transfer-Encoding", "Trailer", "Content-Length":
				return malformed("a trailer that frames")
			}
			b.resp.Trailer[name] = values
		}
	}
	b.ended = true
	return io.EOF
}
