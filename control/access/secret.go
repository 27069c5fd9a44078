package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
)

// TokenPrefix begins every API token, so that secret scanners can find leaked ones.
const TokenPrefix = "ew_"

// newSecret returns 256 random bits as 43 URL-safe characters.
func newSecret(random io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// hashSecret is how secrets of full entropy are stored. A slow hash would add
// nothing: there is no dictionary of 256-bit values.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func sameHash(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func hint(secret string) string {
	if len(secret) < 16 {
		return ""
	}
	return secret[len(secret)-4:]
}
