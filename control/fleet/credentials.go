package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// maxMessage bounds one message on the bus, in bytes: the NATS default, so that
// an external cluster needs no setting of its own.
const maxMessage = 1 << 20

func public(seed []byte) (string, nkeys.KeyPair, error) {
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return "", nil, fault.New(fault.Internal, "a key of the bus cannot be read: %w", err)
	}
	key, err := pair.PublicKey()
	return key, pair, err
}

// accountJWT is the bus account that holds all of the product's traffic, with
// the revoked edges.
func (k *keyset) accountJWT() (claims *jwt.AccountClaims, encoded string, err error) {
	_, operator, err := public(k.Operator)
	if err != nil {
		return nil, "", err
	}
	account, _, err := public(k.Account)
	if err != nil {
		return nil, "", err
	}
	claims = jwt.NewAccountClaims(account)
	claims.Name = "edgewright"
	for key, at := range k.Revoked {
		claims.RevokeAt(key, time.Unix(at, 0))
	}
	encoded, err = claims.Encode(operator)
	return claims, encoded, err
}

// systemJWT is the account on which the servers themselves speak.
func (k *keyset) systemJWT() (string, error) {
	_, operator, err := public(k.Operator)
	if err != nil {
		return "", err
	}
	system, _, err := public(k.System)
	if err != nil {
		return "", err
	}
	claims := jwt.NewAccountClaims(system)
	claims.Name = "system"
	return claims.Encode(operator)
}

// operatorJWT names the operator, for an external cluster.
func (k *keyset) operatorJWT() (string, error) {
	key, pair, err := public(k.Operator)
	if err != nil {
		return "", err
	}
	system, _, err := public(k.System)
	if err != nil {
		return "", err
	}
	claims := jwt.NewOperatorClaims(key)
	claims.Name = "edgewright"
	claims.SystemAccount = system
	return claims.Encode(pair)
}

// edgeJWT is the credential of one edge: its own subjects and what the control
// plane says to all, nothing else.
func (k *keyset) edgeJWT(edge, busKey string) (string, error) {
	_, account, err := public(k.Account)
	if err != nil {
		return "", err
	}
	claims := jwt.NewUserClaims(busKey)
	claims.Name = edge
	claims.Pub.Allow.Add(edgeconfig.SubjectUp + edge + ".>")
	claims.Sub.Allow.Add(edgeconfig.SubjectDownAll, edgeconfig.SubjectDownTo(edge),
		edgeconfig.SubjectManifest, edgeconfig.SubjectPurge, edgeconfig.InboxPrefix(edge)+".>")
	claims.Limits.Subs = 16
	claims.Limits.Payload = maxMessage
	return claims.Encode(account)
}

// userOptions are the connection options of a fresh user of one of our accounts
// with all rights in it: the control plane's own connections.
func userOptions(accountSeed []byte, name string) ([]nats.Option, error) {
	_, account, err := public(accountSeed)
	if err != nil {
		return nil, err
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	key, err := user.PublicKey()
	if err != nil {
		return nil, err
	}
	claims := jwt.NewUserClaims(key)
	claims.Name = name
	encoded, err := claims.Encode(account)
	if err != nil {
		return nil, err
	}
	return []nats.Option{
		nats.Name(name),
		nats.UserJWT(func() (string, error) { return encoded, nil }, user.Sign),
	}, nil
}

// busCALifetime is long: edges that were away for years shall find the bus
// again, and the root is ours alone.
const busCALifetime = 20 * 365 * 24 * time.Hour

// newBusCA makes the root that edges know the bus by.
func newBusCA(now time.Time) (der, keyDER []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Edgewright bus root"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(busCALifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		return nil, nil, err
	}
	keyDER, err = x509.MarshalPKCS8PrivateKey(key)
	return der, keyDER, err
}

func (k *keyset) busRootPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.BusCA}))
}

// Lifetime of the bus's own certificate, and how long before its end it is
// replaced. It is made anew at each start and in memory.
const (
	busLeafLifetime = 90 * 24 * time.Hour
	busLeafRenewal  = 30 * 24 * time.Hour
)

// newBusLeaf makes the listener's certificate for names (DNS names and IP
// addresses).
func (k *keyset) newBusLeaf(names []string, now time.Time) (*tls.Certificate, error) {
	root, err := x509.ParseCertificate(k.BusCA)
	if err != nil {
		return nil, err
	}
	rootKey, err := x509.ParsePKCS8PrivateKey(k.BusCAKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Edgewright bus"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(busLeafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if name != "" {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, k.BusCA}, PrivateKey: key, Leaf: leaf}, nil
}

func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}
