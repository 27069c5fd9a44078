package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/edgewright/edgewright/fault"
)

// Bounds of a password, in characters and bytes.
const (
	MinPassword = 10
	MaxPassword = 512
)

// argon2id parameters (RFC 9106; OWASP's choice for interactive logins): 19 MiB,
// two passes, one lane. At most two run at once, so logins cost at most 38 MiB.
const (
	argonMemoryKiB = 19 * 1024
	argonPasses    = 2
	argonLanes     = 1
	argonSalt      = 16
	argonKey       = 32
	argonAtOnce    = 2
)

// hasher computes password hashes, few at a time.
type hasher struct {
	random io.Reader
	slots  chan struct{}
	dummy  string // a hash of nothing anybody knows, so that unknown users cost the same time
}

func newHasher(random io.Reader) (*hasher, error) {
	h := &hasher{random: random, slots: make(chan struct{}, argonAtOnce)}
	secret, err := newSecret(random)
	if err != nil {
		return nil, err
	}
	h.dummy, err = h.hash(context.Background(), secret)
	return h, err
}

func (h *hasher) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "too many logins at once; try again in a moment: %w", ctx.Err())
	}
}

// hash returns the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	var salt [argonSalt]byte
	if _, err := io.ReadFull(h.random, salt[:]); err != nil {
		return "", err
	}
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	key := argon2.IDKey([]byte(password), salt[:], argonPasses, argonMemoryKiB, argonLanes, argonKey)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemoryKiB, argonPasses, argonLanes,
		enc.EncodeToString(salt[:]), enc.EncodeToString(key)), nil
}

// verify compares a password with a stored hash; "" never matches but takes as
// long. rehash tells that the hash was made with other parameters than today's.
func (h *hasher) verify(ctx context.Context, stored, password string) (ok, rehash bool, err error) {
	known := stored != ""
	if !known {
		stored = h.dummy
	}
	p, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-h.slots }()
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key)))
	ok = subtle.ConstantTimeCompare(key, p.key) == 1 && known
	rehash = p.memory != argonMemoryKiB || p.passes != argonPasses || p.lanes != argonLanes || len(p.key) != argonKey
	return ok, rehash, nil
}

type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

func parsePHC(s string) (phc, error) {
	var p phc
	bad := fault.New(fault.Internal, "a stored password hash is not readable")
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, bad
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, bad
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, bad
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return p, bad
	}
	// Bounds, so that a tampered row cannot make a login cost gigabytes.
	if p.memory == 0 || p.memory > 1<<20 || p.passes == 0 || p.passes > 16 || p.lanes == 0 || len(p.key) < 16 || len(p.key) > 64 || len(p.salt) < 8 {
		return p, bad
	}
	return p, nil
}

// checkPassword holds new passwords to length, the one rule that helps, and
// refuses the account's own address.
func checkPassword(pointer, password, email string) error {
	switch {
	case !utf8.ValidString(password):
		return fault.InvalidField(pointer, "the password is not valid UTF-8", "type it again")
	case utf8.RuneCountInString(password) < MinPassword:
		return fault.InvalidField(pointer, fmt.Sprintf("the password is shorter than %d characters", MinPassword), "use a longer one; several words are fine")
	case len(password) > MaxPassword:
		return fault.InvalidField(pointer, fmt.Sprintf("the password is longer than %d bytes", MaxPassword), "use a shorter one")
	case strings.EqualFold(password, email):
		return fault.InvalidField(pointer, "the password is the account's email address", "use another one")
	}
	return nil
}
