package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

// certsActions are the commands of certificates beyond the daily ones.
type certsActions struct {
	Set     certsSet     `cmd:"" help:"Change a certificate's settings."`
	Check   certsCheck   `cmd:"" help:"Look whether a certificate could be issued, and order none."`
	Renew   certsRenew   `cmd:"" help:"Get a new certificate before the present one is due."`
	Revoke  certsRevoke  `cmd:"" help:"Have a certificate replaced, and then revoked by its CA."`
	CSR     certsCSR     `cmd:"" name:"csr" help:"Make a certificate request for a CA of your own."`
	Export  certsExport  `cmd:"" help:"Take out a certificate with its private key."`
	Import  certsImport  `cmd:"" help:"Take over the certificates of Caddy, certbot or acme.sh."`
	CA      casCommand   `cmd:"" name:"ca" help:"CAs that certificates are ordered from."`
	Replace replaceGroup `cmd:"" help:"Replace many certificates in a planned run."`
}

type certsSet struct {
	domainArg
	AutoRenew  *bool    `name:"auto-renew" negatable:"" help:"Renew it without being asked."`
	Takeover   *bool    `negatable:"" help:"Let an automatic certificate follow an uploaded one at its end."`
	PinKey     *bool    `name:"pin-key" negatable:"" help:"Keep the key across renewals."`
	MustStaple *bool    `name:"must-staple" negatable:"" help:"Ask for a certificate that clients take only with a fresh OCSP answer."`
	KeyType    *string  `name:"key-type" placeholder:"TYPE" help:"Key: p256, p384, rsa2048, rsa3072, rsa4096 or ed25519."`
	Challenge  *string  `placeholder:"CHALLENGE" help:"http-01, tls-alpn-01, dns-01, or an empty word for what works."`
	Profile    *string  `placeholder:"NAME" help:"Profile of the CA's, or an empty word for its setting."`
	CA         *string  `name:"ca" placeholder:"NAME" help:"Which CA, or an empty word for those of the platform."`
	Name       []string `placeholder:"NAME" help:"All further names, in place of those there are."`
}

func (certsSet) Help() string {
	return examples("edgewright certs set shop.example.com --no-auto-renew", "edgewright certs set shop.example.com --takeover",
		"edgewright certs set shop.example.com --key-type rsa2048")
}

func (c *certsSet) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	cert, err := cl.UpdateCertificate(a.ctx, c.Domain, client.CertificatePatch{
		AutoRenew: c.AutoRenew, Takeover: c.Takeover, PinKey: c.PinKey, MustStaple: c.MustStaple, KeyType: c.KeyType, Challenge: c.Challenge,
		Profile: c.Profile, Authority: c.CA, Domains: further(c.Domain, c.Name),
	}, 0)
	if err != nil {
		return err
	}
	return a.show(cert, func() { a.printCertificate(cert) })
}

type certsCheck struct {
	domainArg
	Name      []string `placeholder:"NAME" help:"Further names, as for the certificate."`
	Challenge string   `enum:",http-01,tls-alpn-01,dns-01" default:"" placeholder:"CHALLENGE" help:"http-01, tls-alpn-01 or dns-01. Default: what works."`
}

func (certsCheck) Help() string {
	return "Exits with 1 when no CA could issue now.\n\n" +
		examples("edgewright certs check shop.example.com", "edgewright certs check example.com --name '*.example.com'")
}

func (c *certsCheck) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	found, err := cl.Preflight(a.ctx, c.Domain, c.Name, c.Challenge)
	if err != nil {
		return err
	}
	if err := a.show(found, func() {
		t := a.table("CHECK", "STATE", "OF", "")
		for _, k := range found.Checks {
			text := k.Detail
			if k.Fix != "" && k.State != "passed" {
				text += "; " + k.Fix
			}
			t.row(k.Check, t.state(k.State), strings.TrimSpace(k.Subject+" "+k.Authority), text)
		}
		t.print(a.out)
	}); err != nil {
		return err
	}
	if !found.Ready {
		a.hint("%s cannot be issued now.", clean(c.Domain))
		return status(1)
	}
	a.hint("A certificate for %s can be issued.", clean(c.Domain))
	return nil
}

type certsRenew struct {
	domainArg
	Timeout time.Duration `default:"5m" placeholder:"TIME" help:"How long to wait at most. Default ${default}."`
}

func (certsRenew) Help() string { return examples("edgewright certs renew shop.example.com") }

func (c *certsRenew) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	done, err := cl.RenewCertificate(a.ctx, c.Domain)
	return a.showProvisioned(cl, c.Domain, done, err, c.Timeout)
}

type certsRevoke struct {
	domainArg
	Reason  string        `enum:"unspecified,key_compromise,affiliation_changed,superseded,cessation_of_operation" default:"unspecified" placeholder:"REASON" help:"${enum}. Default ${default}."`
	Timeout time.Duration `default:"5m" placeholder:"TIME" help:"How long to wait at most. Default ${default}."`
	yesFlag
}

func (certsRevoke) Help() string {
	return "Another certificate with another key is issued first, so that the site stays up.\n\n" +
		examples("edgewright certs revoke shop.example.com --reason key_compromise")
}

func (c *certsRevoke) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Have the certificate of %s replaced and revoked?", c.Domain); err != nil {
		return err
	}
	done, err := cl.RevokeCertificate(a.ctx, c.Domain, c.Reason)
	return a.showProvisioned(cl, c.Domain, done, err, c.Timeout)
}

type certsCSR struct {
	domainArg
	Name         []string `placeholder:"NAME" help:"Further names."`
	KeyType      string   `name:"key-type" enum:"p256,p384,rsa2048,rsa3072,rsa4096" default:"p256" placeholder:"TYPE" help:"${enum}. Default ${default}."`
	Organization string   `placeholder:"NAME" help:"Who asks, for certificates that name the holder."`
	Unit         string   `placeholder:"NAME" help:"Their department."`
	Country      string   `placeholder:"CC" help:"Their country, in two letters."`
	State        string   `placeholder:"NAME" help:"Their state or province."`
	Locality     string   `placeholder:"NAME" help:"Their town."`
	Out          string   `placeholder:"FILE" help:"Write the request there. Default: the terminal."`
}

func (certsCSR) Help() string {
	return "The private key is made on the control plane and stays there. Give the request to your CA, and bring back what it makes of it with \"edgewright certs upload DOMAIN --chain FILE\".\n\n" +
		examples("edgewright certs csr shop.example.com --organization 'Example Ltd' --country GB > shop.csr")
}

func (c *certsCSR) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	r, err := cl.NewCSR(a.ctx, c.Domain, client.NewCSR{Domains: c.Name, KeyType: c.KeyType, Subject: client.CSRSubject{
		Organization: c.Organization, Unit: c.Unit, Country: c.Country, State: c.State, Locality: c.Locality,
	}})
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := os.WriteFile(c.Out, []byte(r.PEM), 0o644); err != nil {
			return fault.New(fault.Invalid, "--out: %w", err)
		}
		a.hint("Wrote %s. Bring the certificate back with: edgewright certs upload %s --chain FILE", c.Out, clean(c.Domain))
		return nil
	}
	return a.show(r, func() { fmt.Fprint(a.out, r.PEM) })
}

type certsExport struct {
	domainArg
	Out          string `required:"" placeholder:"FILE" help:"Where the private key is written, readable by you only; the chain goes beside it with .chain.pem."`
	PasswordFile string `name:"password-file" placeholder:"FILE" help:"Write one PKCS #12 file protected by the password in this file, of at least 12 characters, in place of PEM."`
	yesFlag
}

func (certsExport) Help() string {
	return "Only owners may, and every export is in the audit log.\n\n" +
		examples("edgewright certs export shop.example.com --out shop.key", "edgewright certs export shop.example.com --out shop.p12 --password-file password.txt")
}

func (c *certsExport) Run(a *app) error {
	password := ""
	if c.PasswordFile != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return fault.New(fault.Invalid, "--password-file: %w", err)
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return fault.New(fault.Invalid, "--password-file: %s is empty", c.PasswordFile)
		}
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Take the private key of %s out of the control plane?", c.Domain); err != nil {
		return err
	}
	out, err := cl.ExportCertificate(a.ctx, c.Domain, password)
	if err != nil {
		return err
	}
	if password != "" {
		return a.wrote(c.Out, out.PKCS12, 0o600)
	}
	if err := a.wrote(c.Out, []byte(out.KeyPEM), 0o600); err != nil {
		return err
	}
	return a.wrote(strings.TrimSuffix(c.Out, filepath.Ext(c.Out))+".chain.pem", []byte(out.ChainPEM), 0o644)
}

// wrote writes a new file; one that is there is not overwritten.
func (a *app) wrote(name string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fault.New(fault.Invalid, "--out: %w", err)
	}
	if _, err := f.Write(content); err != nil {
		f.Close()
		return fault.New(fault.Unavailable, "%s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fault.New(fault.Unavailable, "%s: %w", name, err)
	}
	a.hint("Wrote %s.", name)
	return nil
}
