package zones

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"sync"

	"github.com/edgewright/edgewright/control/dnssec"
	"github.com/edgewright/edgewright/control/zones/build"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Version is what edges get of a zone. Its bodies are not to be changed.
type Version struct {
	Head  edgeconfig.Zone
	Parts [][]byte // bodies of the parts' documents
	// Checks are what its variants depend on. Their IDs follow from what they say.
	Checks []edgeconfig.Check
	// Keys are those that edges sign with, in the order of signatures; none unless
	// absence is denied compactly. They leave the control plane sealed only.
	Keys []OnlineKey
}

// OnlineKey is a key that edges sign with.
type OnlineKey struct {
	Tag       uint16
	Algorithm uint8
	DER       []byte // PKCS #8
}

// versions are those that the reconciler of this process has made.
type versions struct {
	mu  sync.Mutex
	by  map[string]Version
	now *Reconciler // runs
	// keys are those that edges sign a zone with.
	keys map[string][]OnlineKey
	// asked are zones of which a version was wanted that is not there: what is
	// made of them is told even if it is nothing new.
	asked map[string]bool
}

func newVersions() *versions {
	return &versions{by: map[string]Version{}, asked: map[string]bool{}, keys: map[string][]OnlineKey{}}
}

// put takes a version. another reports that one of the same serial was there
// with another head: nothing in the zone's status need tell of that.
func (v *versions) put(id string, version Version) (another bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, there := v.by[id]
	v.by[id] = version
	return there && old.Head.SOA.Serial == version.Head.SOA.Serial && !bytes.Equal(mustJSON(old.Head), mustJSON(version.Head))
}

func (v *versions) remove(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.by, id)
	delete(v.asked, id)
	delete(v.keys, id)
}

// documents are those of the version of a zone, by key, with how their hashes
// begin. Before it is made there is one that nothing has.
func (v *versions) documents(id string) map[string]string {
	v.mu.Lock()
	version, ok := v.by[id]
	v.mu.Unlock()
	head, err := json.Marshal(version.Head)
	if !ok || err != nil {
		return map[string]string{edgeconfig.ZoneKey(id): "-"}
	}
	const size = edgeconfig.PartDigestBytes
	out := map[string]string{edgeconfig.ZoneKey(id): edgeconfig.HashBody(head)}
	for i := range version.Parts {
		// A part's digest is the beginning of its document's hash.
		out[edgeconfig.ZonePartKey(id, i)] = hex.EncodeToString(version.Head.Digests[i*size : (i+1)*size])
	}
	return out
}

// wanted reports, once, that a version was asked for in vain.
func (v *versions) wanted(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := v.asked[id]
	delete(v.asked, id)
	return asked
}

func (v *versions) leader() *Reconciler {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// reset forgets what an earlier term of leading has made.
func (v *versions) reset(r *Reconciler) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = r
	clear(v.by)
}

// Version returns the version of a zone that has a serial. ok is false when it
// is not made yet; the zone's status is then written again once it is.
func (s *Service) Version(id string, serial uint32) (v Version, ok bool) {
	s.made.mu.Lock()
	defer s.made.mu.Unlock()
	v, ok = s.made.by[id]
	if !ok || v.Head.SOA.Serial != serial {
		s.made.asked[id] = true
		return Version{}, false
	}
	if v.Head.Denial == edgeconfig.DenialCompact {
		v.Keys = s.made.keys[id]
	}
	return v, true
}

// sign notes the keys that edges sign a zone with: those that sign its records.
func (v *versions) sign(id, apex string, how *build.Signing) error {
	var keys []OnlineKey
	for _, k := range how.Keys {
		if !k.Active || k.Role == dnssec.KSK {
			continue
		}
		der, err := k.Marshal()
		if err != nil {
			return err
		}
		keys = append(keys, OnlineKey{k.DNSKEY(apex+".", keyTTL).KeyTag(), k.Algorithm, der})
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys[id] = keys
	return nil
}
