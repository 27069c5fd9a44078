package api

import (
	"regexp"
	"strings"
)

// remedies say what to do about what the schema of a body or a parameter refuses,
// by how huma's messages begin. The first that fits counts.
var remedies = []struct{ message, fix string }{
	{"expected string to be RFC 3339 date-time", "write it like 2026-01-31T12:00:00Z"},
	{"expected string to be base64 encoded", "write base64"},
	{"expected string to", "write it in that form"},
	{"expected string", "write text in quotes"},
	{"expected boolean", "write true or false, without quotes"},
	{"invalid boolean", "write true or false"},
	{"expected integer", "write a whole number, without quotes"},
	{"invalid integer", "write a whole number"},
	{"expected number >= ", "write that, or more"},
	{"expected number > ", "write more"},
	{"expected number <= ", "write that, or less"},
	{"expected number < ", "write less"},
	{"expected number", "write a number, without quotes"},
	{"invalid float", "write a number"},
	{"expected length >= ", "write more characters"},
	{"expected length <= ", "shorten it to that many characters"},
	{"expected array items to be unique", "name each once"},
	{"expected array length >= ", "name more"},
	{"expected array length <= ", "name fewer, or send them in several requests"},
	{"expected array", "write a list in brackets, such as [\"a\", \"b\"]"},
	{"expected object", "write an object in braces, such as {\"name\": \"value\"}"},
	{"expected value to be one of ", "write one of those"},
	{"unknown content type", "send JSON, with the header Content-Type: application/json"},
}

// remedy is the fix for a message of huma's, "" when none is known.
func remedy(message string) string {
	for _, r := range remedies {
		if strings.HasPrefix(message, r.message) {
			return r.fix
		}
	}
	return ""
}

var missing = regexp.MustCompile(`^expected required property (\S+) to be present$`)
