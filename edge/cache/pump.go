package cache

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// pump moves the content from the origin into the sink, and past it once it can
// no longer be stored. Readers follow at their own pace.
func (f *fill) pump(resp *http.Response, sink Sink) {
	err := f.copy(resp.Body, sink)
	resp.Body.Close()
	if err == nil && f.expected >= 0 && f.written != f.expected {
		err = errCut
	}
	if err == nil && f.tail == nil {
		err = sink.Commit()
	}
	if err != nil || f.tail != nil {
		sink.Abort()
		f.finish(nil, err)
		return
	}
	f.finish(&Entry{meta: f.meta, content: f.content, size: f.written, site: f.site, hash: f.hash}, nil)
}

func (f *fill) copy(body io.Reader, sink Sink) error {
	var probe [1]byte
	for idle := 0; ; {
		complete := f.expected >= 0 && f.written >= f.expected
		space, err := probe[:], error(nil)
		if !complete {
			if space, err = f.space(sink); err != nil {
				return err
			}
		}
		n, err := body.Read(space)
		if n > 0 && complete {
			return errors.New("the origin sent more than it announced")
		}
		if n > 0 {
			idle = 0
			f.advance(n, sink)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n == 0:
			if idle++; idle > 100 {
				return io.ErrNoProgress
			}
		}
	}
}

// space returns where the next bytes go. When the content outgrows what may be
// stored it goes on in the tail.
func (f *fill) space(sink Sink) ([]byte, error) {
	if f.tail == nil {
		if f.written < f.cache.options.MaxObjectBytes {
			space, err := sink.Space()
			if err == nil {
				return space, nil
			}
			if !errors.Is(err, errFull) {
				return nil, err
			}
		}
		f.overflow()
	}
	return f.tailSpace()
}

func (f *fill) advance(n int, sink Sink) {
	f.mu.Lock()
	if f.tail == nil {
		sink.Advance(n)
	} else {
		f.tail.filled += n
	}
	f.written += int64(n)
	f.wake()
	f.mu.Unlock()
}

// tail carries the content of a response that turned out too large to store, in
// a window that the readers share: who reads fast waits for who reads slowly,
// but not for ever.
type tail struct {
	base   int64    // offset of the first chunk
	chunks [][]byte // the last one filled up to filled, the others to their end
	filled int
}

const (
	tailWindow = 4 * chunkSize
	// lagging is how long readers may hold up others.
	lagging = 5 * time.Second
)

// overflow stops storing. Nobody joins any more, and for a while nobody waits
// for this key.
func (f *fill) overflow() {
	f.avoidWaiting()
	f.site.mu.Lock()
	f.site.unregister(f)
	f.site.mu.Unlock()
	f.mu.Lock()
	f.tail = &tail{base: f.written}
	f.mu.Unlock()
}

// tailSpace waits until the window has room.
func (f *fill) tailSpace() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var timer *time.Timer
	for {
		if f.users == 0 {
			return nil, errCut // nobody reads what cannot be stored
		}
		t := f.tail
		slowest := f.slowest()
		for len(t.chunks) > 0 && t.base+int64(len(t.chunks[0])) <= slowest && (len(t.chunks) > 1 || t.filled == len(t.chunks[0])) {
			t.base += int64(len(t.chunks[0]))
			t.chunks = t.chunks[1:]
		}
		if len(t.chunks) > 0 && t.filled < len(t.chunks[len(t.chunks)-1]) {
			return t.chunks[len(t.chunks)-1][t.filled:], nil
		}
		if f.written-max(slowest, t.base) < tailWindow && slowest >= t.base-tailWindow {
			t.chunks, t.filled = append(t.chunks, make([]byte, chunkSize)), 0
			return t.chunks[len(t.chunks)-1], nil
		}
		room := make(chan struct{})
		f.room = room
		if timer == nil {
			timer = time.NewTimer(lagging)
			defer timer.Stop()
		}
		f.mu.Unlock()
		var err error
		timeout := false
		select {
		case <-room:
		case <-timer.C:
			timeout = true
		case <-f.ctx.Done():
			err = f.ctx.Err()
		}
		f.mu.Lock()
		if err != nil {
			return nil, err
		}
		if timeout {
			f.cutLagging()
			timer.Reset(lagging)
		}
	}
}

// slowest is the offset that everybody has read up to; f.mu is held. Users that
// have not begun to read yet hold the window at its beginning.
func (f *fill) slowest() int64 {
	if f.users > len(f.readers) {
		return 0
	}
	least := f.written
	for _, r := range f.readers {
		if !r.cut {
			least = min(least, r.off)
		}
	}
	return least
}

// cutLagging ends the readers that hold up others who have read everything;
// f.mu is held. A slow reader that is alone may take its time.
func (f *fill) cutLagging() {
	waiting := slices.ContainsFunc(f.readers, func(r *reader) bool { return r.off == f.written && !r.cut })
	if !waiting {
		return
	}
	for _, r := range f.readers {
		if r.off < f.written {
			r.cut = true
		}
	}
	f.wake()
}

// drained tells the pump that readers advanced or left; f.mu is held.
func (f *fill) drained() {
	if f.room != nil {
		close(f.room)
		f.room = nil
	}
}

// at returns the bytes from off on; f.mu is held, and off is below written.
func (f *fill) at(off int64) ([]byte, error) {
	if f.tail == nil || off < f.content.Size() {
		return f.content.Chunk(off)
	}
	at := off - f.tail.base
	if at < 0 {
		return nil, errLagging
	}
	for i, chunk := range f.tail.chunks {
		if i == len(f.tail.chunks)-1 {
			chunk = chunk[:f.tail.filled]
		}
		if at < int64(len(chunk)) {
			return chunk[at:], nil
		}
		at -= int64(len(chunk))
	}
	return nil, errLagging
}
