// Package custom reads what users bring of their own: certificates with their
// keys, and makes the requests for CAs that they go to.
//
// Types: UploadRequest (what was sent), Request (a CSR whose key stays here), Desk.
// Phases of Read: PKCS #12 or PEM? -> key, else that of a request made here ->
// pki.Check (does it all fit?) -> intermediates that are missing are fetched.
// Nothing is kept of an upload; provision does that.
package custom

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
)

// Names knows whether a project may have a certificate for a name;
// readiness.Judge does.
type Names interface {
	CheckOwned(ctx context.Context, project, environment, name string) error
}

// Desk reads uploads and makes requests. Its methods may be called from any
// goroutine.
type Desk struct {
	room  certificates.Room
	names Names
}

// New returns the desk.
func New(room certificates.Room, names Names) *Desk { return &Desk{room, names} }

// UploadRequest brings a certificate of the user's own.
type UploadRequest struct {
	Project     string
	Environment string
	Domain      string
	ChainPEM    string // leaf and intermediates, in any order
	// KeyPEM is PKCS #8, PKCS #1 or SEC 1, not encrypted; "": the key of a request
	// that was made here.
	KeyPEM   string
	PKCS12   []byte // in place of both
	Password string // of PKCS12
	// Takeover lets an automatic certificate follow at its end; nil: as before.
	Takeover *bool
}

// Read checks what was sent, in whichever form.
func (d *Desk) Read(ctx context.Context, name string, r UploadRequest) (pki.Bundle, []string, error) {
	chainPEM, keyPEM := r.ChainPEM, r.KeyPEM
	if len(r.PKCS12) > 0 {
		if chainPEM+keyPEM != "" {
			return pki.Bundle{}, nil, pki.BadPKCS12("there is PEM beside it", "send either the one or the other")
		}
		var err error
		if chainPEM, keyPEM, err = pki.ReadPKCS12(r.PKCS12, r.Password); err != nil {
			return pki.Bundle{}, nil, err
		}
	}
	if keyPEM == "" && chainPEM != "" {
		certs, err := pki.ReadCertificates(chainPEM)
		if err != nil {
			return pki.Bundle{}, nil, err
		}
		if strings.Contains(chainPEM, "PRIVATE KEY-----") {
			keyPEM = chainPEM // one file with both
		} else {
			der, err := d.requestKey(ctx, r.Project, r.Environment, name, certs)
			if err != nil {
				return pki.Bundle{}, nil, err
			}
			keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		}
	}
	return d.check(ctx, name, chainPEM, keyPEM)
}

const (
	maxFetched   = 3 // intermediates that a chain may lack
	fetchTimeout = 10 * time.Second
)

// check checks what was uploaded, and completes a chain that lacks intermediates:
// browsers that have not seen them elsewhere would refuse it.
func (d *Desk) check(ctx context.Context, name, chainPEM, keyPEM string) (pki.Bundle, []string, error) {
	b, warnings, err := pki.Check(name, chainPEM, keyPEM, d.room.Now())
	if err != nil || d.room.Issuers == nil {
		return b, warnings, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var told []string
	for range maxFetched {
		chain, err := pki.ParseChain(b.ChainPEM)
		if err != nil {
			return b, nil, err
		}
		last := chain[len(chain)-1]
		if pki.Anchored(chain, d.room.Now()) || len(last.IssuingCertificateURL) == 0 {
			break
		}
		issuer, err := d.room.Issuers.Issuer(ctx, last)
		if err != nil {
			told = append(told, fmt.Sprintf("the certificate that signed %q could not be fetched from where it should be: %v", last.Subject.CommonName, err))
			break
		}
		if pki.SelfSigned(issuer) {
			break // a root: who trusts it has it
		}
		fuller, more, err := pki.Check(name, b.ChainPEM+pki.EncodeChain([]*x509.Certificate{issuer}), keyPEM, d.room.Now())
		if err != nil {
			told = append(told, fmt.Sprintf("the chain could not be completed by %q: %v", issuer.Subject.CommonName, err))
			break
		}
		b, warnings = fuller, more
		told = append(told, fmt.Sprintf("the intermediate %q was missing and was fetched from its CA", issuer.Subject.CommonName))
	}
	return b, append(warnings, told...), nil
}
