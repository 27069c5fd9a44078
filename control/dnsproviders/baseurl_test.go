package dnsproviders

import (
	"strings"
	"testing"
)

func TestAPIURL(t *testing.T) {
	check := APIURLField("https://api.example.com").Check
	for value, good := range map[string]bool{
		"https://gateway.example.com/client/v4": true, "https://10.0.0.1:8443": true, "http://127.0.0.1:8080/v4": true, "http://[::1]:8080": true,
		"http://gateway.example.com": false, "http://10.0.0.1": false, "http://localhost": false, "ftp://gateway.example.com": false, "gateway.example.com": false,
		"https://": false, "https://user:secret@gateway.example.com": false, "https://gateway.example.com?x=1": false, "https://gateway.example.com#x": false, "://": false,
	} {
		detail, fix := check(value)
		if (detail == "") != good || !good && fix == "" || strings.Contains(detail+fix, "secret") {
			t.Errorf("%s: %q, %q", value, detail, fix)
		}
	}
}
