package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/edgewright/edgewright/fault"
)

func BadPKCS12(detail, fix string) error { return fault.InvalidField("/pkcs12", detail, fix) }

// ReadPKCS12 turns a PKCS #12 file into chain and key in PEM. Errors: Invalid at
// /pkcs12 or /password.
func ReadPKCS12(data []byte, password string) (chainPEM, keyPEM string, err error) {
	switch {
	case len(data) > maxUploadBytes:
		return "", "", BadPKCS12("the file is too large for one certificate", "export only this certificate and its chain")
	case strings.HasPrefix(string(data), "-----BEGIN"):
		return "", "", BadPKCS12("this is PEM, not PKCS #12", "send it as chain_pem and key_pem")
	}
	if costly(data) {
		return "", "", BadPKCS12("opening the file would take too much work", "export it again with the usual settings of your program")
	}
	key, leaf, rest, err := decodePKCS12(data, password)
	switch {
	case errors.Is(err, errTooSlow):
		return "", "", BadPKCS12("opening the file takes too long", "export it again with the usual settings of your program")
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return "", "", fault.InvalidField("/password", "the file is protected by a password", "send the password that it was exported with")
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return "", "", fault.InvalidField("/password", "the password does not open the file", "send the one that it was exported with")
	case strings.ContainsFunc(password, func(r rune) bool { return r > 0xffff }) && err != nil:
		return "", "", fault.InvalidField("/password", "PKCS #12 takes no password with such characters", "export it again, with a password of usual letters")
	case err != nil && strings.Contains(err.Error(), "certificate missing"):
		return "", "", BadPKCS12("there is no certificate in it", "export the certificate together with its key")
	case err != nil && strings.Contains(err.Error(), "private key missing"):
		return "", "", BadPKCS12("there is no private key in it", "export the certificate together with its key")
	case err != nil && strings.Contains(err.Error(), "expected exactly"):
		return "", "", BadPKCS12("there are several keys in it", "export only the one of this certificate")
	case err != nil:
		return "", "", BadPKCS12("this cannot be read as PKCS #12", "export it again, as .p12 or .pfx, with the key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", BadPKCS12("the key in it is of no kind that is used on the web", "have the certificate reissued with ECDSA P-256")
	}
	chainPEM = EncodeChain(append([]*x509.Certificate{leaf}, rest...))
	return chainPEM, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// maxIterations bounds the work of a password. Programs use thousands.
const maxIterations = 1_000_000

// costly reports that a file asks for more iterations than any program writes.
// It sees what is not encrypted, which is where programs put it.
func costly(der []byte) bool {
	for rest := der; len(rest) > 0; {
		var v asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &v); err != nil {
			return false // not DER: no more of it is read
		}
		switch {
		case v.Class == asn1.ClassUniversal && v.Tag == asn1.TagInteger:
			var n int64
			if _, err := asn1.Unmarshal(v.FullBytes, &n); err == nil && n > maxIterations {
				return true
			}
		case v.IsCompound, v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString:
			if costly(v.Bytes) {
				return true
			}
		}
	}
	return false
}

var errTooSlow = errors.New("it takes too long")

// slots bounds how many files are opened at once, so that those that hide their
// cost take a bounded part of the machine.
var slots = make(chan struct{}, 2)

const decodeTimeout = 10 * time.Second

// decodePKCS12 gives up on a file that takes too long. Its slot is free when it is
// done.
func decodePKCS12(data []byte, password string) (key any, leaf *x509.Certificate, rest []*x509.Certificate, err error) {
	timeout := time.NewTimer(decodeTimeout)
	defer timeout.Stop()
	select {
	case slots <- struct{}{}:
	case <-timeout.C:
		return nil, nil, nil, errTooSlow
	}
	type decoded struct {
		key  any
		leaf *x509.Certificate
		rest []*x509.Certificate
		err  error
	}
	done := make(chan decoded, 1)
	go func() {
		defer func() {
			<-slots
			if p := recover(); p != nil {
				done <- decoded{err: fmt.Errorf("it breaks the reader: %v", p)}
			}
		}()
		var d decoded
		d.key, d.leaf, d.rest, d.err = pkcs12.DecodeChain(data, password)
		done <- d
	}()
	select {
	case d := <-done:
		return d.key, d.leaf, d.rest, d.err
	case <-timeout.C:
		return nil, nil, nil, errTooSlow
	}
}
