package cli

import (
	"os"
	"strings"
	"unicode"
)

// ink styles text for one stream. The zero ink is plain.
type ink struct{ on bool }

func newInk(terminal bool) ink {
	return ink{on: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (k ink) wrap(code, s string) string {
	if !k.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (k ink) bold(s string) string   { return k.wrap("1", s) }
func (k ink) dim(s string) string    { return k.wrap("2", s) }
func (k ink) red(s string) string    { return k.wrap("31", s) }
func (k ink) green(s string) string  { return k.wrap("32", s) }
func (k ink) yellow(s string) string { return k.wrap("33", s) }
func (k ink) cyan(s string) string   { return k.wrap("36", s) }

// state colours a word by what it means: good, on its way, bad.
func (k ink) state(word string) string {
	switch word {
	case "active", "valid", "online", "verified", "done", "yes", "ok", "true", "not_required", "create", "succeeded":
		return k.green(word)
	case "error", "failed", "expired", "offline", "rejected", "false", "delete", "revoked":
		return k.red(word)
	case "pending", "pending_verification", "issuing", "expiring", "draining", "drained", "applied", "running", "update", "joining", "partial":
		return k.yellow(word)
	}
	return word
}

// clean takes control characters out of text that comes from elsewhere, so
// that nobody's domain name or error message moves this terminal's cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf):
			return -1
		}
		return r
	}, s)
}

// cleanLines is clean for text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}
