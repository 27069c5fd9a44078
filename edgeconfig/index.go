package edgeconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// BucketOf tells which part of the manifest a key belongs to: the first byte of
// its SHA-256.
func BucketOf(key string) int {
	sum := sha256.Sum256([]byte(key))
	return int(sum[0])
}

// BucketDigest is the digest of one bucket's entries, which must be in order of
// key: the first 128 bits of the SHA-256 over lines of key, revision and hash,
// in lower-case hex. It is "" for no entries.
func BucketDigest(entries []Entry) string {
	if len(entries) == 0 {
		return ""
	}
	h := sha256.New()
	line := make([]byte, 0, 160)
	for i := range entries {
		line = append(line[:0], entries[i].Key...)
		line = append(line, ' ')
		line = strconv.AppendInt(line, entries[i].Revision, 10)
		line = append(line, ' ')
		line = append(line, entries[i].Hash...)
		h.Write(append(line, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// RootDigest sums up the digests of all buckets in one. It is never "".
func RootDigest(digests map[int]string) string {
	h := sha256.New()
	line := make([]byte, 0, 64)
	for bucket := range Buckets {
		if digest := digests[bucket]; digest != "" {
			line = strconv.AppendInt(line[:0], int64(bucket), 10)
			line = append(line, ' ')
			line = append(line, digest...)
			h.Write(append(line, '\n'))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Index holds which version of each document is known, and the digests that a
// manifest compares. Both sides keep one, so that equal contents give equal
// digests by construction. Put costs a binary search in one bucket; a digest is
// computed when it is asked for and its bucket has changed. An Index is not
// safe for concurrent use. The zero value is empty.
type Index struct {
	buckets [Buckets]*bucket
	count   int
	root    string // "" when it must be computed
}

type bucket struct {
	entries []Entry // in order of key
	digest  string  // "" when it must be computed
}

// Put adds e or replaces the entry of its key.
func (x *Index) Put(e Entry) {
	n := BucketOf(e.Key)
	b := x.buckets[n]
	if b == nil {
		b = &bucket{}
		x.buckets[n] = b
	}
	b.digest, x.root = "", ""
	i, found := b.find(e.Key)
	if found {
		b.entries[i] = e
		return
	}
	b.entries = slices.Insert(b.entries, i, e)
	x.count++
}

// Remove forgets a key.
func (x *Index) Remove(key string) {
	b := x.buckets[BucketOf(key)]
	if b == nil {
		return
	}
	if i, found := b.find(key); found {
		b.entries = slices.Delete(b.entries, i, i+1)
		b.digest, x.root = "", ""
		x.count--
	}
}

// Get returns the entry of a key.
func (x *Index) Get(key string) (Entry, bool) {
	b := x.buckets[BucketOf(key)]
	if b == nil {
		return Entry{}, false
	}
	if i, found := b.find(key); found {
		return b.entries[i], true
	}
	return Entry{}, false
}

// Len is the number of entries.
func (x *Index) Len() int { return x.count }

// Bucket returns the entries of one bucket in order of key. The caller must not
// change them nor keep them past the next Put or Remove.
func (x *Index) Bucket(n int) []Entry {
	if n < 0 || n >= Buckets || x.buckets[n] == nil {
		return nil
	}
	return x.buckets[n].entries
}

// All calls yield for every entry until it returns false.
func (x *Index) All(yield func(Entry) bool) {
	for _, b := range x.buckets {
		if b == nil {
			continue
		}
		for _, e := range b.entries {
			if !yield(e) {
				return
			}
		}
	}
}

// Digests returns the digest of every bucket that is not empty. The map is the
// caller's.
func (x *Index) Digests() map[int]string {
	digests := make(map[int]string, min(x.count, Buckets))
	for n, b := range x.buckets {
		if b == nil || len(b.entries) == 0 {
			continue
		}
		if b.digest == "" {
			b.digest = BucketDigest(b.entries)
		}
		digests[n] = b.digest
	}
	return digests
}

// Root is the RootDigest of Digests.
func (x *Index) Root() string {
	if x.root == "" {
		x.root = RootDigest(x.Digests())
	}
	return x.root
}

// Manifest is the summary of the index, for edges to compare with theirs.
func (x *Index) Manifest() Manifest {
	digests, _ := json.Marshal(x.Digests()) // a map of numbers and strings
	return Manifest{Root: x.Root(), Digests: digests}
}

// Differs lists the buckets in which this index and a manifest's digests
// differ, in order.
func (x *Index) Differs(digests map[int]string) []int {
	var differ []int
	for n, b := range x.buckets {
		mine := ""
		if b != nil && len(b.entries) > 0 {
			if b.digest == "" {
				b.digest = BucketDigest(b.entries)
			}
			mine = b.digest
		}
		if mine != digests[n] {
			differ = append(differ, n)
		}
	}
	return differ
}

func (b *bucket) find(key string) (int, bool) {
	return slices.BinarySearchFunc(b.entries, key, func(e Entry, key string) int { return strings.Compare(e.Key, key) })
}
