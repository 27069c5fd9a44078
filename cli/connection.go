package cli

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

// localURL is where "edgewright up" listens unless told otherwise.
const localURL = "http://127.0.0.1:7070"

// stored is the content of client.json, in the user's configuration directory
// (written by login) or in a data directory (written by up).
type stored struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	// RootPEM is trusted for an https URL in place of the system's roots.
	RootPEM     string `json:"root_ca_pem,omitempty"`
	Project     string `json:"project,omitempty"`
	Environment string `json:"environment,omitempty"`
}

// configPath is where login keeps its file.
func configPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fault.New(fault.Invalid, "there is no home directory to keep client.json in; set HOME or XDG_CONFIG_HOME: %w", err)
	}
	return filepath.Join(dir, "edgewright", "client.json"), nil
}

// data is the data directory that the command is about.
func (a *app) data(name string) string {
	if a.flags.Data != "" {
		return a.flags.Data
	}
	return DefaultData(name)
}

// readStored reads a client.json; ok is false when there is none.
func readStored(path string) (s stored, ok bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fault.New(fault.Invalid, "%s cannot be read: %w", path, err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, false, fault.New(fault.Invalid, "%s is damaged; delete it and sign in again with \"edgewright login\": %w", path, err)
	}
	return s, s.URL != "", nil
}

// writeStored replaces a client.json, readable by its owner only.
func writeStored(path string, s stored) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.New(fault.Unavailable, "%s cannot be made: %w", filepath.Dir(path), err)
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(raw, '\n'), 0o600)
}

// writeFile replaces a file whole or not at all.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fault.New(fault.Unavailable, "%s cannot be written: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once renamed
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fault.New(fault.Unavailable, "%s cannot be written: %w", path, err)
	}
	return nil
}

// connection is where to call and with what.
type connection struct {
	stored
	source string // what the address comes from
}

// connection finds the control plane: flags and environment, then what login
// kept, then what a local "up" left in its data directory, then the local
// default. A kept token goes only to the address it was kept for.
func (a *app) connection() (connection, error) {
	var candidates []connection
	// An explicit --data asks for the control plane of that directory.
	local := filepath.Join(a.data("edgewright"), "client.json")
	paths := []string{local}
	if path, err := configPath(); err == nil {
		paths = []string{path, local}
		if a.flags.Data != "" {
			paths = []string{local, path}
		}
	}
	for _, path := range paths {
		s, ok, err := readStored(path)
		if err != nil {
			return connection{}, err
		}
		if ok {
			candidates = append(candidates, connection{s, path})
		}
	}

	var c connection
	switch {
	case a.flags.URL != "":
		c = connection{stored{URL: a.flags.URL}, "--url"}
		for _, known := range candidates {
			if sameAddress(known.URL, c.URL) {
				c.Token, c.RootPEM, c.Project, c.Environment = known.Token, known.RootPEM, known.Project, known.Environment
				break
			}
		}
	case len(candidates) > 0:
		c = candidates[0]
	default:
		c = connection{stored{URL: localURL}, "the default address"}
	}
	if a.flags.Token != "" {
		c.Token = a.flags.Token
	}
	if a.flags.Project != "" {
		c.Project = a.flags.Project
	}
	if a.flags.Environment != "" {
		c.Environment = a.flags.Environment
	}
	if pem, err := a.rootCA(); err != nil {
		return c, err
	} else if pem != nil {
		c.RootPEM = string(pem)
	}
	return c, nil
}

// rootCA reads the file of --root-ca; nil when there is none.
func (a *app) rootCA() ([]byte, error) {
	if a.flags.RootCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(a.flags.RootCA)
	if err != nil {
		return nil, fault.New(fault.Invalid, "--root-ca: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "--root-ca: %s holds no PEM certificate", a.flags.RootCA)
	}
	return pem, nil
}

// sameAddress says whether two URLs lead to the same control plane.
func sameAddress(a, b string) bool {
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && x.Scheme == y.Scheme && hostPort(x) == hostPort(y)
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// client returns the client of the control plane.
func (a *app) client() (*client.Client, error) {
	if a.cached != nil {
		return a.cached, nil
	}
	conn, err := a.connection()
	if err != nil {
		return nil, err
	}
	a.cached, err = a.dial(conn)
	return a.cached, err
}

// dial makes a client; it does not connect.
func (a *app) dial(c connection) (*client.Client, error) {
	o := client.Options{
		URL: c.URL, Token: c.Token, Project: c.Project, Environment: c.Environment,
		UserAgent: "edgewright-cli/" + a.version(), Via: "cli", Retries: 3,
	}
	if c.RootPEM != "" {
		o.RootCAs = x509.NewCertPool()
		o.RootCAs.AppendCertsFromPEM([]byte(c.RootPEM))
	}
	return client.New(o)
}

func (a *app) version() string {
	if a.servers.Version == "" {
		return "devel"
	}
	return a.servers.Version
}
