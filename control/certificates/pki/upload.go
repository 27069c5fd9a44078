package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Bounds of an upload.
const (
	maxUploadBytes = 256 << 10
	maxChain       = 10
	minRSABits     = 2048
)

// Check checks a certificate and key for a domain and returns them as they
// are served: leaf first, each certificate followed by its issuer. warnings are
// what the user should know but may want. Errors: Invalid at /chain or /key.
func Check(domain, chainPEM, keyPEM string, now time.Time) (b Bundle, warnings []string, err error) {
	certs, err := ReadCertificates(chainPEM)
	if err != nil {
		return b, nil, err
	}
	key, err := readKey(keyPEM)
	if err != nil {
		return b, nil, err
	}
	if err := checkKeyStrength("/key", key.Public()); err != nil {
		return b, nil, err
	}
	leaf, rest, err := PickLeaf(certs, key)
	if err != nil {
		return b, nil, err
	}
	if err := checkLeaf(leaf, domain, now); err != nil {
		return b, nil, err
	}
	chain, warnings, err := orderChain(leaf, rest, now)
	if err != nil {
		return b, nil, err
	}
	if MustStaple(leaf) && len(leaf.OCSPServer) == 0 {
		warnings = append(warnings, "it must be stapled, but names no OCSP responder to ask: clients that heed that refuse it")
	}
	if left := leaf.NotAfter.Sub(now); left < 7*24*time.Hour {
		warnings = append(warnings, fmt.Sprintf("it expires in %d days", int(left.Hours()/24)))
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return b, nil, BadKey("the key cannot be stored: "+err.Error(), "use an RSA or ECDSA key")
	}
	return Bundle{ChainPEM: EncodeChain(chain), KeyDER: der}, warnings, nil
}

func badChain(detail, fix string) error { return fault.InvalidField("/chain", detail, fix) }
func BadKey(detail, fix string) error   { return fault.InvalidField("/key", detail, fix) }

// tidy takes away what editors and cat do to PEM that is whole otherwise: a byte
// order mark, and files put together without a line's end between them.
func tidy(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "----------BEGIN ", "-----\n-----BEGIN ")
}

const pasteChain = "paste the certificate and its intermediates in PEM, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"

func ReadCertificates(text string) ([]*x509.Certificate, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, badChain("the certificate is missing", pasteChain)
	case len(text) > maxUploadBytes:
		return nil, badChain(fmt.Sprintf("%d bytes are more than %d", len(text), maxUploadBytes), "send only this certificate and its intermediates")
	case strings.HasPrefix(text, "\x30\x82"):
		return nil, badChain("this is DER or PKCS #12, not PEM", "convert it: openssl x509 -inform der -in cert.der -out cert.pem, or openssl pkcs12 -in cert.p12 -nodes")
	}
	var certs []*x509.Certificate
	text = tidy(text)
	rest := []byte(text)
	blocks := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks++
		switch {
		case block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE" || block.Type == "X509 CERTIFICATE":
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			continue // a combined file; the key is taken from where it belongs
		case strings.Contains(block.Type, "CERTIFICATE REQUEST"):
			return nil, badChain("this is a certificate request (CSR)", "send what the CA made of it")
		case block.Type == "PKCS7" || block.Type == "CMS":
			return nil, badChain("this is PKCS #7", "convert it: openssl pkcs7 -print_certs -in chain.p7b")
		default:
			return nil, badChain(fmt.Sprintf("a block of type %q is not a certificate", block.Type), "remove it")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, badChain(fmt.Sprintf("certificate %d cannot be read: %v", len(certs)+1, err), "copy it again, without changes")
		}
		if !slices.ContainsFunc(certs, c.Equal) {
			certs = append(certs, c)
		}
		if len(certs) > maxChain {
			return nil, badChain(fmt.Sprintf("more than %d certificates", maxChain), "send only this certificate and its intermediates, not a bundle of roots")
		}
	}
	switch {
	case len(certs) > 0 && bytes.Contains(rest, []byte("-----BEGIN")):
		return nil, badChain(fmt.Sprintf("what follows certificate %d is damaged", len(certs)), "copy it again, to the last line")
	case len(certs) > 0 && blocks < strings.Count(text, "-----BEGIN "):
		return nil, badChain("a part of it is damaged", "copy it again, with all its lines and dashes")
	case len(certs) > 0:
		return certs, nil
	case blocks > 0:
		return nil, badChain("there is a key, but no certificate", pasteChain)
	case strings.Contains(text, "-----BEGIN"):
		return nil, badChain("the PEM is damaged", "copy it again, with all its lines and dashes")
	default:
		return nil, badChain("this is not PEM", pasteChain)
	}
}

func readKey(text string) (crypto.Signer, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, BadKey("the private key is missing", "paste it from -----BEGIN PRIVATE KEY----- on")
	case len(text) > maxUploadBytes:
		return nil, BadKey(fmt.Sprintf("%d bytes are more than %d", len(text), maxUploadBytes), "send only the key")
	}
	var keys []*pem.Block
	sawCertificate, sawPublic := false, false
	rest := []byte(tidy(text))
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, BadKey("the key is protected by a password", "decrypt it first: openssl pkey -in key.pem -out plain.pem")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			keys = append(keys, block)
		case strings.HasSuffix(block.Type, "PUBLIC KEY"):
			sawPublic = true
		case strings.HasSuffix(block.Type, "CERTIFICATE"):
			sawCertificate = true
		}
	}
	switch {
	case len(keys) > 1:
		return nil, BadKey("there are several private keys", "send the one of this certificate")
	case len(keys) == 1:
	case sawPublic:
		return nil, BadKey("this is a public key", "send the private one, which was made with the certificate request")
	case sawCertificate:
		return nil, BadKey("this is a certificate, not a key", "send the private key here")
	default:
		return nil, BadKey("no private key can be read from it", "paste it from -----BEGIN PRIVATE KEY----- on, with all its lines")
	}
	block := keys[0]
	if strings.Contains(block.Type, "OPENSSH") {
		return nil, BadKey("this is an SSH key", "send the key that the certificate was requested with")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, BadKey("the key cannot be read: "+err.Error(), "copy it again, or write it anew: openssl pkey -in key.pem -out plain.pem")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, BadKey("this kind of key cannot sign", "use an RSA or ECDSA key")
	}
	return signer, nil
}

func checkKeyStrength(pointer string, public crypto.PublicKey) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return fault.InvalidField(pointer, fmt.Sprintf("an RSA key of %d bits is too weak: browsers refuse it", bits), "have the certificate reissued with a key of 2048 bits, or ECDSA P-256")
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return fault.InvalidField(pointer, "browsers do not accept the curve P-224", "have the certificate reissued with P-256")
		}
	case ed25519.PublicKey:
		return fault.InvalidField(pointer, "browsers do not accept Ed25519 certificates", "have the certificate reissued with ECDSA P-256")
	default:
		return fault.InvalidField(pointer, "this kind of key is not used on the web", "use an RSA or ECDSA key")
	}
	return nil
}

// PickLeaf finds the certificate that the key belongs to.
func PickLeaf(certs []*x509.Certificate, key crypto.Signer) (leaf *x509.Certificate, rest []*x509.Certificate, err error) {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return nil, nil, BadKey("this kind of key is not used on the web", "use an RSA or ECDSA key")
	}
	for i, c := range certs {
		if public.Equal(c.PublicKey) && (leaf == nil || leaf.IsCA && !c.IsCA) {
			leaf, rest = c, slices.Concat(certs[:i:i], certs[i+1:])
		}
	}
	if leaf == nil {
		return nil, nil, BadKey("the key does not belong to the certificate", "send the key that was made with this certificate's request; compare them with openssl x509 -pubkey -noout and openssl pkey -pubout")
	}
	return leaf, rest, nil
}

func checkLeaf(leaf *x509.Certificate, domain string, now time.Time) error {
	switch {
	case leaf.IsCA && len(leaf.DNSNames) == 0:
		return badChain("the key belongs to a CA's certificate", "send the certificate of the domain and its key")
	case now.After(leaf.NotAfter):
		return badChain("it expired at "+leaf.NotAfter.UTC().Format(time.RFC3339), "send its successor")
	case now.Before(leaf.NotBefore):
		return badChain("it is valid only from "+leaf.NotBefore.UTC().Format(time.RFC3339)+" on", "wait until then, or have it reissued")
	case weakSignature(leaf.SignatureAlgorithm):
		return badChain(fmt.Sprintf("it is signed with %s, which browsers refuse", leaf.SignatureAlgorithm), "have it reissued with SHA-256")
	case len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny):
		return badChain("it is not meant for servers: its extended key usage lacks serverAuth", "send a TLS server certificate")
	case len(LeafNames(leaf)) == 0:
		return badChain("it names no host in its subject alternative names, which is where browsers look", "have it reissued with the domain as subject alternative name")
	case !Covers(LeafNames(leaf), domain):
		return badChain(fmt.Sprintf("it is for %s, not for %s", strings.Join(shown(LeafNames(leaf)), ", "), domain), "send the certificate of this domain")
	}
	return nil
}

func shown(names []string) []string {
	if len(names) > 5 {
		return append(slices.Clone(names[:5]), "others")
	}
	return names
}

func weakSignature(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.DSAWithSHA256:
		return true
	}
	return false
}

// Covers reports whether a certificate for names is valid for a host, or a
// wildcard: literally, or by a wildcard of its own (RFC 6125 section 6.4.3).
func Covers(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	for _, name := range names {
		name = strings.ToLower(name)
		if name == host || !strings.HasPrefix(host, "*.") && parent != "" && name == "*."+parent {
			return true
		}
	}
	return false
}

// SelfSigned reports that a certificate is signed with its own key.
func SelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// Anchored reports that a chain ends below a root that this machine trusts, or
// signs itself.
func Anchored(chain []*x509.Certificate, now time.Time) bool {
	return SelfSigned(chain[len(chain)-1]) || issuedByKnownRoot(chain, now)
}

func issuedByKnownRoot(chain []*x509.Certificate, now time.Time) bool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return false
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}
