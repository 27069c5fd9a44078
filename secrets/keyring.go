package secrets

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// KeyBytes is the size of master, data and group keys.
const KeyBytes = 32

// keyIDBytes is how much of a key's hash names it inside boxes.
const keyIDBytes = 8

// linePrefix marks a key in the key file, so that a file of something else is
// not taken for one.
const linePrefix = "edgewright-master-key-1 "

// Keyring holds the master keys. The first is current and seals; the others
// still open what they sealed before a rotation. It is safe for concurrent use,
// and follows changes that other processes make to its file.
type Keyring struct {
	path string // "" when the keys came from the environment

	mu    sync.Mutex
	keys  []masterKey
	stamp fileStamp
}

type masterKey struct {
	id  [keyIDBytes]byte
	raw [KeyBytes]byte
	box cipher.AEAD
}

// fileStamp tells one content of the key file from the next without reading it.
type fileStamp struct {
	modified time.Time
	size     int64
}

// LoadKeyring returns the keyring that fromEnvironment describes (the value of
// EDGEWRIGHT_MASTER_KEY: base64 keys of 32 bytes, comma-separated, the current
// one first), or, when that is "", the one in the file at path. A file that does
// not exist is created with one new key, readable by its owner only.
func LoadKeyring(path, fromEnvironment string) (*Keyring, error) {
	if fromEnvironment != "" {
		keys, err := parseEnvironment(fromEnvironment)
		if err != nil {
			return nil, err
		}
		return &Keyring{keys: keys}, nil
	}
	if path == "" {
		return nil, fault.New(fault.Invalid, "no master key: give the path of a key file, or set EDGEWRIGHT_MASTER_KEY")
	}
	k := &Keyring{path: path}
	err := k.reload()
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKeyFile(path); err != nil {
			return nil, err
		}
		err = k.reload()
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// CurrentID returns the ID of the key that seals: 16 hex digits of its hash.
func (k *Keyring) CurrentID() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		return "", err
	}
	return hex.EncodeToString(k.keys[0].id[:]), nil
}

// IDs returns the IDs of all keys, the current one first.
func (k *Keyring) IDs() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := make([]string, len(k.keys))
	for i, key := range k.keys {
		ids[i] = hex.EncodeToString(key.id[:])
	}
	return ids
}

// AddKey makes a new current key and writes it to the key file, the older ones
// behind it. It is the first step of a rotation and returns the new key's ID.
// A keyring from the environment cannot be written: it answers Invalid with
// what to do instead.
func (k *Keyring) AddKey() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.writable(); err != nil {
		return "", err
	}
	if err := k.refresh(); err != nil {
		return "", err
	}
	fresh := newMasterKey(randomKey())
	if err := k.replace(append([]masterKey{fresh}, k.keys...)); err != nil {
		return "", err
	}
	return hex.EncodeToString(fresh.id[:]), nil
}

// DropOldKeys removes every key but the current one from the key file. It is
// the last step of a rotation: what is still sealed under an old key is lost.
func (k *Keyring) DropOldKeys() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.writable(); err != nil {
		return err
	}
	if err := k.refresh(); err != nil {
		return err
	}
	if len(k.keys) == 1 {
		return nil
	}
	return k.replace(k.keys[:1:1])
}

func (k *Keyring) writable() error {
	if k.path == "" {
		return fault.New(fault.Invalid, "the master key comes from EDGEWRIGHT_MASTER_KEY and cannot be rotated from here: "+
			"set the variable to \"<new key>,<old key>\" on every control plane, restart, rotate again, then remove the old key from the variable")
	}
	return nil
}

// current returns the key that seals. Callers hold mu.
func (k *Keyring) current() (masterKey, error) {
	if err := k.refresh(); err != nil {
		return masterKey{}, err
	}
	return k.keys[0], nil
}

// byID finds the key a box was sealed under, looking into the file again when
// it is new here. Callers hold mu.
func (k *Keyring) byID(id []byte) (masterKey, error) {
	for range 2 {
		for _, key := range k.keys {
			if bytes.Equal(key.id[:], id) {
				return key, nil
			}
		}
		if err := k.refresh(); err != nil {
			return masterKey{}, err
		}
	}
	where := "EDGEWRIGHT_MASTER_KEY"
	if k.path != "" {
		where = k.path
	}
	return masterKey{}, fault.New(fault.Unavailable,
		"a secret is sealed under master key %x, which is not in %s: put that key back (from your backup of it) and try again", id, where)
}

// refresh reads the key file again when it has changed, so that a rotation by
// another process is followed before anything is sealed. Callers hold mu.
func (k *Keyring) refresh() error {
	if k.path == "" {
		return nil
	}
	info, err := os.Stat(k.path)
	if err != nil {
		// The file may be on a volume that is away for a moment. What is in
		// memory is still right: nobody can have rotated without the file.
		return nil
	}
	if stampOf(info) == k.stamp {
		return nil
	}
	return k.reload()
}

func (k *Keyring) reload() error {
	file, err := os.Open(k.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return fault.New(fault.Unavailable, "the master key file cannot be read: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fault.New(fault.Unavailable, "the master key file cannot be read: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.Invalid, "the master key file %s can be read by others (mode %04o): run chmod 600 on it", k.path, info.Mode().Perm())
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(file); err != nil {
		return fault.New(fault.Unavailable, "the master key file cannot be read: %w", err)
	}
	keys, err := parseKeyFile(k.path, content.String())
	if err != nil {
		return err
	}
	k.keys, k.stamp = keys, stampOf(info)
	return nil
}

// replace writes keys to the file and takes them. Callers hold mu.
func (k *Keyring) replace(keys []masterKey) error {
	if err := writeKeyFile(k.path, keys); err != nil {
		return err
	}
	k.keys = keys
	if info, err := os.Stat(k.path); err == nil {
		k.stamp = stampOf(info)
	}
	return nil
}

func stampOf(info fs.FileInfo) fileStamp {
	return fileStamp{modified: info.ModTime(), size: info.Size()}
}

func newMasterKey(raw [KeyBytes]byte) masterKey {
	key := masterKey{raw: raw, box: newGCM(raw)}
	sum := sha256.Sum256(append([]byte("edgewright master key id v1\x00"), raw[:]...))
	copy(key.id[:], sum[:])
	return key
}

// newGCM returns AES-256-GCM with random nonces that are put before the
// ciphertext.
func newGCM(key [KeyBytes]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only a wrong key size, which the type excludes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only a block size other than AES's
	}
	return aead
}

func randomKey() (key [KeyBytes]byte) {
	rand.Read(key[:]) // never fails: crypto/rand ends the process instead
	return key
}

func parseEnvironment(value string) ([]masterKey, error) {
	var keys []masterKey
	for _, part := range strings.Split(value, ",") {
		raw, err := parseKey(part)
		if err != nil {
			return nil, fault.New(fault.Invalid, "EDGEWRIGHT_MASTER_KEY is not a base64 key of %d bytes: make one with `openssl rand -base64 %d`", KeyBytes, KeyBytes)
		}
		keys = append(keys, newMasterKey(raw))
	}
	return keys, nil
}

func parseKeyFile(path, content string) ([]masterKey, error) {
	var keys []masterKey
	for _, line := range strings.Split(content, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		encoded, ok := strings.CutPrefix(line, linePrefix)
		if !ok {
			return nil, fault.New(fault.Invalid, "%s is not an Edgewright master key file: put back the right one from your backup, or move this one away to start with a new key (secrets sealed before are lost then)", path)
		}
		raw, err := parseKey(encoded)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s holds a damaged key: put it back from your backup", path)
		}
		keys = append(keys, newMasterKey(raw))
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "%s holds no key: put it back from your backup, or remove the empty file to start with a new key (secrets sealed before are lost then)", path)
	}
	return keys, nil
}

func parseKey(encoded string) (raw [KeyBytes]byte, err error) {
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return raw, err
	}
	if len(decoded) != KeyBytes {
		return raw, errors.New("wrong length")
	}
	return [KeyBytes]byte(decoded), nil
}

// createKeyFile writes the first key unless another process was faster.
func createKeyFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.New(fault.Unavailable, "the directory of the master key file cannot be made: %w", err)
	}
	temporary, err := writeTemporary(path, []masterKey{newMasterKey(randomKey())})
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	// Link fails when the file exists by now; the other process's key counts.
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Unavailable, "the master key file cannot be created: %w", err)
	}
	return syncDirectory(path)
}

func writeKeyFile(path string, keys []masterKey) error {
	temporary, err := writeTemporary(path, keys)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		os.Remove(temporary)
		return fault.New(fault.Unavailable, "the master key file cannot be written: %w", err)
	}
	return syncDirectory(path)
}

// writeTemporary puts keys on disk beside path, for a rename or link that is
// whole or not at all.
func writeTemporary(path string, keys []masterKey) (name string, err error) {
	var content strings.Builder
	content.WriteString("# Master keys of this Edgewright. The first is current. Who loses this file loses\n# every secret in the database; keep a copy apart from the database's backups.\n")
	for _, key := range keys {
		content.WriteString(linePrefix + base64.StdEncoding.EncodeToString(key.raw[:]) + "\n")
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".master-key-*") // mode 0600
	if err != nil {
		return "", fault.New(fault.Unavailable, "the master key file cannot be written: %w", err)
	}
	_, err = file.WriteString(content.String())
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(file.Name())
		return "", fault.New(fault.Unavailable, "the master key file cannot be written: %w", err)
	}
	return file.Name(), nil
}

func syncDirectory(path string) error {
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fault.New(fault.Unavailable, "the directory of the master key file cannot be opened: %w", err)
	}
	defer directory.Close()
	if err := directory.Sync(); err != nil {
		return fault.New(fault.Unavailable, "the directory of the master key file cannot be synced: %w", err)
	}
	return nil
}
