package upstream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
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
