package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fault"
)

// Whatever is wrong with a body, the answer says what to do about it.
func TestRefusedBodiesSayWhatToDo(t *testing.T) {
	a := newEnv(t).admin()
	const zone = infrastructure + "/domains/example.org"
	a.post(zone+"/zone", nil).want(http.StatusCreated)
	for body, pointer := range map[string]string{
		`[]`:                                      "",
		`{"name":"www"`:                           "",
		`{"name":"www"}`:                          "/type",
		`{"name":5,"type":"A"}`:                   "/name",
		`{"name":"www","type":"A","values":"x"}`:  "/values",
		`{"name":"www","type":"A","values":[5]}`:  "/values/0",
		`{"name":"www","type":"A","ttl":"60"}`:    "/ttl",
		`{"name":"www","type":"A","ttl":1.5}`:     "/ttl",
		`{"name":"www","type":"A","ttl":-1}`:      "/ttl",
		`{"name":"www","type":"A","ttl":9999999}`: "/ttl",
		`{"name":"www","type":"A","tags":["a"]}`:  "/tags",
		`{"name":"www","type":"A","bogus":1}`:     "/bogus",
		`{"name":"www","type":"A","port":1}`:      "/port", // a field of checks, below
		`{"name":"www","type":"A","steering":{"checks":{"c":{"type":"http","skip_verify":"no"}}}}`: "/steering/checks/c/skip_verify",
	} {
		r := a.post(zone+"/records", body)
		var p Problem
		if err := json.Unmarshal(r.body, &p); err != nil {
			t.Fatalf("%s: %v in %s", body, err, r.body)
		}
		if r.status != http.StatusUnprocessableEntity && r.status != http.StatusBadRequest || len(p.Errors) == 0 || p.Errors[0].Pointer != pointer || p.Errors[0].Fix == "" || p.Errors[0].Fix == `did you mean "port"?` {
			t.Errorf("%s: %d %+v", body, r.status, p)
		}
	}
	for status, body := range map[int]any{http.StatusBadRequest: nil, http.StatusRequestEntityTooLarge: `{"name":"` + strings.Repeat("a", 1<<20) + `"}`} {
		if p := a.post(zone+"/records", body).refused(status, fault.Code(map[int]string{400: "invalid", 413: "too_large"}[status])); !strings.Contains(p.Detail, ": send ") {
			t.Errorf("%d: %q says not what to do", status, p.Detail)
		}
	}
}
