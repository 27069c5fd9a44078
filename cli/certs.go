package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type certsCommand struct {
	List   certsList   `cmd:"" help:"List certificates." aliases:"ls"`
	Show   certsShow   `cmd:"" help:"Show all about a domain's certificate."`
	Issue  certsIssue  `cmd:"" help:"Get a certificate for a domain, or a new one."`
	Upload certsUpload `cmd:"" help:"Use a certificate of your own."`
	Score  certsScore  `cmd:"" help:"Grade how a certificate is served, with what to do about each deduction."`
	Remove certsRemove `cmd:"" name:"rm" help:"Remove a domain's certificate."`
	certsActions
}

func (certsCommand) Help() string {
	return "Certificates are issued and renewed without being asked. To make this machine trust the local CA, see \"edgewright trust\".\n\n" +
		examples("edgewright certs list", "edgewright certs show shop.example.com")
}

type certificateList struct {
	Certificates []client.Certificate `json:"certificates"`
}

type certsList struct {
	Within days `placeholder:"TIME" help:"Only those that expire within this time, like 30d."`
}

func (certsList) Help() string {
	return examples("edgewright certs list", "edgewright certs list --within 14d -o json")
}

func (c *certsList) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	list := []client.Certificate{}
	for cert, err := range cl.Certificates(a.ctx) {
		if err != nil {
			return err
		}
		if c.Within > 0 && (cert.NotAfter == nil || cert.NotAfter.Sub(a.now()) > time.Duration(c.Within)) {
			continue
		}
		list = append(list, cert)
	}
	return a.show(certificateList{list}, func() {
		if len(list) == 0 {
			a.hint("No certificates.")
			return
		}
		a.printCertificates(list)
	})
}

func (a *app) printCertificates(list []client.Certificate) {
	t := a.table("CERTIFICATE", "STATE", "TYPE", "ISSUER", "EXPIRES", "RENEWS", "")
	for _, c := range list {
		note := certTrouble(c)
		if note == "" {
			note = c.Step
		}
		last := cell{text: note, paint: a.ink.dim}
		if note == "" {
			last = cell{text: " "}
		}
		t.row(strings.Join(c.Domains, ", "), t.state(c.State), c.Type, c.Issuer, a.ago(c.NotAfter), a.ago(c.RenewAt), last)
	}
	t.print(a.out)
}

// certTrouble is why a certificate is not there, and what to do.
func certTrouble(c client.Certificate) string {
	return strings.TrimSpace(c.Reason + " " + c.Fix)
}

type certsShow struct{ domainArg }

func (certsShow) Help() string {
	return examples("edgewright certs show shop.example.com")
}

func (c *certsShow) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	cert, err := cl.Certificate(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	return a.show(cert, func() {
		a.printCertificate(cert)
		a.printServed(cert.Served)
	})
}

func (a *app) printCertificate(c *client.Certificate) {
	p := a.pairs()
	p.styled("certificate", a.ink.bold(clean(strings.Join(c.Domains, ", "))))
	p.styled("state", a.ink.state(clean(c.State))+suffix(c.Step))
	p.add("type", c.Type)
	p.add("issuer", c.Issuer)
	p.add("valid for", strings.Join(c.Names, ", "))
	p.add("valid from", date(c.NotBefore))
	p.add("valid until", strings.TrimSpace(date(c.NotAfter)+" "+a.ago(c.NotAfter)))
	p.add("certificate of", strings.TrimSpace(c.Authority+suffix(c.Profile)))
	p.add("life left", share(c.LifeLeft))
	p.add("renews", onOff(c.AutoRenew, strings.TrimSpace("by itself "+a.ago(c.RenewAt)), "no"))
	p.add("serial", c.Serial)
	p.add("fingerprint", c.Fingerprint)
	p.add("revoked", strings.TrimSpace(date(c.RevokedAt)+" "+c.Revocation))
	p.add("stapled until", date(c.StapledTil))
	p.add("at its end", onOff(c.Takeover, "an automatic one follows", ""))
	p.add("trouble", c.Reason)
	p.add("what to do", c.Fix)
	p.add("next attempt", a.ago(c.NextAttempt))
	p.add("revision", fmt.Sprint(c.Revision))
	p.print(a.out)
}

func share(left *float64) string {
	if left == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %%", *left*100)
}

type certsIssue struct {
	domainArg
	Type      string        `enum:"auto, lets_encrypt, local" default:"auto" help:"Who signs: ${enum}. auto: what the control plane is set to for this name."`
	Name      []string      `placeholder:"NAME" help:"Further names, wildcards and addresses for the same certificate."`
	KeyType   string        `name:"key-type" enum:",p256,p384,rsa2048,rsa3072,rsa4096,ed25519" default:"" placeholder:"TYPE" help:"Key: p256 (default), p384, rsa2048, rsa3072, rsa4096, or ed25519 for clients of your own."`
	Challenge string        `enum:",http-01,tls-alpn-01,dns-01" default:"" placeholder:"CHALLENGE" help:"How the names are proved: http-01, tls-alpn-01 or dns-01. Default: what works."`
	Profile   string        `placeholder:"NAME" help:"Profile of the CA's, such as shortlived."`
	CA        string        `name:"ca" placeholder:"NAME" help:"Which CA. Default: those of \"edgewright certs ca list\" in their order."`
	Renew     bool          `help:"Get a new one now, although the present one is good."`
	AutoRenew bool          `name:"auto-renew" negatable:"" default:"true" help:"Renew it without being asked. Default on."`
	Timeout   time.Duration `default:"5m" placeholder:"TIME" help:"How long to wait at most. Default ${default}."`
}

func (certsIssue) Help() string {
	return examples(
		"edgewright certs issue shop.example.com",
		"edgewright certs issue shop.example.com --renew",
		"edgewright certs issue example.com --name '*.example.com' --challenge dns-01",
		"edgewright certs issue intranet.example --type local",
		"edgewright certs issue shop.example.com --type lets_encrypt --no-auto-renew")
}

func (c *certsIssue) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	autoRenew := &c.AutoRenew
	if c.Renew && c.AutoRenew {
		autoRenew = nil // as before
	}
	done, err := cl.Provision(a.ctx, c.Domain, client.Provision{Type: c.Type, AutoRenew: autoRenew, Renew: c.Renew, Domains: further(c.Domain, c.Name), KeyType: c.KeyType, Challenge: c.Challenge, Profile: c.Profile, Authority: c.CA})
	return a.showProvisioned(cl, c.Domain, done, err, c.Timeout)
}

// further lists a domain and names beside it; nil when there are none.
func further(domain string, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return append([]string{domain}, names...)
}

// showProvisioned waits for a certificate that is not there yet and shows it.
func (a *app) showProvisioned(cl *client.Client, domain string, done *client.Provisioned, err error, limit time.Duration) error {
	if err != nil {
		return err
	}
	if done.Operation != nil {
		if err := a.awaitOperation(cl, done.Operation, limit); err != nil {
			return err
		}
		cert, err := cl.Certificate(a.ctx, domain)
		if err != nil {
			return err
		}
		done = &client.Provisioned{Certificate: *cert, ExpiresAt: cert.NotAfter}
	}
	return a.show(done, func() { a.printCertificate(&done.Certificate) })
}

// awaitOperation waits for the end of long work.
func (a *app) awaitOperation(cl *client.Client, op *client.Operation, limit time.Duration) error {
	b := a.board()
	timedOut, err := a.poll(limit, func() (bool, error) {
		now, err := cl.Operation(a.ctx, op.ID)
		if err != nil {
			return false, err
		}
		op = now
		b.update(clean(op.Resource), []boardLine{{label: op.Kind, state: op.State, note: op.Step}})
		return op.State != "running", nil
	})
	switch {
	case err != nil:
		return err
	case timedOut:
		return fault.New(fault.Unavailable, "after %s it is still at %q; it goes on by itself. Look with \"edgewright certs list\"", limit, op.Step)
	case op.State == "failed":
		return fault.New(fault.Unavailable, "%s", op.Message)
	}
	return nil
}

type certsUpload struct {
	domainArg
	Chain        string `xor:"form" required:"" placeholder:"FILE" help:"PEM file with the certificate and the intermediates, in any order."`
	Key          string `placeholder:"FILE" help:"PEM file with the private key. Not needed for a certificate that was made of \"edgewright certs csr\"."`
	P12          string `name:"p12" xor:"form" required:"" placeholder:"FILE" help:"PKCS #12 file (.p12, .pfx) in place of --chain and --key."`
	PasswordFile string `name:"password-file" placeholder:"FILE" help:"File with the password of --p12."`
	Takeover     bool   `help:"Let an automatic certificate follow when this one is about to expire."`
	DryRun       bool   `name:"dry-run" help:"Check it and show what would change."`
}

func (certsUpload) Help() string {
	return "An uploaded certificate is not renewed, unless --takeover is given; \"edgewright certs list --within 30d\" tells which need a new one.\n\n" +
		examples("edgewright certs upload shop.example.com --chain fullchain.pem --key privkey.pem",
			"edgewright certs upload shop.example.com --p12 shop.pfx --password-file password.txt --takeover")
}

func (c *certsUpload) Run(a *app) error {
	p, err := c.read()
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	if c.DryRun {
		plan, err := cl.PlanProvision(a.ctx, c.Domain, p)
		if err != nil {
			return err
		}
		return a.showDryRun(cl, plan)
	}
	done, err := cl.Provision(a.ctx, c.Domain, p)
	if err != nil {
		return err
	}
	return a.show(done, func() { a.printCertificate(&done.Certificate) })
}

func (c *certsUpload) read() (client.Provision, error) {
	p := client.Provision{Type: client.CertCustom}
	if c.Takeover {
		p.Takeover = &c.Takeover
	}
	file := func(flag, name string) (text []byte, err error) {
		if text, err = os.ReadFile(name); err != nil {
			return nil, fault.New(fault.Invalid, "--%s: %w", flag, err)
		}
		return text, nil
	}
	var err error
	if c.P12 != "" {
		if p.PKCS12, err = file("p12", c.P12); err == nil && c.PasswordFile != "" {
			var password []byte
			password, err = file("password-file", c.PasswordFile)
			p.Password = strings.TrimRight(string(password), "\r\n")
		}
		return p, err
	}
	chain, err := file("chain", c.Chain)
	if err != nil || c.Key == "" {
		p.ChainPEM = string(chain)
		return p, err
	}
	key, err := file("key", c.Key)
	if err != nil {
		return p, err
	}
	if !strings.Contains(string(chain), "-----BEGIN") || !strings.Contains(string(key), "PRIVATE KEY-----") {
		return p, fault.New(fault.Invalid, "%s and %s do not make a certificate: give a chain and a private key in PEM, or a PKCS #12 file with --p12", c.Chain, c.Key)
	}
	p.ChainPEM, p.KeyPEM = string(chain), string(key)
	return p, nil
}

type certsRemove struct {
	domainArg
	yesFlag
}

func (certsRemove) Help() string {
	return "The domain is then served without HTTPS, unless it is set to get certificates by itself: then a new one is issued.\n\n" +
		examples("edgewright certs rm old.example.com")
}

func (c *certsRemove) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	cert, err := cl.Certificate(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Remove the certificate of %s?", c.Domain); err != nil {
		return err
	}
	if err := cl.RemoveCertificate(a.ctx, c.Domain, cert.Revision); err != nil {
		return err
	}
	a.hint("Removed the certificate of %s.", clean(c.Domain))
	return nil
}

// days is a duration that may be written in days, like 30d.
type days time.Duration

// UnmarshalText reads a duration.
func (d *days) UnmarshalText(text []byte) error {
	s := string(text)
	if n, ok := strings.CutSuffix(s, "d"); ok {
		var whole int
		if _, err := fmt.Sscanf(n, "%d", &whole); err == nil && fmt.Sprint(whole) == n && whole >= 0 && whole < 100_000 {
			*d = days(time.Duration(whole) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fault.New(fault.Invalid, "%q is not a time; write it like 30d, 12h or 90m", s)
	}
	*d = days(v)
	return nil
}

func (d days) seconds() int64 { return int64(time.Duration(d) / time.Second) }
