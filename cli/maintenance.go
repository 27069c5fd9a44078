package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/edgewright/edgewright/fault"
)

type backupCommand struct {
	Out   string `arg:"" optional:"" name:"file" help:"Where to write it, - for standard output. Default: edgewright-DATE.backup here."`
	Local bool   `help:"Read the database of this machine in place of asking the API; works while nothing runs, too."`
	StoreOptions
}

func (backupCommand) Help() string {
	return "Consistent, while everything runs. Secrets in it stay encrypted under the master key, which is not part of it: keep the data directory's master key, or EDGEWRIGHT_MASTER_KEY, elsewhere.\n\n" + examples(
		"edgewright backup",
		"edgewright backup /backup/edgewright.backup",
		"edgewright backup - | ssh vault 'cat > edgewright.backup'",
		"edgewright backup --local --database postgres://edgewright@db/edgewright nightly.backup")
}

// backupReport is the answer of backup.
type backupReport struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (c *backupCommand) Run(a *app) error {
	if c.Database != "" && !c.Local && os.Getenv("EDGEWRIGHT_DATABASE") != c.Database {
		return fault.New(fault.Invalid, "--database reads a database of this machine; add --local")
	}
	name := c.Out
	if name == "" {
		name = "edgewright-" + a.now().UTC().Format("20060102-150405") + ".backup"
	}
	if name == "-" {
		if a.outTTY {
			return fault.New(fault.Invalid, "a backup is not for a terminal; send it to a file or a pipe")
		}
		_, err := c.write(a, a.out)
		return err
	}
	// A backup cut short must not look like one: it gets its name at the end.
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fault.New(fault.Unavailable, "%s cannot be written: %w", name, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once renamed
	sum, err := c.write(a, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fault.New(fault.Unavailable, "%s cannot be written: %w", name, err)
	}
	report := backupReport{File: name, Bytes: sum.n, SHA256: fmt.Sprintf("%x", sum.hash.Sum(nil))}
	return a.show(report, func() {
		fmt.Fprintf(a.out, "Wrote %s (%s, sha256 %s).\n", a.ink.bold(report.File), bytesText(report.Bytes), report.SHA256)
		fmt.Fprintln(a.out, "The master key is not in it. Without that key, its secrets cannot be read.")
	})
}

// meter counts and sums what passes.
type meter struct {
	w    io.Writer
	n    int64
	hash hash.Hash
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	m.n += int64(n)
	m.hash.Write(b[:n])
	return n, err
}

func (c *backupCommand) write(a *app, w io.Writer) (*meter, error) {
	m := &meter{w: w, hash: sha256.New()}
	if c.Local {
		if a.servers.Backup == nil {
			return m, absent("backup --local")
		}
		c.Data = a.data("edgewright")
		return m, a.servers.Backup(a.ctx, c.StoreOptions, m)
	}
	cl, err := a.client()
	if err != nil {
		return m, err
	}
	_, err = cl.Backup(a.ctx, m)
	return m, err
}

type restoreCommand struct {
	File string `arg:"" help:"The backup, - for standard input."`
	StoreOptions
}

func (restoreCommand) Help() string {
	return "Nothing may run on the data directory, and it must be empty: a restore never overwrites. The master key that the backup was made under must be there first, as the file of the old data directory or in EDGEWRIGHT_MASTER_KEY.\n\n" + examples(
		"edgewright restore edgewright.backup --data /srv/edgewright-new",
		"edgewright restore nightly.backup --database postgres://edgewright@db/edgewright_new")
}

func (c *restoreCommand) Run(a *app) error {
	if a.servers.Restore == nil {
		return absent("restore")
	}
	c.Data = a.data("edgewright")
	r := a.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fault.New(fault.Invalid, "the backup cannot be read: %w", err)
		}
		defer f.Close()
		r = f
	}
	if err := a.servers.Restore(a.ctx, c.StoreOptions, r); err != nil {
		if fault.Is(err, fault.Conflict) {
			return withAdvice(err, "restore into an empty place: --data with a new directory, or a new --database")
		}
		return err
	}
	a.hint("Restored into %s. Start it with: edgewright up --data %s (or control)", c.Data, c.Data)
	return nil
}

type rotateMasterKeyCommand struct {
	StoreOptions
	yesFlag
}

func (rotateMasterKeyCommand) Help() string {
	return "A new key is made and every secret is sealed anew under it; the old key is dropped when nothing needs it any more. Backups made before need the old key: keep a copy of it with them.\n\n" + examples(
		"edgewright rotate-master-key --data /srv/edgewright")
}

type rotated struct {
	KeyID string `json:"key_id"`
}

func (c *rotateMasterKeyCommand) Run(a *app) error {
	if a.servers.RotateMasterKey == nil {
		return absent("rotate-master-key")
	}
	if os.Getenv("EDGEWRIGHT_MASTER_KEY") != "" {
		return fault.New(fault.Invalid, "the master key comes from EDGEWRIGHT_MASTER_KEY, which this command cannot change; unset it to rotate the key file of the data directory")
	}
	c.Data = a.data("edgewright")
	if err := a.confirm(c.Yes, "Replace the master key of %s?", c.Data); err != nil {
		return err
	}
	id, err := a.servers.RotateMasterKey(a.ctx, c.StoreOptions)
	if err != nil {
		return err
	}
	return a.show(rotated{id}, func() { fmt.Fprintf(a.out, "The master key is now %s.\n", clean(id)) })
}
