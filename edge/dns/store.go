package dns

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Zones holds the zones an edge serves: it takes documents and keeps the table
// that queries are answered from.
type Zones struct {
	seed  uint64
	table atomic.Pointer[table]
	keys  atomic.Pointer[keySet]

	mu    sync.Mutex // of Apply and everything below
	held  map[string]held
	zones map[string]*staged // by zone ID
	apex  map[string]string  // apex -> zone ID

	signers map[string]*Signer // by zone ID
	workers int                // that count queries; before any zone
	ended   []*zone            // with counts that have not been taken
	online  online
	fetches fetches // locks for itself

	notices []notice     // of the versions that this Apply serves
	changed func(notice) // told of each version that secondaries shall know of; nil: nobody
}

// held is a document taken, or its tombstone.
type held struct {
	revision int64
	hash     string
	deleted  bool
}

// staged is a zone with what has arrived for versions that are not served yet.
type staged struct {
	head     *edgeconfig.Zone // the newest
	revision int64            // of its document
	apex     string           // wire form
	raw      map[int][]byte   // bodies of parts whose head, and so whose apex, is not known yet
	parts    map[int]*part    // newest of each part, once served only those that differ
	model    *model           // of the served version
	zone     *zone            // nil: not served
	torn     bool             // served from parts of several versions
	fault    error            // why the version held is not served
}

// NewZones returns an empty store.
func NewZones() *Zones {
	z := &Zones{seed: rand.Uint64(), held: map[string]held{}, zones: map[string]*staged{}, apex: map[string]string{}, signers: map[string]*Signer{}, workers: 1}
	z.table.Store(newTable(z.seed))
	return z
}

// Apply takes Zone and ZonePart documents whose signatures the caller has
// verified, in any order, and returns one item for each: Applied, or Rejected
// with the reason, in which case what was served stays. A version of a zone is
// served from the moment its head and every part the head names have been
// taken; Serving tells. A zone of which nothing is served yet is served from
// the parts there are, when there is one in each place: an edge that starts
// from a disk that was torn by a crash had better answer.
//
// Safe for concurrent use; calls are serialised, queries never wait.
func (z *Zones) Apply(docs []edgeconfig.Document) []edgeconfig.AckItem {
	z.mu.Lock()
	defer z.mu.Unlock()
	items := make([]edgeconfig.AckItem, len(docs))
	touched := map[string]bool{}
	for _, i := range sequence(docs) {
		d := &docs[i]
		items[i] = edgeconfig.AckItem{Key: d.Key, Revision: d.Revision, State: edgeconfig.Applied}
		id, err := z.take(d)
		if err != nil {
			items[i].State, items[i].Reason = edgeconfig.Rejected, err.Error()
		}
		if id != "" {
			touched[id] = true
		}
	}
	var add, remove []*zone
	for id := range touched {
		s := z.zones[id]
		if s == nil {
			continue
		}
		was := s.zone
		z.commit(id, s)
		if s.zone != was {
			if was != nil {
				remove = append(remove, was)
			}
			if s.zone != nil {
				add = append(add, s.zone)
				if old := z.succeed(s); old != nil {
					remove = append(remove, old)
				}
			}
		}
		if s.fault != nil {
			for i := range docs {
				if docs[i].Key == edgeconfig.ZoneKey(id) && items[i].State == edgeconfig.Applied && !docs[i].Deleted {
					items[i].State, items[i].Reason = edgeconfig.Rejected, s.fault.Error()
					delete(z.held, docs[i].Key)
				}
			}
		}
		if s.head == nil && len(s.raw) == 0 {
			delete(z.zones, id)
		}
	}
	if len(add)+len(remove) > 0 {
		z.table.Store(z.table.Load().edit(remove, add))
		z.ended = append(z.ended, remove...)
	}
	// Only now: who is told asks at once.
	for _, n := range z.notices {
		if z.changed != nil {
			z.changed(n)
		}
	}
	z.notices = nil
	return items
}

// succeed ends what was served under the apex of a zone that is served now: it
// went to another project, and came with another ID. Until the newer one was whole,
// the older answered; its tombstone may come later.
func (z *Zones) succeed(s *staged) *zone {
	old := z.table.Load().exact(s.zone.hash, []byte(s.apex))
	if old == nil || old.id == s.zone.id {
		return nil
	}
	if other := z.zones[old.id]; other != nil {
		other.zone, other.model, other.torn = nil, nil, false
		other.head, other.apex, other.parts = nil, "", map[int]*part{}
	}
	return old
}

// sequence sorts a batch: what goes before what comes (an apex may move from
// one zone to another), heads before their parts, older before newer.
func sequence(docs []edgeconfig.Document) []int {
	rank := func(d *edgeconfig.Document) int {
		switch {
		case d.Deleted:
			return 0
		case d.Kind() == edgeconfig.KindZone:
			return 1
		default:
			return 2
		}
	}
	indexes := make([]int, len(docs))
	for i := range indexes {
		indexes[i] = i
	}
	slices.SortStableFunc(indexes, func(a, b int) int {
		return cmp.Or(rank(&docs[a])-rank(&docs[b]), cmp.Compare(docs[a].Revision, docs[b].Revision))
	})
	return indexes
}

// take stages one document and returns the zone it concerns, "" when it
// changes nothing.
func (z *Zones) take(d *edgeconfig.Document) (id string, err error) {
	h, known := z.held[d.Key]
	switch {
	case !known || h.revision < d.Revision:
	case h.revision == d.Revision && h.hash == d.Hash && h.deleted == d.Deleted:
		return "", nil
	case h.revision == d.Revision:
		return "", fault.New(fault.Conflict, "another document of revision %d is in force", h.revision)
	default:
		return "", fault.New(fault.Stale, "revision %d is in force, an older one does not replace it", h.revision)
	}
	defer func() {
		// A document must not take the edge down, whatever it holds.
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "the edge stumbled over the document: %v", r)
		}
		if err == nil {
			z.held[d.Key] = held{d.Revision, d.Hash, d.Deleted}
		}
	}()
	if len(d.Body) > edgeconfig.MaxDocumentBytes {
		return "", fault.New(fault.TooLarge, "the document has %d bytes, the bound is %d", len(d.Body), edgeconfig.MaxDocumentBytes)
	}
	switch d.Kind() {
	case edgeconfig.KindZone:
		return d.Name(), z.takeHead(d)
	case edgeconfig.KindZonePart:
		id, n, ok := edgeconfig.ParseZonePartName(d.Name())
		if !ok {
			return "", fault.New(fault.Invalid, "%s names no part of a zone", d.Key)
		}
		return id, z.takePart(d, id, n)
	}
	return "", fault.New(fault.Invalid, "documents of kind %q are not for the name server", d.Kind())
}

func (z *Zones) zone(id string) *staged {
	s := z.zones[id]
	if s == nil {
		s = &staged{raw: map[int][]byte{}, parts: map[int]*part{}}
		z.zones[id] = s
	}
	return s
}

func (z *Zones) takeHead(d *edgeconfig.Document) error {
	s := z.zone(d.Name())
	if d.Deleted {
		if s.head != nil && z.apex[s.apex] == d.Name() {
			delete(z.apex, s.apex)
		}
		s.head, s.fault, s.apex = nil, nil, ""
		s.parts = map[int]*part{}
		return nil
	}
	var head edgeconfig.Zone
	if err := json.Unmarshal(d.Body, &head); err != nil {
		return fault.New(fault.Invalid, "the document is not what its kind says: %w", err)
	}
	if err := edgeconfig.ValidateZone(&head); err != nil {
		return err
	}
	if head.ID != d.Name() {
		return fault.New(fault.Invalid, "the document's key names zone %s, its body %s", d.Name(), head.ID)
	}
	wire, err := edgeconfig.PackName(head.Name)
	if err != nil {
		return err
	}
	apex := string(wire)
	if id, taken := z.apex[apex]; taken && id != head.ID {
		if other := z.zones[id]; other != nil && other.revision >= d.Revision {
			return fault.New(fault.Conflict, "the zone %s is served as %s", head.Name, id)
		}
	}
	if s.head != nil && s.apex != apex {
		return fault.New(fault.Conflict, "a zone keeps its name: %s cannot become %s", s.head.Name, head.Name)
	}
	z.apex[apex] = head.ID
	s.head, s.apex, s.fault, s.revision = &head, apex, nil, d.Revision
	for n, body := range s.raw {
		delete(s.raw, n)
		if err := s.stage(n, body); err != nil {
			s.fault = err
			return err
		}
	}
	return nil
}

func (z *Zones) takePart(d *edgeconfig.Document, id string, n int) error {
	s := z.zone(id)
	if d.Deleted {
		delete(s.raw, n)
		delete(s.parts, n)
		return nil
	}
	if s.head == nil {
		// Checked now, so that the answer to the control plane is right; kept as it is.
		if _, err := decodePart(d.Body, id, n); err != nil {
			return err
		}
		s.raw[n] = bytes.Clone(d.Body)
		return nil
	}
	return s.stage(n, d.Body)
}

func decodePart(body []byte, id string, n int) (*edgeconfig.ZonePart, error) {
	var p edgeconfig.ZonePart
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fault.New(fault.Invalid, "the document is not what its kind says: %w", err)
	}
	if p.Zone != id || p.Part != n {
		return nil, fault.New(fault.Invalid, "the document's key names part %d of %s, its body part %d of %s", n, id, p.Part, p.Zone)
	}
	return &p, edgeconfig.ValidateZonePart(&p)
}

func (s *staged) stage(n int, body []byte) error {
	decoded, err := decodePart(body, s.head.ID, n)
	if err != nil {
		return err
	}
	p, err := newPart(decoded, s.apex, body)
	if err != nil {
		return err
	}
	s.parts[n] = p
	return nil
}

// commit serves the newest version of a zone when it is whole.
func (z *Zones) commit(id string, s *staged) {
	if s.head == nil {
		s.zone, s.model, s.torn = nil, nil, false
		return
	}
	parts, torn, ok := s.assemble()
	if !ok {
		return
	}
	m := s.model
	if m == nil {
		m = newModel(s.head, s.apex, z.seed)
	}
	if s.fault = m.checkWhole(s.head, parts); s.fault != nil {
		return
	}
	if targets := told(m, s.head); len(targets) > 0 {
		z.notices = append(z.notices, notice{apex: s.apex, soa: soaRecords(s.apex, s.head)[0], serial: s.head.SOA.Serial, targets: targets, key: s.head.Transfer.Keys[0]})
	}
	x := m.advance(s.head, parts)
	s.model, s.torn = m, torn
	if torn {
		x.grant = nil
	}
	if s.zone == nil {
		s.zone = &zone{id: id, apex: s.apex, hash: hash(z.seed, []byte(s.apex)), labels: labelsOf(s.apex), tallies: make([]tally, z.workers)}
		s.zone.signer.Store(z.signers[id])
	}
	s.zone.current.Store(x)
	if !torn {
		// Parts that are not of this version have come before the head they belong to.
		maps.DeleteFunc(s.parts, func(n int, p *part) bool {
			return n < s.head.Parts && p.parts == s.head.Parts && bytes.Equal(p.digest[:], s.head.Digests[n*edgeconfig.PartDigestBytes:(n+1)*edgeconfig.PartDigestBytes])
		})
	}
}

// told are those who are to hear of a head: all of a new version, else who was
// not told of it before.
func told(m *model, head *edgeconfig.Zone) []string {
	t := head.Transfer
	if t == nil || m.compiled == nil || m.head.SOA.Serial != head.SOA.Serial || m.head.Transfer == nil {
		if t == nil {
			return nil
		}
		return t.Notify
	}
	return slices.DeleteFunc(slices.Clone(t.Notify), func(target string) bool { return slices.Contains(m.head.Transfer.Notify, target) })
}

// assemble collects the parts of the newest head: nil for one that is served
// already. torn tells that some are of another version.
func (s *staged) assemble() (parts []*part, torn, ok bool) {
	parts = make([]*part, s.head.Parts)
	same := s.model != nil && len(s.model.parts) == s.head.Parts
	for i := range parts {
		want := [edgeconfig.PartDigestBytes]byte(s.head.Digests[i*edgeconfig.PartDigestBytes:])
		p := s.parts[i]
		switch {
		case p != nil && p.parts == s.head.Parts && p.digest == want:
			parts[i] = p
		case same && s.model.parts[i].digest == want:
		case s.model == nil && p != nil && p.parts == s.head.Parts:
			parts[i], torn = p, true
		default:
			return nil, false, false
		}
	}
	return parts, torn, true
}

func labelsOf(wire string) (n int) {
	for ; wire[0] != 0; wire = parent(wire) {
		n++
	}
	return n
}

// State is how a zone stands at this edge.
type State struct {
	Serving  bool
	Serial   uint32 // of the served version
	Awaiting bool   // a newer head has been taken, and parts of it are missing
	Torn     bool   // served from parts of several versions, until the missing ones come
	Names    int
	Counted  edgeconfig.ZoneCounters // since the zone is served
}

// State tells how a zone stands; ok is false when nothing of it is held.
func (z *Zones) State(id string) (st State, ok bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	s := z.zones[id]
	if s == nil {
		return st, false
	}
	st.Torn = s.torn
	if s.zone != nil {
		st.Serving, st.Serial = true, s.zone.current.Load().serial
		st.Counted = s.zone.counted()
		st.Names = len(s.model.names)
	}
	st.Awaiting = s.head != nil && (!st.Serving || s.torn || s.head.SOA.Serial != st.Serial)
	return st, true
}

// Len is the number of zones served.
func (z *Zones) Len() int { return z.table.Load().count }
