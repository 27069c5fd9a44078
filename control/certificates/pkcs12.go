package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/edgewright/edgewright/fault"
)

func badPKCS12(detail, fix string) error { return fault.InvalidField("/pkcs12", detail, fix) }

// readPKCS12 turns a PKCS #12 file into chain and key in PEM. Errors: Invalid at
// /pkcs12 or /password.
func readPKCS12(data []byte, password string) (chainPEM, keyPEM string, err error) {
	switch {
	case len(data) > maxUploadBytes:
		return "", "", badPKCS12("the file is too large for one certificate", "export only this certificate and its chain")
	case strings.HasPrefix(string(data), "-----BEGIN"):
		return "", "", badPKCS12("this is PEM, not PKCS #12", "send it as chain_pem and key_pem")
	}
	key, leaf, rest, err := pkcs12.DecodeChain(data, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return "", "", fault.InvalidField("/password", "the file is protected by a password", "send the password that it was exported with")
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return "", "", fault.InvalidField("/password", "the password does not open the file", "send the one that it was exported with")
	case err != nil && strings.Contains(err.Error(), "certificate missing"):
		return "", "", badPKCS12("there is no certificate in it", "export the certificate together with its key")
	case err != nil && strings.Contains(err.Error(), "private key missing"):
		return "", "", badPKCS12("there is no private key in it", "export the certificate together with its key")
	case err != nil && strings.Contains(err.Error(), "expected exactly"):
		return "", "", badPKCS12("there are several keys in it", "export only the one of this certificate")
	case err != nil:
		return "", "", badPKCS12("this cannot be read as PKCS #12", "export it again, as .p12 or .pfx, with the key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", badPKCS12("the key in it is of no kind that is used on the web", "have the certificate reissued with ECDSA P-256")
	}
	chainPEM = encodeChain(append([]*x509.Certificate{leaf}, rest...))
	return chainPEM, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
