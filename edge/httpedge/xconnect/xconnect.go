// Package xconnect makes net/http offer extended CONNECT over HTTP/2 (RFC 8441),
// without which no WebSocket opens over it. It is imported for that alone.
//
// net/http reads the setting once, from GODEBUG, before main runs, and knows no
// other way to turn it on: it is no setting that a go:debug line may name. Packages
// are initialised in the order of their import paths as soon as what they import
// is, so this one, which imports next to nothing, always comes before net/http.
// TestWebSocketOverHTTP2 fails when that is not so any more.
package xconnect

import "os"

var _ = os.Setenv("GODEBUG", with(os.Getenv("GODEBUG")))

const setting = "http2xconnect=1"

func with(settings string) string {
	if settings == "" {
		return setting
	}
	return settings + "," + setting
}
