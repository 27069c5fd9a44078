package fleet

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/secrets"
)

// handshakeKeys is what edges share for their clients' handshakes. The chain is
// kept at the beginning of the window of session tickets and never earlier, so
// that the database forgets with the edges.
type handshakeKeys struct {
	Hour    int64    `json:"hour"`
	Tickets [32]byte `json:"tickets"`
	ECH     []echKey `json:"ech,omitempty"` // newest first
}

type echKey struct {
	Config  []byte    `json:"config"` // ECHConfig
	Private []byte    `json:"private"`
	Created time.Time `json:"created"`
}

// How long a key of Encrypted Client Hello is the newest, how long it is with
// the edges before it is published, and how many are good at a time: resolvers
// and clients keep a record for a while.
const (
	echEvery  = 24 * time.Hour
	echBefore = time.Hour
	echKeys   = 3
)

// newHandshake makes everything anew: an edge that is gone knew the old.
func (k *keyset) newHandshake(now time.Time, echName string) {
	k.Handshake = &handshakeKeys{Hour: edgeconfig.HourOf(now)}
	rand.Read(k.Handshake.Tickets[:])
	k.Handshake.renewECH(now, echName)
}

// windHandshake forgets what is no longer needed and makes what is due. It tells
// whether anything has changed.
func (k *keyset) windHandshake(now time.Time, echName string) bool {
	h := k.Handshake
	if h == nil {
		k.newHandshake(now, echName)
		return true
	}
	chain := edgeconfig.TicketChain{Hour: h.Hour, Secret: h.Tickets}.At(edgeconfig.HourOf(now) - edgeconfig.TicketWindow)
	wound := chain.Hour != h.Hour
	h.Hour, h.Tickets = chain.Hour, chain.Secret
	return h.renewECH(now, echName) || wound
}

func (h *handshakeKeys) renewECH(now time.Time, name string) bool {
	switch {
	case name == "" && h.ECH == nil:
		return false
	case name == "":
		h.ECH = nil
		return true
	case len(h.ECH) > 0 && now.Sub(h.ECH[0].Created) < echEvery:
		return false
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return false // crypto/rand does not fail; next time then
	}
	var id [1]byte
	for again := true; again; { // clients tell keys apart by it
		rand.Read(id[:])
		again = false
		for _, k := range h.ECH {
			again = again || k.Config[4] == id[0]
		}
	}
	h.ECH = append([]echKey{{Config: echConfig(id[0], private.PublicKey().Bytes(), name), Private: private.Bytes(), Created: now.UTC()}}, h.ECH...)
	h.ECH = h.ECH[:min(len(h.ECH), echKeys)]
	return true
}

// echConfig marshals an ECHConfig (RFC 9849 section 4): X25519, HKDF-SHA256, and
// AES-128-GCM or ChaCha20-Poly1305.
func echConfig(id uint8, public []byte, name string) []byte {
	var b cryptobyte.Builder
	b.AddUint16(0xfe0d)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(id)
		b.AddUint16(0x0020)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(public) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, aead := range []uint16{0x0001, 0x0003} {
				b.AddUint16(0x0001)
				b.AddUint16(aead)
			}
		})
		b.AddUint8(64) // names up to it are padded to one length
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		b.AddUint16LengthPrefixed(func(*cryptobyte.Builder) {})
	})
	return b.BytesOrPanic()
}

// ECHConfigList is what HTTPS records of names behind the edges carry as their
// parameter ech (RFC 9849 section 4), nil when it is not offered. It changes
// daily: a record's TTL may be as long as an hour.
func (f *Fleet) ECHConfigList() []byte {
	h := f.keys().Handshake
	if h == nil || len(h.ECH) == 0 {
		return nil
	}
	published := h.ECH[0]
	for _, k := range h.ECH {
		if published = k; f.now().Sub(k.Created) >= echBefore {
			break
		}
	}
	if len(h.ECH) == 1 {
		published = h.ECH[0]
	}
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(published.Config) })
	return b.BytesOrPanic()
}

// handshakeEvery is how often the leader looks whether an hour has begun.
const handshakeEvery = time.Minute

// keepHandshake publishes what edges share, wound on every hour.
func (l *lead) keepHandshake(ctx context.Context) error {
	ticker := time.NewTicker(handshakeEvery)
	defer ticker.Stop()
	for {
		if err := l.publishHandshake(ctx); err != nil && ctx.Err() == nil {
			l.f.log.Warn("handshake secrets not published; edges go on with what they have", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (l *lead) publishHandshake(ctx context.Context) error {
	err := l.f.changeKeys(ctx, func(k *keyset) bool { return k.windHandshake(l.f.now(), l.f.options.ECHName) })
	if err != nil {
		return err
	}
	c, err := l.handshake()
	if err != nil {
		return err
	}
	return l.publisher.enqueue(ctx, 0, c) // which leaves out what is published already
}

// handshake is the document of what edges share now.
func (l *lead) handshake() (change, error) {
	keys := l.f.keys()
	group, h := keys.group(), keys.Handshake
	seal := func(b []byte) []byte { return secrets.SealFor(group.Key, edgeconfig.HandshakeContext, b) }
	out := edgeconfig.Handshake{KeyGroup: group.Name, Hour: h.Hour, Tickets: seal(h.Tickets[:])}
	for _, k := range h.ECH {
		out.ECH = append(out.ECH, edgeconfig.ECHKey{Config: k.Config, KeySealed: seal(k.Private)})
	}
	body, err := json.Marshal(out)
	return change{Output: Output{Key: edgeconfig.KindHandshake + "/fleet", Scope: edgeconfig.ScopeAll, Body: body}}, err
}
