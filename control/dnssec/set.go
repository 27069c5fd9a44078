package dnssec

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/binary"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// What follows signs one set at a time, for a builder that keeps a zone between
// its versions. Unlike Sign it is deterministic: equal keys, data and times give
// equal bytes (RFC 6979, RFC 8032), so that a control plane that starts again
// makes the documents that are published already.

// SetKey is a key made ready to sign the sets of one zone.
type SetKey struct {
	*Key
	Tag    uint16
	signer []byte // the zone's name in wire form
}

// For returns the key ready for a zone, whose name is in lower-case wire form.
func (k *Key) For(apex string, wire []byte) SetKey {
	return SetKey{Key: k, Tag: k.DNSKEY(apex, 0).KeyTag(), signer: wire}
}

// Signs reports whether the key signs sets of a type, at the apex or elsewhere.
func (k SetKey) Signs(typ uint16, apex bool) bool { return k.signs(typ, apex) }

// SignSet returns RRSIG data over a set: owner in lower-case wire form, data in
// canonical form (RFC 4034 section 6.2: names in lower case), in any order.
func (k SetKey) SignSet(owner []byte, typ uint16, ttl uint32, data [][]byte, inception, expiration time.Time) ([]byte, error) {
	labels := 0
	for w := owner; w[0] != 0; w = w[1+w[0]:] {
		labels++
	}
	if owner[0] == 1 && owner[1] == '*' {
		labels-- // RFC 4034 section 3.1.3
	}
	rdata := make([]byte, 0, 18+len(k.signer)+64)
	rdata = binary.BigEndian.AppendUint16(rdata, typ)
	rdata = append(rdata, k.Algorithm, byte(labels))
	rdata = binary.BigEndian.AppendUint32(rdata, ttl)
	rdata = binary.BigEndian.AppendUint32(rdata, uint32(expiration.Unix()))
	rdata = binary.BigEndian.AppendUint32(rdata, uint32(inception.Unix()))
	rdata = binary.BigEndian.AppendUint16(rdata, k.Tag)
	rdata = append(rdata, k.signer...)

	sorted := data
	if !slices.IsSortedFunc(data, bytes.Compare) {
		sorted = slices.Clone(data)
		slices.SortFunc(sorted, bytes.Compare)
	}
	signed := slices.Clone(rdata)
	for _, d := range sorted {
		signed = append(signed, owner...)
		signed = binary.BigEndian.AppendUint16(signed, typ)
		signed = binary.BigEndian.AppendUint16(signed, dns.ClassINET)
		signed = binary.BigEndian.AppendUint32(signed, ttl)
		signed = binary.BigEndian.AppendUint16(signed, uint16(len(d)))
		signed = append(signed, d...)
	}
	signature, err := k.sign(signed)
	if err != nil {
		return nil, fault.New(fault.Internal, "signing %s: %w", dns.TypeToString[typ], err)
	}
	return append(rdata, signature...), nil
}

func (k SetKey) sign(message []byte) ([]byte, error) {
	if k.Algorithm == Ed25519 {
		return k.Private.Sign(nil, message, crypto.Hash(0))
	}
	h := crypto.SHA256.New()
	h.Write(message)
	// Without a source of randomness the nonce is that of RFC 6979.
	der, err := k.Private.Sign(io.Reader(nil), h.Sum(nil), crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	out := make([]byte, 64) // RFC 6605 section 4
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}

// Made reports whether RRSIG data is this key's, with the inception and the end
// given.
func (k SetKey) Made(sig []byte, inception, expiration time.Time) bool {
	return len(sig) > 18 && sig[2] == k.Algorithm && binary.BigEndian.Uint16(sig[16:]) == k.Tag &&
		binary.BigEndian.Uint32(sig[8:]) == uint32(expiration.Unix()) && binary.BigEndian.Uint32(sig[12:]) == uint32(inception.Unix())
}

// ApexSets are the sets that keys add to a zone's apex: DNSKEY, CDS and CDNSKEY,
// and with NSEC3 its parameters.
func ApexSets(apex string, keys []*Key, policy Policy) []edgeconfig.RRset {
	var out []edgeconfig.RRset
	var published, cds, cdnskey [][]byte
	for _, k := range keys {
		r := k.DNSKEY(apex, policy.KeyTTL)
		if k.Publish {
			published = append(published, pack(r))
		}
		if k.Announce && k.Role != ZSK {
			cds = append(cds, pack(r.ToDS(dns.SHA256).ToCDS()))
			cdnskey = append(cdnskey, pack(r.ToCDNSKEY()))
		}
	}
	if policy.Unsign {
		cds, cdnskey = [][]byte{{0, 0, 0, 0, 0}}, [][]byte{{0, 0, 3, 0, 0}} // RFC 8078 section 4
	}
	add := func(typ uint16, ttl uint32, data [][]byte) {
		if len(data) > 0 {
			slices.SortFunc(data, bytes.Compare)
			out = append(out, edgeconfig.RRset{Type: typ, TTL: ttl, Data: data})
		}
	}
	add(dns.TypeDNSKEY, policy.KeyTTL, published)
	if policy.Denial == edgeconfig.DenialNSEC3 {
		add(dns.TypeNSEC3PARAM, 0, [][]byte{{1, 0, 0, 0, 0}})
	}
	add(dns.TypeCDS, policy.KeyTTL, cds)
	add(dns.TypeCDNSKEY, policy.KeyTTL, cdnskey)
	return out
}

// Bitmap encodes sorted types as NSEC and NSEC3 list them (RFC 4034 section
// 4.1.2).
func Bitmap(types []uint16) []byte { return bitmap(types) }
