package cache

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
)

// reader reads the content of a fill, up to what has come and then as it comes.
type reader struct {
	f      *fill
	ctx    context.Context
	leader bool

	off, end int64 // end is -1 for the end of the content
	cut      bool  // fell behind; guarded by f.mu, as off is
	once     sync.Once
}

// attach begins to read, for a user of the fill that has been counted already.
// It fails when the content is cut short before its first byte, or no longer
// held from off on. Closing the reader takes the user out.
func (f *fill) attach(ctx context.Context, leader bool, off, end int64) (*reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done && f.failure != nil && f.written == 0 {
		return nil, f.failure
	}
	r := &reader{f: f, ctx: ctx, leader: leader, off: off, end: end}
	f.readers = append(f.readers, r)
	f.drained()
	return r, nil
}

// next returns the next bytes, waiting for them.
func (r *reader) next() ([]byte, error) {
	f := r.f
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case r.cut:
			return nil, errLagging
		case r.end >= 0 && r.off >= r.end:
			return nil, io.EOF
		case r.off < f.written:
			b, err := f.at(r.off)
			if err == nil && r.end >= 0 && int64(len(b)) > r.end-r.off {
				b = b[:r.end-r.off]
			}
			return b, err
		case f.done && f.failure != nil:
			return nil, errors.Join(errCut, f.failure)
		case f.done:
			return nil, io.EOF
		}
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-r.ctx.Done():
			err = r.ctx.Err()
		}
		f.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

func (r *reader) advance(n int) {
	r.f.mu.Lock()
	r.off += int64(n)
	r.f.drained()
	r.f.mu.Unlock()
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	r.advance(n)
	return n, nil
}

// WriteTo writes chunk by chunk, without copying.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	total := int64(0)
	for {
		b, err := r.next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(b)
		total += int64(n)
		r.advance(n)
		if err != nil {
			return total, err
		}
	}
}

func (r *reader) Close() error {
	r.once.Do(func() {
		f := r.f
		f.mu.Lock()
		f.readers = slices.DeleteFunc(f.readers, func(o *reader) bool { return o == r })
		f.mu.Unlock()
		f.leave(r.leader)
	})
	return nil
}

// section is a part of a stored content; it pins its entry until it is closed.
type section struct {
	e        *Entry
	off, end int64
	once     sync.Once
}

func (e *Entry) section(off, end int64) io.ReadCloser {
	e.Pin()
	return &section{e: e, off: off, end: end}
}

func (s *section) Read(p []byte) (int, error) {
	if s.off >= s.end {
		return 0, io.EOF
	}
	b, err := s.e.content.Chunk(s.off)
	if err != nil {
		return 0, err
	}
	n := copy(p, b[:min(int64(len(b)), s.end-s.off)])
	s.off += int64(n)
	return n, nil
}

func (s *section) WriteTo(w io.Writer) (int64, error) {
	n, err := writeContent(w, s.e.content, s.off, s.end)
	s.off += n
	return n, err
}

func (s *section) Close() error {
	s.once.Do(s.e.Unpin)
	return nil
}

// writeContent writes the bytes from off to end, chunk by chunk.
func writeContent(w io.Writer, c Content, off, end int64) (int64, error) {
	total := int64(0)
	for off < end {
		b, err := c.Chunk(off)
		if err != nil {
			return total, err
		}
		b = b[:min(int64(len(b)), end-off)]
		n, err := w.Write(b)
		total += int64(n)
		off += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
