package fleet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/control/compile"
	"github.com/edgewright/edgewright/edgeconfig"
)

// A zone is made again by whoever leads, which takes a moment. Until then edges
// keep everything they have of it.

// ofZone reports whether a document is named after a zone.
func ofZone(key string) bool {
	return slices.Contains([]string{edgeconfig.KindZone, edgeconfig.KindZonePart, edgeconfig.KindZoneKeys}, kindOf(key))
}

// publishedZones tells what is published of zones.
func (l *lead) publishedZones(ctx context.Context) ([]compile.PublishedZone, error) {
	zones := map[string]*compile.PublishedZone{}
	parts := map[string]map[int]string{} // keys, by zone
	var heads []string
	l.ledger.keys(func(key string, meta documentMeta) bool {
		if meta.deleted || !ofZone(key) {
			return true
		}
		id, part, _ := strings.Cut((&edgeconfig.Document{Key: key}).Name(), "/")
		z := zones[id]
		if z == nil {
			z = &compile.PublishedZone{ID: id}
			zones[id], parts[id] = z, map[int]string{}
		}
		switch kindOf(key) {
		case edgeconfig.KindZone:
			heads = append(heads, key)
		case edgeconfig.KindZoneKeys:
			z.Keys = true
		default:
			if n, err := strconv.Atoi(part); err == nil && n >= 0 && n < edgeconfig.MaxZoneParts {
				parts[id][n] = key
			}
		}
		return true
	})
	for id, z := range zones {
		for n, key := range parts[id] {
			const size = edgeconfig.PartDigestBytes
			if need := (n + 1) * size; len(z.Digests) < need {
				z.Digests = append(z.Digests, make([]byte, need-len(z.Digests))...) // a part between that is not there is like none
			}
			// A part's digest is the beginning of its document's hash.
			if entry, _, known := l.ledger.get(key); known && len(entry.Hash) >= 2*size {
				if digest, err := hex.DecodeString(entry.Hash[:2*size]); err == nil {
					copy(z.Digests[n*size:], digest)
				}
			}
		}
	}
	for some := range slices.Chunk(heads, documentsAtOnce) {
		docs, err := l.f.options.Documents.DocumentBodies(ctx, some)
		if err != nil {
			return nil, err
		}
		for i := range docs {
			var head edgeconfig.Zone
			if z := zones[docs[i].Name()]; z != nil && json.Unmarshal(docs[i].Body, &head) == nil {
				z.Apex = head.Name
			}
		}
	}
	list := make([]compile.PublishedZone, 0, len(zones))
	for _, z := range zones {
		list = append(list, *z)
	}
	return list, nil
}

// unsettle notes which of the published zones are still being made, or kept until
// another is. Checks that nothing has named yet may be theirs.
func (l *lead) unsettle(published []compile.PublishedZone, problems map[string]string) {
	l.unsettled, l.strays = map[string]bool{}, map[string]documentMeta{}
	for _, z := range published {
		if _, doubtful := problems[z.ID]; doubtful || l.keeps(z.ID) {
			l.unsettled[z.ID] = true
		}
	}
}

// stray keeps a check that nothing has named, while a zone may.
func (l *lead) stray(key string, meta documentMeta) bool {
	if kindOf(key) != edgeconfig.KindCheck || len(l.unsettled) == 0 {
		return false
	}
	l.strays[key] = meta
	return true
}

// settle takes in what was said of zones. When the last of them is made, it
// returns the end of the checks that none has named.
func (l *lead) settle(said []change) (gone []change) {
	if len(l.unsettled) == 0 {
		return nil
	}
	for _, c := range said {
		delete(l.strays, c.Key)
		if kindOf(c.Key) == edgeconfig.KindZone {
			delete(l.unsettled, (&edgeconfig.Document{Key: c.Key}).Name())
		}
	}
	if len(l.unsettled) > 0 {
		return nil
	}
	for key, meta := range l.strays {
		gone = append(gone, change{Output: Output{Key: key, Scope: meta.scope, Deleted: true}})
	}
	l.strays = nil
	return gone
}
