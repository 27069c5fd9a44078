package transfer

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/dnswire"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Content is a zone as it was transferred. It is not changed once it is made.
type Content struct {
	Apex string // lower-case presentation form, no trailing dot
	SOA  edgeconfig.SOA

	wire    []byte            // of the apex
	records map[string]uint32 // owner, type and data in wire form -> time to live
}

func newContent(apex string) (*Content, error) {
	wire, err := edgeconfig.PackName(apex)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", apex, err)
	}
	return &Content{Apex: apex, wire: wire, records: map[string]uint32{}}, nil
}

// Len is the number of records, the SOA not counted.
func (c *Content) Len() int { return len(c.records) }

// clone is a copy that may be changed until it is given away.
func (c *Content) clone() *Content {
	next := *c
	next.records = maps.Clone(c.records)
	return &next
}

// key is how a record is told from others: by everything but its time to live.
// Its names are as they came, but for the owner's, which are lower-case. inside
// is false for a record that is not of the zone, which is nobody's to give.
func (c *Content) key(rr dns.RR) (key string, inside bool, err error) {
	buf := make([]byte, dns.Len(rr)+64)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return "", false, err
	}
	buf = buf[:n]
	o := dnswire.SkipName(buf, 0)
	for i := 0; i < o; i += int(buf[i]) + 1 {
		for j := i + 1; j < min(i+1+int(buf[i]), o); j++ {
			if 'A' <= buf[j] && buf[j] <= 'Z' {
				buf[j] += 'a' - 'A'
			}
		}
	}
	inside = rr.Header().Class == dns.ClassINET && within(buf[:o], c.wire)
	// Class, time to live and length go.
	return string(buf[:o+2]) + string(buf[o+10:]), inside, nil
}

// within tells whether a name is at or below an apex, both in wire form.
func within(name, apex []byte) bool {
	for len(name) >= len(apex) {
		if bytes.Equal(name, apex) {
			return true
		}
		if name[0] == 0 {
			return false
		}
		name = name[1+name[0]:]
	}
	return false
}

// split takes a key apart.
func split(key string) (owner string, typ uint16, data []byte) {
	o := 0
	for key[o] != 0 {
		o += int(key[o]) + 1
	}
	o++
	return key[:o], uint16(key[o])<<8 | uint16(key[o+1]), []byte(key[o+2:])
}

// setSOA takes an SOA record over.
func (c *Content) setSOA(rr *dns.SOA) {
	c.SOA = edgeconfig.SOA{
		TTL: rr.Hdr.Ttl, MName: plain(rr.Ns), RName: plain(rr.Mbox), Serial: rr.Serial,
		Refresh: rr.Refresh, Retry: rr.Retry, Expire: rr.Expire, Minimum: rr.Minttl,
	}
}

func plain(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

const contentForm = 1

// Encode writes a content for Decode, compressed: the same content, the same
// bytes.
func (c *Content) Encode() []byte {
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	_, _ = packed.Write(c.plain())
	_ = packed.Close()
	return out.Bytes()
}

func (c *Content) plain() []byte {
	soa, _ := json.Marshal(c.SOA)
	b := append([]byte{contentForm}, lengthened(nil, []byte(c.Apex))...)
	b = lengthened(b, soa)
	for _, key := range slices.Sorted(maps.Keys(c.records)) {
		b = lengthened(b, []byte(key))
		b = binary.BigEndian.AppendUint32(b, c.records[key])
	}
	return b
}

func lengthened(b, data []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// Digest tells contents apart.
func (c *Content) Digest() string {
	sum := sha256.Sum256(c.plain())
	return hex.EncodeToString(sum[:16])
}

// Decode reads what Encode has written. The error is fault.Internal.
func Decode(encoded []byte) (*Content, error) {
	damaged := func(err error) error {
		return fault.New(fault.Internal, "the copy of a zone is damaged: ask for a transfer of the whole zone: %w", err)
	}
	packed, err := gzip.NewReader(bytes.NewReader(encoded))
	if err != nil {
		return nil, damaged(err)
	}
	b, err := io.ReadAll(io.LimitReader(packed, 2*maxBytes))
	if err != nil {
		return nil, damaged(err)
	}
	take := func() (data []byte) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			err = io.ErrUnexpectedEOF
			return nil
		}
		data, b = b[size:size+int(n)], b[size+int(n):]
		return data
	}
	if len(b) == 0 || b[0] != contentForm {
		return nil, damaged(io.ErrUnexpectedEOF)
	}
	b = b[1:]
	apex, soa := string(take()), take()
	if err != nil {
		return nil, damaged(err)
	}
	c, err := newContent(apex)
	if err != nil {
		return nil, damaged(err)
	}
	if err := json.Unmarshal(soa, &c.SOA); err != nil {
		return nil, damaged(err)
	}
	for len(b) > 0 {
		key := take()
		if err != nil || len(b) < 4 {
			return nil, damaged(io.ErrUnexpectedEOF)
		}
		if o := dnswire.SkipName(key, 0); o == 0 || o+2 > len(key) {
			return nil, damaged(io.ErrUnexpectedEOF)
		}
		c.records[string(key)] = binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	return c, nil
}
