package cache

import (
	"errors"
	"sync/atomic"
)

// Storage makes places for contents. The memory of this package is one; a disk
// tier is another.
type Storage interface {
	// Create begins a content of size bytes, -1 when that is unknown. The sink
	// asks reserve before it takes n more bytes of memory.
	Create(size int64, reserve func(n int64) bool) Sink
}

// Sink takes one content as it comes from the origin. One goroutine writes;
// what has been advanced over may be read meanwhile.
type Sink interface {
	// Space returns where the next bytes go, never empty. The error is errFull
	// when reserve refused, or one of the tier.
	Space() ([]byte, error)
	// Advance says that the first n bytes of the last Space are filled.
	Advance(n int)
	// Content reads what has been advanced over.
	Content() Content
	// Commit ends the content. Nothing may be written afterwards.
	Commit() error
	// Abort gives the content up; readers keep what they hold.
	Abort()
}

// Content is stored bytes in chunks. It is safe for concurrent use.
type Content interface {
	// Size is how many bytes may be read now.
	Size() int64
	// Chunk returns the bytes that lie together from off on, without copying
	// where the tier allows; off must be below Size. They must not be changed,
	// and stay valid as long as they are referenced.
	Chunk(off int64) ([]byte, error)
	// Cost is the memory that the content holds, in bytes.
	Cost() int64
}

// errFull means that the memory bound leaves no room.
var errFull = errors.New("no room for more stored content")

// chunkSize is the size of all chunks but the last: large enough that writing
// one to a socket is cheap, small enough that little is wasted.
const (
	chunkSize  = 64 << 10
	firstChunk = 4 << 10 // of a content of unknown size
)

// memory is the Storage in the process's memory. Chunks are ordinary garbage-
// collected slices and never recycled: recycling needs proof that nobody reads
// any more, and a mistake there shows one client another's bytes.
type memory struct{}

func (memory) Create(size int64, reserve func(n int64) bool) Sink {
	return &memorySink{content: &memoryContent{}, expected: size, reserve: reserve}
}

type memoryContent struct {
	chunks atomic.Pointer[[][]byte] // republished when a chunk is added or replaced
	size   atomic.Int64
	cost   atomic.Int64
}

func (c *memoryContent) Size() int64 { return c.size.Load() }
func (c *memoryContent) Cost() int64 { return c.cost.Load() }

func (c *memoryContent) Chunk(off int64) ([]byte, error) {
	size := c.size.Load() // before the chunks: they hold at least this much
	chunk := (*c.chunks.Load())[off/chunkSize]
	end := min(size-off/chunkSize*chunkSize, int64(len(chunk)))
	return chunk[off%chunkSize : end : end], nil
}

type memorySink struct {
	content  *memoryContent
	expected int64
	reserve  func(n int64) bool
}

func (s *memorySink) Content() Content { return s.content }

func (s *memorySink) Space() ([]byte, error) {
	size := s.content.size.Load()
	i, used := int(size/chunkSize), size%chunkSize
	var chunks [][]byte
	if p := s.content.chunks.Load(); p != nil {
		chunks = *p
	}
	if i < len(chunks) {
		if last := chunks[i]; used < int64(len(last)) {
			return last[used:], nil
		}
	}
	// A new chunk, or a larger one in the place of the first.
	want := int64(chunkSize)
	switch {
	case s.expected > size:
		want = min(chunkSize, s.expected-(size-used))
	case i == 0:
		want = min(chunkSize, max(firstChunk, 4*used))
	}
	if !s.reserve(want - used) {
		return nil, errFull
	}
	s.content.cost.Add(want - used)
	chunk := make([]byte, want)
	next := make([][]byte, i+1)
	copy(next, chunks)
	if used > 0 {
		copy(chunk, chunks[i][:used])
	}
	next[i] = chunk
	s.content.chunks.Store(&next)
	return chunk[used:], nil
}

func (s *memorySink) Advance(n int) { s.content.size.Add(int64(n)) }

// Commit gives back the unused end of the last chunk when it is worth a copy.
// The reservation is not lowered here: whoever reserved asks for the cost.
func (s *memorySink) Commit() error {
	size := s.content.size.Load()
	p := s.content.chunks.Load()
	if p == nil || len(*p) == 0 {
		return nil
	}
	chunks := append([][]byte(nil), *p...)
	i := len(chunks) - 1
	used := size - int64(i)*chunkSize
	if waste := int64(len(chunks[i])) - used; waste > int64(len(chunks[i]))/8 {
		chunks[i] = append(make([]byte, 0, used), chunks[i][:used]...)
		if used == 0 {
			chunks = chunks[:i]
		}
		s.content.cost.Add(-waste)
		s.content.chunks.Store(&chunks)
	}
	return nil
}

func (s *memorySink) Abort() {}
