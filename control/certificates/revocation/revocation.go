// Package revocation asks CAs whether certificates are still good: by OCSP (RFC
// 6960) where a certificate names a responder, else by the list that it names
// (RFC 5280 section 5). It also fetches the issuers that uploaded chains lack.
//
// Types: Checker, a certificates.Revocation and certificates.IssuerFetcher. Interface needed: an HTTP client,
// which has to refuse addresses that users' certificates must not lead to.
//
// What is not signed by the certificate's issuer, or is old, counts as no answer:
// a certificate is revoked only by its CA's word.
package revocation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

const (
	maxOCSP    = 64 << 10
	maxCRL     = 16 << 20
	maxURLs    = 3 // of one certificate
	maxLists   = 256
	unsaidLife = 12 * time.Hour // of an answer that does not say how long it holds
	skew       = 5 * time.Minute
)

// Checker is a certificates.Revocation. Its methods may be called from any
// goroutine.
type Checker struct {
	http *http.Client
	now  func() time.Time

	mu    sync.Mutex
	lists map[string]*list // by URL and issuer
}

// list is one CRL: the serials it names.
type list struct {
	revoked map[string]certificates.Revoked
	next    time.Time
	used    time.Time
}

// New returns a checker. now may be nil.
func New(client *http.Client, now func() time.Time) *Checker {
	if now == nil {
		now = time.Now
	}
	return &Checker{http: client, now: now, lists: map[string]*list{}}
}

// Standing implements certificates.Revocation.
func (c *Checker) Standing(ctx context.Context, leaf, issuer *x509.Certificate) (certificates.Standing, error) {
	err := fault.New(fault.NotFound, "it names neither a responder nor a list")
	var last error = err
	for _, url := range webOnly(leaf.OCSPServer) {
		standing, err := c.ask(ctx, url, leaf, issuer)
		if err == nil {
			return standing, nil
		}
		last = err
	}
	for _, url := range webOnly(leaf.CRLDistributionPoints) {
		standing, err := c.read(ctx, url, leaf, issuer)
		if err == nil {
			return standing, nil
		}
		last = err
	}
	if fault.Is(last, fault.NotFound) {
		return certificates.Standing{}, nil // nothing to ask
	}
	return certificates.Standing{}, last
}

func webOnly(urls []string) []string {
	urls = slices.DeleteFunc(slices.Clone(urls), func(u string) bool { return !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") })
	return urls[:min(len(urls), maxURLs)]
}

// ask asks a responder. The answer is the staple, when it says good.
func (c *Checker) ask(ctx context.Context, url string, leaf, issuer *x509.Certificate) (certificates.Standing, error) {
	query, err := ocsp.CreateRequest(leaf, issuer, nil) // SHA-1 names the issuer: responders know nothing else (RFC 5019)
	if err != nil {
		return certificates.Standing{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
	if err != nil {
		return certificates.Standing{}, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	request.Header.Set("Accept", "application/ocsp-response")
	der, err := c.fetch(request, maxOCSP)
	if err != nil {
		return certificates.Standing{}, err
	}
	return c.judge(der, leaf, issuer)
}

// judge checks an OCSP answer.
func (c *Checker) judge(der []byte, leaf, issuer *x509.Certificate) (certificates.Standing, error) {
	// It also checks that the issuer, or whom it has delegated, has signed.
	answer, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return certificates.Standing{}, fault.New(fault.Unavailable, "the OCSP answer is not valid: %w", err)
	}
	now := c.now()
	next := answer.NextUpdate
	if next.IsZero() {
		next = answer.ThisUpdate.Add(unsaidLife)
	}
	if answer.ThisUpdate.After(now.Add(skew)) || !next.After(now) {
		return certificates.Standing{}, fault.New(fault.Unavailable, "the OCSP answer is for %s to %s", answer.ThisUpdate.Format(time.RFC3339), next.Format(time.RFC3339))
	}
	switch answer.Status {
	case ocsp.Good:
		half := answer.ThisUpdate.Add(next.Sub(answer.ThisUpdate) / 2).UTC()
		if !half.After(now) {
			half = now.Add(next.Sub(now) / 2).UTC()
		}
		return certificates.Standing{AskAt: half, Staple: &certificates.Staple{DER: der, NextUpdate: next.UTC(), RefreshAt: half}}, nil
	case ocsp.Revoked:
		return certificates.Standing{Revoked: &certificates.Revoked{At: answer.RevokedAt.UTC(), Reason: reason(answer.RevocationReason), Source: "ocsp"}}, nil
	}
	return certificates.Standing{}, fault.New(fault.Unavailable, "the responder does not know the certificate")
}

// read looks into a list, which is fetched once for all certificates that name
// it.
func (c *Checker) read(ctx context.Context, url string, leaf, issuer *x509.Certificate) (certificates.Standing, error) {
	now := c.now()
	sum := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	key := url + "\n" + string(sum[:])
	c.mu.Lock()
	l := c.lists[key]
	c.mu.Unlock()
	if l == nil || !l.next.After(now) {
		var err error
		if l, err = c.download(ctx, url, issuer, now); err != nil {
			return certificates.Standing{}, err
		}
	}
	c.mu.Lock()
	l.used = now
	c.lists[key] = l
	c.tidy()
	c.mu.Unlock()
	standing := certificates.Standing{AskAt: l.next}
	if r, ok := l.revoked[leaf.SerialNumber.String()]; ok {
		standing.Revoked = &r
	}
	return standing, nil
}

// tidy drops the list that was not used for longest when there are many.
func (c *Checker) tidy() {
	if len(c.lists) <= maxLists {
		return
	}
	oldest := ""
	for key, l := range c.lists {
		if oldest == "" || l.used.Before(c.lists[oldest].used) {
			oldest = key
		}
	}
	delete(c.lists, oldest)
}

func (c *Checker) download(ctx context.Context, url string, issuer *x509.Certificate, now time.Time) (*list, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	der, err := c.fetch(request, maxCRL)
	if err != nil {
		return nil, err
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the list of revoked certificates cannot be read: %w", err)
	}
	if err := crl.CheckSignatureFrom(issuer); err != nil {
		return nil, fault.New(fault.Unavailable, "the list of revoked certificates is not signed by the certificate's issuer: %w", err)
	}
	if !crl.NextUpdate.IsZero() && !crl.NextUpdate.After(now) {
		return nil, fault.New(fault.Unavailable, "the list of revoked certificates is of %s", crl.ThisUpdate.Format(time.RFC3339))
	}
	// CAs write lists more often than they let them run out.
	l := &list{revoked: make(map[string]certificates.Revoked, len(crl.RevokedCertificateEntries)), next: now.Add(unsaidLife)}
	for _, e := range crl.RevokedCertificateEntries {
		l.revoked[e.SerialNumber.String()] = certificates.Revoked{At: e.RevocationTime.UTC(), Reason: reason(e.ReasonCode), Source: "crl"}
	}
	return l, nil
}

func (c *Checker) fetch(request *http.Request, most int64) ([]byte, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%s cannot be reached: %w", request.URL.Host, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "%s answers %s", request.URL.Host, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%s broke off: %w", request.URL.Host, err)
	}
	if int64(len(body)) > most {
		return nil, fault.New(fault.TooLarge, "%s sends more than %d bytes", request.URL.Host, most)
	}
	return body, nil
}

// reason words a code of RFC 5280 section 5.3.1.
func reason(code int) string {
	for word, c := range certificates.RevocationReasons {
		if c == code {
			return word
		}
	}
	return fmt.Sprintf("reason %d", code)
}
