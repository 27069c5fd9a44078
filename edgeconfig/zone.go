package edgeconfig

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// A DNS zone crosses the bridge as one head and some parts:
//
//	zone/<zone ID>          Zone: apex, SOA, how absence is denied, a digest of each part
//	zonepart/<zone ID>/<n>  ZonePart: the records of the names whose hash falls on n
//
// A changed record moves the head, which is small, and one part of some dozens
// of names. An edge serves a new version when it holds the head and every part
// whose digest the head names, and the version before until then. A name is
// whole in one part, so that even a zone found torn on disk (newer parts beside
// an older head) never mixes two versions of one name.
//
// Who may have a zone whole, and who is told of changes, is in the head
// (Transfer); the keys for that are documents of their own (TSIGKey).
//
// Record data is wire format without compression (RFC 1035 section 3.3, RFC
// 3597), so that an edge parses nothing and signatures cover what is served.
const (
	KindZone     = "zone"     // body Zone
	KindZonePart = "zonepart" // body ZonePart
)

// How a zone proves that something is absent (RFC 4035 section 3.1.3, RFC 5155,
// RFC 9824).
const (
	DenialNone  = ""      // the zone is not signed
	DenialNSEC  = "nsec"  // every name that has records has an NSEC set among them
	DenialNSEC3 = "nsec3" // parts carry NSEC3 records; SHA-1, 0 iterations, no salt (RFC 9276)
	// DenialCompact: every name that has records has an NSEC set that leads to the
	// next possible name; for others, edges make one (ZoneKeys). The zone can be
	// answered by edges only.
	DenialCompact = "compact"
)

// Bounds of zones.
const (
	MaxZoneParts      = 4096
	PartDigestBytes   = 16
	MaxRRsetBytes     = 32 << 10 // data and signatures of one set, so that any answer fits a message
	maxSetRecords     = 2000
	maxVariants       = 250
	maxRecordTTL      = 1<<31 - 1 // RFC 2181 section 8
	namesPerPart      = 64        // aimed at
	maxNamesPerPart   = 128       // more: the zone is cut into more parts
	minNamesPerPart   = 8         // fewer: into fewer
	maxNameWireLength = 255
)

// Zone is the head of one version of a zone.
type Zone struct {
	ID          string   `json:"id"`
	Project     string   `json:"project_id"`
	Environment string   `json:"environment"`
	Name        string   `json:"name"` // apex: lower-case presentation form, no trailing dot
	SOA         SOA      `json:"soa"`
	SOASigs     [][]byte `json:"soa_sigs,omitempty"` // RRSIG data over the SOA
	Denial      string   `json:"denial,omitempty"`
	Parts       int      `json:"parts"`
	Digests     []byte   `json:"digests"` // PartDigest of part 0, of part 1, ...

	Transfer  *Transfer  `json:"transfer,omitempty"`  // to secondaries; nil: to nobody
	Secondary *Secondary `json:"secondary,omitempty"` // of others; nil: of nobody
}

// SOA is the start of authority (RFC 1035 section 3.3.13). Times are seconds.
type SOA struct {
	TTL     uint32 `json:"ttl"`
	MName   string `json:"mname"` // absolute, presentation form
	RName   string `json:"rname"`
	Serial  uint32 `json:"serial"`
	Refresh uint32 `json:"refresh"`
	Retry   uint32 `json:"retry"`
	Expire  uint32 `json:"expire"`
	Minimum uint32 `json:"minimum"` // with TTL, bounds how long an absence is cached (RFC 2308)
}

// ZonePart is one part of a zone's records.
type ZonePart struct {
	Zone  string      `json:"zone"` // the zone's ID
	Part  int         `json:"part"`
	Parts int         `json:"parts"` // how many the zone was cut into: parts of another cut do not fit
	Names []ZoneName  `json:"names,omitempty"`
	NSEC3 []ZoneNSEC3 `json:"nsec3,omitempty"`
}

// ZoneName is every set of one owner name.
type ZoneName struct {
	Name string  `json:"n"` // relative to the apex, lower-case presentation form; "@" is the apex
	Sets []RRset `json:"s"` // one of each type; the SOA is in the head
}

// RRset is the records of one name and type.
type RRset struct {
	Type     uint16    `json:"t"`
	TTL      uint32    `json:"l"` // seconds
	Data     [][]byte  `json:"d"` // RDATA of each record
	Sigs     [][]byte  `json:"g,omitempty"`
	Variants []Variant `json:"v,omitempty"` // what some clients get instead of Data
}

// Variant is an answer of its own for some clients (geo), for a share of them
// (weight), or while something lives (failover). Among the variants that match
// a client and whose check passes, those that match most closely remain (its
// nearest region, country, continent, anywhere, another region: the nearer the
// better, which is order by latency); of those, those of the lowest order; and
// one of them is drawn by weight. When no check passes, they are left aside, so
// that an answer is never empty. A client that no variant matches gets
// RRset.Data.
type Variant struct {
	Countries  []string `json:"countries,omitempty"`  // ISO 3166-1 alpha-2, upper case
	Continents []string `json:"continents,omitempty"` // AF AN AS EU NA OC SA
	Regions    []string `json:"regions,omitempty"`    // of edges: "fra"
	Order      int      `json:"order,omitempty"`
	Weight     int      `json:"weight,omitempty"` // 0 counts as 1
	Check      string   `json:"check,omitempty"`  // ID of the Check of what must live; "" always does
	Data       [][]byte `json:"d"`
	Sigs       [][]byte `json:"g,omitempty"`
}

// ZoneNSEC3 is one NSEC3 record with its signatures.
type ZoneNSEC3 struct {
	Hash []byte   `json:"h"` // of the owner name, 20 bytes
	TTL  uint32   `json:"l"`
	Data []byte   `json:"d"`
	Sigs [][]byte `json:"g"`
}

// ZoneKey is the key of a zone's head.
func ZoneKey(zone string) string { return KindZone + "/" + zone }

// ZonePartKey is the key of part n of a zone.
func ZonePartKey(zone string, n int) string { return KindZonePart + "/" + zone + "/" + strconv.Itoa(n) }

// ParseZonePartName takes the name of a part's document apart. ok is false when
// it is no such name.
func ParseZonePartName(name string) (zone string, n int, ok bool) {
	zone, text, ok := strings.Cut(name, "/")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 0 || n >= MaxZoneParts || zone == "" || strconv.Itoa(n) != text {
		return "", 0, false
	}
	return zone, n, true
}

// PartDigest is what a head says of the body of a part's document.
func PartDigest(body []byte) [PartDigestBytes]byte {
	sum := sha256.Sum256(body)
	return [PartDigestBytes]byte(sum[:PartDigestBytes])
}

// PartOf tells which of parts a relative owner name belongs to.
func PartOf(name string, parts int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() % uint32(max(parts, 1)))
}

func partOfHash(hash []byte, parts int) int { return PartOf(string(hash), parts) }

// PartsFor is how many parts a zone of so many names is cut into. It keeps
// previous (0: none) while that fits, because another cut moves every part.
func PartsFor(names, previous int) int {
	if previous > 0 && names <= previous*maxNamesPerPart && (previous == 1 || names >= previous*minNamesPerPart) {
		return previous
	}
	parts := 1
	for parts < MaxZoneParts && names > parts*namesPerPart {
		parts *= 2
	}
	return parts
}

// SplitZone cuts the records of a zone into parts, sets the head's Parts and
// Digests, and returns the bodies of the parts' documents, in order. It sorts
// names and sets in place, so that equal content gives equal bytes. previous
// is the number of parts the zone had, 0 when it is new. The error is
// fault.TooLarge when a part does not fit a document.
func SplitZone(z *Zone, names []ZoneName, nsec3 []ZoneNSEC3, previous int) ([][]byte, error) {
	z.Parts = PartsFor(len(names), previous)
	for {
		bodies, err := splitZone(z, names, nsec3)
		if err != nil || bodies != nil {
			return bodies, err
		}
		if z.Parts >= MaxZoneParts {
			return nil, fault.New(fault.TooLarge, "zone %s does not fit %d parts of %d bytes: move some of its names to zones of their own", z.Name, MaxZoneParts, MaxDocumentBytes)
		}
		z.Parts *= 2
	}
}

func splitZone(z *Zone, names []ZoneName, nsec3 []ZoneNSEC3) ([][]byte, error) {
	parts := make([]ZonePart, z.Parts)
	for i := range parts {
		parts[i] = ZonePart{Zone: z.ID, Part: i, Parts: z.Parts}
	}
	for _, n := range names {
		slices.SortFunc(n.Sets, func(a, b RRset) int { return int(a.Type) - int(b.Type) })
		p := &parts[PartOf(n.Name, z.Parts)]
		p.Names = append(p.Names, n)
	}
	for _, n := range nsec3 {
		p := &parts[partOfHash(n.Hash, z.Parts)]
		p.NSEC3 = append(p.NSEC3, n)
	}
	bodies := make([][]byte, z.Parts)
	z.Digests = make([]byte, 0, z.Parts*PartDigestBytes)
	for i := range parts {
		slices.SortFunc(parts[i].Names, func(a, b ZoneName) int { return cmp.Compare(a.Name, b.Name) })
		slices.SortFunc(parts[i].NSEC3, func(a, b ZoneNSEC3) int { return bytes.Compare(a.Hash, b.Hash) })
		body, err := json.Marshal(&parts[i])
		if err != nil {
			return nil, fault.New(fault.Internal, "part %d of zone %s: %w", i, z.Name, err)
		}
		if len(body) > MaxDocumentBytes {
			return nil, nil // cut finer
		}
		digest := PartDigest(body)
		bodies[i], z.Digests = body, append(z.Digests, digest[:]...)
	}
	return bodies, nil
}

// Pack returns the wire-format data of the zone's SOA record.
func (s *SOA) Pack() ([]byte, error) {
	b, err := PackName(s.MName)
	if err != nil {
		return nil, fault.InvalidField("/soa/mname", err.Error(), "")
	}
	rname, err := PackName(s.RName)
	if err != nil {
		return nil, fault.InvalidField("/soa/rname", err.Error(), "")
	}
	b = append(b, rname...)
	for _, v := range []uint32{s.Serial, s.Refresh, s.Retry, s.Expire, s.Minimum} {
		b = append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return b, nil
}

// OwnerName is the wire form of a relative owner name below an apex in wire
// form.
func OwnerName(relative string, apex []byte) ([]byte, error) {
	if relative == "@" {
		return bytes.Clone(apex), nil
	}
	b, err := PackName(relative)
	if err != nil {
		return nil, err
	}
	if len(b) == 1 {
		return nil, fmt.Errorf("the empty name is written @")
	}
	b = append(b[:len(b)-1], apex...)
	if len(b) > maxNameWireLength {
		return nil, fmt.Errorf("the name has %d bytes, the bound is %d", len(b), maxNameWireLength)
	}
	return b, nil
}

// PackName turns a domain name from presentation form (RFC 1035 section 5.1,
// with \. and \DDD; the final dot may be missing) into wire form, case kept.
func PackName(text string) ([]byte, error) {
	if text == "." || text == "" {
		return []byte{0}, nil
	}
	b, label := make([]byte, 1, len(text)+2), 0 // label: where its length goes
	end := func() error {
		n := len(b) - label - 1
		if n == 0 || n > 63 {
			return fmt.Errorf("%q has a label of %d bytes: labels have 1 to 63", text, n)
		}
		b[label], label = byte(n), len(b)
		b = append(b, 0)
		return nil
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '.':
			if err := end(); err != nil {
				return nil, err
			}
		case c != '\\':
			b = append(b, c)
		case i+3 < len(text) && digit(text[i+1]) && digit(text[i+2]) && digit(text[i+3]):
			n, _ := strconv.Atoi(text[i+1 : i+4])
			if n > 255 {
				return nil, fmt.Errorf("%q has an escape above 255", text)
			}
			b, i = append(b, byte(n)), i+3
		case i+1 < len(text) && !digit(text[i+1]):
			b, i = append(b, text[i+1]), i+1
		default:
			return nil, fmt.Errorf("%q ends in an unfinished escape", text)
		}
	}
	if len(b) > label+1 {
		if err := end(); err != nil {
			return nil, err
		}
	}
	if len(b) > maxNameWireLength {
		return nil, fmt.Errorf("the name has %d bytes, the bound is %d", len(b), maxNameWireLength)
	}
	return b, nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// UnpackName turns a wire-form name without compression into presentation form
// with no trailing dot ("." for the root).
func UnpackName(wire []byte) (string, error) {
	n, err := nameLength(wire)
	if err != nil || n != len(wire) {
		return "", fmt.Errorf("not a name in wire form")
	}
	if n == 1 {
		return ".", nil
	}
	var s strings.Builder
	for i := 0; wire[i] != 0; i += int(wire[i]) + 1 {
		if i > 0 {
			s.WriteByte('.')
		}
		for _, c := range wire[i+1 : i+1+int(wire[i])] {
			switch {
			case c == '.' || c == '\\' || c == '"' || c == '(' || c == ')' || c == ';' || c == '@' || c == '$':
				s.WriteByte('\\')
				s.WriteByte(c)
			case c <= ' ' || c >= 0x7f:
				fmt.Fprintf(&s, "\\%03d", c)
			default:
				s.WriteByte(c)
			}
		}
	}
	return s.String(), nil
}

// nameLength is the length of the uncompressed name that b begins with.
func nameLength(b []byte) (int, error) {
	for i := 0; i < len(b) && i < maxNameWireLength; i += int(b[i]) + 1 {
		switch {
		case b[i] == 0:
			return i + 1, nil
		case b[i] > 63:
			return 0, fmt.Errorf("a name is compressed or malformed")
		}
	}
	return 0, fmt.Errorf("a name does not end")
}
