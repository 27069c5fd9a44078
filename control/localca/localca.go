// Package localca is the certificate authority inside Edgewright, for names
// that no public CA signs: localhost, internal names.
//
// Types: CA, which is a certificates.Issuer and Revoker. Interface needed: Vault.
//
// A root signs one intermediate, the intermediate signs leaves. Both keys live
// in the vault and never leave the control plane; the root's certificate is
// public and is what `edgewright trust` installs. Root and intermediate are
// made once, at the first use; the intermediate is made anew when a third of
// its life is left. Everything is ECDSA P-256 with SHA-256.
//
// The same CA signs the certificate of the control plane's own API where the
// operator brings none: see ServerCertificate.
package localca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

// Lifetimes. A leaf's stays well under the 398 days that browsers accept.
const (
	RootLife         = 10 * 365 * 24 * time.Hour
	IntermediateLife = 3 * 365 * 24 * time.Hour
	LeafLife         = 90 * 24 * time.Hour
	backdate         = time.Hour // for clocks that are behind
)

const vaultName = "localca/authority"

// Vault keeps the keys; resource.Vault is one.
type Vault interface {
	Secret(ctx context.Context, name string) ([]byte, error)
	PutSecret(ctx context.Context, name string, plaintext []byte) error
}

// CA is the local certificate authority. Its methods may be called from any
// goroutine.
type CA struct {
	vault Vault
	now   func() time.Time
	lists string // the URL below which lists of revoked certificates are; "": nobody knows

	mu     sync.Mutex
	loaded *authority
}

// stored is the vault's form.
type stored struct {
	RootDER         []byte `json:"root"`
	RootKey         []byte `json:"root_key"` // PKCS #8
	IntermediateDER []byte `json:"intermediate"`
	IntermediateKey []byte `json:"intermediate_key"`
	// The one before, which still signs the list of what it issued.
	BeforeDER []byte `json:"before,omitempty"`
	BeforeKey []byte `json:"before_key,omitempty"`
}

type authority struct {
	root         *x509.Certificate
	rootKey      crypto.Signer
	intermediate *x509.Certificate
	key          crypto.Signer
	before       signer // zero: there is none
}

// New returns the CA that lives in a vault. now may be nil.
func New(vault Vault, now func() time.Time) *CA {
	if now == nil {
		now = time.Now
	}
	return &CA{vault: vault, now: now}
}

// ListsAt says below which URL clients find the lists of revoked certificates,
// each under its issuer's key ID. It is called before anything is issued.
func (c *CA) ListsAt(url string) { c.lists = url }

// RootPEM is the root's certificate, which clients are to trust.
func (c *CA) RootPEM(ctx context.Context) ([]byte, error) {
	a, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	return encode(a.root.Raw), nil
}

// Issue signs a certificate for the names of an order, of which none is checked
// against a public suffix: that is the caller's choice of issuer. It implements
// certificates.Issuer.
func (c *CA) Issue(ctx context.Context, o certificates.Order) (chainPEM string, err error) {
	o.Progress(certificates.StepFinalize)
	a, err := c.authority(ctx)
	if err != nil {
		return "", err
	}
	leaf, err := c.sign(a, o.Names, o.Key.Public())
	if err != nil {
		return "", err
	}
	return string(encode(leaf)) + string(encode(a.intermediate.Raw)), nil
}

// ServerCertificate makes a key and a certificate for a listener of this
// process.
func (c *CA) ServerCertificate(ctx context.Context, names []string) (tls.Certificate, error) {
	a, err := c.authority(ctx)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := c.sign(a, names, key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	parsed, err := x509.ParseCertificate(leaf)
	return tls.Certificate{Certificate: [][]byte{leaf, a.intermediate.Raw}, PrivateKey: key, Leaf: parsed}, err
}

func (c *CA) sign(a *authority, names []string, public crypto.PublicKey) ([]byte, error) {
	now := c.now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName(names)},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(LeafLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if c.lists != "" {
		template.CRLDistributionPoints = []string{c.lists + "/" + hex.EncodeToString(a.intermediate.SubjectKeyId)}
	}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if len(names) == 0 {
		return nil, fault.New(fault.Invalid, "a certificate needs a name")
	}
	if template.NotAfter.After(a.intermediate.NotAfter) {
		template.NotAfter = a.intermediate.NotAfter
	}
	return create(template, a.intermediate, public, a.key)
}

// commonName is for people who look at it; clients read the alternative names.
// RFC 5280 allows 64 characters.
func commonName(names []string) string {
	if len(names) == 0 || len(names[0]) > 64 {
		return ""
	}
	return names[0]
}

// authority loads root and intermediate, or makes them.
func (c *CA) authority(ctx context.Context) (*authority, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded == nil {
		if err := c.load(ctx); err != nil {
			return nil, err
		}
	}
	if c.loaded.intermediate.NotAfter.Sub(c.now()) < IntermediateLife/3 {
		if err := c.renewIntermediate(ctx); err != nil {
			return nil, err
		}
	}
	return c.loaded, nil
}

func (c *CA) load(ctx context.Context) error {
	secret, err := c.vault.Secret(ctx, vaultName)
	if fault.Is(err, fault.NotFound) {
		return c.create(ctx)
	}
	if err != nil {
		return err
	}
	var s stored
	if err := json.Unmarshal(secret, &s); err != nil {
		return fault.New(fault.Internal, "the local CA's keys cannot be read: %w", err)
	}
	a := &authority{}
	if a.root, err = x509.ParseCertificate(s.RootDER); err != nil {
		return fault.New(fault.Internal, "the local CA's root cannot be read: %w", err)
	}
	if a.intermediate, err = x509.ParseCertificate(s.IntermediateDER); err != nil {
		return fault.New(fault.Internal, "the local CA's intermediate cannot be read: %w", err)
	}
	if a.rootKey, err = parseKey(s.RootKey); err != nil {
		return err
	}
	if a.key, err = parseKey(s.IntermediateKey); err != nil {
		return err
	}
	if len(s.BeforeDER) > 0 {
		if a.before.cert, err = x509.ParseCertificate(s.BeforeDER); err != nil {
			return fault.New(fault.Internal, "the local CA's former intermediate cannot be read: %w", err)
		}
		if a.before.key, err = parseKey(s.BeforeKey); err != nil {
			return err
		}
	}
	c.loaded = a
	return nil
}

func (c *CA) create(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	// The name carries a part of the key, so that roots of several
	// installations can be told apart in a list of trusted ones.
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	sum := sha256.Sum256(public)
	now := c.now()
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Edgewright"}, CommonName: fmt.Sprintf("Edgewright local CA %x", sum[:4])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(RootLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1,
	}
	der, err := create(template, template, key.Public(), key)
	if err != nil {
		return err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	c.loaded = &authority{root: root, rootKey: key, intermediate: &x509.Certificate{}}
	if err := c.renewIntermediate(ctx); err != nil {
		c.loaded = nil
		return err
	}
	return nil
}

// renewIntermediate makes an intermediate and keeps everything. Leaves signed
// by the one before stay valid: they carry it in their chain.
func (c *CA) renewIntermediate(ctx context.Context) error {
	a := *c.loaded
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := c.now()
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Edgewright"}, CommonName: fmt.Sprintf("Edgewright local intermediate %d", now.Year())},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(IntermediateLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	if template.NotAfter.After(a.root.NotAfter) {
		template.NotAfter = a.root.NotAfter
	}
	der, err := create(template, a.root, key.Public(), a.rootKey)
	if err != nil {
		return err
	}
	if a.key != nil {
		a.before = signer{a.intermediate, a.key}
	}
	if a.intermediate, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.key = key
	s := stored{RootDER: a.root.Raw, IntermediateDER: der}
	if s.RootKey, err = x509.MarshalPKCS8PrivateKey(a.rootKey); err != nil {
		return err
	}
	if s.IntermediateKey, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return err
	}
	if a.before.cert != nil {
		s.BeforeDER = a.before.cert.Raw
		if s.BeforeKey, err = x509.MarshalPKCS8PrivateKey(a.before.key); err != nil {
			return err
		}
	}
	secret, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := c.vault.PutSecret(ctx, vaultName, secret); err != nil {
		return err
	}
	c.loaded = &a
	return nil
}

// create signs with a random serial number of 127 bits (RFC 5280 section
// 4.1.2.2 allows 20 octets, positive).
func create(template, issuer *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	return x509.CreateCertificate(rand.Reader, template, issuer, public, signer)
}

func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.New(fault.Internal, "the local CA's key cannot be read: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Internal, "the local CA's key cannot sign")
	}
	return signer, nil
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
