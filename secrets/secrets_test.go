package secrets

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/edgewright/edgewright/fault"
)

func keyring(t testing.TB, path string) *Keyring {
	t.Helper()
	k, err := LoadKeyring(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *Keyring, context, plaintext string) []byte {
	t.Helper()
	box, err := k.Seal(context, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func wantOpen(t testing.TB, k *Keyring, context string, box []byte, want string) {
	t.Helper()
	got, err := k.Open(context, box)
	if err != nil || string(got) != want {
		t.Fatalf("opened as %q, %v; want %q", got, err, want)
	}
}

func TestSealAndOpen(t *testing.T) {
	k := keyring(t, filepath.Join(t.TempDir(), "sub", "master.key"))
	for _, plaintext := range []string{"", "x", strings.Repeat("long ", 10_000)} {
		box := seal(t, k, "certificate/1", plaintext)
		wantOpen(t, k, "certificate/1", box, plaintext)
		if len(plaintext) > 3 && bytes.Contains(box, []byte(plaintext[:4])) {
			t.Fatal("the plaintext is in the box")
		}
		if bytes.Equal(box, seal(t, k, "certificate/1", plaintext)) {
			t.Fatal("sealing twice gives one box")
		}
		if _, err := k.Open("certificate/2", box); !fault.Is(err, fault.Invalid) {
			t.Fatalf("opened under another name: %v", err)
		}
	}
}

// Every bit of a box counts.
func TestDamagedBoxesDoNotOpen(t *testing.T) {
	k := keyring(t, filepath.Join(t.TempDir(), "master.key"))
	group := NewGroupKey()
	identity, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := SealTo(identity.Public(), "c", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		box  []byte
		open func([]byte) ([]byte, error)
	}{
		"envelope": {seal(t, k, "c", "secret"), func(b []byte) ([]byte, error) { return k.Open("c", b) }},
		"group":    {SealFor(group, "c", []byte("secret")), func(b []byte) ([]byte, error) { return OpenFor(group, "c", b) }},
		"identity": {sealed, func(b []byte) ([]byte, error) { return identity.Open("c", b) }},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := c.open(c.box); err != nil || string(got) != "secret" {
				t.Fatalf("whole: %q, %v", got, err)
			}
			for i := range c.box {
				for _, bit := range []byte{1, 0x80} {
					damaged := bytes.Clone(c.box)
					damaged[i] ^= bit
					if got, err := c.open(damaged); err == nil {
						t.Fatalf("with byte %d changed it opens as %q", i, got)
					}
				}
				if got, err := c.open(c.box[:i]); err == nil {
					t.Fatalf("cut to %d bytes it opens as %q", i, got)
				}
			}
			if got, err := c.open(append(bytes.Clone(c.box), 0)); err == nil {
				t.Fatalf("with a byte more it opens as %q", got)
			}
		})
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	k := keyring(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file has mode %v, %v", info.Mode(), err)
	}
	box := seal(t, k, "c", "secret")
	wantOpen(t, keyring(t, path), "c", box, "secret")
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Fatalf("temporary files are left: %v", left)
	}

	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeyring(path, ""); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("a key file that others can read: %v", err)
	}
	for content, says := range map[string]string{
		"":                                   "holds no key",
		"# only a comment\n":                 "holds no key",
		"-----BEGIN PRIVATE KEY-----":        "not an Edgewright master key file",
		"edgewright-master-key-1 !":          "damaged key",
		"edgewright-master-key-1 c2hvcnQ=\n": "damaged key",
	} {
		other := filepath.Join(t.TempDir(), "other.key")
		if err := os.WriteFile(other, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeyring(other, ""); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a file with %q: %v, want %q", content, err, says)
		}
	}
	if _, err := LoadKeyring("", ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("no path: %v", err)
	}
}

// Control planes that start at once on one new file agree on one key.
func TestFirstStartRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	ids := make([]string, 16)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			k, err := LoadKeyring(path, "")
			if err != nil {
				t.Errorf("loading: %v", err)
				return
			}
			ids[i] = k.IDs()[0]
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("two keys: %v", ids)
		}
	}
}

func TestKeysFromTheEnvironment(t *testing.T) {
	one, two := NewGroupKey(), NewGroupKey()
	encode := func(key [KeyBytes]byte) string { return base64.StdEncoding.EncodeToString(key[:]) }
	path := filepath.Join(t.TempDir(), "never.key")
	old, err := LoadKeyring(path, encode(one))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("a key file was made although the environment has the key")
	}
	box := seal(t, old, "c", "secret")
	both, err := LoadKeyring("", encode(two)+", "+encode(one))
	if err != nil {
		t.Fatal(err)
	}
	wantOpen(t, both, "c", box, "secret")
	rewrapped, changed, err := both.Rewrap(box)
	if err != nil || !changed || KeyID(rewrapped) != both.IDs()[0] {
		t.Fatalf("rewrapped under %s, %v, %v", KeyID(rewrapped), changed, err)
	}
	if _, err := both.AddKey(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "EDGEWRIGHT_MASTER_KEY") {
		t.Fatalf("adding a key to the environment: %v", err)
	}
	for _, bad := range []string{"x", encode(one)[:40], encode(one) + ",", "c2hvcnQ="} {
		if _, err := LoadKeyring("", bad); err == nil || strings.Contains(err.Error(), encode(one)[:10]) {
			t.Errorf("a bad key: %v", err)
		}
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	k, other := keyring(t, path), keyring(t, path)
	before := seal(t, k, "c", "secret")
	id, err := k.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if id == KeyID(before) || len(k.IDs()) != 2 {
		t.Fatalf("the new key is %s, all are %v", id, k.IDs())
	}
	wantOpen(t, k, "c", before, "secret")

	// Another process follows the file, for sealing and for opening.
	after := seal(t, other, "c", "new secret")
	if KeyID(after) != id {
		t.Fatalf("another process still seals under %s, not %s", KeyID(after), id)
	}
	rewrapped, changed, err := k.Rewrap(before)
	if err != nil || !changed || KeyID(rewrapped) != id {
		t.Fatalf("rewrapped under %s, %v, %v", KeyID(rewrapped), changed, err)
	}
	if same, changed, err := k.Rewrap(rewrapped); err != nil || changed || !bytes.Equal(same, rewrapped) {
		t.Fatalf("rewrapped again: %v, %v", changed, err)
	}
	if err := k.DropOldKeys(); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, k, "c", rewrapped, "secret")
	wantOpen(t, other, "c", rewrapped, "secret")
	if _, err := keyring(t, path).Open("c", before); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), KeyID(before)) {
		t.Fatalf("a box under a dropped key: %v", err)
	}

	// The file may be away for a moment.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, k, "c", seal(t, k, "c", "still"), "still")
}

func TestGroupSealing(t *testing.T) {
	group, other := NewGroupKey(), NewGroupKey()
	box := SealFor(group, "crt_1", []byte("key"))
	if !bytes.Equal(box, SealFor(group, "crt_1", []byte("key"))) {
		t.Fatal("sealing again gives another box: the document's hash would change")
	}
	for name, different := range map[string][]byte{
		"context":   SealFor(group, "crt_2", []byte("key")),
		"plaintext": SealFor(group, "crt_1", []byte("kez")),
		"key":       SealFor(other, "crt_1", []byte("key")),
		"border":    SealFor(group, "crt_1k", []byte("ey")),
	} {
		if bytes.Equal(box[1:1+nonceBytes], different[1:1+nonceBytes]) {
			t.Errorf("another %s has the same nonce", name)
		}
	}
	if _, err := OpenFor(other, "crt_1", box); !fault.Is(err, fault.Invalid) {
		t.Errorf("opened with another group's key: %v", err)
	}
	if _, err := OpenFor(group, "crt_2", box); !fault.Is(err, fault.Invalid) {
		t.Errorf("opened under another context: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	identity, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	box, err := SealTo(identity.Public(), "group/1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := ParseIdentity(identity.Marshal())
	if err != nil || !bytes.Equal(loaded.Public(), identity.Public()) {
		t.Fatalf("stored and loaded: %v", err)
	}
	if got, err := loaded.Open("group/1", box); err != nil || string(got) != "secret" {
		t.Fatalf("opened as %q, %v", got, err)
	}
	if _, err := stranger.Open("group/1", box); !fault.Is(err, fault.Invalid) {
		t.Fatalf("opened by a stranger: %v", err)
	}
	if _, err := identity.Open("group/2", box); !fault.Is(err, fault.Invalid) {
		t.Fatalf("opened under another context: %v", err)
	}
	for _, public := range [][]byte{nil, make([]byte, 31), make([]byte, 32), make([]byte, 33)} {
		if _, err := SealTo(public, "c", nil); !fault.Is(err, fault.Invalid) { // 32 zeros: a point of low order
			t.Errorf("sealed to a bad key of %d bytes: %v", len(public), err)
		}
	}
	for _, bad := range [][]byte{nil, {}, {2}, make([]byte, 33), append([]byte{1}, make([]byte, 5)...)} {
		if _, err := ParseIdentity(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("parsed %v: %v", bad, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := keyring(f, filepath.Join(f.TempDir(), "master.key"))
	group := NewGroupKey()
	identity, err := GenerateIdentity()
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := SealTo(identity.Public(), "c", []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	boxes := [][]byte{seal(f, k, "c", "secret"), SealFor(group, "c", []byte("secret")), sealed}
	for _, box := range boxes {
		f.Add("c", box)
		f.Add("d", box)
	}
	f.Add("c", []byte{1})
	f.Fuzz(func(t *testing.T, context string, box []byte) {
		known := false
		for _, b := range boxes {
			known = known || context == "c" && bytes.Equal(b, box)
		}
		for _, open := range []func() ([]byte, error){
			func() ([]byte, error) { return k.Open(context, box) },
			func() ([]byte, error) { return OpenFor(group, context, box) },
			func() ([]byte, error) { return identity.Open(context, box) },
		} {
			if got, err := open(); err == nil && !known {
				t.Errorf("a forged box opens as %q", got)
			}
		}
		if _, _, err := k.Rewrap(box); err == nil && KeyID(box) == "" {
			t.Error("something that is no box was rewrapped")
		}
	})
}

func FuzzParseIdentity(f *testing.F) {
	identity, err := GenerateIdentity()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(identity.Marshal())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, marshalled []byte) {
		parsed, err := ParseIdentity(marshalled)
		if err != nil {
			return
		}
		box, err := SealTo(parsed.Public(), "c", []byte("x"))
		if err != nil {
			t.Fatalf("cannot seal to a parsed identity: %v", err)
		}
		if got, err := parsed.Open("c", box); err != nil || string(got) != "x" {
			t.Fatalf("a parsed identity does not open its own: %v", err)
		}
	})
}

func FuzzParseKeyFile(f *testing.F) {
	raw := make([]byte, KeyBytes)
	rand.Read(raw)
	f.Add("# comment\n" + linePrefix + base64.StdEncoding.EncodeToString(raw) + "\n")
	f.Add("\n\n")
	f.Fuzz(func(t *testing.T, content string) {
		keys, err := parseKeyFile("file", content)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and %v", len(keys), err)
		}
	})
}
