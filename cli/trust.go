package cli

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type trustCommand struct {
	Print       bool   `help:"Print the root certificate in PEM, install nothing." xor:"do"`
	Remove      bool   `help:"Take the root certificate out again." xor:"do"`
	Fingerprint string `placeholder:"SHA256" help:"Only install a root with this fingerprint, as the dashboard shows it. Needed when the control plane is reached without TLS over a network."`
}

func (trustCommand) Help() string {
	return "The local CA signs certificates for names that no public CA signs, like *.localhost. Its root goes into the system's store (as root) and, where certutil is installed, into the stores of Chromium and Firefox.\n\n" + examples(
		"sudo -E edgewright trust",
		"edgewright trust --print > root.pem",
		"curl --cacert <(edgewright trust --print) https://shop.localhost:8443/",
		"edgewright trust --remove")
}

func (c *trustCommand) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	raw, err := cl.TrustRoot(a.ctx)
	if err != nil {
		return err
	}
	root, err := parseRoot(raw)
	if err != nil {
		return err
	}
	if err := c.check(cl, root); err != nil {
		return err
	}
	if c.Print {
		_, err := a.out.Write(root.pem)
		return err
	}
	home, _ := os.UserHomeDir() // without one there are no browsers' stores
	t := &truster{
		root: root, home: home, out: a.out, euid: os.Geteuid(),
		prefix: "/", look: exec.LookPath,
		run: func(name string, args ...string) ([]byte, error) {
			return exec.CommandContext(a.ctx, name, args...).CombinedOutput()
		},
	}
	if c.Remove {
		return t.remove()
	}
	return t.install()
}

// rootCert is a CA certificate to be trusted.
type rootCert struct {
	pem         []byte
	name        string // common name
	fingerprint string // lower-case hex SHA-256
}

// label is how stores call the root; two control planes have two.
func (r rootCert) label() string { return "Edgewright local CA " + r.fingerprint[:8] }

func (r rootCert) fileName() string { return "edgewright-" + r.fingerprint[:8] + ".crt" }

// parseRoot takes exactly one CA certificate, and nothing else that a file
// could smuggle into a trust store.
func parseRoot(raw []byte) (rootCert, error) {
	block, rest := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return rootCert{}, fault.New(fault.Invalid, "the control plane did not answer with one root certificate; nothing was installed")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return rootCert{}, fault.New(fault.Invalid, "the root certificate cannot be read; nothing was installed: %w", err)
	}
	if !cert.IsCA || !cert.BasicConstraintsValid || cert.CheckSignatureFrom(cert) != nil {
		return rootCert{}, fault.New(fault.Invalid, "what the control plane answered is not a root certificate; nothing was installed")
	}
	sum := sha256.Sum256(block.Bytes)
	return rootCert{
		pem:         pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}),
		name:        cert.Subject.CommonName,
		fingerprint: hex.EncodeToString(sum[:]),
	}, nil
}

// check refuses a root that somebody on the way may have put there: trusting
// it would let them be any site.
func (c *trustCommand) check(cl *client.Client, root rootCert) error {
	if c.Fingerprint != "" {
		want := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(c.Fingerprint))
		if want != root.fingerprint {
			return fault.New(fault.Forbidden, "the root has the fingerprint %s, not the one given; nothing was installed", root.fingerprint)
		}
		return nil
	}
	u, err := url.Parse(cl.URL())
	if err != nil || u.Scheme == "https" || loopback(u.Hostname()) || c.Print || c.Remove {
		return nil
	}
	return fault.New(fault.Forbidden, "%s is reached without TLS, so anyone on the way could have sent this root. Compare it with the dashboard's and pass --fingerprint %s", u.Host, root.fingerprint)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// truster puts a root into the stores of a machine.
type truster struct {
	root   rootCert
	prefix string // "/", but for tests
	home   string
	euid   int
	out    io.Writer
	look   func(program string) (string, error)
	run    func(name string, args ...string) ([]byte, error)
}

// systemStore is a directory of roots and the program that reads it.
type systemStore struct {
	dir     string
	command []string
}

var systemStores = []systemStore{
	{"usr/local/share/ca-certificates", []string{"update-ca-certificates"}},           // Debian, Ubuntu, Alpine
	{"etc/pki/ca-trust/source/anchors", []string{"update-ca-trust", "extract"}},       // Fedora, RHEL
	{"etc/ca-certificates/trust-source/anchors", []string{"trust", "extract-compat"}}, // Arch
}

// system finds the machine's own store.
func (t *truster) system() (store systemStore, ok bool) {
	for _, s := range systemStores {
		if _, err := t.look(s.command[0]); err != nil {
			continue
		}
		s.dir = filepath.Join(t.prefix, s.dir)
		// The directory is part of the package that brings the program.
		if info, err := os.Stat(s.dir); err == nil && info.IsDir() {
			return s, true
		}
	}
	return systemStore{}, false
}

func (t *truster) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

func (t *truster) install() error {
	t.say("Root: %s, SHA-256 %s", clean(t.root.name), t.root.fingerprint)
	store, known := t.system()
	var failed error
	switch {
	case !known:
		t.say("System: not known here. Import the PEM of \"edgewright trust --print\" by hand; on macOS:")
		t.say("  edgewright trust --print > root.pem && sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain root.pem")
	case t.euid != 0:
		t.say("System: only root may change it. Run:")
		t.say("  edgewright trust --print | sudo tee %s >/dev/null && sudo %s", filepath.Join(store.dir, t.root.fileName()), strings.Join(store.command, " "))
		failed = status(exitFailed)
	default:
		if err := t.installSystem(store); err != nil {
			return err
		}
		t.say("System: trusted.")
	}
	t.nss(func(db, name string) {
		// Adding it again under the same name would add it twice.
		_, _ = t.run("certutil", "-D", "-d", "sql:"+db, "-n", t.root.label())
		file, cleanup, err := t.pemFile()
		if err == nil {
			defer cleanup()
			var out []byte
			if out, err = t.run("certutil", "-A", "-d", "sql:"+db, "-t", "C,,", "-n", t.root.label(), "-i", file); err != nil {
				err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
			}
		}
		if err != nil {
			t.say("%s: not changed (%s)", name, clean(err.Error()))
			return
		}
		t.say("%s: trusted. Restart the browser.", name)
	})
	return failed
}

func (t *truster) installSystem(store systemStore) error {
	target := filepath.Join(store.dir, t.root.fileName())
	if old, err := os.ReadFile(target); err != nil || !bytes.Equal(old, t.root.pem) {
		if err := writeFile(target, t.root.pem, 0o644); err != nil {
			return err
		}
	}
	if out, err := t.run(store.command[0], store.command[1:]...); err != nil {
		return fault.New(fault.Unavailable, "%s failed: %w: %s", strings.Join(store.command, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func (t *truster) remove() error {
	var failed error
	if store, ok := t.system(); ok {
		target := filepath.Join(store.dir, t.root.fileName())
		_, err := os.Stat(target)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			t.say("System: it was not there.")
		case t.euid != 0:
			t.say("System: only root may change it. Run:")
			t.say("  sudo rm %s && sudo %s", target, strings.Join(store.command, " "))
			failed = status(exitFailed)
		default:
			if err := os.Remove(target); err != nil {
				return fault.New(fault.Unavailable, "%s could not be removed: %w", target, err)
			}
			if out, err := t.run(store.command[0], store.command[1:]...); err != nil {
				return fault.New(fault.Unavailable, "%s failed: %w: %s", strings.Join(store.command, " "), err, bytes.TrimSpace(out))
			}
			t.say("System: removed.")
		}
	}
	t.nss(func(db, name string) {
		if _, err := t.run("certutil", "-D", "-d", "sql:"+db, "-n", t.root.label()); err != nil {
			t.say("%s: it was not there.", name)
			return
		}
		t.say("%s: removed.", name)
	})
	return failed
}

// nss calls fn for every browser store of the user.
func (t *truster) nss(fn func(db, name string)) {
	if t.home == "" {
		return
	}
	var found []string
	names := map[string]string{}
	for _, place := range []struct{ pattern, name string }{
		{".pki/nssdb", "Chromium and Chrome"},
		{"snap/chromium/current/.pki/nssdb", "Chromium (snap)"},
		{".mozilla/firefox/*", "Firefox"},
		{"snap/firefox/common/.mozilla/firefox/*", "Firefox (snap)"},
	} {
		matches, _ := filepath.Glob(filepath.Join(t.home, place.pattern, "cert9.db")) // the patterns are well-formed
		for _, m := range matches {
			db := filepath.Dir(m)
			found = append(found, db)
			names[db] = place.name
		}
	}
	if _, err := t.look("certutil"); err != nil {
		if len(found) > 0 {
			t.say("Browsers: certutil is not installed. Run: sudo apt-get install libnss3-tools, then this again.")
		}
		return
	}
	// Chromium makes its store only when it first needs one.
	if db := filepath.Join(t.home, ".pki", "nssdb"); names[db] == "" && t.anyOf("chromium", "chromium-browser", "google-chrome", "google-chrome-stable") {
		if err := os.MkdirAll(db, 0o700); err == nil {
			if _, err := t.run("certutil", "-N", "-d", "sql:"+db, "--empty-password"); err == nil {
				found, names[db] = append(found, db), "Chromium and Chrome"
			}
		}
	}
	for _, db := range found {
		fn(db, names[db])
	}
}

func (t *truster) anyOf(programs ...string) bool {
	for _, p := range programs {
		if _, err := t.look(p); err == nil {
			return true
		}
	}
	return false
}

// pemFile keeps the root in a file while certutil reads it.
func (t *truster) pemFile() (name string, cleanup func(), err error) {
	f, err := os.CreateTemp("", "edgewright-root-*.pem")
	if err != nil {
		return "", nil, err
	}
	_, err = f.Write(t.root.pem)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", nil, err
	}
	return f.Name(), func() { _ = os.Remove(f.Name()) }, nil
}
