package custom

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// Request is a certificate request whose key was made here and stays here, for a
// CA that the user goes to.
type Request struct {
	ID        string      `json:"id"`
	CreatedAt time.Time   `json:"created_at"`
	Names     []string    `json:"names"`
	KeyType   pki.KeyType `json:"key_type"`
	CSR       []byte      `json:"csr"` // DER
	Key       []byte      `json:"key"` // PKCS #8
}

// PEM is the request as CAs take it.
func (r Request) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.CSR}))
}

var twoLetters = regexp.MustCompile(`^[A-Z]{2}$`)

// maxRequests is how many are kept for a domain; the oldest goes.
const maxRequests = 5

func requestsName(project, environment, domain string) string {
	return "csr/" + project + "/" + environment + "/" + domain
}

// Requests returns the open requests of a domain, newest first.
func (d *Desk) Requests(ctx context.Context, project, environment, domain string) ([]Request, error) {
	name, err := certificates.CanonicalName(domain)
	if err != nil {
		return nil, err
	}
	secret, err := d.room.Vault.Secret(ctx, requestsName(project, environment, name))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Request
	if err := json.Unmarshal(secret, &list); err != nil {
		return nil, fault.New(fault.Internal, "stored certificate requests cannot be read: %w", err).About("domain " + name)
	}
	return list, nil
}

// NewRequest makes a key and a request for a domain and further names. The
// certificate made of it is uploaded without a key. Errors: Invalid; Conflict
// when a name is not verified here.
func (d *Desk) NewRequest(ctx context.Context, project, environment, domain string, extra []string, keyType pki.KeyType, subject pki.Subject) (Request, error) {
	name, err := certificates.CanonicalName(domain)
	if err != nil {
		return Request{}, err
	}
	spec := certificates.Spec{Domains: append([]string{name}, extra...), KeyType: keyType}
	if err := spec.Normalize(name, d.room.Mode); err != nil {
		return Request{}, err
	}
	if spec.KeyType == pki.KeyEd25519 {
		return Request{}, fault.InvalidField("/key_type", "CAs that people buy from do not take Ed25519", `use "p256" or "rsa2048"`)
	}
	if subject.CommonName != "" && !slices.ContainsFunc(spec.Domains, func(n string) bool { return strings.EqualFold(n, subject.CommonName) }) {
		return Request{}, fault.InvalidField("/subject/common_name", fmt.Sprintf("%q is none of the names of the request, which CAs refuse", subject.CommonName), "leave it out, or take one of domains")
	}
	subject.Country = strings.ToUpper(subject.Country)
	if subject.Country != "" && !twoLetters.MatchString(subject.Country) {
		return Request{}, fault.InvalidField("/subject/country", fmt.Sprintf("%q is not a country code", subject.Country), "write two letters, such as DE")
	}
	for _, own := range spec.Domains {
		if err := d.names.CheckOwned(ctx, project, environment, own); err != nil {
			return Request{}, err
		}
	}
	if subject.CommonName == "" && len(name) <= 64 {
		subject.CommonName = name
	}
	key, err := pki.NewKey(spec.KeyType)
	if err != nil {
		return Request{}, err
	}
	r := Request{ID: resource.NewID("csr"), CreatedAt: d.room.Now().UTC().Truncate(time.Second), Names: spec.Domains, KeyType: spec.KeyType}
	if r.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return Request{}, err
	}
	if r.CSR, err = pki.NewCSR(spec.Domains, key, subject, false); err != nil {
		return Request{}, err
	}
	list, err := d.Requests(ctx, project, environment, name)
	if err != nil {
		return Request{}, err
	}
	list = append([]Request{r}, list...)
	secret, err := json.Marshal(list[:min(len(list), maxRequests)])
	if err != nil {
		return Request{}, err
	}
	return r, d.room.Vault.PutSecret(ctx, requestsName(project, environment, name), secret)
}

// requestKey finds the key of the open request that one of some certificates was
// made of.
func (d *Desk) requestKey(ctx context.Context, project, environment, name string, certs []*x509.Certificate) ([]byte, error) {
	list, err := d.Requests(ctx, project, environment, name)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		key, err := x509.ParsePKCS8PrivateKey(r.Key)
		if err != nil {
			continue
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			continue
		}
		if _, _, err := pki.PickLeaf(certs, signer); err == nil {
			return r.Key, nil
		}
	}
	if len(list) == 0 {
		return nil, pki.BadKey("the private key is missing, and no request for this domain was made here", "send the key with the certificate")
	}
	return nil, pki.BadKey("the private key is missing, and the certificate was made of none of the requests that were made here", "send the key that its request was made with")
}
