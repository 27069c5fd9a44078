package agent

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// The journal is the last good configuration on disk: one file to which every
// applied document is appended, so that a change costs one write and ten
// thousand cost one file.
//
// A record is
//
//	magic (4) | length of payload (4) | CRC-32C of payload (4) | payload
//
// and a payload is
//
//	'd' | length of key (2) | key | revision (8) | document as JSON
//	'p' | number of the last purge (8)
//
// with big-endian integers. The latest revision of a key counts. Wherever the
// file is damaged, by a crash in the middle of a write or by the disk, reading
// goes on at the next intact record: what is lost the manifest brings back.
// When more than half is out of date the live records are copied to a new file,
// which replaces the old one.
//
// Signatures are checked when documents arrive, not when they are read back:
// who can write here can write the identity with its trusted keys too. Documents
// are checked against their hash.
type journal struct {
	path  string
	file  *os.File
	size  int64
	spans map[string]span
	live  int64 // bytes of the records that count
	purge int64 // number of the last purge, -1 when unknown

	toDisk  func(*os.File) error // (*os.File).Sync
	dirty   atomic.Bool
	syncing sync.WaitGroup
	synced  atomic.Int64 // Unix nanoseconds of the last sync's start
}

// span is where the record of a document lies.
type span struct {
	offset   int64
	length   int64
	revision int64
}

const (
	journalName   = "documents.log"
	recordHead    = 12
	maxRecord     = edgeconfig.MaxDocumentBytes + 8<<10
	maxKeyBytes   = 256
	compactBeyond = 1 << 20 // bytes of garbage that are not worth a copy
	// syncEvery bounds how often the file is synced. The file is a copy: a power
	// cut that takes the last second is healed by the manifest.
	syncEvery = time.Second
)

var (
	recordMagic = [4]byte{0xed, 0x6e, 0x0a, 0x31}
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// openJournal opens or makes the journal of a directory and finds what counts.
// damaged tells how many bytes were not readable. Error: Unavailable.
func openJournal(dir string) (j *journal, damaged int64, err error) {
	return openJournalWith(dir, (*os.File).Sync)
}

func openJournalWith(dir string, toDisk func(*os.File) error) (j *journal, damaged int64, err error) {
	j = &journal{path: filepath.Join(dir, journalName), spans: map[string]span{}, purge: -1, toDisk: toDisk}
	// What a crash left of a compaction.
	if err := os.Remove(j.path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fault.New(fault.Unavailable, "the edge's directory cannot be written: %w", err)
	}
	j.file, err = os.OpenFile(j.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fault.New(fault.Unavailable, "the edge's configuration on disk cannot be opened: %w", err)
	}
	damaged, err = j.scan()
	if err != nil {
		j.file.Close()
		return nil, 0, fault.New(fault.Unavailable, "the edge's configuration on disk cannot be read: %w", err)
	}
	if damaged > 0 {
		if err := j.compact(); err != nil {
			j.file.Close()
			return nil, damaged, err
		}
	}
	return j, damaged, nil
}

// scan reads the whole file once.
func (j *journal) scan() (damaged int64, err error) {
	records := &recordReader{r: bufio.NewReaderSize(io.NewSectionReader(j.file, 0, 1<<62), 256<<10)}
	for {
		offset, payload, err := records.next()
		if err == io.EOF {
			j.size = records.offset
			return records.damaged, nil
		}
		if err != nil {
			return 0, err
		}
		j.note(payload, offset)
	}
}

// note takes in what one record says, at offset.
func (j *journal) note(payload []byte, offset int64) {
	length := int64(recordHead + len(payload))
	if key, revision, _, ok := cutDocument(payload); ok {
		old, known := j.spans[key]
		if known && old.revision > revision {
			return
		}
		j.live += length - old.length
		j.spans[key] = span{offset: offset, length: length, revision: revision}
	} else if len(payload) == 9 && payload[0] == 'p' {
		j.purge = int64(binary.BigEndian.Uint64(payload[1:]))
	}
}

// load calls apply with all documents, in batches, those first that others
// need. It returns how many could not be read.
func (j *journal) load(batch int, apply func([]edgeconfig.Document)) (unreadable int) {
	keys := make([]string, 0, len(j.spans))
	for key := range j.spans {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return int(min(max(j.spans[a].offset-j.spans[b].offset, -1), 1))
	})
	for part := range slices.Chunk(keys, batch) {
		docs := make([]edgeconfig.Document, 0, len(part))
		for _, key := range part {
			d, err := j.read(key)
			if err != nil {
				unreadable++
				j.forget(key)
				continue
			}
			docs = append(docs, d)
		}
		apply(docs)
	}
	return unreadable
}

// read returns one document.
func (j *journal) read(key string) (edgeconfig.Document, error) {
	var d edgeconfig.Document
	s := j.spans[key]
	record := make([]byte, s.length)
	if _, err := j.file.ReadAt(record, s.offset); err != nil {
		return d, err
	}
	_, _, body, ok := cutDocument(record[recordHead:])
	if !ok || crc32.Checksum(record[recordHead:], castagnoli) != binary.BigEndian.Uint32(record[8:]) {
		return d, errors.New("damaged")
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return d, err
	}
	if d.Key != key || d.Revision != s.revision || edgeconfig.HashBody(d.Body) != d.Hash {
		return d, errors.New("damaged")
	}
	return d, nil
}

// forget drops a document from what counts; it is not written down, and only
// for what cannot be read or belongs to another edge.
func (j *journal) forget(key string) {
	j.live -= j.spans[key].length
	delete(j.spans, key)
}

// append writes documents, and the number of the last purge when it is not
// negative, in one write. An error leaves the file usable.
func (j *journal) append(docs []edgeconfig.Document, purge int64) error {
	var b []byte
	for i := range docs {
		body, err := json.Marshal(&docs[i])
		if err != nil {
			return err
		}
		b = appendDocument(b, docs[i].Key, docs[i].Revision, body)
	}
	if purge >= 0 {
		b = appendPurge(b, purge)
	}
	n, err := j.file.Write(b)
	start := j.size
	j.size += int64(n) // what was written in part is passed over when read
	if err != nil {
		return err
	}
	for rest := b; len(rest) > 0; {
		length := recordHead + int(binary.BigEndian.Uint32(rest[4:]))
		j.note(rest[recordHead:length], start)
		start += int64(length)
		rest = rest[length:]
	}
	j.dirty.Store(true)
	if j.size-j.live > compactBeyond && j.size-j.live > j.live {
		return j.compact()
	}
	return nil
}

// sync brings what was written to the disk, beside the caller, at most every
// syncEvery. Failures show at the next write.
func (j *journal) sync(now time.Time) {
	if !j.dirty.Load() || now.UnixNano()-j.synced.Load() < int64(syncEvery) {
		return
	}
	j.synced.Store(now.UnixNano())
	j.dirty.Store(false)
	file := j.file
	j.syncing.Go(func() { _ = j.toDisk(file) })
}

// compact copies what counts to a new file and puts it in the old one's place.
func (j *journal) compact() error {
	failed := func(err error) error {
		return fault.New(fault.Unavailable, "the edge's configuration on disk cannot be compacted: %w", err)
	}
	fresh, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return failed(err)
	}
	keys := make([]string, 0, len(j.spans))
	for key := range j.spans {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return int(min(max(j.spans[a].offset-j.spans[b].offset, -1), 1))
	})
	spans := make(map[string]span, len(j.spans))
	out := bufio.NewWriterSize(fresh, 256<<10)
	size := int64(0)
	var record []byte
	for _, key := range keys {
		s := j.spans[key]
		record = slices.Grow(record[:0], int(s.length))[:s.length]
		if _, err = j.file.ReadAt(record, s.offset); err != nil {
			break
		}
		if _, err = out.Write(record); err != nil {
			break
		}
		spans[key] = span{offset: size, length: s.length, revision: s.revision}
		size += s.length
	}
	if err == nil && j.purge >= 0 {
		var n int
		n, err = out.Write(appendPurge(nil, j.purge))
		size += int64(n)
	}
	if err == nil {
		err = errors.Join(out.Flush(), j.toDisk(fresh))
	}
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		fresh.Close()
		os.Remove(j.path + ".new")
		return failed(err)
	}
	if d, err := os.Open(filepath.Dir(j.path)); err == nil {
		_ = j.toDisk(d)
		d.Close()
	}
	j.syncing.Wait()
	j.file.Close()
	j.file, j.spans, j.size, j.live = fresh, spans, size, 0
	for _, s := range spans {
		j.live += s.length
	}
	return nil
}

// reset empties the journal: it belonged to another edge.
func (j *journal) reset() error {
	j.spans, j.live, j.purge = map[string]span{}, 0, -1
	return j.compact()
}

func (j *journal) close() error {
	j.syncing.Wait()
	return errors.Join(j.toDisk(j.file), j.file.Close())
}

func appendDocument(b []byte, key string, revision int64, body []byte) []byte {
	b, start := beginRecord(b)
	b = append(b, 'd')
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint64(b, uint64(revision))
	b = append(b, body...)
	return endRecord(b, start)
}

func appendPurge(b []byte, number int64) []byte {
	b, start := beginRecord(b)
	b = append(b, 'p')
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	return endRecord(b, start)
}

func beginRecord(b []byte) ([]byte, int) {
	start := len(b)
	return append(append(b, recordMagic[:]...), make([]byte, recordHead-len(recordMagic))...), start
}

func endRecord(b []byte, start int) []byte {
	payload := b[start+recordHead:]
	binary.BigEndian.PutUint32(b[start+4:], uint32(len(payload)))
	binary.BigEndian.PutUint32(b[start+8:], crc32.Checksum(payload, castagnoli))
	return b
}

// cutDocument takes a payload of sort 'd' apart.
func cutDocument(payload []byte) (key string, revision int64, body []byte, ok bool) {
	if len(payload) < 3 || payload[0] != 'd' {
		return "", 0, nil, false
	}
	n := int(binary.BigEndian.Uint16(payload[1:]))
	if n == 0 || n > maxKeyBytes || len(payload) < 3+n+8 {
		return "", 0, nil, false
	}
	return string(payload[3 : 3+n]), int64(binary.BigEndian.Uint64(payload[3+n:])), payload[3+n+8:], true
}

// recordReader reads records and passes over what is damaged.
type recordReader struct {
	r       *bufio.Reader
	offset  int64 // of what is read next
	damaged int64
	payload []byte
}

// next returns the next intact record's offset and payload, which is good until
// the next call, or io.EOF.
func (r *recordReader) next() (offset int64, payload []byte, err error) {
	for {
		head, err := r.r.Peek(recordHead)
		if err != nil {
			return 0, nil, r.end(head, err)
		}
		if !bytes.Equal(head[:4], recordMagic[:]) {
			if err := r.skip(); err != nil {
				return 0, nil, err
			}
			continue
		}
		length, sum := int(binary.BigEndian.Uint32(head[4:])), binary.BigEndian.Uint32(head[8:])
		if length > maxRecord {
			if err := r.skip(); err != nil {
				return 0, nil, err
			}
			continue
		}
		// A length that was damaged may reach over intact records, so nothing is
		// consumed before the sum is right.
		whole, err := r.peek(recordHead + length)
		if err != nil && err != io.EOF {
			return 0, nil, err
		}
		if len(whole) < recordHead+length || crc32.Checksum(whole[recordHead:], castagnoli) != sum {
			if err := r.skip(); err != nil {
				return 0, nil, err
			}
			continue
		}
		offset = r.offset
		r.payload = append(r.payload[:0], whole[recordHead:]...)
		n, err := r.r.Discard(recordHead + length)
		r.offset += int64(n)
		return offset, r.payload, err
	}
}

// peek looks ahead, further than the buffer when it must.
func (r *recordReader) peek(n int) ([]byte, error) {
	if n > r.r.Size() {
		r.r = bufio.NewReaderSize(r.r, 2*n)
	}
	return r.r.Peek(n)
}

// skip passes over at least one byte, to the next possible beginning of a record.
func (r *recordReader) skip() error {
	n, err := r.r.Discard(1)
	r.offset += int64(n)
	r.damaged += int64(n)
	for err == nil {
		var seen []byte
		seen, err = r.r.Peek(max(1, r.r.Buffered()))
		if len(seen) == 0 {
			break
		}
		to := bytes.IndexByte(seen, recordMagic[0])
		if to < 0 {
			to = len(seen)
		}
		n, _ = r.r.Discard(to)
		r.offset += int64(n)
		r.damaged += int64(n)
		if to < len(seen) {
			return nil
		}
	}
	if err == io.EOF {
		return nil // next finds the end itself
	}
	return err
}

// end counts what is left at the end of the file, too short for a record.
func (r *recordReader) end(rest []byte, err error) error {
	if err == io.EOF {
		r.offset += int64(len(rest))
		r.damaged += int64(len(rest))
		_, _ = r.r.Discard(len(rest))
	}
	return err
}

// rank orders documents so that what others need comes first.
func rank(key string) int {
	kind, _, _ := strings.Cut(key, "/")
	n := slices.Index([]string{
		edgeconfig.KindEdge, edgeconfig.KindKeys, edgeconfig.KindHandshake, edgeconfig.KindPlatform,
		edgeconfig.KindCertificate, edgeconfig.KindChallenge, edgeconfig.KindSite,
		edgeconfig.KindTSIG, edgeconfig.KindZoneKeys, edgeconfig.KindCheck, edgeconfig.KindZone, edgeconfig.KindZonePart,
	}, kind)
	if n < 0 {
		n = 100
	}
	return n
}
