package cli

import (
	"net/mail"
	"net/url"

	"github.com/edgewright/edgewright/fault"
)

// DomainOptions say how domains are proven and watched.
type DomainOptions struct {
	SMTPURL           string `name:"smtp-url" env:"EDGEWRIGHT_SMTP_URL" placeholder:"URL" help:"Mail server for the proof of domains by mail: smtp://user:password@mail.example.com:587 or smtps://mail.example.com. Default: no mail is sent."`
	MailFrom          string `name:"mail-from" env:"EDGEWRIGHT_MAIL_FROM" placeholder:"EMAIL" help:"Address that mail comes from. Needed with --smtp-url."`
	NoRegistryLookups bool   `name:"no-registry-lookups" env:"EDGEWRIGHT_NO_REGISTRY_LOOKUPS" help:"Ask no domain registries (RDAP, WHOIS) about expiry and protection of domains."`
}

func (o *DomainOptions) check() error {
	if o.SMTPURL == "" {
		if o.MailFrom != "" {
			return fault.New(fault.Invalid, "--mail-from needs --smtp-url, the server that mail goes through")
		}
		return nil
	}
	u, err := url.Parse(o.SMTPURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return fault.New(fault.Invalid, "--smtp-url is not the address of a mail server: write it like smtp://user:password@mail.example.com:587 or smtps://mail.example.com")
	}
	if _, err := mail.ParseAddress(o.MailFrom); err != nil {
		return fault.New(fault.Invalid, "--smtp-url needs --mail-from, the address that mail comes from, like edge@example.com")
	}
	return nil
}
