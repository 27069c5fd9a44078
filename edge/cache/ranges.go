package cache

import (
	"cmp"
	"crypto/rand"
	"io"
	"slices"
	"strings"
)

// maxRanges bounds the ranges answered in one response; who asks for more gets
// the whole (RFC 9110 section 14.2 lets a server ignore Range, and section 17.15
// asks for such a bound).
const maxRanges = 8

// byteRange is a satisfiable range: length bytes from start on.
type byteRange struct{ start, length int64 }

// rangeVerdict is what becomes of a Range field.
type rangeVerdict uint8

const (
	rangeIgnored       rangeVerdict = iota // malformed, of another unit, or too much: answer the whole
	rangeSatisfiable                       // 206
	rangeUnsatisfiable                     // 416
)

// parseRange reads a Range field against a content of size bytes (RFC 9110
// section 14.1.2). Ranges that overlap are ignored together with all others.
func parseRange(lines []string, size int64) ([]byteRange, rangeVerdict) {
	if len(lines) != 1 || size == 0 {
		return nil, rangeIgnored
	}
	unit, set, ok := strings.Cut(lines[0], "=")
	if !ok || !strings.EqualFold(trim(unit), "bytes") {
		return nil, rangeIgnored
	}
	var ranges []byteRange
	specs := 0
	for set != "" {
		var spec string
		spec, set, _ = strings.Cut(set, ",")
		if spec = trim(spec); spec == "" {
			continue
		}
		if specs++; specs > maxRanges {
			return nil, rangeIgnored
		}
		r, valid := parseSpec(spec, size)
		if !valid {
			return nil, rangeIgnored
		}
		if r.length > 0 {
			ranges = append(ranges, r)
		}
	}
	switch {
	case specs == 0:
		return nil, rangeIgnored
	case len(ranges) == 0:
		return nil, rangeUnsatisfiable
	case overlap(ranges):
		return nil, rangeIgnored
	}
	return ranges, rangeSatisfiable
}

// parseSpec reads "first-last", "first-" or "-suffix"; one that cannot be
// satisfied has length 0.
func parseSpec(spec string, size int64) (byteRange, bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return byteRange{}, false
	}
	if first == "" {
		n, ok := position(last)
		if !ok {
			return byteRange{}, false
		}
		n = min(n, size)
		return byteRange{size - n, n}, true
	}
	start, ok := position(first)
	if !ok {
		return byteRange{}, false
	}
	end := size - 1
	if last != "" {
		n, ok := position(last)
		if !ok || n < start {
			return byteRange{}, false
		}
		end = min(end, n)
	}
	if start >= size {
		return byteRange{}, true
	}
	return byteRange{start, end - start + 1}, true
}

// position reads a non-negative integer; what is too large counts as the
// largest, which is beyond any content.
func position(s string) (int64, bool) {
	const most = 1 << 62
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > most/10-1 {
			n = most
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func overlap(ranges []byteRange) bool {
	byStart := slices.Clone(ranges)
	slices.SortFunc(byStart, func(a, b byteRange) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(byStart); i++ {
		if byStart[i-1].start+byStart[i-1].length > byStart[i].start {
			return true
		}
	}
	return false
}

// fromStart reports whether a Range asks for the beginning of the content and
// for nothing else: then fetching all of it serves the client without waiting.
func fromStart(lines []string) bool {
	if len(lines) != 1 {
		return false
	}
	unit, set, ok := strings.Cut(lines[0], "=")
	set = trim(set)
	return ok && strings.EqualFold(trim(unit), "bytes") && strings.HasPrefix(set, "0-") && !strings.Contains(set, ",")
}

// contentRange is the field of one part (RFC 9110 section 14.4).
func contentRange(r byteRange, size int64) string {
	return "bytes " + decimal(r.start) + "-" + decimal(r.start+r.length-1) + "/" + decimal(size)
}

// parts is the content of a 206 with several ranges (RFC 9110 section
// 14.6).
type parts struct {
	list     []onePart
	trailer  string
	boundary string
	length   int64
}

type onePart struct {
	head string
	byteRange
}

func newParts(ranges []byteRange, contentType string, size int64) *parts {
	m := &parts{boundary: rand.Text()}
	delimiter := "--" + m.boundary + "\r\n"
	for i, r := range ranges {
		head := delimiter
		if i > 0 {
			head = "\r\n" + delimiter
		}
		if contentType != "" {
			head += "Content-Type: " + contentType + "\r\n"
		}
		head += "Content-Range: " + contentRange(r, size) + "\r\n\r\n"
		m.list = append(m.list, onePart{head, r})
		m.length += int64(len(head)) + r.length
	}
	m.trailer = "\r\n--" + m.boundary + "--\r\n"
	m.length += int64(len(m.trailer))
	return m
}

// open returns the content; bodies are the ranges of the stored one, in order.
func (m *parts) open(bodies []io.ReadCloser) io.ReadCloser {
	c := &chain{}
	for i, p := range m.list {
		c.readers = append(c.readers, strings.NewReader(p.head), bodies[i])
		c.closers = append(c.closers, bodies[i])
	}
	c.readers = append(c.readers, strings.NewReader(m.trailer))
	return c
}

// chain reads one reader after the other and closes those that need it.
type chain struct {
	readers []io.Reader
	closers []io.Closer
}

func (c *chain) Read(p []byte) (int, error) {
	for len(c.readers) > 0 {
		n, err := c.readers[0].Read(p)
		if err == io.EOF {
			c.readers = c.readers[1:]
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

func (c *chain) Close() error {
	for _, closer := range c.closers {
		closer.Close()
	}
	c.closers = nil
	return nil
}
