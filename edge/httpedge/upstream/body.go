package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

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
