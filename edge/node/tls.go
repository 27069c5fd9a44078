package node

import (
	"crypto/tls"

	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/secrets"
)

// settings are the node's TLS settings: they ask the runtime in force.
func (n *Node) settings() certs.Settings {
	return certs.NewSettings(certs.Options{
		Table: func() *certs.Table { return n.current.Load().certs },
		Policy: func(name string) certs.Policy {
			if site := n.current.Load().Site(name); site != nil {
				return site.TLS
			}
			return certs.Intermediate
		},
		Challenge: func(host string) *certs.Challenge { return n.current.Load().proof(host) },
		Tickets:   n.tickets,
		ECH: func() []tls.EncryptedClientHelloKey {
			if keys := n.ech.Load(); keys != nil {
				return *keys
			}
			return []tls.EncryptedClientHelloKey{}
		},
		Now: n.o.Now,
	})
}

// proof is a challenge as TLS-ALPN-01 answers it. The certificate is made once
// and goes with the challenge.
type proof struct {
	token     string
	expires   int64
	challenge *certs.Challenge
}

func newProof(name challengeName, text challengeText) proof {
	return proof{name.token, text.expires, certs.NewChallenge(name.host, text.answer)}
}

func (r *runtime) proof(host string) *certs.Challenge {
	p, ok := r.proofs[host]
	if !ok || r.now().Unix() >= p.expires {
		return nil
	}
	return p.challenge
}

// shared is an opened Handshake document.
type shared struct {
	chain edgeconfig.TicketChain
	ech   []tls.EncryptedClientHelloKey
}

// prepareShared opens what the fleet shares.
func prepareShared(d *edgeconfig.Document, groups map[string]*groupKey) (*shared, error) {
	var h edgeconfig.Handshake
	if err := decode(d, &h, edgeconfig.ValidateHandshake); err != nil {
		return nil, err
	}
	group := groups[h.KeyGroup]
	if group == nil {
		return nil, fault.New(fault.Unavailable, "the handshake secrets are sealed for group %q, whose key this edge does not hold", h.KeyGroup)
	}
	open := func(box []byte) ([]byte, error) {
		plain, err := secrets.OpenFor(*group, edgeconfig.HandshakeContext, box)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the handshake secrets do not open with the group's key: %w", err)
		}
		return plain, nil
	}
	s := &shared{chain: edgeconfig.TicketChain{Hour: h.Hour}}
	secret, err := open(h.Tickets)
	if err != nil {
		return nil, err
	}
	if len(secret) != len(s.chain.Secret) {
		return nil, fault.New(fault.Invalid, "the secret of session tickets has %d bytes instead of %d", len(secret), len(s.chain.Secret))
	}
	copy(s.chain.Secret[:], secret)
	clear(secret)
	for i, k := range h.ECH {
		key, err := open(k.KeySealed)
		if err != nil {
			return nil, err
		}
		s.ech = append(s.ech, tls.EncryptedClientHelloKey{Config: k.Config, PrivateKey: key, SendAsRetry: i == 0})
	}
	return s, nil
}
