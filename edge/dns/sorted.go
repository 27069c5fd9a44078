package dns

import (
	"cmp"
	"slices"
	"sort"
)

// sorted is an immutable ordered set in chunks, so that a change copies one
// chunk and the list of chunks. The zero value is empty.
type sorted[E any] struct {
	chunks [][]E
	key    func(E) string
}

const chunkSize = 256

// floor returns the greatest element not above key; the last one of all when
// there is none, because denial chains are circles.
func (s *sorted[E]) floor(key []byte) (e E, ok bool) {
	if len(s.chunks) == 0 {
		return e, false
	}
	c := sort.Search(len(s.chunks), func(i int) bool { return s.key(s.chunks[i][0]) > string(key) }) - 1
	if c < 0 {
		last := s.chunks[len(s.chunks)-1]
		return last[len(last)-1], true
	}
	chunk := s.chunks[c]
	i := sort.Search(len(chunk), func(i int) bool { return s.key(chunk[i]) > string(key) }) - 1
	return chunk[i], true
}

// get returns the element with a key.
func (s *sorted[E]) get(key string) (e E, ok bool) {
	e, ok = s.floor([]byte(key))
	return e, ok && s.key(e) == key
}

// edit returns the set without the keys of remove and with the elements of add.
func (s sorted[E]) edit(remove []string, add []E) sorted[E] {
	if len(remove) == 0 && len(add) == 0 {
		return s
	}
	n := 0
	for _, c := range s.chunks {
		n += len(c)
	}
	if len(remove)+len(add) > n/64+64 {
		return s.rebuild(remove, add)
	}
	next := sorted[E]{slices.Clone(s.chunks), s.key}
	for _, k := range remove {
		if c, i, found := next.position(k); found {
			chunk := slices.Delete(slices.Clone(next.chunks[c]), i, i+1)
			if len(chunk) == 0 {
				next.chunks = slices.Delete(next.chunks, c, c+1)
			} else {
				next.chunks[c] = chunk
			}
		}
	}
	for _, e := range add {
		next.put(e)
	}
	return next
}

// position is where key is, or would be inserted.
func (s *sorted[E]) position(key string) (chunk, at int, found bool) {
	if len(s.chunks) == 0 {
		return 0, 0, false
	}
	chunk = max(0, sort.Search(len(s.chunks), func(i int) bool { return s.key(s.chunks[i][0]) > key })-1)
	list := s.chunks[chunk]
	at = sort.Search(len(list), func(i int) bool { return s.key(list[i]) >= key })
	return chunk, at, at < len(list) && s.key(list[at]) == key
}

func (s *sorted[E]) put(e E) {
	c, i, found := s.position(s.key(e))
	if len(s.chunks) == 0 {
		s.chunks = [][]E{{e}}
		return
	}
	if found {
		s.chunks[c] = slices.Clone(s.chunks[c])
		s.chunks[c][i] = e
		return
	}
	chunk := slices.Insert(slices.Clone(s.chunks[c]), i, e)
	if len(chunk) <= chunkSize {
		s.chunks[c] = chunk
		return
	}
	half := len(chunk) / 2
	s.chunks[c] = slices.Clip(chunk[:half])
	s.chunks = slices.Insert(s.chunks, c+1, slices.Clone(chunk[half:]))
}

func (s *sorted[E]) rebuild(remove []string, add []E) sorted[E] {
	gone := make(map[string]bool, len(remove)+len(add))
	for _, k := range remove {
		gone[k] = true
	}
	for _, e := range add {
		gone[s.key(e)] = true
	}
	all := slices.Clone(add)
	for _, c := range s.chunks {
		for _, e := range c {
			if !gone[s.key(e)] {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b E) int { return cmp.Compare(s.key(a), s.key(b)) })
	next := sorted[E]{key: s.key}
	for len(all) > 0 {
		n := min(len(all), chunkSize/2)
		next.chunks = append(next.chunks, slices.Clone(all[:n]))
		all = all[n:]
	}
	return next
}
