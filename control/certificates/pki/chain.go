package pki

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// orderChain puts each certificate's issuer after it. A root at the end is left
// out: who trusts it has it. Of several certificates of one issuer, such as a
// renewed or a cross-signed one, the best is taken and the others are left out.
func orderChain(leaf *x509.Certificate, rest []*x509.Certificate, now time.Time) (chain []*x509.Certificate, warnings []string, err error) {
	all := append([]*x509.Certificate{leaf}, rest...)
	chain = []*x509.Certificate{leaf}
	for last := leaf; !SelfSigned(last); {
		var issuers []*x509.Certificate
		rest = slices.DeleteFunc(slices.Clone(rest), func(c *x509.Certificate) bool {
			signed := last.CheckSignatureFrom(c) == nil
			if signed {
				issuers = append(issuers, c)
			}
			return signed
		})
		if len(issuers) == 0 {
			break
		}
		last = best(issuers, now)
		if SelfSigned(last) {
			break
		}
		if err := checkIntermediate(last, now); err != nil {
			return nil, nil, err
		}
		chain = append(chain, last)
	}
	if err := checkLeftOver(rest, all, chain[len(chain)-1]); err != nil {
		return nil, nil, err
	}
	if err := checkPath(chain, now); err != nil {
		return nil, nil, err
	}
	if last := chain[len(chain)-1]; SelfSigned(leaf) {
		warnings = append(warnings, "it signs itself, so browsers will warn everybody")
	} else if !issuedByKnownRoot(chain, now) {
		warnings = append(warnings, fmt.Sprintf("its chain ends at %q, signed by %q, which is no root that this machine trusts: if that is an intermediate, add its certificate", last.Subject.CommonName, last.Issuer.CommonName))
	}
	return chain, warnings, nil
}

// best is the first issuer that is good, a root only when there is no other: who
// sends a cross-signed one beside it has clients that need that.
func best(issuers []*x509.Certificate, now time.Time) *x509.Certificate {
	for _, wanted := range []func(*x509.Certificate) bool{
		func(c *x509.Certificate) bool { return !SelfSigned(c) && checkIntermediate(c, now) == nil },
		SelfSigned,
	} {
		if i := slices.IndexFunc(issuers, wanted); i >= 0 {
			return issuers[i]
		}
	}
	return issuers[0]
}

func checkIntermediate(c *x509.Certificate, now time.Time) error {
	key, isRSA := c.PublicKey.(*rsa.PublicKey)
	switch {
	case now.After(c.NotAfter):
		return badChain(fmt.Sprintf("the intermediate %q expired at %s", c.Subject.CommonName, c.NotAfter.UTC().Format(time.RFC3339)), "get the present one from your CA")
	case now.Before(c.NotBefore):
		return badChain(fmt.Sprintf("the intermediate %q is valid only from %s on", c.Subject.CommonName, c.NotBefore.UTC().Format(time.RFC3339)), "get the present one from your CA")
	case weakSignature(c.SignatureAlgorithm):
		return badChain(fmt.Sprintf("the intermediate %q is signed with %s, which browsers refuse", c.Subject.CommonName, c.SignatureAlgorithm), "get a newer one from your CA")
	case isRSA && key.N.BitLen() < minRSABits:
		return badChain(fmt.Sprintf("the intermediate %q has an RSA key of %d bits, which is too weak: browsers refuse it", c.Subject.CommonName, key.N.BitLen()), "have the certificate reissued below a newer one")
	}
	return nil
}

// checkLeftOver checks that what is not in the chain has to do with it: roots, and
// what signed another of those that were sent.
func checkLeftOver(rest, all []*x509.Certificate, last *x509.Certificate) error {
	for _, c := range rest {
		if SelfSigned(c) || slices.ContainsFunc(all, func(other *x509.Certificate) bool { return other != c && other.CheckSignatureFrom(c) == nil }) {
			continue
		}
		if bytes.Equal(c.RawSubject, last.RawIssuer) {
			if c.CheckSignature(last.SignatureAlgorithm, last.RawTBSCertificate, last.Signature) == nil {
				return badChain(fmt.Sprintf("%q signed %q, but is no CA: browsers refuse that", c.Subject.CommonName, last.Subject.CommonName), "have the certificate issued by a CA")
			}
			return badChain(fmt.Sprintf("%q has the name of who signed %q, but another key", c.Subject.CommonName, last.Subject.CommonName), "get the intermediate that belongs to the certificate from your CA")
		}
		return badChain(fmt.Sprintf("%q is not part of the chain: it signed none of the other certificates", c.Subject.CommonName), fmt.Sprintf("remove it, or add what is missing; %q is signed by %q", last.Subject.CommonName, last.Issuer.CommonName))
	}
	return nil
}

// checkPath checks the chain as browsers do, taking its end for trusted: lengths
// of paths, constraints of names and uses, extensions that nobody knows.
func checkPath(chain []*x509.Certificate, now time.Time) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(chain[len(chain)-1])
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return badChain(fmt.Sprintf("browsers refuse the chain: %v", err), "have the certificate reissued, and send it with the intermediates that come with it")
	}
	return nil
}
