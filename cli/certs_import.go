package cli

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type certsImport struct {
	Dir    string `arg:"" type:"path" help:"Its directory: Caddy's data directory, /etc/letsencrypt, ~/.acme.sh."`
	From   string `enum:"auto,caddy,certbot,acme.sh" default:"auto" placeholder:"PROGRAM" help:"${enum}. Default ${default}."`
	Keep   bool   `help:"Do not let automatic certificates follow when the imported ones are about to expire."`
	DryRun bool   `name:"dry-run" help:"Show what would be imported."`
}

func (certsImport) Help() string {
	return "Each certificate is uploaded to the domain of its name in the project. Domains that are not there are left out: add and verify them first.\n\n" +
		examples("edgewright certs import /etc/letsencrypt", "edgewright certs import ~/.local/share/caddy --from caddy --dry-run")
}

// foundCertificate is one on disk.
type foundCertificate struct {
	Domain string   `json:"domain"`
	Names  []string `json:"names"`
	Chain  string   `json:"chain"` // files
	Key    string   `json:"key"`
	State  string   `json:"state"` // found, imported, skipped, failed
	Note   string   `json:"note,omitempty"`
}

func (c *certsImport) Run(a *app) error {
	list, err := findCertificates(c.Dir, c.From)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fault.New(fault.NotFound, "there are no certificates below %s; --from says whose directory it is", c.Dir)
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	failed := 0
	for i := range list {
		c.one(a, cl, &list[i])
		if list[i].State == "failed" {
			failed++
		}
	}
	if err := a.show(map[string]any{"certificates": list}, func() {
		t := a.table("DOMAIN", "STATE", "FILE", "")
		for _, f := range list {
			t.row(f.Domain, t.state(f.State), f.Chain, f.Note)
		}
		t.print(a.out)
	}); err != nil {
		return err
	}
	if failed > 0 {
		return status(1)
	}
	return nil
}

// one imports one certificate and notes what came of it.
func (c *certsImport) one(a *app, cl *client.Client, f *foundCertificate) {
	chain, err := os.ReadFile(f.Chain)
	if err == nil {
		var key []byte
		if key, err = os.ReadFile(f.Key); err == nil {
			follow := !c.Keep
			p := client.Provision{Type: client.CertCustom, ChainPEM: string(chain), KeyPEM: string(key), Takeover: &follow}
			if c.DryRun {
				_, err = cl.PlanProvision(a.ctx, f.Domain, p)
				f.State = "found"
			} else {
				_, err = cl.Provision(a.ctx, f.Domain, p)
				f.State = "imported"
			}
		}
	}
	switch {
	case err == nil:
	case fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound):
		f.State, f.Note = "skipped", err.Error()
	default:
		f.State, f.Note = "failed", err.Error()
		var refused *fault.Error
		if errors.As(err, &refused) && len(refused.Fields) > 0 {
			f.Note = refused.Fields[0].Detail
		}
	}
}

// importLayouts say where programs keep a certificate and its key.
var importLayouts = []struct {
	program string
	chain   func(path string) bool
	key     func(path string) string
}{
	// certificates/<CA>/<domain>/<domain>.crt, .key
	{"caddy", func(p string) bool {
		return strings.HasSuffix(p, ".crt") && strings.Contains(filepath.ToSlash(p), "certificates/") &&
			strings.TrimSuffix(filepath.Base(p), ".crt") == filepath.Base(filepath.Dir(p))
	}, func(p string) string { return strings.TrimSuffix(p, ".crt") + ".key" }},
	// live/<name>/fullchain.pem, privkey.pem (links into archive/)
	{"certbot", func(p string) bool {
		return filepath.Base(p) == "fullchain.pem" && filepath.Base(filepath.Dir(filepath.Dir(p))) == "live"
	}, func(p string) string { return filepath.Join(filepath.Dir(p), "privkey.pem") }},
	// <domain>/fullchain.cer, <domain>.key; <domain>_ecc/ for ECDSA
	{"acme.sh", func(p string) bool { return filepath.Base(p) == "fullchain.cer" }, func(p string) string {
		return filepath.Join(filepath.Dir(p), strings.TrimSuffix(filepath.Base(filepath.Dir(p)), "_ecc")+".key")
	}},
}

// findCertificates looks for what a program has left below a directory. Of
// several for the same domain, the one that is good for longest is taken.
func findCertificates(dir, program string) ([]foundCertificate, error) {
	type candidate struct {
		foundCertificate
		leaf *x509.Certificate
	}
	best := map[string]candidate{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, l := range importLayouts {
			if program != "auto" && program != l.program || !l.chain(path) {
				continue
			}
			key := l.key(path)
			if _, err := os.Stat(key); err != nil {
				continue
			}
			leaf := leafOf(path)
			if leaf == nil || len(leaf.DNSNames) == 0 {
				continue
			}
			f := foundCertificate{Domain: leaf.DNSNames[0], Names: leaf.DNSNames, Chain: path, Key: key}
			if cn := leaf.Subject.CommonName; slices.Contains(leaf.DNSNames, cn) {
				f.Domain = cn
			}
			if had, ok := best[f.Domain]; !ok || had.leaf.NotAfter.Before(leaf.NotAfter) {
				best[f.Domain] = candidate{f, leaf}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s cannot be read: %w", dir, err)
	}
	list := make([]foundCertificate, 0, len(best))
	for _, c := range best {
		list = append(list, c.foundCertificate)
	}
	slices.SortFunc(list, func(a, b foundCertificate) int { return strings.Compare(a.Domain, b.Domain) })
	return list, nil
}

// leafOf reads the first certificate of a PEM file, nil when there is none.
func leafOf(path string) *x509.Certificate {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return leaf
}
